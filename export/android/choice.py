"""Choice of an artifact's files for the app, and the check that the app can run them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepress.core.artifact import MANIFEST, Artifact, FileRecord, is_artifact, open_artifact
from edgepress.core.errors import EdgepressError
from edgepress.core.tasks import MOST_TEXTS
from edgepress.core.tasks.recorded import recorded_text_columns

TOKENIZER = "tokenizer.json"
CONFIG = "config.json"
# What the app reads beside a model; device_bench puts the same on a phone.
NEEDED = (MANIFEST, CONFIG, TOKENIZER)
SMALL = "int8"
"""What goes into an app where nobody says."""
OPTIONAL = ("tokenizer_config.json", "vocab.txt")


@dataclass(frozen=True)
class Choice:
    """A model that goes into the app."""

    name: str
    model: Path
    beside: tuple[Path, ...]
    sha256: str
    """SHA-256 of the model file."""

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.model, *self.beside)


def choose(folder: Path, precisions: Sequence[str], allow_random: bool) -> list[Choice]:
    """The models of one artifact.

    Raises:
        EdgepressError: it is none, was altered, has random weights, has no such ONNX file, or the app cannot
            run it.
    """
    artifact = _open(folder)
    if not allow_random:
        _require_trained(artifact)
    _require_classifier(folder)
    _require_one_text(artifact)
    beside = _beside(folder)
    records = _records(artifact, precisions)
    several = len(records) > 1
    return [
        Choice(_name(artifact, record, several), folder / record.path, beside, record.sha256)
        for record in records
    ]


def _open(folder: Path) -> Artifact:
    if not folder.is_dir():
        raise EdgepressError(f"no such folder: {folder}", "python -m compress.quantize makes one")
    if not is_artifact(folder):
        raise EdgepressError(
            f"{folder} is no artifact (it has no {MANIFEST})", "python -m export.onnx --model makes one of it"
        )
    return open_artifact(folder)


def _require_trained(artifact: Artifact) -> None:
    model = artifact.manifest.model
    if model.weights == "random" or not model.head_trained:
        what = "weights are" if model.weights == "random" else "classifier's weights are"
        raise EdgepressError(
            f"{artifact.folder}: its {what} random, so the app's answers would mean nothing",
            "train it first (python -m compress.finetune), or add --allow-random",
        )


def _require_classifier(folder: Path) -> None:
    """The app labels texts, one answer a text, with BERT's tokenizer."""
    kinds = _json(folder / CONFIG).get("architectures")
    if isinstance(kinds, list) and not any(str(kind).endswith("ForSequenceClassification") for kind in kinds):
        found = ", ".join(map(str, kinds))
        raise EdgepressError(f"{folder} is a {found}, and the app runs classifiers of texts", "leave it out")
    model = _json(folder / TOKENIZER).get("model")
    kind = model.get("type") if isinstance(model, dict) else "damaged"
    if kind != "WordPiece":
        raise EdgepressError(
            f"{folder} has a {kind} tokenizer, and the app runs WordPiece (BERT, DistilBERT, MiniLM, MPNet)",
            "leave it out",
        )


def _require_one_text(artifact: Artifact) -> None:
    """The app has one field: half of a pair would be answered as if it were whole."""
    columns = recorded_text_columns(artifact.manifest)
    if len(columns) == MOST_TEXTS:
        raise EdgepressError(
            f"{artifact.folder} reads pairs ({' and '.join(columns)}), and the app takes one text",
            "leave it out, or train one on a single column: python -m compress.finetune --text-columns "
            f"{columns[0]}",
        )


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EdgepressError(f"{path} is missing, and the app reads it", "make the artifact again") from None
    except ValueError as error:
        raise EdgepressError(f"{path} is damaged: {error}", "make the artifact again") from error
    if not isinstance(content, dict):
        raise EdgepressError(f"{path} is damaged: no object", "make the artifact again")
    return content


def _beside(folder: Path) -> tuple[Path, ...]:
    optional = [folder / name for name in OPTIONAL]
    return (*(folder / name for name in NEEDED), *(path for path in optional if path.is_file()))


def _records(artifact: Artifact, precisions: Sequence[str]) -> list[FileRecord]:
    """ONNX files of these precisions; only those that were compared with the model take token ids."""
    found = [
        record for record in artifact.manifest.files if record.format == "onnx" and record.parity is not None
    ]
    if not found:
        raise EdgepressError(
            f"{artifact.folder} has no ONNX file, and the app runs nothing else",
            f"write one: python -m export.onnx --model {artifact.folder}",
        )
    known = {record.precision for record in found}
    if not precisions:
        return [record for record in found if record.precision == SMALL] or found
    for precision in precisions:
        if precision not in known:
            raise EdgepressError(
                f"{artifact.folder} has no {precision} ONNX file, only {', '.join(sorted(known))}",
                f"leave --precisions out, or make one: python -m export.onnx --model {artifact.folder} "
                f"--scheme {precision}",
            )
    return [record for record in found if record.precision in precisions]


def _name(artifact: Artifact, record: FileRecord, several: bool) -> str:
    name = artifact.manifest.name
    return f"{name} {record.precision}" if several else name
