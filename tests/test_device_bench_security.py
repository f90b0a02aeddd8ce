"""Names are text: no formula in a chart, no element of a page, no command of a shell."""

import dataclasses
import shlex
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from bench_records import measured
from conftest import Result

from device_bench.phone.adb import Adb
from device_bench.phone.prepare import JOURNAL, restore
from device_bench.records import Measurement
from edgepress.core.files import to_json

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
    done = cli("device_bench.charts", "--records", records, "--output", tmp_path / "charts", "--svg")
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


def adb_that_loses_its_phone(folder: Path) -> Adb:
    """It hands out the journal of an earlier measurement, and nothing else works."""
    script = folder / "adb"
    script.write_text(
        '#!/bin/sh\ncase "$*" in *"shell cat"*) echo "svc power stayon false";; *) exit 1;; esac\n'
    )
    script.chmod(0o755)
    return Adb(str(script), "a b;touch owned")


def test_command_to_type_for_a_serial_with_shell_in_it(tmp_path: Path) -> None:
    said: list[str] = []
    restore(adb_that_loses_its_phone(tmp_path), said.append)
    typed = shlex.split(said[-1].partition("or type: ")[2])
    assert typed == ["adb", "-s", "a b;touch owned", "shell", "sh", JOURNAL]


def test_file_that_is_called_like_a_flag_is_a_file_to_adb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "adb"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/typed\n')
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    Adb(str(script), "serial").push(Path("-p.onnx"), "/data/local/tmp/x y;z")
    typed = (tmp_path / "typed").read_text().splitlines()
    assert typed == ["-s", "serial", "push", str(tmp_path / "-p.onnx"), "/data/local/tmp/x y;z"]
