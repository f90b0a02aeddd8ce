"""Tables, warnings and the chart, from measurements made by hand."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from rich.console import Console

from device_bench.charts.trade_off import trade_off_chart
from device_bench.records import Measurement
from device_bench.summary import (
    Row,
    caption,
    cells,
    headings,
    markdown,
    slower_than_parent,
    table,
)
from edgepress.core.intervals import score_text

ROUNDS = 12


def measured(name: str, length: int, milliseconds: float) -> Measurement:
    """Rounds of three samples, each round slower than the one before, as on a machine that heats up."""
    rounds = tuple((milliseconds * (1 + step / 100),) * 3 for step in range(ROUNDS))
    return Measurement(
        name=name,
        file=f"{name}.onnx",
        file_sha256="ab" * 32,
        size_bytes=0,
        runtime="onnxruntime 1.22",
        device="cpu",
        threads=1,
        batch=1,
        sequence_length=length,
        load_ms=1.0,
        first_forward_ms=1.0,
        peak_memory_bytes=1,
        warm_up_runs=5,
        samples_ms=rounds,
        settled=True,
        environment={"cpu": "Test CPU", "flags": ["avx2", "avx512_vnni"]},
    )


def row(
    name: str, megabytes: float, times: dict[int, float], score: float | None = 0.9, agreement: float = 1.0
) -> Row:
    records = tuple(measured(name, length, time) for length, time in times.items())
    return Row(name, int(megabytes * 1e6), 22_713_986, agreement, score, "0/18", records)


PARENT = row("fp32", 90.9, {16: 4.0, 128: 20.0}, score=0.9214)
FASTER = replace(row("int8-dynamic", 22.9, {16: 2.0, 128: 8.0}, 0.918, 0.985), quantized_matmuls="14/18")
SLOWER = row("fp16", 45.5, {16: 4.0, 128: 40.0}, 0.9214)
ROWS = [PARENT, FASTER, SLOWER]


def test_record_at_a_length() -> None:
    assert FASTER.latency(128).sequence_length == 128
    assert FASTER.sequence_lengths == [16, 128]


def test_speed_up_over_the_parent() -> None:
    assert FASTER.speed_up(PARENT, 16).value == pytest.approx(2.0)
    assert FASTER.speed_up(PARENT, 128).value == pytest.approx(2.5)
    assert SLOWER.speed_up(PARENT, 128).value == pytest.approx(0.5)


def test_headings_have_one_column_a_length() -> None:
    assert headings(ROWS, "f1") == [
        "variant",
        "MB",
        "params",
        "ms at 16",
        "ms at 128",
        "f1",
        "agreement",
        "int MatMuls",
    ]


def test_parent_cells_have_no_comparison() -> None:
    # Rounds from 4.00 to 4.44 ms, three samples each: p50 in the middle, p95 in the last round but one.
    assert cells(PARENT, ROWS) == [
        "fp32",
        "90.9",
        "22.7 M",
        "4.22 / 4.44",
        "21.10 / 22.20",
        "92.14 %",
        "-",
        "0/18",
    ]


def test_variant_cells_have_the_speed_up_and_its_interval() -> None:
    assert cells(FASTER, ROWS) == [
        "int8-dynamic",
        "22.9",
        "22.7 M",
        "2.11 / 2.22\n2.00x\n[2.00, 2.00]",
        "8.44 / 8.88\n2.50x\n[2.50, 2.50]",
        "91.80 %",
        "98.5 %",
        "14/18",
    ]


@pytest.mark.parametrize(("score", "expected"), [(None, "-"), (0.0, "0.00 %"), (-0.125, "-12.50 %")])
def test_score_text(score: float | None, expected: str) -> None:
    assert score_text(score) == expected


def test_markdown_is_one_table_with_a_line_a_file() -> None:
    lines = markdown(ROWS, "accuracy").splitlines()
    assert len(lines) == 2 + len(ROWS)
    assert {line.count("|") for line in lines} == {9}
    assert set(lines[1]) == set("|- ")
    assert "| 2.11 / 2.22<br>2.00x [2.00, 2.00] |" in lines[3]


def test_screen_table_shows_every_cell() -> None:
    console = Console(width=140, file=StringIO())
    console.print(table(ROWS, "accuracy", "MiniLM on this machine"))
    text = console.file.getvalue()
    assert "MiniLM on this machine" in text
    for own in ROWS:
        for cell in cells(own, ROWS):
            assert all(line in text for line in cell.split("\n"))
    assert "Test CPU" in text
    assert "[95 % interval]" in text


def test_caption_says_what_it_was_measured_with() -> None:
    text = caption(ROWS)
    assert "batch 1, 1 thread, onnxruntime 1.22" in text
    assert "Test CPU" in text
    assert "avx512_vnni" in text
    assert "slower than with VNNI" not in text


def test_caption_of_a_machine_without_int8() -> None:
    record = replace(PARENT.measurements[0], threads=4, environment={"cpu": "Old", "flags": ["avx2"]})
    text = caption([replace(PARENT, measurements=(record,))])
    assert "4 threads" in text
    assert "vnni" not in text
    assert "int8 is slower" in text


def test_slower_than_the_parent() -> None:
    assert slower_than_parent(ROWS) == ["fp16 is slower than its parent at sequence 128: 0.50x"]


def test_ratio_whose_interval_holds_one_is_not_called_slower() -> None:
    noisy = replace(
        PARENT.latency(16),
        samples_ms=tuple((time,) for time in np.random.default_rng(0).normal(4.22, 0.6, ROUNDS)),
    )
    variant = replace(PARENT, name="same", measurements=(noisy,))
    parent = replace(PARENT, measurements=(PARENT.latency(16),))
    assert slower_than_parent([parent, variant]) == []


@pytest.mark.parametrize("rows", [[PARENT], ROWS, [replace(one, score=None) for one in ROWS]])
def test_chart_is_a_picture_of_sensible_size(rows: list[Row], tmp_path: Path) -> None:
    target = tmp_path / "chart.png"
    trade_off_chart(rows, "accuracy", "MiniLM: size, latency, accuracy", target)
    assert target.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    height, width = imread(target).shape[:2]
    assert 1200 <= width <= 2400
    assert 200 <= height <= 1000
    assert height < width


def test_chart_has_ink_in_each_panel(tmp_path: Path) -> None:
    trade_off_chart(ROWS, "accuracy", "MiniLM", tmp_path / "chart.png")
    picture = imread(tmp_path / "chart.png")[..., :3]
    blue = (picture[..., 2] - picture[..., 0] > 0.3).mean(axis=0)  # the variants' bars
    columns = np.flatnonzero(blue > 0.05)
    panels = 1 + int((np.diff(columns) > 50).sum())
    assert panels == 3


def test_chart_grows_with_the_number_of_files(tmp_path: Path) -> None:
    heights = []
    for count in (2, 6):
        trade_off_chart([PARENT] + [FASTER] * (count - 1), "accuracy", "", tmp_path / "chart.png")
        heights.append(imread(tmp_path / "chart.png").shape[0])
    assert heights[1] > heights[0]
