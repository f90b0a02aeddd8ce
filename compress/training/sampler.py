"""Batches of texts of like length, in random order."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

# Batches whose rows are sorted by length together: enough for like lengths, few enough for chance.
POOLED_BATCHES = 50


class LengthSampler(torch.utils.data.Sampler[int]):
    """Row numbers so ordered that batches hold rows of like length; another order each epoch."""

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self._lengths = np.asarray(lengths)
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called before each epoch, so that a resumed run goes through the same order."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng((self._seed, self._epoch))
        rows = rng.permutation(len(self))
        pool = self._batch_size * POOLED_BATCHES
        pools = [rows[start : start + pool] for start in range(0, len(rows), pool)]
        ordered = np.concatenate([part[np.argsort(self._lengths[part], kind="stable")] for part in pools])
        starts = np.arange(0, len(ordered), self._batch_size)
        # A batch that is not full stays the last: anywhere else it would shift all that follow.
        whole = starts[: len(ordered) // self._batch_size]
        order = [*rng.permutation(whole), *starts[len(whole) :]]
        for start in order:
            yield from ordered[start : start + self._batch_size].tolist()
