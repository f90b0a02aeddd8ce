"""Pictures of training show what the metrics hold, and are left away where there is nothing."""

from dataclasses import replace

import numpy as np
import pytest

from compress.training.pictures import Trained, pictures
from device_bench.charts.theme import THEMES

HISTORY = [
    {"epoch": 0.5, "step": 5, "loss": 0.9, "eval_loss": 0.8, "accuracy": 0.6},
    {"epoch": 1.0, "step": 10, "loss": 0.7, "eval_loss": 0.75, "accuracy": 0.7},
]
CURVE = {"auc": 0.9, "curve": [[0, 0], [0.1, 0.8], [1, 1]], "chosen": {"0.5": [0.1, 0.6], "test": [0.2, 0.9]}}
TEACHER = Trained(
    "teacher", "accuracy", {"history": HISTORY, "confusion": {"x": [[5, 1], [2, 8]]}}, ("no", "ok")
)
SEVERAL = Trained(
    "student",
    "f1_micro",
    {"confusion": {"toxic": [[5, 1], [2, 8]], "threat": [[9, 1], [1, 5]]}, "roc": {"toxic": CURVE}},
    ("toxic", "threat"),
)


def drawn_texts(models: list[Trained], name: str) -> str:
    """What an SVG says; matplotlib writes texts as paths, and their words as comments."""
    chart = next(chart for chart in pictures(models) if chart.name == name)
    return chart.render(THEMES["light"], "svg").decode()


def test_only_what_there_is_something_for():
    assert [chart.name for chart in pictures([TEACHER])] == ["epochs", "confusion"]
    assert [chart.name for chart in pictures([SEVERAL])] == ["confusion", "roc"]
    assert pictures([Trained("values", "spearman", {"confusion": {}})]) == []


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_every_picture_can_be_drawn(theme):
    for chart in pictures([TEACHER, SEVERAL], "seed 0 of 3"):
        assert chart.render(theme, "png").startswith(b"\x89PNG")


def test_each_task_has_axes_of_its_own():
    other = Trained("second", "f1", {"history": [{**one, "f1": 0.5} for one in HISTORY]}, task="other")
    together, apart = (drawn_texts([TEACHER, own], "epochs") for own in (replace(other, task=""), other))
    assert "<!-- score [%] -->" in together
    for part in ("accuracy [%]", "f1 [%]"):
        assert f"<!-- {part} -->" not in together
        assert f"<!-- {part} -->" in apart


def test_matrices_say_counts_shares_and_classes():
    text = drawn_texts([TEACHER], "confusion")
    for part in ("83.3 %", "20.0 %", "ok", "teacher"):
        assert f"<!-- {part} -->" in text


def test_each_label_of_several_has_a_panel():
    text = drawn_texts([SEVERAL], "confusion")
    assert "<!-- toxic: student -->" in text
    assert "<!-- threat: student -->" in text


def test_curves_have_their_area_and_a_key_of_thresholds():
    text = drawn_texts([SEVERAL], "roc")
    for part in ("toxic, area 0.900", "threshold 0.5", "chosen on test"):
        assert f"<!-- {part} -->" in text


LABELLED = Trained(
    "perfect",
    "accuracy",
    {
        "labels": {name: {"texts": 9, "given": 9, "right": 9} for name in ("no", "ok")},
        "history": [{**point, "accuracy": 1.0} for point in HISTORY],
    },
    ("no", "ok"),
)


@pytest.mark.parametrize(("name", "panel", "axis"), [("labels", 0, "x"), ("epochs", 1, "y")])
def test_an_axis_of_scores_ends_at_100_percent(name, panel, axis):
    chart = next(chart for chart in pictures([LABELLED]) if chart.name == name)
    ((_, figure),) = chart.in_each([THEMES["light"]])
    axes = figure.axes[panel]
    assert (axes.get_xlim() if axis == "x" else axes.get_ylim())[1] == 100
    figure.draw_without_rendering()
    assert all(text.get_window_extent().x1 <= figure.bbox.x1 for text in axes.texts)


def test_masked_language_models_have_a_loss_alone():
    (chart,) = pictures([Trained("student", "", {"history": [{**point} for point in HISTORY]})])
    assert chart.title == "Loss by epoch"
    assert np.frombuffer(chart.render(THEMES["light"], "png"), dtype=np.uint8).size > 1000


def test_each_chosen_threshold_has_its_mark_however_many_there_are():
    chosen = {f"split{number}": [0.1, number / 10] for number in range(9)}
    text = drawn_texts([replace(SEVERAL, metrics={"roc": {"toxic": {**CURVE, "chosen": chosen}}})], "roc")
    for name in chosen:
        assert f"<!-- chosen on {name} -->" in text
