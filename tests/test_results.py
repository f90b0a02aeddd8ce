"""What the repository keeps of measurements: small, whole, and shown somewhere."""

import json
import lzma
import re
from pathlib import Path

import pytest

from device_bench.records import read

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
MOST_BYTES = 3_000_000
PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *RESULTS.rglob("*.md")]


def test_pictures_and_records_are_small():
    """Larger ones: raw records are packed (`xz FILE.jsonl`), charts drawn with a palette, others left out."""
    kept = [path for path in RESULTS.rglob("*") if path.suffix in {".png", ".jsonl", ".xz"}]
    assert sum(path.stat().st_size for path in kept) <= MOST_BYTES


@pytest.mark.parametrize("path", sorted(RESULTS.rglob("*.jsonl.xz")), ids=lambda path: path.name)
def test_raw_records_can_be_read(path):
    """Rows of recipes and cases of faults are lines of JSON, all else is what device_bench measured."""
    if path.name in {"rows.jsonl.xz", "cases.jsonl.xz"}:
        assert [json.loads(line) for line in lzma.decompress(path.read_bytes()).splitlines()]
    else:
        assert read(path)


def test_every_picture_is_shown():
    named = {
        (page.parent / link).resolve()
        for page in PAGES
        for link in re.findall(r"[\w./-]+\.png", page.read_text(encoding="utf-8"))
    }
    assert [path for path in RESULTS.rglob("*.png") if path.resolve() not in named] == []
