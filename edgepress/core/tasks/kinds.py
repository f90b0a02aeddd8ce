"""The kinds of task, by the problem type that configs and manifests record."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgepress.core.tasks.task import ProblemType

if TYPE_CHECKING:
    from edgepress.core.heads import Head
    from edgepress.core.tasks.kind import TaskKind

# Module of this package and class; imported when it is asked for, since what is behind it takes seconds.
KINDS: dict[ProblemType, str] = {
    "single_label_classification": "classification:SingleLabel",
    "multi_label_classification": "classification:MultiLabel",
    "regression": "classification:Regression",
    "token_classification": "token_classification:TokenClassification",
    "question_answering": "question_answering:QuestionAnswering",
    "reranking": "reranking:Reranking",
    "masked_lm": "masked_lm:MaskedLanguageModeling",
    "zero-shot": "zero_shot:ZeroShot",
    "embedding": "embedding:Embedding",
}


def problem_of_head(head: Head) -> ProblemType | None:
    """The problem type that a head alone tells; None where several have it, or none."""
    found = [problem for problem in KINDS if kind_of(problem).head is head]
    return found[0] if len(found) == 1 else None


@cache
def kind_of(problem_type: ProblemType) -> TaskKind:
    """The kind of task that a problem type names."""
    module, name = KINDS[problem_type].split(":")
    found: Callable[[], Any] = getattr(import_module(f"edgepress.core.tasks.{module}"), name)
    kind: TaskKind = found()
    return kind
