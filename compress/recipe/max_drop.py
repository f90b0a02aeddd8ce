"""`--max-drop`: stop before the step that loses too much."""

from dataclasses import dataclass, field
from typing import Any

from compress.recipe.deploy import Deployment
from compress.recipe.plan import Run, matching
from compress.recipe.spec import Recipe
from compress.recipe.spec_rows import RowSpec
from edgepress.core.errors import EdgepressError

PERCENT = 100


class Stopped(Exception):  # noqa: N818  # not an error: the steps before it are the result
    """A step loses more than allowed."""


@dataclass
class Watch:
    """Scores each run that has a row, as soon as it is done, against the run of the first row."""

    recipe: Recipe
    max_drop: float | None
    """Points of the metric; None: nothing is watched."""
    _first: list[tuple[Run, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Raise if the first row is no file.

        Raises:
            EdgepressError: it is a figure of a step.
        """
        if self.max_drop is not None and not self._reference.deployed:
            raise EdgepressError(
                f"--max-drop: the first row, {self._reference.name}, is a figure of a step and no file",
                "begin the table with the model that others are compared with",
            )

    @property
    def _reference(self) -> RowSpec:
        return self.recipe.rows[self.recipe.reference]

    def check(self, run: Run, deployment: Deployment) -> None:
        """Look at a run that was just done.

        Raises:
            Stopped: a file of it loses more than allowed.
        """
        rows = [row for row in self.recipe.rows.values() if _watched(row, run)]
        for row in rows if self.max_drop is not None else []:
            self._judge(row, run, deployment.subject(row, run).known.get("score"))

    def _judge(self, row: RowSpec, run: Run, score: Any) -> None:
        if score is None or self.max_drop is None:
            return
        if row is self._reference:
            self._first.append((run, score))
        elif self._first:
            parent = matching([first for first, _ in self._first], run.each)
            drop = PERCENT * (next(s for first, s in self._first if first is parent) - score)
            if drop > self.max_drop:
                raise Stopped(
                    f"stopped before {run.title}: it loses {drop:.2f} points against {self._reference.title} "
                    f"(--max-drop {self.max_drop:g})"
                )


def _watched(row: RowSpec, run: Run) -> bool:
    """Whether a run leaves a file of the row."""
    return row.step == run.step and row.deployed and row.takes(run.each)
