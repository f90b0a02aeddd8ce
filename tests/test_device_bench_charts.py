"""`charts`, from records made by hand: which pictures there are, and what is in them."""

import html
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import pytest
from bench_records import OTHER_MACHINE, ROUNDS, measured
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text

from device_bench.charts.bars import speed_up
from device_bench.charts.draw import Chart, charts, picture
from device_bench.charts.labels import place_labels
from device_bench.charts.lines import by_length
from device_bench.charts.theme import THEMES, WIDTH_INCHES
from device_bench.charts.view import view
from device_bench.grouping import sections
from device_bench.records import Launch, Measurement, append

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
    return [chart.name for chart in charts(sections(found))]


def test_every_chart_that_the_records_have_something_for() -> None:
    assert names(RECORDS) == NAMES


def test_no_chart_without_its_data() -> None:
    assert names([measured("fp32", 20.0)]) == ["size-latency", "cold-start-memory"]


def test_machines_have_charts_of_their_own_and_one_together() -> None:
    found = names(RECORDS + [replace(record, environment=OTHER_MACHINE) for record in RECORDS])
    assert len(found) == 2 * len(NAMES) + 1
    assert found[-1] == "devices"


def test_front_leaves_out_what_another_file_beats() -> None:
    own = view(sections(RECORDS)[0])
    assert own is not None
    assert own.conditions == "batch 1, 128 tokens, 1 thread"
    assert [point.label for point in own.front()] == ["fp32", "int8"]


def test_speed_ups_are_over_the_first_file() -> None:
    own = view(sections(RECORDS)[0])
    assert own is not None
    found = {point.label: (own.baseline, ratio.value) for point, ratio in own.speed_ups()}
    assert found == {"int8": ("fp32", pytest.approx(2.5)), "slow": ("fp32", pytest.approx(2 / 3))}


@pytest.mark.parametrize(("fast_ms", "scale", "start"), [(8.0, "linear", 0), (0.1, "log", 1)])
def test_speed_ups_far_apart_are_bars_from_as_fast(fast_ms: float, scale: str, start: float) -> None:
    own = view(sections([measured("fp32", 20.0), measured("slow", 40.0), measured("fast", fast_ms)])[0])
    assert own is not None
    figure = Figure(layout="constrained")
    speed_up(figure, own, THEMES["light"])
    (axes,) = figure.axes
    assert axes.get_xscale() == scale
    ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches]
    assert ends == [(start, pytest.approx(0.5)), (start, pytest.approx(20 / fast_ms))]
    low, high = axes.get_xlim()
    assert low < 0.5
    assert high > 20 / fast_ms


def test_failed_file_is_in_no_chart() -> None:
    broken = replace(measured("broken", 1.0), samples_ms=(), error="killed")
    assert names([broken]) == []
    own = view(sections([*RECORDS, broken])[0])
    assert own is not None
    assert "broken" not in [point.label for point in own.points]


@pytest.mark.parametrize("theme", THEMES)
def test_pictures_have_readme_width_and_the_theme_s_page(theme: str, cli: Callable, tmp_path: Path) -> None:
    append(tmp_path / "a.jsonl", RECORDS)
    output = tmp_path / "charts"
    done = cli("device_bench.charts", "--records", tmp_path / "a.jsonl", "--output", output, "--theme", theme)
    assert done.code == 0, done.err
    assert sorted(path.name for path in output.iterdir()) == sorted(f"{name}-{theme}.png" for name in NAMES)
    for path in output.iterdir():
        picture = imread(path)
        assert picture.shape[1] == 1660
        assert (picture[0, 0, 0] > 0.5) == (theme == "light")
        assert picture[..., :3].std() > 0.02


