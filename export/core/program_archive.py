"""A check of .pt2 archives before torch opens them: torch unpickles, evaluates and loads what is in them."""

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# What `torch.export.save` writes of a model of tensors. Compiled libraries (data/aotinductor) and the pickles
# of older versions are not among them.
ENTRIES = re.compile(
    r"[^/]+/(data/(weights|constants)/(\w+_(weights|constants)_config\.json|(weight|tensor)_\d+)"
    r"|data/sample_inputs/\w+\.pt|models/\w+\.json|extra/[\w.-]*|archive_format|archive_version|byteorder|version"
    r"|\.data/\w+)"
)
PAYLOAD = re.compile(r"(weight|tensor)_\d+")
# torch looks a node's target up by its dotted path, below the whole torch package.
OPERATORS = re.compile(
    r"torch\.ops\.aten\.(?!from_file)\w+\.\w+|torch\.sym_\w+|_operator\.[a-z_]+|math\.[a-z0-9]+"
)
# sympy evaluates these as Python: `Symbol('s21', positive=True, integer=True)` and sums of it.
EXPRESSION = re.compile(r"([\w\s+\-*/%(),.<>=!&|~]|'[a-z]+_?\d+')*")
SYMBOLS = re.compile(
    r"[a-z]+_?\d+|positive|nonnegative|integer|real|finite|commutative|evaluate|True|False|None|Symbol|Integer"
    r"|Rational|Float|Add|Mul|Pow|Max|Min|Mod|PythonMod|CleanDiv|FloorDiv|CeilDiv|ToFloat|IntTrueDiv"
    r"|Equality|Unequality|GreaterThan|LessThan|StrictGreaterThan|StrictLessThan|Eq|Ne|Ge|Gt|Le|Lt|And|Or|Not"
    r"|oo|int_oo|Infinity|NegativeInfinity|precision"
)
NAMES = re.compile(r"[A-Za-z_]\w*")


def require_plain(path: Path) -> None:
    """Raise if opening the archive could run anything else than torch's operators.

    Raises:
        ValueError: it holds a pickle of objects, a library, or a name that is no operator's.
        zipfile.BadZipFile: it is no archive.
    """
    import torch

    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        _require_entries(names)
        for name in names:
            if name.endswith(".json"):
                for text in _unsafe(json.loads(archive.read(name))):
                    raise ValueError(f"{name} names {text!r}, which is more than tensors and operators")
            elif name.endswith(".pt"):
                torch.load(io.BytesIO(archive.read(name)), weights_only=True)


def _require_entries(names: list[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1 or not ENTRIES.fullmatch(name):
            raise ValueError(f"{name!r} has no place in it")


def _unsafe(content: Any) -> Iterator[str]:
    """Texts in a part of the archive's JSON that torch would look up, evaluate or unpickle."""
    if isinstance(content, list):
        for entry in content:
            yield from _unsafe(entry)
    if isinstance(content, dict):
        for key, value in content.items():
            if not _plain(key, value):
                yield f"{key}: {value}"
            yield from _unsafe(value)


def _plain(key: str, value: Any) -> bool:
    """Whether an entry of this name is safe by itself."""
    if key == "use_pickle":
        return value is False
    if not isinstance(value, str):
        return True
    if key == "target":
        return bool(OPERATORS.fullmatch(value))
    if key == "path_name":
        return bool(PAYLOAD.fullmatch(value))
    if key == "expr_str":
        symbols = all(SYMBOLS.fullmatch(name) for name in NAMES.findall(value))
        return bool(EXPRESSION.fullmatch(value)) and symbols
    return True
