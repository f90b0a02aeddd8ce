"""The flags that say what a data folder holds."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from edgepress.core.errors import EdgepressError
from edgepress.core.flags import EntailmentLabel, Template
from edgepress.core.labels import parse_label_map
from edgepress.core.option_values import RANGES, out_of_range
from edgepress.core.sentence_folder import PoolingMode
from edgepress.core.tasks.task import TaskOptions

LabelledProblem = Literal[
    "single_label_classification",
    "multi_label_classification",
    "regression",
    "reranking",
    "zero-shot",
    "embedding",
]


@dataclass(frozen=True, kw_only=True)
class TaskFlags:
    """Flags that say what a data folder holds, where its files do not."""

    label_column: tuple[str, ...] = ()
    """Column of the label; several for a task of several labels at once. Default: label."""
    text_columns: tuple[str, ...] = ()
    """Column of the text, two for pairs; more are joined. Default: text, sentence, or a known pair."""
    problem_type: LabelledProblem | None = None
    """What the labels are; reranking: 1 where the second text of a pair, a passage, answers the first, a
    query; zero-shot: classes that a model of entailment is asked about; embedding: of a model that gives a
    vector a text, how alike two texts are, or whether the second answers the first. Default: the model's,
    else by their values."""
    pooling: PoolingMode | None = None
    """Pooling of token states, of a model that gives vectors. Default: as its folder says; in training the
    mean."""
    hypothesis_template: Template = None
    entailment_label: EntailmentLabel = None
    split: str | None = None
    """Split to score on. Default: validation, else test."""
    null_threshold: float | Literal["auto"] | None = None
    """Least lead of the score of no answer to a question over that of the best one; auto (finetune): where F1
    is largest on rows held out of the train split (--hold-out). Default: the model's, else 0 where some
    questions have none, as in SQuAD 2.0."""
    CHOOSES_NULL_THRESHOLD: ClassVar[bool] = False
    """Whether the command takes --null-threshold auto."""

    label_map: tuple[str, ...] = ()
    """What a label of the data means to the model: DATA=MODEL ..., MODEL a name or number of a class; or id:
    integers are its class numbers. Default: by name."""

    @property
    def task_options(self) -> TaskOptions:
        """The flags as `find_task` takes them.

        Raises:
            EdgepressError: a threshold is no finite number, or is to be chosen where it cannot be.
        """
        asked = self.null_threshold
        if asked == "auto" and not self.CHOOSES_NULL_THRESHOLD:
            raise EdgepressError(
                "--null-threshold auto is chosen by compress.finetune, and kept in the model",
                "leave it away, or name a number",
            )
        if isinstance(asked, float) and not (known := RANGES["null_threshold"]).holds(asked):
            raise out_of_range("null_threshold", asked, known)
        return TaskOptions(
            label_column=self.label_column,
            text_columns=self.text_columns,
            problem_type=self.problem_type,
            split=self.split,
            null_threshold=None if asked == "auto" else asked,
            hypothesis_template=self.hypothesis_template,
            entailment_label=self.entailment_label,
            pooling=self.pooling,
            label_map=parse_label_map(self.label_map),
        )