def test_no_records_is_one_line(cli: Callable, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    done = cli("device_bench.charts", "--records", tmp_path / "a.jsonl", "--output", tmp_path / "charts")
    assert done.code == 2
    assert "no records in" in done.error
    assert not (tmp_path / "charts").exists()


def axes_with(spots: list[tuple[float, float, str]]) -> Axes:
    figure = Figure()
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.scatter([x for x, _, _ in spots], [y for _, y, _ in spots])
    return axes


def test_labels_lie_on_no_other_and_on_no_point() -> None:
    spots = [(x / 30, (x * 7 % 11) / 10, f"{x}") for x in range(40)]
    axes = axes_with(spots)
    assert place_labels(axes, spots, THEMES["light"])
    axes.figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    assert len(boxes) == 40
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    points = axes.transData.transform([(x, y) for x, y, _ in spots])
    assert not any(box.contains(x, y) for box in boxes for x, y in points)


def test_labels_lie_beside_bars_of_error() -> None:
    spots = [(1.0, 1.0, "one"), (2.0, 1.0, "two"), (3.0, 2.0, "three")]
    axes = axes_with(spots)
    assert place_labels(axes, spots, THEMES["light"], [(0.5, y, 3.5, y) for _, y, _ in spots])
    axes.figure.draw_without_rendering()
    for text in axes.texts:
        box = Text.get_window_extent(text)
        assert not any(box.y0 <= axes.transData.transform((1, y))[1] <= box.y1 for y in (1, 2))


def test_lengths_close_to_each_other_are_named_where_there_is_room() -> None:
    lengths = range(8, 88, 8)
    many = [measured(f"file {n}", 1.0 + length, length) for n in range(9) for length in lengths]
    lines = by_length(view(sections(many)[0]))
    assert lines is not None
    assert lines.columns == 2
    figure = Figure(figsize=(WIDTH_INCHES, lines.height), layout="constrained")
    FigureCanvasAgg(figure)
    lines.paint(figure, THEMES["light"])
    figure.draw_without_rendering()
    labels = figure.axes[0].get_xticklabels()
    assert {label.get_text() for label in labels} >= {"8", "16", "80"}
    boxes = [label.get_window_extent() for label in labels]
    assert len(boxes) < len(lengths)
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def test_labels_without_room_are_all_left_to_the_caller() -> None:
    spots = [(x / 30, (x * 7 % 11) / 10, f"a file with a long name, {x}") for x in range(90)]
    axes = axes_with(spots)
    assert not place_labels(axes, spots, THEMES["light"])
    assert len(axes.texts) == 0
    assert place_labels(axes, spots, THEMES["light"], force=True)
    assert len(axes.texts) == 90


def many(count: int) -> list[Measurement]:
    return [
        replace(measured(f"file-{i:02}", 5.0 + i % 9, length), score=0.8 + i / 1000, metric="f1", task="t")
        for i in range(count)
        for length in (16, 128)
    ]


@pytest.mark.parametrize("count", [1, 3, 7, 13, 40])
def test_every_chart_names_every_file(count: int) -> None:
    for chart in charts(sections(many(count))):
        text = html.unescape(written(chart))
        own = [f"file-{i:02}" for i in range(count)]
        assert [name for name in own if name not in text] == [], chart.name


def test_chart_says_what_it_has_to_do_without() -> None:
    broken = replace(measured("broken", 1.0), samples_ms=(), error="killed")
    found = charts(sections([*RECORDS, measured("short", 5.0, 64), broken]))
    speed_up = next(chart for chart in found if chart.name == "speed-up")
    assert "not measured so: short; failed: broken" in speed_up.conditions


def test_what_all_files_share_is_written_once() -> None:
    records = [replace(measured(f"small/{name}.onnx", 5.0), artifact="small") for name in ("a", "b")]
    own = view(sections(records)[0])
    assert own is not None
    assert [point.label for point in own.points] == ["a.onnx", "b.onnx"]
    assert all("small" in chart.conditions for chart in charts(sections(records)))


@pytest.mark.slow
def test_repainted_picture_is_the_one_that_the_theme_draws() -> None:
    def without_ids(drawn: bytes, form: str) -> bytes:  # hashes of what is drawn, in an SVG
        return re.sub(rb"\b[a-z][0-9a-f]{10}\b", b"", drawn) if form == "svg" else drawn

    for chart in charts(sections(RECORDS)):
        for theme, figure in chart.in_each([*THEMES.values()]):
            for form in ("svg", "png"):
                drawn, alone = picture(figure, form), chart.render(theme, form)
                assert without_ids(drawn, form) == without_ids(alone, form)


def written(chart: Chart) -> str:
    """The texts of the picture."""
    with mpl.rc_context({"svg.fonttype": "none"}):
        return chart.render(THEMES["light"], "svg").decode()


@pytest.mark.parametrize("name", ["size-latency", "accuracy-latency", "latency-length", "speed-up"])
@pytest.mark.parametrize("wide", [False, True])
def test_an_interval_that_is_cut_off_has_an_arrowhead(name: str, wide: bool) -> None:
    launch = Launch(rounds=ROUNDS // 3, load_ms=1.0, first_forward_ms=1.0, peak_memory_bytes=1)
    spread = (0.1, 1.0, 10.0) if wide else (0.99, 1.0, 1.01)
    odd = [
        replace(own, samples_ms=tuple((own.all_samples_ms[0] * x,) for x in spread for _ in range(4)))
        for own in (*RECORDS, *(replace(own, name="far", file="far.onnx") for own in RECORDS[:2]))
    ]
    found = charts(sections([replace(own, launches=(launch,) * 3) for own in odd]))
    text = html.unescape(written(next(chart for chart in found if chart.name == name)))
    if name == "speed-up":  # every file is slowed alike, and ratios are as they were
        assert "arrowheads" not in text
    else:
        assert ("(arrowheads: it reaches further)" in text) == wide


def test_scores_end_at_100_percent() -> None:
    found = [replace(own, score_interval=(0.97, 1.0), score=1.0) for own in RECORDS]
    chart = next(own for own in charts(sections(found)) if own.name == "accuracy-latency")
    ((_, figure),) = chart.in_each([THEMES["light"]])
    assert figure.axes[0].get_ylim()[1] == 100


def test_a_score_outside_of_its_interval_is_drawn() -> None:
    found = [replace(own, score=1.0, score_interval=(0.8, 0.99), metric="f1", task="t") for own in RECORDS]
    for chart in charts(sections(found)):
        assert chart.render(THEMES["light"], "png").startswith(b"\x89PNG")
