"""Names in records are text: no formula in a chart, no element of a page."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from bench_records import measured
from conftest import Result

from device_bench.records import Measurement
from edgepress.files import to_json

HOSTILE = 'a$\\frac{$b<script>alert(1)</script>"|.onnx'


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Two records whose names and warnings are hostile."""
    path = tmp_path / "records.jsonl"
    path.write_text("".join(f"{to_json(dataclasses.asdict(one))}\n" for one in _hostile()))
    return path


def _hostile() -> list[Measurement]:
    first = measured(HOSTILE, 2.0)
    return [dataclasses.replace(first, warnings=(HOSTILE,)), measured("plain.onnx", 1.0)]


def test_charts_show_names_as_they_are(cli: Callable[..., Result], records: Path, tmp_path: Path) -> None:
    done = cli("device_bench.chart", "--records", records, "--output", tmp_path / "charts", "--svg")
    assert done.code == 0, done.err
    found = list((tmp_path / "charts").glob("*.svg"))
    assert found
    for path in found:
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.parse(path).iter()}
        assert "script" not in tags


def test_report_shows_names_as_they_are(cli: Callable[..., Result], records: Path, tmp_path: Path) -> None:
    done = cli("device_bench.report", "--records", records, "--output", tmp_path / "page.html")
    assert done.code == 0, done.err
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
