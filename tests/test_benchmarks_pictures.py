"""The example pictures of docs, from the records that the repository keeps."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from bench_records import OTHER_MACHINE, measured
from matplotlib.image import imread

from benchmarks.goals import ROOT
from benchmarks.pictures import (
    BROWSERS,
    PICTURES,
    REPORT,
    SHOWN_OF_GPU,
    DocsPictures,
    chosen,
    draw,
    markdown,
    photograph,
)
from device_bench.records import append
from edgepress.core.errors import EdgepressError

KEPT = (ROOT / "results" / "device_bench" / "repeat.jsonl.xz",)


def test_every_picture_of_the_block_is_written(tmp_path: Path) -> None:
    shown = chosen(KEPT)
    draw(shown, tmp_path)
    assert [chart.name for chart in shown] == ["size-latency", "latency-length", "speed-up"]
    block = "\n".join(markdown(shown, tmp_path))
    for path in tmp_path.iterdir():
        assert imread(path).shape[1] == 1660
        assert f"{tmp_path.as_posix()}/{path.name}" in block


def test_a_gpus_chart_has_a_name_of_its_own(tmp_path: Path) -> None:
    (chart,) = chosen(DocsPictures().gpu, SHOWN_OF_GPU, "gpu-")
    draw([chart], tmp_path)
    assert "H200" in chart.conditions
    assert {path.name for path in tmp_path.iterdir()} == {
        f"gpu-latency-batch-{t}.png" for t in ("light", "dark")
    }


def test_records_of_several_machines_are_refused(tmp_path: Path) -> None:
    own = measured("int8", 5.0)
    append(tmp_path / "a.jsonl", [own, replace(own, environment=OTHER_MACHINE)])
    with pytest.raises(EdgepressError, match=r"several machines or tasks: cpu, Test CPU.*cpu, Other CPU"):
        chosen((tmp_path / "a.jsonl",))


@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="needs Chromium")
def test_report_is_photographed(tmp_path: Path) -> None:
    photograph(DocsPictures(records=KEPT, claims=tmp_path / "none"), tmp_path / REPORT)
    picture = imread(tmp_path / REPORT)
    assert picture.shape[1] == 1280
    assert picture[..., :3].std() > 0.02


def test_their_page_shows_no_other_picture_of_the_measuring() -> None:
    text = PICTURES.page.read_text(encoding="utf-8")
    assert text.count(PICTURES.begins) == 1
    place = "results/device_bench/pictures"
    assert text.count(place) == PICTURES.shown().count(place) > 0
