"""The models that teach: one, or several whose answers are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from compress.distill.config import DistillConfig, DistillOptions
from compress.distillation.logits import TeacherLogits, TextLogits, read_by_teacher
from compress.step import refuse_untrained
from compress.training.data import TrainingText
from compress.training.mistakes import LABELS, confusion, label_scores, recorded
from edgepress.core.errors import EdgepressError
from edgepress.core.labels import label_key
from edgepress.core.loading import OpenedModel, open_model
from edgepress.core.metrics import scores
from edgepress.core.tasks import Task
from export.core.registry import format_of


def require_teacher(opened: OpenedModel) -> OpenedModel:
    """The model, if it can teach.

    Raises:
        EdgepressError: nobody said what it was trained for, or it was not trained.
    """
    refuse_untrained(opened)
    name = opened.source.name
    if opened.task is None:
        raise EdgepressError(f"nobody said what {name} was trained for", "name its --task")
    if not opened.head_trained:
        raise EdgepressError(
            f"{name} has no trained classifier: it has nothing to teach",
            f"python -m compress.finetune --model {name} --task {opened.task.name} trains one",
        )
    return opened


@dataclass(frozen=True)
class Teachers:
    """Models that teach one student together; their logits are averaged, which are log-probabilities but for
    a constant: the geometric mean of their distributions (Hinton et al. 2015, section 1).
    """

    first: OpenedModel
    """The one whose task, labels and layers the student takes."""
    others: tuple[OpenedModel, ...] = ()

    @classmethod
    def of(cls, options: DistillOptions, models: Sequence[OpenedModel]) -> Teachers:
        """Check that models can teach together.

        Raises:
            EdgepressError: one cannot teach, their answers are no averages, or an option is of one teacher.
        """
        first, *others = models
        require_teacher(first)
        for other in others:
            _refuse_unlike(first, other)
        if others and options.compares_states:
            raise EdgepressError(
                "hidden states are those of one teacher, and logits those of several",
                "leave --cosine-weight, --hidden-weight and --attention-weight away, or name one --teacher",
            )
        if options.label_with and len(options.label_with) != len(models):
            raise EdgepressError(
                f"{len(models)} models teach, and --label-with names files of {len(options.label_with)}",
                "name a file of each of them, in the order of --teacher",
            )
        return cls(first, tuple(replace(other, task=first.task) for other in others))

    @classmethod
    def open(cls, config: DistillConfig) -> Teachers:
        """Open the models that the flags name.

        Raises:
            EdgepressError: there is no such model, or they cannot teach together.
        """
        name, *others = config.teacher
        own = (config.data, config.seed)
        first = open_model(name, "pretrained", config.task, *own, options=config.task_options)
        beside = [open_model(other, "pretrained", None, *own, without_task=True) for other in others]
        return cls.of(config, [first, *beside])

    @property
    def name(self) -> str:
        """Names of all of them."""
        return " and ".join(own.record().name for own in (self.first, *self.others))

    @property
    def words(self) -> str:
        """Word for them in a table: teacher."""
        return f"{len(self.others) + 1} teachers, averaged" if self.others else "teacher"

    @property
    def parameters(self) -> int:
        """Number of parameters of all of them."""
        return sum(own.model.num_parameters() for own in (self.first, *self.others))

    @property
    def by_name(self) -> dict[str, OpenedModel]:
        """All of them, as the identity of a run calls them."""
        return {
            "teacher": self.first,
            **{f"teacher {at}": own for at, own in enumerate(self.others, 2)},
        }

    @property
    def largest(self) -> OpenedModel:
        """The one with the most parameters."""
        return max((self.first, *self.others), key=lambda own: own.model.num_parameters())

    def read(
        self, options: DistillOptions, text: TrainingText, readers: Sequence[OpenedModel]
    ) -> TeacherLogits:
        """Let all of them read the texts, and average what they say.

        Args:
            options: say what is compared.
            text: what is learned and judged on.
            readers: models that read the tokens of the first, and limit their number.

        Raises:
            EdgepressError: a file that is to label is none of its teacher's.
        """
        file, *files = _labelling_files(options, (self.first, *self.others))
        said = read_by_teacher(options, self.first, text, options.length_for(*readers), file)
        others = [
            _in_order(self.first, own, read_by_teacher(options, own, text, options.length_for(own), beside))
            for own, beside in zip(self.others, files, strict=True)
        ]
        if not others:
            return said
        splits = {
            name: _mean([found, *(own.splits[name] for own in others)]) for name, found in said.splits.items()
        }
        return TeacherLogits(splits, _mean([said.outputs, *(own.outputs for own in others)]))


def _labelling_files(options: DistillOptions, teachers: Sequence[OpenedModel]) -> list[Path | None]:
    """The file of each teacher that labels in its place; None: the teacher itself.

    Raises:
        EdgepressError: one is no file of its teacher that was compared with it, or no runtime opens it.
    """
    if not options.label_with:
        return [None] * len(teachers)
    return [_compared_file(own, name) for own, name in zip(teachers, options.label_with, strict=True)]


def _compared_file(teacher: OpenedModel, name: str) -> Path:
    artifact = teacher.artifact
    known = [own.path for own in artifact.manifest.files if own.parity] if artifact else []
    if artifact is None or name not in known:
        raise EdgepressError(
            f"--label-with {name}: no file of {teacher.source.name} that was compared with it",
            f"known: {', '.join(known)}" if known else "compress.quantize and export write such files",
        )
    path = artifact.folder / name
    format_of(path)
    return path


def _mean(logits: Sequence[TextLogits]) -> np.ndarray:
    return np.asarray(np.mean([np.asarray(own) for own in logits], axis=0, dtype=np.float32))


def _in_order(first: OpenedModel, other: OpenedModel, said: TeacherLogits) -> TeacherLogits:
    """Put a teacher's logits in the order of the first one's labels."""
    places = [label_key(label) for label in other.labels]
    order = [places.index(label_key(label)) for label in first.labels]
    if order == sorted(order):
        return said
    splits: dict[str, TextLogits] = {name: np.asarray(own)[:, order] for name, own in said.splits.items()}
    return TeacherLogits(splits, said.outputs[:, order])


def _refuse_unlike(first: OpenedModel, other: OpenedModel) -> None:
    """Raise for a teacher whose answers cannot be averaged with the first one's."""
    names = f"{first.source.name} and {other.source.name}"
    require_teacher(replace(other, task=first.task))
    if other.problem_type != first.problem_type or not first.kind.averaged:
        both = dict.fromkeys((first.problem_type, other.problem_type))
        raise EdgepressError(
            f"{names}: answers of {' and '.join(both)} are not averaged", "name one --teacher"
        )
    ours, theirs = ({label_key(label) for label in own.labels} for own in (first, other))
    if ours != theirs or len(first.labels) != len(other.labels):
        raise EdgepressError(
            f"{names} have different labels: {', '.join(first.labels)}; {', '.join(other.labels)}",
            "name teachers of one task, whose labels have the same names",
        )
    if first.thresholds != other.thresholds:
        raise EdgepressError(
            f"{names} give labels from different thresholds",
            "name one --teacher, or train with --thresholds half",
        )


@dataclass(frozen=True)
class Taught:
    """Texts of a task, and what teachers said to them."""

    teachers: Teachers
    text: TrainingText
    logits: TeacherLogits

    @property
    def first(self) -> OpenedModel:
        """The teacher whose task and tokens the student may take."""
        return self.teachers.first

    @property
    def task(self) -> Task:
        """Task that the teachers were trained for."""
        return self.first.text_task

    @property
    def outputs(self) -> np.ndarray:
        """Outputs of the evaluation rows."""
        return self.logits.outputs

    @property
    def metrics(self) -> dict[str, Any]:
        """Scores and mistakes of the teachers on the evaluation rows."""
        task, labels, thresholds = self.task, self.text.evaluation.labels, self.first.thresholds
        return {
            **scores(task.metric, self.outputs, labels, task.problem_type, thresholds),
            "confusion": confusion(task, self.outputs, labels, thresholds),
            LABELS: recorded(label_scores(task, self.outputs, labels, thresholds)),
        }
