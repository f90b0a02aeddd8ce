"""Extractive question answering: a span of a context (Rajpurkar et al. 2016).

Its training reads SQuAD's files by itself (`compress.training.question_answering`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepress.core.errors import EdgepressError
from edgepress.core.tasks.kind import TaskKind
from edgepress.core.tasks.task import Task

if TYPE_CHECKING:
    from edgepress.core.heads import Head
    from edgepress.core.splits import Examples


class QuestionAnswering(TaskKind):
    """Where in a context the answer to a question stands."""

    problem_type = "question_answering"
    pipeline = "question-answering"
    metric = "answer_f1"
    usual = ("answer_f1", "exact_match")
    files = False

    @property
    def head(self) -> Head:
        from edgepress.core.heads import QUESTION_ANSWERING

        return QUESTION_ANSWERING

    def describe(self, task: Task) -> str:
        return f"questions and contexts, from {task.folder}"

    def load(self, task: Task, split: str) -> Examples:
        raise EdgepressError(
            f"{task.name} holds questions and contexts, not labelled texts",
            "only compress.finetune and compress.distill take it so far",
        )
