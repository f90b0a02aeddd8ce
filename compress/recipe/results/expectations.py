"""Expectations of a recipe, as `student.retention >= 0.985`, judged on the finished table."""

from __future__ import annotations

import operator
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from compress.recipe.results.lines import COMPARED, FIGURES, OF_FILES, RecipeResult
from compress.recipe.schema.located import YamlNode
from compress.recipe.schema.spec import Recipe

OPERATORS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
FORM = re.compile(
    r"(?P<row>[\w-]+)\.(?P<figure>\w+)(?:\s+over\s+(?P<over>[\w-]+))?\s*(?P<sign>>=|<=|>|<)\s*"
    r"(?P<limit>[-+]?[\d.]+(?:e[-+]?\d+)?)(?:\s+in\s+(?P<count>\d+))?",
    re.IGNORECASE,
)
SHAPE = "ROW.FIGURE [over ROW] >= NUMBER [in COUNT]"


@dataclass(frozen=True)
class Expectation:
    """An expectation of a recipe."""

    text: str
    row: str
    figure: str
    over: str | None
    sign: str
    limit: float
    count: int | None
    """How many of the row's lines have to hold it; None: all."""


@dataclass(frozen=True)
class ExpectationVerdict:
    """Outcome of an expectation."""

    expectation: Expectation
    measured: tuple[float | None, ...]
    """Measured value of each line of the row."""
    holds: bool

    def to_dict(self) -> dict[str, Any]:
        """Content for a result file."""
        return {"expected": self.expectation.text, "measured": list(self.measured), "holds": self.holds}


def expectations(recipe: Recipe) -> list[Expectation]:
    """Read the expectations of a recipe, except those of rows that are left out.

    Raises:
        EdgepressError: one is none, or names an unknown row or figure.
    """
    every = [_expectation(node, (*recipe.rows, *recipe.left_out)) for node in recipe.expectations]
    kept = [own for own in every if not {own.row, own.over} & set(recipe.left_out)]
    return [own for own in kept if own.figure not in OF_FILES or recipe.rows[own.row].deployed]


def _expectation(node: YamlNode, rows: Collection[str]) -> Expectation:
    found = FORM.fullmatch(node.text())
    if found is None:
        raise node.error(f"'{node.text()}' is no expectation", f"write {SHAPE}")
    row, figure, over = found["row"], found["figure"], found["over"]
    for name in (row, *([over] if over else [])):
        if name not in rows:
            raise node.unknown("row", name, rows)
    if figure not in FIGURES:
        raise node.unknown("figure", figure, FIGURES)
    if over and figure not in COMPARED:
        raise node.error(f"{figure} compares with nothing", f"over goes with {', '.join(COMPARED)}")
    try:
        limit = float(found["limit"])
    except ValueError:
        raise node.error(f"'{found['limit']}' is no number") from None
    count = int(found["count"]) if found["count"] else None
    return Expectation(node.text(), row, figure, over, found["sign"], limit, count)


def judge(expectations: Sequence[Expectation], result: RecipeResult) -> list[ExpectationVerdict]:
    """Judge each expectation; one that was not measured does not hold."""
    verdicts = []
    for own in expectations:
        found = [result.figure(own.figure, line, own.over) for line in result.of_row(own.row)]
        values = tuple(None if estimate is None else estimate.value for estimate in found)
        held = sum(value is not None and OPERATORS[own.sign](value, own.limit) for value in values)
        needed = len(values) if own.count is None else own.count
        verdicts.append(ExpectationVerdict(own, values, bool(values) and held >= needed))
    return verdicts
