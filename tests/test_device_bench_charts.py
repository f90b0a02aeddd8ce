"""`charts`, from records made by hand: which pictures there are, and what is in them."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from bench_records import OTHER_MACHINE, measured
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread

from device_bench.chart.draw import charts
from device_bench.chart.labels import place_labels
from device_bench.chart.theme import THEMES
from device_bench.chart.view import view
from device_bench.records import Measurement, append
from device_bench.series import machines

SCORES = {"fp32": 0.90, "int8": 0.89, "slow": 0.88}
TIMES = {"fp32": 20.0, "int8": 8.0, "slow": 30.0}
RECORDS = [
    replace(
        measured(name, TIMES[name] * length / 128 * batch, length, batch), score=score, metric="f1", task="t"
    )
    for name, score in SCORES.items()
    for length, batch in ((16, 1), (128, 1), (128, 8))
]
NAMES = [
    "size-latency",
    "accuracy-latency",
    "latency-length",
    "latency-batch",
    "speed-up",
    "cold-start-memory",
]


def names(found: list[Measurement]) -> list[str]:
    return [chart.name for chart in charts(machines(found))]


def test_every_chart_that_the_records_have_something_for() -> None:
    assert names(RECORDS) == NAMES


def test_no_chart_without_its_data() -> None:
    assert names([measured("fp32", 20.0)]) == ["size-latency", "cold-start-memory"]


def test_machines_have_charts_of_their_own_and_one_together() -> None:
    found = names(RECORDS + [replace(record, environment=OTHER_MACHINE) for record in RECORDS])
    assert len(found) == 2 * len(NAMES) + 1
    assert found[-1] == "devices"


def test_front_leaves_out_what_another_file_beats() -> None:
    own = view(machines(RECORDS)[0])
    assert own is not None
    assert own.conditions == "batch 1, 128 tokens, 1 thread"
    assert [point.label for point in own.front()] == ["fp32", "int8"]


def test_speed_ups_are_over_the_first_file() -> None:
    own = view(machines(RECORDS)[0])
    assert own is not None
    found = {point.label: (base.label, ratio.value) for point, base, ratio in own.speed_ups()}
    assert found == {"int8": ("fp32", pytest.approx(2.5)), "slow": ("fp32", pytest.approx(2 / 3))}


def test_failed_file_is_in_no_chart() -> None:
    broken = replace(measured("broken", 1.0), samples_ms=(), error="killed")
    assert names([broken]) == []
    own = view(machines([*RECORDS, broken])[0])
    assert own is not None
    assert "broken" not in [point.label for point in own.points]


@pytest.mark.parametrize("theme", THEMES)
def test_pictures_have_readme_width_and_the_theme_s_page(theme: str, cli: Callable, tmp_path: Path) -> None:
    append(tmp_path / "a.jsonl", RECORDS)
    output = tmp_path / "charts"
    done = cli("device_bench.chart", "--records", tmp_path / "a.jsonl", "--output", output, "--theme", theme)
    assert done.code == 0, done.err
    assert sorted(path.name for path in output.iterdir()) == sorted(f"{name}-{theme}.png" for name in NAMES)
    for path in output.iterdir():
        picture = imread(path)
        assert picture.shape[1] == 1660
        assert (picture[0, 0, 0] > 0.5) == (theme == "light")
        assert picture[..., :3].std() > 0.02


def test_no_records_is_one_line(cli: Callable, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    done = cli("device_bench.chart", "--records", tmp_path / "a.jsonl", "--output", tmp_path / "charts")
    assert done.code == 2
    assert "no records in" in done.error
    assert not (tmp_path / "charts").exists()


def test_labels_lie_on_no_other() -> None:
    figure = Figure()
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    spots = [(x / 30, (x * 7 % 11) / 10, f"file-{x}") for x in range(90)]
    axes.scatter([x for x, _, _ in spots], [y for _, y, _ in spots])
    place_labels(axes, spots)
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) > 10
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
