"""The order in which training goes through texts."""

import numpy as np
import pytest

from compress.training.trainer import LengthSampler

LENGTHS = np.random.default_rng(0).integers(3, 60, size=3210)
BATCH = 16


def batches(epoch=0, seed=0):
    sampler = LengthSampler(LENGTHS, BATCH, seed)
    sampler.set_epoch(epoch)
    order = list(sampler)
    return [order[start : start + BATCH] for start in range(0, len(order), BATCH)]


def test_every_row_comes_once():
    assert sorted(row for batch in batches() for row in batch) == list(range(len(LENGTHS)))


def test_rows_of_a_batch_are_of_like_length():
    spread = np.mean([np.ptp(LENGTHS[batch]) for batch in batches()])
    assert spread < np.ptp(LENGTHS) / 10


def test_batches_do_not_run_from_long_to_short():
    means = np.array([LENGTHS[batch].mean() for batch in batches()])
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.2


@pytest.mark.parametrize("other", [{"epoch": 1}, {"seed": 1}])
def test_another_epoch_or_seed_is_another_order(other):
    assert batches() == batches()
    assert batches() != batches(**other)
