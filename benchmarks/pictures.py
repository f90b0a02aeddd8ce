"""Draw the example charts of docs, and take a picture of the report, from kept records.

    python -m device_bench run --artifacts outputs/* --sequence-lengths 64 128 --eval-samples 872
        --time-budget 10 --target 0.06 --output results/device_bench/examples.jsonl
    xz results/device_bench/examples.jsonl
    python -m device_bench claims --data ROOT --output results/device_bench/claims.json
    python -m benchmarks.pictures --artifacts outputs/*

The charts of a GPU are of records that were taken on a machine with one:

    python -m device_bench run --artifacts TEACHER STUDENT --device gpu
        --modes fp32 tf32 fp16 bf16 graph --sequence-lengths 128 --batch-sizes 1 8 64 256 --launches 3
        --time-budget 4 --eval-samples 872 --energy --output results/device_bench/h200.jsonl
    xz results/device_bench/h200.jsonl

The report's picture needs Chromium; where there is none, the one that is kept stays.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from PIL import Image

from benchmarks.blocks import Block
from benchmarks.goals import RESULTS, ROOT
from device_bench.charts.draw import Chart, charts, write
from device_bench.charts.png import SMALLEST, encode
from device_bench.charts.theme import THEMES
from device_bench.grouping import load, sections
from device_bench.report.config import ReportConfig
from device_bench.report.pipeline import run as report
from edgepress.core.console import step, warn
from edgepress.core.errors import EdgepressError

KEPT = RESULTS / "device_bench"
FOLDER = KEPT / "pictures"
SHOWN = ("size-latency", "accuracy-latency", "latency-length", "speed-up")
SHOWN_OF_GPU = ("latency-batch",)
REPORT = "report.png"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WINDOW, SCREEN_DPI = (1280, 1600), 96


@dataclass(frozen=True)
class DocsPictures:
    """Draw the example charts of docs from kept records."""

    records: tuple[Path, ...] = (KEPT / "examples.jsonl.xz",)
    """Records of one machine."""
    gpu: tuple[Path, ...] = (KEPT / "h200.jsonl.xz",)
    """Records of one GPU."""
    claims: Path = KEPT / "claims.json"
    """What `device_bench claims --output` wrote, for the report; left out where it is missing."""
    artifacts: tuple[Path, ...] = ()
    """The artifacts that were measured, for the report's lineage."""


def chosen(records: tuple[Path, ...], names: Sequence[str] = SHOWN, prefix: str = "") -> list[Chart]:
    """Return the named charts of one machine's records, not drawn yet.

    Raises:
        EdgepressError: the records cannot be read, or are of several machines.
    """
    found = sections(load(records))
    if len(found) > 1:
        titles = "; ".join(own.title for own in found)
        raise EdgepressError(f"records of several machines or tasks: {titles}", "name those of one")
    return [replace(own, name=prefix + own.name) for own in charts(found) if own.name in names]


def all_chosen(config: DocsPictures) -> list[Chart]:
    """Return the charts of the CPU, then those of the GPU."""
    return [*chosen(config.records), *chosen(config.gpu, SHOWN_OF_GPU, "gpu-")]


def draw(shown: Sequence[Chart], folder: Path) -> None:
    """Write charts, light and dark."""
    folder.mkdir(exist_ok=True)
    write(shown, list(THEMES.values()), ("png",), folder, SMALLEST)


def photograph(config: DocsPictures, target: Path) -> None:
    """The report as Chromium shows it."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        warn("no Chromium: the report's picture is not taken again")
        return
    claims = config.claims if config.claims.exists() else None
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        report(ReportConfig(records=config.records, artifacts=config.artifacts, claims=claims, output=page))
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
        size, profile = f"--window-size={WINDOW[0]},{WINDOW[1]}", f"--user-data-dir={folder}/profile"
        shot = Path(folder) / REPORT
        command = [browser, *flags, size, profile, f"--screenshot={shot}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        with Image.open(shot) as picture:
            target.write_bytes(encode(np.asarray(picture), SCREEN_DPI, SMALLEST))


def markdown(shown: Sequence[Chart], folder: Path) -> Iterator[str]:
    """The lines of their page in docs: each chart in the reader's theme, then the report."""
    inside = folder.is_relative_to(ROOT)
    place = f"../{folder.relative_to(ROOT).as_posix()}" if inside else folder.as_posix()
    for chart in shown:
        dark = f'<source media="(prefers-color-scheme: dark)" srcset="{place}/{chart.name}-dark.png">'
        light = f'<img src="{place}/{chart.name}-light.png" alt="{chart.title}. {chart.conditions}">'
        yield f"<picture>{dark}{light}</picture>".replace("\n", " ") + "\n"
    if (folder / REPORT).exists():
        yield f"![the report's page]({place}/{REPORT})\n"


PICTURES = Block(
    "pictures", "benchmarks.pictures", lambda: "\n".join(markdown(all_chosen(DocsPictures()), FOLDER))
)


def main(config: DocsPictures) -> int:
    """Write the pictures, and put them into their page of docs."""
    try:
        shown = all_chosen(config)
        draw(shown, FOLDER)
        photograph(config, FOLDER / REPORT)
    except EdgepressError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    PICTURES.update("\n".join(markdown(shown, FOLDER)))
    step(f"written: {len(shown)} charts in {FOLDER}, and their page's block")
    return 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(DocsPictures)))
