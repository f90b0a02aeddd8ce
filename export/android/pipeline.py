"""The command: choose, copy, list; the app's assets appear whole or not at all."""

import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgepress.core import console
from edgepress.core.errors import EdgepressError
from edgepress.core.files import sha256, staged_folder
from edgepress.core.tables import ScreenTable
from export.android.choice import Choice, choose
from export.android.config import AndroidConfig

INDEX = "index.json"
SCHEMA_VERSION = 1
MANIFEST_OF_APP = Path("app/src/main/AndroidManifest.xml")
"""File by which a folder is known as an Android project with a module `app`."""
OWN_FOLDER = Path("app/src/main/assets/models")
LARGE_MB = 50
GUIDE = "android_demo/README.md"
"""File that says what each way of building the app takes."""


def run(config: AndroidConfig) -> Path:
    """Run the command and return the assets' folder.

    Raises:
        EdgepressError: bad input (exit code 2); what was in the app stays.
    """
    if not (config.app / MANIFEST_OF_APP).is_file():
        raise EdgepressError(
            f"no Android app in {config.app.absolute()} (there is no {MANIFEST_OF_APP})",
            "go to the repository's root, or name the folder of an Android project with --app",
        )
    chosen = [
        one for folder in config.artifacts for one in choose(folder, config.precisions, config.allow_random)
    ]
    names = _distinct([one.name for one in chosen])
    target = config.app / OWN_FOLDER
    _require_ours(target)
    with staged_folder(target, overwrite=True) as stage:
        entries = [_copy(one, name, stage) for one, name in zip(chosen, names, strict=True)]
        content = {"schema_version": SCHEMA_VERSION, "models": entries}
        (stage / INDEX).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    _show(entries)
    console.step(f"written: {target}, {sum(map(_megabytes, entries)):.1f} MB")
    console.step(
        f"next, build the app and install it: gradle --project-dir {config.app} :app:installRelease; without "
        f"Gradle: python -m tools.offline_apk ({GUIDE})"
    )
    return target


def _require_ours(target: Path) -> None:
    if target.is_dir() and any(target.iterdir()) and not (target / INDEX).is_file():
        raise EdgepressError(
            f"{target} holds something else than the app's models", "name another --app, or move it away"
        )


def _distinct(names: Sequence[str]) -> list[str]:
    """Names that tell the models of the list apart, whatever their artifacts are called."""
    return [
        f"{name} ({names[:at].count(name) + 1})" if names.count(name) > 1 else name
        for at, name in enumerate(names)
    ]


def _copy(one: Choice, name: str, stage: Path) -> dict[str, Any]:
    """Copy a model into a folder whose name changes with its content: the app keeps copies by name."""
    digest = hashlib.sha256("".join(map(sha256, one.files)).encode()).hexdigest()
    folder = f"{re.sub(r'[^A-Za-z0-9_-]+', '-', name)}-{digest[:12]}"
    (stage / folder).mkdir()
    for path in one.files:
        shutil.copyfile(path, stage / folder / path.name)
    files = {path.name: path.stat().st_size for path in one.files}
    return {"name": name, "folder": folder, "file": one.model.name, "files": files}


def _show(entries: Sequence[dict[str, Any]]) -> None:
    rows = [(one["name"], one["file"], f"{_megabytes(one):.1f}") for one in entries]
    ScreenTable("to be built into the app", ("model", "file", "MB"), rows, words=(0, 1)).show()
    for one in entries:
        if _megabytes(one) > LARGE_MB:
            console.warn(
                f"{one['name']} adds {_megabytes(one):.0f} MB to the app: "
                "python -m compress.quantize makes a quarter of it"
            )


def _megabytes(entry: dict[str, Any]) -> float:
    """What a model adds to the app, with what lies beside it."""
    return float(sum(entry["files"].values())) / 1e6
