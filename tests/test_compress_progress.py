"""When a training run is looked at, and the time that it says it took."""

import pytest

from compress.training.progress import marks, trained_seconds


@pytest.mark.parametrize(
    ("steps", "epochs", "expected"),
    [
        (100, 1, {10, 20, 30, 40, 50, 60, 70, 80, 90, 100}),
        (300, 3, {33, 67, 100, 133, 167, 200, 233, 267, 300}),
        (40, 20, set(range(2, 41, 2))),
        (60, 30, set(range(4, 61, 4))),
        (3, 1, {1, 2, 3}),
        (1, 1, {1}),
        (50, 0.5, set(range(5, 51, 5))),
    ],
)
def test_marks_are_even_and_end_every_epoch(steps, epochs, expected):
    assert marks(steps, epochs) == expected


@pytest.mark.parametrize(("an_epoch", "epochs"), [(7, 2.5), (2105, 3), (13, 1.1), (115, 4)])
def test_every_whole_epoch_ends_in_a_mark(an_epoch, epochs):
    steps = -int(-an_epoch * epochs // 1)  # as the Trainer counts: rounded up
    assert {an_epoch * number for number in range(1, int(epochs) + 1)} <= marks(steps, epochs)
    assert max(marks(steps, epochs)) == steps


def test_seconds_are_those_of_the_last_entry_that_has_some():
    assert (
        trained_seconds([{"loss": 1.0, "seconds": 2.0}, {"loss": 0.5, "seconds": 5.0}, {"eval_loss": 0.4}])
        == 5
    )
    assert trained_seconds([]) == 0
