"""`report`: the page's content, and how a real Chromium shows it where one is installed."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench_records import OTHER_MACHINE, measured

from device_bench.records import Measurement, append
from edgepress.core.artifact import Manifest, ModelRecord, Step, create_artifact
from edgepress.core.files import sha256
from edgepress.core.intervals import tango, wilson
from edgepress.core.packed_array import pack

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Shows what a page did, at the end of its own markup, to whoever reads the DOM.
PROBE = """<script>window.faults = [];
addEventListener("error", (e) => faults.push(String(e.message)));</script>"""
ASK = """<script>addEventListener("load", () => {
  const buttons = [...document.querySelectorAll(".measurements button")];
  const button = buttons.find((b) => b.textContent === "median [ms]");
  const column = button.closest("th").cellIndex;
  const body = document.querySelector(".measurements").tBodies[0];
  const read = () => [...body.rows].map((row) => row.cells[column].textContent);
  button.click(); const up = read(); button.click(); const down = read();
  const loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
  const requests = loaded.filter((name) => !name.startsWith("data:"));
  const broken = [...document.images].filter((i) => !i.naturalWidth).length;
  const own = document.documentElement;
  const answer = { faults, up, down, requests, broken, wide: own.scrollWidth - innerWidth, width: innerWidth,
    images: document.images.length, back: getComputedStyle(document.body).backgroundColor };
  document.body.insertAdjacentHTML("beforeend", "<pre id=answer>" + JSON.stringify(answer) + "</pre>");
});</script>"""


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    folder = tmp_path / "small-int8"
    with create_artifact(folder, overwrite=False) as draft:
        (draft.folder / "int8.onnx").write_bytes(b"weights")
        model = ModelRecord("minilm", "bert", 22_713_986, "trained", head_trained=True)
        steps = (Step("quantize", {"scheme": "int8-static"}, 2.5, {"score": 0.9}),)
        draft.manifest = Manifest("small-int8", model, "sst2", 0, steps)
    return folder


@pytest.fixture
def page(cli: Callable, tmp_path: Path, artifact: Path) -> Path:
    own = replace(measured("int8", 8.0), artifact="small-int8", file_sha256=sha256(artifact / "int8.onnx"))
    found = [
        replace(measured("fp32", 20.0), score=0.9, score_interval=(0.88, 0.92), metric="accuracy"),
        replace(own, score=0.89, metric="accuracy"),
        measured("fp32", 3.0, 16),
        replace(own, sequence_length=16, file_sha256="cd" * 32),
        replace(measured("<b>gone</b>", 1.0), samples_ms=(), error="its process was killed"),
        replace(measured("fp32", 10.0), environment=OTHER_MACHINE),
    ]
    append(tmp_path / "a.jsonl", found)
    claims = tmp_path / "claims.json"
    claims.write_text(json.dumps([{"claim": "60 % faster", "verdict": "holds"}]))
    flags = ("--records", tmp_path / "a.jsonl", "--artifacts", artifact, "--claims", claims)
    done = cli("device_bench.report", *flags, "--output", tmp_path / "report.html")
    assert done.code == 0, done.err
    return tmp_path / "report.html"


def test_page_says_everything(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for expected in (
        "cpu, Test CPU, 2 cores, Linux 6",
        "cpu, Other CPU, 8 cores, Linux 6",
        "failed: its process was killed",
        "&lt;b&gt;gone&lt;/b&gt;",
        "int8-static",
        "22,713,986 parameters",
        "60 % faster",
        "Speed-ups and losses are against fp32",
        "2.50x",
        "88.0 to 92.0",
    ):
        assert expected in text
    assert "<b>gone" not in text
    assert text.count("changed since it was measured") == 1


def test_each_section_has_its_table_and_then_its_charts(page: Path) -> None:
    first, *sections = page.read_text(encoding="utf-8").split("<section>")
    measured_ = [own for own in sections if "sortable measurements" in own]
    assert "<figure" not in first
    assert len(measured_) == 2
    assert sections[: len(measured_)] == measured_
    for own in measured_:
        places = [own.index(part) for part in ('"verdict"', "sortable overview", "Size against latency")]
        assert [*places, own.index("sortable measurements")] == sorted(
            [*places, own.index("sortable measurements")]
        )


def rows_of(page: Path, table: str) -> list[str]:
    """The rows of the body of the first table of this class."""
    (_, _, rest) = page.read_text(encoding="utf-8").partition(f'<table class="sortable {table}">')
    return re.findall(r"<tr[^>]*>.*?</tr>", rest.partition("<tbody>")[2].partition("</tbody>")[0])


def test_page_begins_with_the_model_and_the_file_to_ship(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "<h1>minilm</h1>" in text
    assert text.index("<h1>") < text.index(
        "Ship int8: of 2 files the fastest and smallest that loses at most 1"
    )
    for part in ("(8.04 ms at 128 tokens, 2.50x [2.50, 2.50] as fast as fp32, 20 MB, loses 1.00 points)",):
        assert part in text


def test_the_overview_has_a_row_a_file_and_marks_the_front(page: Path) -> None:
    found = rows_of(page, "overview")
    assert [re.findall(r"<td[^>]*>([^<]*)", row)[0] for row in found] == ["fp32", "int8"]
    assert [re.search(r'class="([^"]*)"', row)[1].split() for row in found] == [
        ["front"],
        ["chosen", "front"],
    ]


def scored(name: str, milliseconds: float, right: np.ndarray, **more: object) -> Measurement:
    """A record of a file that has these texts right."""
    share, interval = float(right.mean()), tuple(wilson(int(right.sum()), len(right)).recorded)
    known = {"score": share, "score_interval": interval, "scored_rows": len(right), "metric": "accuracy"}
    known |= {"texts_sha256": "ef" * 32, "outcomes": pack(right)}
    return replace(measured(name, milliseconds), **{**known, **more})


def test_losses_have_paired_intervals_and_others_are_marked(cli: Callable, tmp_path: Path) -> None:
    right = np.arange(872) >= 80
    lossy = right & (np.arange(872) < 866)
    found = [
        scored("fp32", 20.0, right),
        scored("int8", 8.0, lossy),
        scored("int4", 30.0, lossy, texts_sha256="cd" * 32),
    ]
    append(tmp_path / "a.jsonl", found)
    flags = ("--records", tmp_path / "a.jsonl", "--output", tmp_path / "report.html")
    assert cli("device_bench.report", *flags).code == 0
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    bounds = tango(6, 0, 872)
    assert f"loses 0.69 points {bounds.percent()})" in text
    paired = f">{100 * bounds.low:.1f} to {100 * bounds.high:.1f}</td>"
    assert text.count(">loss [points]</button>") == 2
    for table in ("overview", "measurements"):
        first, second, third = rows_of(tmp_path / "report.html", table)
        assert ">0.69</td>" not in first
        assert (">0.69</td>" in second, paired in second) == (True, True)
        assert (">0.69</td>" in third, ", unpaired</td>" in third, paired in third) == (True, True, False)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--max-drop", 0.5), "Ship fp32: of 2 files the fastest and smallest that loses at most 0.5 points"),
        (("--minimize", "size"), "Ship int8: of 2 files the smallest and fastest"),
    ],
)
def test_limits_decide(cli: Callable, page: Path, flags: tuple, said: str) -> None:
    target = page.with_name("other.html")
    done = cli("device_bench.report", "--records", page.parent / "a.jsonl", *flags, "--output", target)
    assert done.code == 0, done.err
    assert said in target.read_text(encoding="utf-8")


def test_the_length_of_the_tasks_texts_is_the_one_that_decides(cli: Callable, tmp_path: Path) -> None:
    found = [
        replace(measured(name, time * length / 128, length), text_length=24, runtime_bytes=60_000_000)
        for name, time in (("fp32", 20.0), ("int8", 8.0))
        for length in (16, 128)
    ]
    append(tmp_path / "a.jsonl", found)
    flags = ("--records", tmp_path / "a.jsonl", "--output", tmp_path / "report.html")
    assert cli("device_bench.report", *flags).code == 0
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "(1.01 ms at 16 tokens, 2.50x" in text
    assert "it takes 60 MB of runtime on disk, 200 MB of memory and 112 ms to start" in text
    assert "loses" not in text.partition("</p>")[0]  # nothing was scored
    assert len(rows_of(tmp_path / "report.html", "overview")) == 2


def test_the_share_of_the_peak_is_shown_where_it_was_measured(cli: Callable, tmp_path: Path) -> None:
    peak = {"fp32": {"gops": 100.0, "library": "one 1.0", "shape": [128, 64, 64]}, "copy_gb_s": 10.0}
    own = replace(measured("fp32", 20.0), precision="fp32", operations=1_000_000_000, peak=peak)
    append(tmp_path / "a.jsonl", [own])
    flags = ("--records", tmp_path / "a.jsonl", "--output", tmp_path / "report.html")
    assert cli("device_bench.report", *flags).code == 0
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert text.count(">share of peak [%]</button>") == 2
    assert "peak: fp32 100 GFLOP/s (one 1.0, 128 x 64 x 64); copying 10.0 GB/s; a run: 1.00 GFLOP" in text
    assert any(">50</td>" in row for row in rows_of(tmp_path / "report.html", "overview"))


def test_what_all_rows_have_in_common_is_said_once(page: Path) -> None:
    first, second = page.read_text(encoding="utf-8").split('<table class="sortable measurements">')[1:]
    above = page.read_text(encoding="utf-8").partition('<table class="sortable measurements">')[0]
    assert "Of all rows: " in above
    assert ", batch 1" in above
    assert ">batch</button>" not in first
    assert ">tokens</button>" in first  # 16 and 128
    assert ">speed-up</button>" not in second  # its only file is the baseline
    rows = re.findall(r"<tr>(<td.*?)</tr>", first)
    columns = first.partition("</thead>")[0].count("<th ")
    assert {row.count("<td") for row in rows} == {columns}


def test_page_names_no_other_place(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    places = re.findall(r"(?:src|srcset|href)=\"(?!data:)([^\"]*)\"", text)
    assert places == []


def test_artifact_beside_the_records_is_found(cli: Callable, tmp_path: Path, artifact: Path) -> None:
    append(artifact / "measurements.jsonl", [measured("int8", 8.0)])
    records = artifact / "measurements.jsonl"
    done = cli("device_bench.report", "--records", records, "--output", tmp_path / "beside.html")
    assert done.code == 0, done.err
    text = (tmp_path / "beside.html").read_text(encoding="utf-8")
    assert "<h2>Lineage</h2>" in text
    assert "changed since it was measured" in text


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("--records", "nowhere.jsonl"), "cannot read nowhere.jsonl"),
        (("--records", "{a}", "--claims", "{a}"), "cannot read claims from"),
        (("--records", "{a}", "--artifacts", "{folder}"), "is no artifact"),
    ],
)
def test_bad_input_is_one_line(cli: Callable, tmp_path: Path, flags: tuple[str, ...], reason: str) -> None:
    append(tmp_path / "a.jsonl", [measured("int8", 8.0)] * 2)
    named = [flag.format(a=tmp_path / "a.jsonl", folder=tmp_path) for flag in flags]
    done = cli("device_bench.report", *named, "--output", tmp_path / "out.html")
    assert done.code == 2
    assert reason in done.error
    assert not (tmp_path / "out.html").exists()


def test_existing_page_is_kept(cli: Callable, page: Path) -> None:
    before = page.read_bytes()
    done = cli("device_bench.report", "--records", page.parent / "a.jsonl", "--output", page)
    assert done.code == 2
    assert "--overwrite" in done.err
    assert page.read_bytes() == before


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("width", [375, 1280])
def test_in_a_real_browser(page: Path, width: int, tmp_path: Path) -> None:
    answer = ask_browser(page, width, tmp_path)
    assert answer["faults"] == []
    assert answer["requests"] == []
    assert answer["images"] > 0
    assert answer["broken"] == 0
    assert answer["width"] == width
    assert answer["wide"] <= 0
    numbers = ["3.02", "8.04", "8.04", "20.11", "\N{EN DASH}"]
    assert answer["up"] == numbers
    assert answer["down"] == [*numbers[-2::-1], numbers[-1]]


def ask_browser(page: Path, width: int, folder: Path) -> dict:
    """Load the page in a frame of this width (a window of its own cannot be as narrow) and ask it."""
    assert CHROMIUM is not None
    text = page.read_text(encoding="utf-8").replace("<head>", f"<head>{PROBE}", 1)
    (folder / "probe.html").write_text(text.replace("</body>", f"{ASK}</body>"), encoding="utf-8")
    frame = f"<iframe src='probe.html' style='width:{width}px;height:800px;border:0'></iframe>"
    copy = """<script>addEventListener("load", () => document.body.append(
      document.querySelector("iframe").contentDocument.querySelector("#answer")));</script>"""
    (folder / "frame.html").write_text(f"<!doctype html><body>{frame}{copy}</body>", encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    command += [
        f"--user-data-dir={folder / 'profile'}",
        "--window-size=1400,900",
        "--virtual-time-budget=5000",
    ]
    command += ["--dump-dom", (folder / "frame.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
