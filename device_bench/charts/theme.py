"""Colours and the page: light and dark, told apart also by people who are colour-blind."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.colors import to_rgb, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.text import Text

# Okabe and Ito 2008, "Color Universal Design"; their black is the theme's ink, yellow too pale on white.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#9a8a00")
MARKERS = "osD^vPX"
FRONT = "#D55E00"
# Monotonous in lightness, so that it reads without hue.
SEQUENTIAL = "cividis"
WIDTH_INCHES = 8.3
"""Width of a README's column: 830 pixels at 100 dots an inch; files have twice the dots."""
DPI = 200
COLOURED = ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor")
"""Properties of matplotlib's artists that are colours."""


@dataclass(frozen=True)
class Theme:
    """Colours of a page."""

    name: str
    ink: str
    muted: str
    back: str
    grid: str

    @property
    def settings(self) -> dict[str, Any]:
        """The theme as matplotlib's rcParams."""
        ink = dict.fromkeys(("text.color", "axes.titlecolor"), self.ink)
        muted = dict.fromkeys(("axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor"), self.muted)
        back = dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), self.back)
        fixed = {
            "font.size": 9.5,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": self.grid,
            "legend.frameon": False,
            "text.parse_math": False,  # a dollar in a name is a dollar
        }
        return {**ink, **muted, **back, **fixed}


THEMES = {
    "light": Theme("light", "#1f2328", "#59636e", "#ffffff", "#e4e8ec"),
    "dark": Theme("dark", "#e6edf3", "#9aa4ae", "#0d1117", "#252c35"),
}


def repaint(figure: Figure, drawn: Theme, wanted: Theme) -> None:
    """Give a figure another theme's colours; everything else of it stays where it is."""
    names = ("ink", "muted", "back", "grid")
    colours = {to_rgb(getattr(drawn, name)): getattr(wanted, name) for name in names}
    for artist in _artists(figure):
        for name in COLOURED:
            if hasattr(artist, f"get_{name}"):
                own = {tuple(each[:3]) for each in to_rgba_array(getattr(artist, f"get_{name}")())}
                for colour in own & colours.keys():
                    getattr(artist, f"set_{name}")(colours[colour])


def _artists(figure: Figure) -> Iterator[Artist]:
    """All that is drawn; a text's box and arrow are no children of it."""
    for artist in figure.findobj():
        yield artist
        if isinstance(artist, Text):
            parts = (artist.get_bbox_patch(), getattr(artist, "arrow_patch", None))
            yield from (part for part in parts if part is not None)
