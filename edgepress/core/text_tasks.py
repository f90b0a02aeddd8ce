"""Tasks of text alone: hidden tokens of another task's texts, or of a corpus."""

from dataclasses import replace
from pathlib import Path

from edgepress.core.columns import require_one_text
from edgepress.core.split_files import no_split, split_name
from edgepress.core.split_record import SPLITS
from edgepress.core.tasks import Task, TaskOptions, judged_on
from edgepress.core.tasks.kinds import kind_of
from edgepress.core.tasks.task import MASKED, TrainedHead

HELD_OUT = "held_out"
"""Split of a corpus that models are judged on."""


def of_text(head: TrainedHead | None) -> bool:
    """Whether a head learns from text alone."""
    return head is not None and head.problem_type == MASKED


def text_alone(task: Task, options: TaskOptions) -> Task:
    """The task of guessing the text of another task, whatever its labels are.

    Raises:
        EdgepressError: its texts are pairs.
    """
    columns = options.text_columns or task.text_columns
    require_one_text(columns, task.name)
    metric = kind_of(MASKED).metric
    own = replace(task, text_columns=columns, labels=(), label_columns=(), problem_type=MASKED, metric=metric)
    return own if options.split is None else judged_on(own, split_name(options.split))


def corpus_task(name: str, data: Path | None, options: TaskOptions) -> Task:
    """The texts of a corpus that `compress.pretrain` holds out; `--split train` takes the others.

    Raises:
        EdgepressError: another split is asked for.
    """
    split = options.split or HELD_OUT
    if split not in (HELD_OUT, SPLITS[0]):
        raise no_split(name, split, (SPLITS[0], HELD_OUT))
    metric = kind_of(MASKED).metric
    return judged_on(Task(name, ("text",), (), (), MASKED, metric, root=data, is_corpus=True), split)
