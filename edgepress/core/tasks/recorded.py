"""Facts about a model's texts that its artifact records."""

from collections.abc import Sequence
from typing import get_args

from edgepress.core.artifact import Manifest
from edgepress.core.tasks.kinds import kind_of
from edgepress.core.tasks.task import ProblemType
from edgepress.core.tasks.zoo import TASKS


def recorded_text_columns(manifest: Manifest | None) -> Sequence[str]:
    """The columns that a model was trained on, by its manifest; none where it reads one of several."""
    if manifest is None:
        return ()
    data = manifest.data or {}
    problem = data.get("problem_type")
    zoo = TASKS.get(manifest.task or "")
    known = data.get("text_columns") or (zoo.text_columns if zoo else ())
    one = problem in get_args(ProblemType) and kind_of(problem).texts_a_row == 1
    return () if one and len(known) > 1 else known
