"""The table of texts with what teacher and student say to them."""

import numpy as np

from compress.training.mistakes import DIFFERING, DRAWN, sample_rows, sample_table, samples
from edgepress.core.splits import Examples
from edgepress.core.tasks import TASKS

SST2, TOXIC, STSB = TASKS["sst2"], TASKS["toxic_comments"], TASKS["stsb"]


def test_some_are_random_and_some_are_decided_differently():
    examples = Examples([(f"text {row}",) for row in range(100)], np.zeros(100, dtype=np.int64))
    teacher = np.tile([1.0, -1.0], (100, 1))
    student = teacher.copy()
    student[40:60] *= -1
    found = samples(SST2, examples, (teacher, student), seed=0)
    assert len(found) == DRAWN + DIFFERING
    differing = [np.argmax(own["teacher"]) != np.argmax(own["student"]) for own in found]
    assert sum(differing) >= DIFFERING
    assert len({own["text"] for own in found}) == len(found)
    assert found == samples(SST2, examples, (teacher, student), seed=0)


def test_probabilities_are_each_models_own():
    examples = Examples([("a long text | " * 20,)], np.array([1]))
    (found,) = samples(SST2, examples, (np.array([[0.0, 2.0]]), np.array([[1.0, 0.0]])), seed=0)
    assert found["teacher"] == [0.1192, 0.8808]
    assert found["student"] == [0.7311, 0.2689]
    ((text, *cells),) = sample_rows(SST2, [found])
    assert cells == ["positive", "positive 88 %", "negative 73 %"]
    assert text.endswith("…")
    assert sample_table(SST2, [found]).count("\\|") == text.count("|")


def test_labels_that_come_several_at_once():
    examples = Examples([("a text",)], np.array([[1.0, 0, 1, 0, 0, 0]]))
    logits = np.array([[2.0, -2, 0.5, -2, -2, -2]]), np.full((1, 6), -1.0)
    (row,) = sample_rows(TOXIC, samples(TOXIC, examples, logits, seed=0))
    assert row == ("a text", "toxic, obscene", "toxic 88 %, obscene 62 %", "none")


def test_pairs_and_values():
    examples = Examples([("one", "other")], np.array([3.25]))
    (row,) = sample_rows(STSB, samples(STSB, examples, (np.array([[3.0]]), np.array([[2.5]])), seed=0))
    assert row == ("one / other", "3.25", "3.00", "2.50")
