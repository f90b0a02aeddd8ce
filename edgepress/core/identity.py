"""Identity of a result: the inputs it is made from, as values and digests by name, and their differences.

Whatever takes an earlier result in place of making it again (a checkpoint, a cache, a ledger) compares two
identities. A digest is of contents, never of paths or times: a file that was moved is the same file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from edgepress.core.artifact import versions

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from edgepress.core.loading import OpenedModel
    from edgepress.core.splits import Examples

# Libraries that decide what a model computes and how it is trained.
LIBRARIES = ("edgepress", "torch", "transformers", "tokenizers", "accelerate")
# What a config says of where it came from.
ORIGIN = ("_name_or_path", "transformers_version", "architectures", "torch_dtype", "dtype")
SHA256 = "sha256"
# What a teacher says follows from itself and the texts; computed anew, its last digits may be others.
LABELS, TEACHER_LOGITS = "labels", "teacher_logits"
SHOWN_DIGITS, SHOWN_CHARACTERS, SHOWN_DIFFERENCES = 8, 60, 8
BATCH = 10_000


@dataclass(frozen=True)
class Difference:
    """A place at which two identities differ."""

    place: str
    """Keys from the outermost one on, with dots between."""
    before: Any
    now: Any

    def __str__(self) -> str:
        before, now = _shown(self.before), _shown(self.now)
        if _is_content(self.before) or _is_content(self.now):
            return f"{self.place} differ (was {before}; is {now})"
        return f"{self.place} was {before}, is {now}"


def differences(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[Difference]:
    """List the places at which two nested mappings differ."""
    found = []
    for key in dict.fromkeys([*before, *now]):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict) and not _is_content(new):
            found += differences(old, new, f"{prefix}{key}.")
        elif old != new:
            found.append(Difference(f"{prefix}{key}", old, new))
    return found


def in_words(found: Sequence[Difference]) -> str:
    """Differences as one line; of many the first ones."""
    more = len(found) - SHOWN_DIFFERENCES
    rest = [f"{more} more"] if more > 0 else []
    return "; ".join([*map(str, found[:SHOWN_DIFFERENCES]), *rest])


def _is_content(value: Any) -> bool:
    return isinstance(value, dict) and SHA256 in value


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if _is_content(value):
        counted = f"{value['rows']:,} rows, " if "rows" in value else ""
        return f"{counted}{str(value[SHA256])[:SHOWN_DIGITS]}"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."


def digest_of(value: Any) -> str:
    """SHA-256 of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def library_versions(libraries: Sequence[str] = LIBRARIES) -> dict[str, str]:
    """Versions of those libraries that are installed."""
    return {name: found for name, found in versions(libraries).items() if name in libraries}


def rows_identity(name: str, rows: Examples | Dataset) -> dict[str, Any]:
    """Contents of labelled texts, or of encoded rows.

    Args:
        name: what the rows are called: train, evaluation.
        rows: texts with labels; or columns that a model takes, with or without `labels`.
    """
    from edgepress.core.splits import Examples

    if isinstance(rows, Examples):
        found = {"texts": _json_lines(rows.texts), "labels": _array(rows.labels)}
    else:
        inputs = [column for column in sorted(rows.column_names) if column not in (LABELS, TEACHER_LOGITS)]
        found = {"texts": _columns(rows, inputs)}
        if LABELS in rows.column_names:
            found[LABELS] = _columns(rows, [LABELS])
    return {f"{name} {key}": {"rows": len(rows), SHA256: _digest(own)} for key, own in found.items()}


def texts_digest(examples: Examples | None) -> str:
    """SHA-256 of labelled texts; empty where there are none."""
    return digest_of(rows_identity("", examples)) if examples else ""


def model_identity(name: str, opened: OpenedModel) -> dict[str, Any]:
    """Contents of a model: its weights, config, and tokenizer.

    Args:
        name: what the model is called: model, teacher, student.
        opened: the model as it is now.
    """
    return {
        f"{name} weights": {SHA256: weights_digest(opened.model)},
        f"{name} config": model_config(opened.model),
        f"{name} tokenizer files": {SHA256: tokenizer_digest(opened.tokenizer)},
    }


def model_config(model: PreTrainedModel) -> dict[str, Any]:
    """A model's config, label names included, without what it says of where it came from."""
    content = json.loads(model.config.to_json_string(use_diff=False))
    return {key: value for key, value in content.items() if key not in ORIGIN}


def weights_digest(model: PreTrainedModel) -> str:
    """SHA-256 of the names, types, shapes and values of a model's weights."""
    import torch

    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def tokenizer_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """SHA-256 of everything that a tokenizer is saved as, slow or fast, and of how it pads and cuts.

    Whether it pads and cuts at all does not count: the last call left that behind.
    """
    sides = (tokenizer.padding_side, tokenizer.truncation_side, tokenizer.model_input_names)
    digest = hashlib.sha256(json.dumps([type(tokenizer).__name__, *sides]).encode())
    with TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
            content = hashlib.sha256(_saved(path)).hexdigest()
            digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()


# State of the last call, and where a tokenizer was opened from: transformers 5 writes that, too.
PASSING = ("truncation", "padding", "name_or_path", "is_local", "local_files_only")


def _saved(path: Path) -> bytes:
    """The content of one of a tokenizer's files, without its state and its origin."""
    if path.suffix != ".json":
        return path.read_bytes()
    content = json.loads(path.read_text(encoding="utf-8"))
    for passing in PASSING:
        if isinstance(content, dict):
            content.pop(passing, None)
    return json.dumps(content, sort_keys=True).encode()


def _digest(parts: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _json_lines(rows: Sequence[Any]) -> Iterator[bytes]:
    """Encode rows as JSON, so that ("a", "b c") and ("a b", "c") differ."""
    for row in rows:
        yield json.dumps(row).encode() + b"\n"


def _array(values: Any) -> Iterator[bytes]:
    yield f"{values.dtype} {values.shape}\n".encode()
    if values.dtype.hasobject:  # its bytes are addresses
        yield from _json_lines(values.tolist())
    else:
        yield values.tobytes()


def _columns(rows: Dataset, names: Sequence[str]) -> Iterator[bytes]:
    """Columns of numbers, or of lists of numbers, a batch at a time."""
    for name in names:
        yield f"{name}\n".encode()
        for batch in rows.select_columns([name]).with_format("arrow").iter(BATCH):
            yield from _flat(batch[name].combine_chunks())


def _flat(column: Any) -> Iterator[bytes]:
    """The lengths of lists, of lists in them, and the values."""
    while hasattr(column, "flatten") and hasattr(column, "value_lengths"):
        yield column.value_lengths().to_numpy(zero_copy_only=False).tobytes()
        column = column.flatten()
    yield from _array(column.to_numpy(zero_copy_only=False))
