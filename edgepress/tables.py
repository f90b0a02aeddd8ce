"""Tables of text, on the screen and in Markdown."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table


def screen_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table whose first column names its rows; the others are figures."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    return table


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The same for a page, a line a row."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(_cell(text) for text in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return as_text(text).replace("|", r"\|").replace("\n", "<br>")


def as_text(text: str) -> str:
    """The text where a Markdown page would take it for HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;")
