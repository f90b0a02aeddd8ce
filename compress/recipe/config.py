"""The flags of `compress.recipe`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from edgepress.core.console import Command
from edgepress.core.flags import DataRoot


@dataclass(frozen=True, kw_only=True)
class RecipeConfig(Command):
    """Run an experiment step by step, measure what came out side by side, and write its table.

    python -m compress.recipe recipes/distilbert-sst2.yaml --data ROOT

    python -m compress.recipe recipes/distilbert-sst2.yaml --set teacher=bert --set 'seeds=[0, 1]'

    The same command continues what was interrupted: a step whose inputs did not change is not run again.
    """

    recipe: tyro.conf.Positional[Path]
    """YAML file of the experiment."""
    settings: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(name="set")] = ()
    """NAME=VALUE: another value for one of the recipe's settings; may be given several times."""
    quick: bool = False
    """The recipe's short form: shows that it runs, its figures mean nothing."""
    data: DataRoot = None
    output: Path | None = None
    """Folder for what the steps make; default: outputs/recipes/NAME, or NAME-quick."""
    results: Path | None = None
    """Folder for table, records and pictures; default: results/recipes/NAME, with --quick in --output."""
    max_drop: float | None = None
    """Stop before the step that loses more than this against the first row [points of the metric]."""
    train_only: bool = False
    """Export and time nothing: the table has the scores that the steps gave. For a machine that trains; where
    its output folder is taken to another, the same command without this measures there and trains nothing."""
    restart: bool = False
    """Begin a step again whose training was interrupted, and remove its checkpoints; what is done stays."""
    ignore_code: bool = False
    """Do not run steps again only because the suite's code or a library changed."""
    check: bool = False
    """Check the recipe and list its steps; run nothing."""
