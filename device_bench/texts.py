"""Real texts as token ids on disk, so that a worker needs no tokenizer; and the batches of a whole pass."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from device_bench.records import Padding
from export.core.runner import Batch

LENGTHS = "lengths"


def save(path: Path, rows: Sequence[Batch]) -> None:
    """Write texts of one row each, (1, length) int64; padded to the longest and with their lengths."""
    lengths = np.asarray([row["input_ids"].shape[1] for row in rows])
    joined = _pad(rows, int(lengths.max()))
    np.savez(path, **joined, **{LENGTHS: lengths})  # type: ignore[arg-type]  # its names are free


def load(path: Path) -> list[dict[str, np.ndarray]]:
    """Read what `save` wrote: one batch of size 1 a text, not padded."""
    with np.load(path) as content:
        joined = {name: content[name] for name in content.files}
    lengths = joined.pop(LENGTHS)
    return [
        {name: values[row : row + 1, :length] for name, values in joined.items()}
        for row, length in enumerate(lengths)
    ]


def stacked(logits: Sequence[np.ndarray]) -> np.ndarray:
    """Logits of texts as one array: (texts, labels), or (texts, tokens, labels) filled up with zeros."""
    if logits[0].ndim == 1:
        return np.stack(logits)
    whole = np.zeros((len(logits), max(map(len, logits)), logits[0].shape[-1]), dtype=logits[0].dtype)
    for row, own in enumerate(logits):
        whole[row, : len(own)] = own
    return whole


def pass_batches(rows: Sequence[Batch], batch: int, padding: Padding) -> list[Batch]:
    """Batch all texts, as they come or sorted by length; each batch is padded to its longest text.

    The last batch may be smaller.
    """
    order = sorted(rows, key=lambda row: row["input_ids"].shape[1]) if padding == "sorted" else list(rows)
    return [_padded(order[start : start + batch]) for start in range(0, len(order), batch)]


def _padded(rows: Sequence[Batch]) -> Batch:
    return _pad(rows, max(row["input_ids"].shape[1] for row in rows))


def _pad(rows: Sequence[Batch], length: int) -> dict[str, np.ndarray]:
    return dict(_columns(rows, length))


def _columns(rows: Sequence[Batch], length: int) -> Iterator[tuple[str, np.ndarray]]:
    for name in rows[0]:
        joined = np.zeros((len(rows), length), dtype=np.int64)
        for row, batch in enumerate(rows):
            joined[row, : batch[name].shape[1]] = batch[name][0]
        yield name, joined
