"""README and docs show what results/ keeps.

Each table, and each list of pictures, between markers is made anew from the records, and from the cells that
records do not hold (`results/*/files.json`: scores, differences, sizes, as printed when they were measured).

Not made anew are the pages of results/ itself (of recipes, of faults), each written in one go with its
records by the command that measures; and pictures, which differ with a machine's fonts.
"""

import re

import pytest

from benchmarks.blocks import Block, pages
from benchmarks.quantize import printed_cells
from benchmarks.tables import BLOCKS

MARKER = re.compile(r"^<!-- (?:table|pictures): \S+ -->$", re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.command)
def test_a_page_shows_what_is_kept(block):
    assert block.shown() == block.markdown().strip(), (
        f"{block.page.name} is stale, run: python -m benchmarks.tables"
    )


def test_every_marker_is_of_a_block():
    found = [marker for page in pages() for marker in MARKER.findall(page.read_text(encoding="utf-8"))]
    assert sorted(found) == sorted(block.begins for block in BLOCKS)


def test_a_block_is_put_between_its_markers(tmp_path, monkeypatch):
    page = tmp_path / "README.md"
    page.write_text("# before\n<!-- table: benchmarks.some -->\nold\n<!-- end of table -->\nbehind\n")
    monkeypatch.setattr("benchmarks.blocks.ROOT", tmp_path)
    block = Block("table", "benchmarks.some", lambda: "| new |\n")
    assert (block.page, block.shown()) == (page, "old")
    block.update()
    assert block.shown() == "| new |"
    text = "# before\n<!-- table: benchmarks.some -->\n| new |\n<!-- end of table -->\nbehind\n"
    assert page.read_text() == text


CARD = """| variant | MB | params | ms at 16 | ms at 64 | accuracy | agreement | int MatMuls |
| --- | --- | --- | --- | --- | --- | --- | --- |
| fp32 | 91.0 | 22.7 M | 4.29 / 5.41 | 9.59 / 10.96 | 90.14 % | - | 0/50 |
| int8 | 23.2 | 22.7 M | 1.48 / 2.28<br>3.09x [2.90, 3.28] | 3.69 / 4.67 | 89.79 % | 99.0 % | 38/50 |
"""


def test_what_records_do_not_hold_is_taken_from_the_card():
    printed = printed_cells(f"# model\n\n{CARD}\nJudged on 872 texts.\n\n![chart](chart.png)\n")
    assert printed == {
        "fp32": {"params": "22.7 M", "accuracy": "90.14 %", "agreement": "-", "int MatMuls": "0/50"},
        "int8": {"params": "22.7 M", "accuracy": "89.79 %", "agreement": "99.0 %", "int MatMuls": "38/50"},
    }
