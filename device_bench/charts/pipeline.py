"""The command as a pipeline: read, sort by machine and task, draw, write."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from device_bench.charts.config import ChartConfig
from device_bench.charts.draw import charts, write
from device_bench.charts.theme import THEMES
from device_bench.grouping import load, sections
from edgepress.core import console
from edgepress.core.errors import EdgepressError
from edgepress.core.files import staged_folder

ENDINGS = (".png", ".svg")


def run(config: ChartConfig) -> Path:
    """Run the command and return the folder.

    Raises:
        EdgepressError: bad input (exit code 2); nothing is written.
    """
    found = charts(sections(load(config.records), config.baseline))
    if not found:
        raise EdgepressError("no record has a latency: nothing to draw", "measure at one shape at least")
    _refuse_other_files(config.output)
    themes = [theme for name, theme in THEMES.items() if config.theme in (name, "both")]
    with _not_collected(), staged_folder(config.output, config.overwrite) as stage:
        stage.mkdir(exist_ok=True)
        write(found, themes, ("png", "svg") if config.svg else ("png",), stage)
    console.step(f"written: {len(found)} charts in {config.output}")
    return config.output


def _refuse_other_files(folder: Path) -> None:
    """Raise for a folder that would not be replaced by its like."""
    others = [path.name for path in folder.iterdir() if path.suffix not in ENDINGS] if folder.is_dir() else []
    if others:
        raise EdgepressError(
            f"{folder} holds something else than charts, {others[0]}, and is not replaced",
            "name another --output",
        )


@contextmanager
def _not_collected() -> Iterator[None]:
    """Records by the thousand live to the end: while charts are drawn, collections need not walk them."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
