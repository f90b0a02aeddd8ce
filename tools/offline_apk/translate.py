"""Translates an APK's dex code to a jar with enjarify, in a process that has it on its path.

    python translate.py APK JAR

Its own command leaves out the classes that it fails at, and says nothing in its exit code.
"""

import sys
import zipfile
from typing import Any

from enjarify import dalvikformats  # type: ignore[import-not-found]
from enjarify.jvm.optimization import options  # type: ignore[import-not-found]
from enjarify.main import translate, writeToJar  # type: ignore[import-not-found]

CONST_WIDE_32 = 0x17
# Calls method handles, for tensors of half precision alone; enjarify does not know such calls.
UNTRANSLATABLE = {"ai/onnxruntime/platform/Fp16Conversions.class"}


def signed(decode: Any) -> Any:
    """Dalvik widens const-wide/32 with its sign; enjarify 1.0.3 reads -2147483648 as 2147483648."""

    def corrected(shorts: Any, position: int, opcode: int) -> Any:
        end, results = decode(shorts, position, opcode)
        if opcode == CONST_WIDE_32:
            results[-1] = dalvikformats.sign(results[-1], 32)
        return end, results

    return corrected


def main(apk: str, jar: str) -> None:
    dalvikformats.decode = signed(dalvikformats.decode)
    with zipfile.ZipFile(apk) as content:
        names = sorted(name for name in content.namelist() if name.endswith(".dex"))
        dexes = [content.read(name) for name in names]
    classes: dict[str, bytes] = {}
    errors: dict[str, str] = {}
    for dex in dexes:
        translate(dex, options.NONE, classes, errors)
    if unexpected := errors.keys() - UNTRANSLATABLE:
        sys.exit("\n".join(f"{name}: {errors[name]}" for name in sorted(unexpected)))
    writeToJar(jar, classes)


if __name__ == "__main__":
    main(*sys.argv[1:])
