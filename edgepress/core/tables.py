"""Tables of text: on the screen, laid out for the width that it has, and in Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

from rich.cells import cell_len
from rich.text import Text

from edgepress.core import console

GAP = "  "
TAB = 4


@dataclass(frozen=True)
class ScreenTable:
    """A table that breaks no word, file name or figure, however narrow the screen is.

    It takes the first of these forms that fits: headings on one line; headings folded between words; the
    first column, which names the rows, on lines of its own; each row as its name and, below, pairs of heading
    and cell. Cells appear exactly as they are: brackets and emoji codes of a name are text.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    """A cell may have several lines, as a figure above its interval."""
    words: Sequence[int] = (0,)
    """Columns of words, aligned left; the others are figures, aligned right."""
    caption: str = ""

    def show(self) -> None:
        """Print it to stdout, and an empty line behind it."""
        console.out.print(self.text(console.out.width), end="\n\n")

    def markdown(self) -> str:
        """The same for a page, without title and caption."""
        return markdown_table(self.headings, self.rows)

    def text(self, width: int) -> Text:
        """The table in at most `width` columns; a single word that is longer stands on a line of its own."""
        text = Text()
        text.append("".join(f"{line}\n" for line in _wrapped(self.title, width)), "italic")
        text.append_text(self._body(width))
        caption = (line for own in self.caption.splitlines() for line in _wrapped(own, width))
        text.append("".join(f"\n{line}" for line in caption), "dim")
        return text

    def _body(self, width: int) -> Text:
        whole = [[heading] for heading in self._headings]
        for headings, apart in ((whole, False), (self._folded, False), (whole, True), (self._folded, True)):
            widths = self._widths(headings)
            widths = [0, *widths[1:]] if apart else widths
            if _total(widths) <= width:
                return self._grid(headings, widths, width)
        return Text("\n".join(self._stacked(width)))

    @cached_property
    def _headings(self) -> list[str]:
        return [_plain(heading) for heading in self.headings]

    @cached_property
    def _folded(self) -> list[list[str]]:
        """The lines of each heading, between words, as narrow as the column's cells allow."""
        widths = self._widths([heading.split() for heading in self._headings])
        return [flow(heading.split(), width) for heading, width in zip(self._headings, widths, strict=True)]

    @cached_property
    def _cells(self) -> list[list[list[str]]]:
        """The lines of each cell of each row."""
        return [[_plain(text).split("\n") for text in row] for row in self.rows]

    def _widths(self, headings: Sequence[Sequence[str]]) -> list[int]:
        columns = zip(headings, *self._cells, strict=True)
        return [max(cell_len(line) for lines in column for line in lines or [""]) for column in columns]

    def _left(self) -> set[int]:
        return {number % len(self.headings) for number in self.words}

    def _grid(self, headings: Sequence[Sequence[str]], widths: Sequence[int], room: int) -> Text:
        """Rows in columns; where the first is 0 wide its cell stands above the others."""
        # Headings stand at the foot of their cells.
        tallest = max(map(len, headings))
        heads = [[""] * (tallest - len(lines)) + list(lines) for lines in headings]
        rule = "─" if console.out.encoding.startswith("utf") else "-"
        text = Text("\n".join(self._lines(heads, widths, room)), "bold")
        body = (line for row in self._cells for line in self._lines(row, widths, room))
        return Text("\n").join([text, Text(rule * _total(widths), "dim"), *map(Text, body)])

    def _lines(self, cells: Sequence[Sequence[str]], widths: Sequence[int], room: int) -> list[str]:
        above = [] if widths[0] else [line for own in cells[0] if own for line in _wrapped(own, room)]
        beside = [cells[0] if widths[0] else [], *cells[1:]]
        return above + [self._line(line, widths) for line in zip_longest(*beside, fillvalue="")]

    def _line(self, line: Sequence[str], widths: Sequence[int]) -> str:
        left = self._left()
        padded = (_pad(text, widths[at], at in left) for at, text in enumerate(line))
        return GAP.join(padded).rstrip()

    def _stacked(self, width: int) -> list[str]:
        """Each row's name and, below, its other cells with their headings; alike from row to row."""
        flat = [[" ".join(lines) for lines in row] for row in self._cells]
        widths = [max(map(cell_len, column)) for column in zip(*flat, strict=True)]
        lines: list[str] = []
        for row in flat:
            pairs = [self._pair(at, text, widths[at]) for at, text in enumerate(row)][1:]
            lines += [*_wrapped(row[0], width), *_indented(pairs, width)]
        return lines

    def _pair(self, at: int, text: str, width: int) -> str:
        heading = self._headings[at]
        return (f"{heading}: " if heading else "") + _pad(text, width, left=True)


def screen_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> ScreenTable:
    """A table whose first column names its rows; the others are figures."""
    return ScreenTable(title, headings, list(rows))


def flow(pieces: Iterable[str], width: int, gap: str = " ") -> list[str]:
    """Pieces side by side on lines of at most `width` columns; none is broken, a longer one stands alone."""
    lines: list[str] = []
    for piece in pieces:
        if lines and cell_len(f"{lines[-1]}{gap}{piece}") <= width:
            lines[-1] += gap + piece
        else:
            lines.append(piece)
    return lines


def share_text(share: float | None) -> str:
    """A share in percent with one decimal; "-" where it is undefined."""
    return "-" if share is None else f"{100 * share:.1f} %"


def _plain(text: str) -> str:
    return console.visible(text).expandtabs(TAB)


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of a text, as it is where it fits."""
    plain = _plain(text).rstrip()
    return [plain] if cell_len(plain) <= width else flow(plain.split(), width)


def _indented(pieces: Sequence[str], width: int) -> list[str]:
    """Pieces beside each other; one that has no room on a line of its own goes over several."""
    room = width - len(GAP)
    return [f"{GAP}{line}" for beside in flow(pieces, room, GAP) for line in _wrapped(beside, room)]


def _pad(text: str, width: int, left: bool) -> str:
    space = " " * (width - cell_len(text))
    return text + space if left else space + text


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The same for a page, a line a row."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(_cell_of_page(text) for text in line)} |\n" for line in lines)


def _cell_of_page(text: str) -> str:
    return as_text(text).replace("|", r"\|").replace("\n", "<br>")


def as_text(text: str) -> str:
    """The text where a Markdown page would take it for HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;")
