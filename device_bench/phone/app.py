"""The demo app's bench entry, from this side: files in, one `am instrument` a launch, a JSON out.

README.md beside this file is the contract that the app keeps.
"""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from device_bench.phone.adb import Adb, PhoneGoneError, last_line
from device_bench.phone.contract import AppFailedError, PhoneResult, Request, parse
from device_bench.phone.prepare import Undo
from edgepress.core.artifact import MANIFEST
from edgepress.core.errors import EdgepressError, first_line
from export.core.registry import format_of

PACKAGE = "org.edgepress.demo"
INSTRUMENTATION = f"{PACKAGE}/.Bench"
ABIS = ("arm64-v8a",)
# What the shell may write and every app may read.
INBOX = "/data/local/tmp/edgepress"
# The app's own media folder (Context.getExternalMediaDirs): the shell reads it on every Android, without
# run-as and so without a debuggable app. Jetpack's benchmarks leave their results there as well.
OUTBOX = f"/sdcard/Android/media/{PACKAGE}/edgepress"
INSTALL_S = 300.0
LAUNCH_S = 600.0
"""Longest that one launch may take, its loading and its texts included;"""
INPUT_S = 1.0
"""Seconds more for each further batch of a pass."""
LOGCAT_LINES = 12
RESULT_OK = "INSTRUMENTATION_CODE: -1"
BESIDE_THE_MODEL = (MANIFEST, "config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt")


def abis_of(apk: Path | None) -> tuple[str, ...]:
    """The instruction sets that an APK holds native code for.

    Raises:
        EdgepressError: it is no APK.
    """
    if apk is None:
        return ABIS
    try:
        with zipfile.ZipFile(apk) as content:
            found = {name.split("/")[1] for name in content.namelist() if re.match(r"lib/[^/]+/", name)}
    except (OSError, zipfile.BadZipFile) as error:
        raise EdgepressError(f"{apk} is no APK: {first_line(error)}", "build the app again") from error
    return tuple(sorted(found)) or ABIS


def install(phone: Adb, apk: Path | None, undo: Undo) -> None:
    """Put the app on the phone, and take it away at the end if it was not there before.

    Raises:
        EdgepressError: there is no app and no APK, or the phone does not take it.
    """
    there = bool(phone.reads("pm", "path", PACKAGE).strip())
    if apk is None and not there:
        raise EdgepressError(
            f"the demo app ({PACKAGE}) is not on phone {phone.serial}", "name its file with --apk"
        )
    if apk is None:
        return
    if not there:
        undo("pm", "uninstall", PACKAGE)
    try:
        phone.run("install", "-r", str(apk.absolute()), timeout=INSTALL_S)
    except PhoneGoneError:
        raise
    except EdgepressError:  # streaming needs a `cmd package` that not every Android has
        phone.run("install", "--no-streaming", "-r", str(apk.absolute()), timeout=INSTALL_S)


def clear_up(undo: Undo, run: str) -> None:
    """Let the app be ended, and the files and results of a run taken away, whatever ends it."""
    undo("rm", "-rf", INBOX)
    undo("sh", "-c", f"rm -f {OUTBOX}/{run}-*")
    undo("am", "force-stop", PACKAGE)


def push_files(phone: Adb, path: Path, folder: str) -> str:
    """Copy a model with what lies beside it in its artifact; where the model is on the phone then.

    Raises:
        EdgepressError: it is no ONNX file, or the phone is full.
    """
    own = format_of(path)
    if own.name != "onnx":
        raise EdgepressError(f"the demo app runs ONNX files, and {path.name} is none", "leave it out")
    phone.shell("mkdir", "-p", folder)
    beside = [artifact_folder(path) / name for name in BESIDE_THE_MODEL]
    for source in (*own.parts(path), *(one for one in beside if one.is_file())):
        phone.push(source, f"{folder}/{source.name}")
    # Pushed files keep the computer's mode; the app is another user.
    phone.shell("chmod", "-R", "a+rX", folder)
    return f"{folder}/{path.name}"


def artifact_folder(path: Path) -> Path:
    """Return the folder of a file's tokenizer: its artifact's folder, else its own."""
    return next((folder for folder in path.parents[:2] if (folder / MANIFEST).is_file()), path.parent)


def launch(phone: Adb, model: str, request: Request, run_id: str) -> PhoneResult:
    """Start the app's bench entry in a new process, wait for its end, and read its result.

    Raises:
        AppFailedError: it crashed, did not end, or says what is wrong with the file.
        PhoneGoneError: the phone does not answer any more.
    """
    asked = f"{Path(model).parent}/request.json"
    with TemporaryDirectory() as folder:
        local = Path(folder) / "request.json"
        local.write_text(request.content(), encoding="utf-8")
        local.chmod(0o644)
        phone.push(local, asked)
    extras = {
        "model": model,
        "request": asked,
        "threads": request.threads,
        "warmup": request.warm_up_batches,
        "runs": request.runs,
        "min_ms": request.min_time_ms,
        "run_id": run_id,
    }
    try:
        _instrument(phone, extras, LAUNCH_S + INPUT_S * (len(request.inputs) - 1))
        return parse(_pull(phone, run_id), request)
    finally:
        phone.reads("rm", "-f", f"{OUTBOX}/{run_id}.json")


def _instrument(phone: Adb, extras: dict[str, Any], longest_s: float) -> None:
    flags = [part for name, value in extras.items() for part in ("-e", name, str(value))]
    phone.reads("logcat", "-b", "crash", "-c")
    try:
        printed = phone.shell("am", "instrument", "-w", "-r", *flags, INSTRUMENTATION, timeout=longest_s)
    except PhoneGoneError:
        raise
    except EdgepressError as error:
        raise AppFailedError(str(error), error.hint) from error
    finally:
        phone.reads("am", "force-stop", PACKAGE)
    if RESULT_OK in printed and "shortMsg=" not in printed:
        return
    if "Unable to find instrumentation" in printed or "INSTRUMENTATION_FAILED" in printed:
        raise EdgepressError(f"the app on phone {phone.serial} has no bench entry", "install a newer --apk")
    raise _crash(phone, printed)


def _crash(phone: Adb, printed: str) -> AppFailedError:
    """What Android says of it, and the end of its crash log."""
    said = re.search(r"(?:longMsg|shortMsg)=(.*)", printed)
    reason = said[1].strip() if said else last_line(printed) or "no answer"
    tail = phone.reads("logcat", "-d", "-b", "crash", "-t", str(LOGCAT_LINES)).strip()
    return AppFailedError(f"the app crashed: {reason}", f"the end of logcat:\n{tail}" if tail else "")


def _pull(phone: Adb, run_id: str) -> Any:
    with TemporaryDirectory() as folder:
        local = Path(folder) / "result.json"
        try:
            phone.pull(f"{OUTBOX}/{run_id}.json", local)
            return json.loads(local.read_text(encoding="utf-8"))
        except PhoneGoneError:
            raise
        except (EdgepressError, ValueError) as error:
            raise AppFailedError(f"the app left no result: {first_line(error)}") from error
