"""Kinds of tasks: how data become rows of a model, and how its outputs become scores and answers.

Everything that trains, writes, judges or runs models asks here, and knows no kind by name. To add one: a
module with a subclass of `TaskKind`, and a line in `kinds.KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edgepress.core.tasks.task import ProblemType, Task

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from edgepress.core.heads import Head
    from edgepress.core.hypotheses import Hypotheses
    from edgepress.core.prediction import Reader
    from edgepress.core.splits import Examples, RowNames

TEACHER_LOGITS = "teacher_logits"
"""Column of a row's teacher logits, beside its labels."""

Places = Sequence[np.ndarray]
"""Outputs that count, for each row that a model reads: numbers of tokens, -1 where a text was cut before one;
or of each token the question and the characters that it stands for."""
CURVE_ROWS = 4000
"""Rows that a learning curve is of, at most: of all of IMDb's it would take as long as the training."""
Collator = Callable[[list[dict[str, Any]]], dict[str, Any]]


@dataclass(frozen=True)
class LabelScore:
    """Counts of one label among several."""

    label: str
    texts: int
    """Texts (or entities) that have it."""
    given: int
    """Texts (or entities) that are given it."""
    right: int
    """Number of those that are both."""

    @property
    def precision(self) -> float | None:
        """Share of those that are given it and have it; None where none is."""
        return self.right / self.given if self.given else None

    @property
    def recall(self) -> float | None:
        """Share of those that have it and are given it; None where none has."""
        return self.right / self.texts if self.texts else None

    @property
    def f1(self) -> float | None:
        """2 right / (texts + given); None where both are 0."""
        return 2 * self.right / (self.texts + self.given) if self.texts + self.given else None


@dataclass(frozen=True)
class EvaluatedRows:
    """Rows of the evaluation split as a Trainer read them, for a learning curve."""

    logits: np.ndarray
    """Logits of the rows, in their order; padded where they are of tokens."""
    labels: np.ndarray
    """Labels as `TaskKind.collator` gives them, padded."""
    names: Sequence[str]
    """Labels of the head."""
    places: Places | None
    """Places of all rows of the split."""
    truth: np.ndarray
    """Truth of the split, as `TaskKind.read` gives it."""


class TaskKind:
    """A kind of task. Outputs are logits (texts, labels), (texts, places, labels) where words count, or what
    `collect` makes of them.
    """

    problem_type: ClassVar[ProblemType]
    config_type: ClassVar[str | None] = None
    """`problem_type` of a model's config.json, by which transformers takes a loss; None: it has one alone."""
    pipeline: ClassVar[str]
    """What transformers and the Hub call its pipeline: "text-classification"."""
    library: ClassVar[str] = "transformers"
    """What the Hub calls the library that opens its folders."""
    metric: ClassVar[str]
    """What models are judged by where the task says nothing else."""
    usual: ClassVar[tuple[str, ...]]
    """Metrics that people expect to see beside it."""
    beside: ClassVar[Mapping[str, str]] = {}
    """What is said behind a score where labels have a table: in words -> metric."""
    also: ClassVar[Mapping[str, str]] = {}
    """What files are judged by besides: in words -> metric."""
    counted: ClassVar[str] = "texts"
    """What its labels are of: texts, or entities."""
    tabled: ClassVar[str] = ""
    """Heading of labels in tables of how each fares; empty: there are none."""
    per_token: ClassVar[bool] = False
    """Whether a model gives logits (rows, tokens, labels)."""
    own_heads: ClassVar[bool] = False
    """Whether `--head mlp` can stand on the encoder."""
    free_width: ClassVar[bool] = False
    """Whether a student's outputs may be of another width than its teacher's."""
    averaged: ClassVar[bool] = False
    """Whether answers of several teachers are averaged."""
    read_columns: ClassVar[tuple[str, ...]] = ()
    """Columns of `encode` that a batch is made of, beside a model's inputs."""
    named: ClassVar[bool] = True
    """Whether each output of the head has a name: a class, or start and end."""
    values: ClassVar[bool] = False
    """Whether values are decided, which two models agree on by their ranks."""
    curve_rows: ClassVar[int | None] = CURVE_ROWS
    """Most rows that a learning curve is of; None: all, where a score is of rows together."""
    without_labels: ClassVar[bool] = False
    """Whether texts without labels are learned instead of labelled ones, and not beside them."""
    shares_tokens: ClassVar[bool] = False
    """Whether a student learns of the very tokens that its teacher reads."""
    agreed: ClassVar[str] = "agreement"
    """What tables call the share of rows, tokens or texts on which two models agree."""
    texts_together: ClassVar[bool] = False
    """Whether agreement is of whole texts beside each other, and not of rows that are cut from them."""
    of_worst: ClassVar[str] = "of any label"
    """What a limit of `worst_drop` is of, behind its number [points]."""
    worst_limit: ClassVar[float | None] = None
    """Most that `--scheme auto` lets a file lose of `worst_drop` [points] where the user says nothing; None:
    any."""
    abstains: ClassVar[bool] = False
    """Whether a model may give no answer, by a threshold of its own."""
    over_vocabulary: ClassVar[bool] = False
    """Whether each token has a logit of every token there is: too many to keep, so that what is judged by is
    computed at once, by `reduced`."""
    untrained: ClassVar[str] = ""
    """Why no model is trained on a task of this kind, and `untrained_hint`: what to do; empty: it is."""
    untrained_hint: ClassVar[str] = ""
    pairs: ClassVar[bool] = False
    """Whether the model reads pairs, whatever a row of its task holds."""
    unlabelled: ClassVar[bool] = False
    """Whether text alone is its data: there are no labels, and none of a head have names."""
    of_words: ClassVar[bool] = False
    """Whether a text may be given as a list of its words."""
    texts_a_row: ClassVar[int | None] = None
    """How many texts a model of this kind reads at once; None: as its task says."""
    text_columns: ClassVar[tuple[str, ...]] = ()
    """What its texts are called where nobody says; empty: text."""
    heading: ClassVar[str] = "label"
    """Heading of answers in a table."""
    example: ClassVar[tuple[str, ...]] = ("a film to remember", "so it is")
    """A text, or two, that a model card asks about."""
    program: ClassVar[str] = "print(dict(zip(labels.values(), logits.tolist())))"
    """What a model card does with `logits` (of the first row), `labels`, `inputs` and `folder`."""

    @property
    def head(self) -> Head:
        """Return the head that the encoder has for this kind."""
        raise NotImplementedError(self.problem_type)

    def usual_beside(self, metric: str) -> tuple[str, ...]:
        """Return the metrics that people expect to see beside a task's own."""
        return self.usual

    def said_beside(self, metric: str) -> Mapping[str, str]:
        """Return what is said behind a score by a task's metric: in words -> metric."""
        return self.beside

    def of_task(self, task: Task) -> Task | None:
        """Return a task of the zoo, which is of another kind, as one of this kind; None: it is none."""
        return None

    def describe(self, task: Task) -> str:
        """Return in words how the data of a task are read."""
        raise NotImplementedError(self.problem_type)

    def load(self, task: Task, split: str) -> Examples:
        """Labelled texts of a split.

        Raises:
            EdgepressError: no source has the split, or its rows are not what the task needs.
        """
        from edgepress.core.splits import read_named, require_columns

        dataset, names = read_named(task, split)
        require_columns(dataset, (*task.text_columns, *task.label_columns), names.where)
        return self.read(dataset, task, names)

    def read(self, dataset: Dataset, task: Task, names: RowNames) -> Examples:
        """Labelled texts of the rows of a split.

        Raises:
            EdgepressError: the rows are not what the task needs; the message names the first.
        """
        raise NotImplementedError(self.problem_type)

    def of_corpus(self, texts: Sequence[tuple[str, ...]]) -> Examples | None:
        """Return what is learned of texts without labels, 0 in their place; None where it needs labels."""
        return None

    def as_read(self, text: str) -> str:
        """Return a text of a corpus as `read` has the texts of a split."""
        return text

    def texts(self, dataset: Dataset, columns: Sequence[str], names: RowNames) -> list[tuple[str, ...]]:
        """Return the texts of rows as `read` has them, whatever their labels are.

        Raises:
            EdgepressError: a row has no text.
        """
        from edgepress.core.splits import read_texts

        return read_texts(dataset, tuple(columns), names)

    def joined(self, labelled: Examples, more: Examples, decided: np.ndarray | None) -> Examples:
        """Return texts with labels, and after them those of a corpus.

        Args:
            labelled: the texts with labels.
            more: what `of_corpus` gave.
            decided: what a teacher decides of each of `more`, to stand for its labels; None: 0 does.
        """
        from edgepress.core.splits import Examples

        if decided is None:
            decided = np.zeros((len(more), *labelled.labels.shape[1:]))
        labels = np.concatenate([labelled.labels, decided.astype(labelled.labels.dtype)])
        return Examples([*labelled.texts, *more.texts], labels)

    def confidence(self, outputs: np.ndarray) -> np.ndarray | None:
        """Return how sure a model is of each text, 0..1; None where nothing says so."""
        return None

    def to_learn(self, task: Task, examples: Examples) -> Examples:
        """Return what is learned of the texts of a train split."""
        return examples

    def learned_labels(self, labels: np.ndarray) -> np.ndarray:
        """Return the labels of all rows as `encode` takes those of some."""
        return labels

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, task: Task, examples: Examples, max_length: int
    ) -> dict[str, Any]:
        """The columns that a model is trained on: its inputs and `labels`, a row a text, not padded."""
        raise NotImplementedError(self.problem_type)

    def require_learnable(self, task: Task, rows: Dataset, max_length: int) -> None:
        """Raise where the encoded rows of the train split have nothing to learn.

        Args:
            task: that they are of.
            rows: with the columns of `encode`.
            max_length: what rows were cut to [tokens].
        """

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Collator:
        """Return the function that makes a batch of rows, with `teacher_logits` where rows have them."""
        raise NotImplementedError(self.problem_type)

    def batches(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], max_length: int
    ) -> list[dict[str, np.ndarray]]:
        """Return the inputs of texts, a batch of one row each: (1, length) int64, not padded."""
        from edgepress.core.pretrained import encode

        return encode(tokenizer, list(texts), max_length)

    def judging_batches(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], max_length: int
    ) -> list[dict[str, np.ndarray]]:
        """Return the inputs that a model is judged and calibrated on, as `batches` does."""
        return self.batches(tokenizer, texts, max_length)

    def places(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], max_length: int
    ) -> Places | None:
        """Return which of a model's outputs count; None where it gives one a text."""
        raise NotImplementedError(self.problem_type)

    def reduced(self, logits: np.ndarray, place: np.ndarray | None) -> np.ndarray:
        """Return what is kept of the logits of a row for `collect`: all, unless `over_vocabulary`."""
        return logits

    def collect(self, raw: Sequence[np.ndarray], places: Places | None, labels: Sequence[str]) -> np.ndarray:
        """Outputs of texts that were read one by one, as the functions below take them.

        Args:
            raw: of each text what `reduced` left: (labels,), or (tokens or more, labels).
            places: of the same texts.
            labels: the head's, in the order of its logits.
        """
        raise NotImplementedError(self.problem_type)

    def unread(self, places: Places | None, max_length: int) -> str:
        """Return a warning of places beyond the tokens that are read; empty where there are none."""
        return ""

    def unread_texts(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], max_length: int
    ) -> str:
        """Return a warning of texts that are cut; empty where there are none."""
        from edgepress.core.inputs import count_longer

        cut = count_longer(tokenizer, texts, max_length)
        if not cut:
            return ""
        return f"{cut:,} of {len(texts):,} texts have more than {max_length} tokens: the rest is not read"

    def loss_and_logits(
        self, model: PreTrainedModel, inputs: Mapping[str, torch.Tensor], labels: torch.Tensor, **wanted: bool
    ) -> tuple[torch.Tensor, torch.Tensor, Any]:
        """The loss of a batch, its logits, and all that the model gave.

        Args:
            model: with the head of this kind.
            inputs: that it takes.
            labels: as `collator` gives them.
            wanted: further outputs, such as `output_hidden_states`.
        """
        from edgepress.core.outputs import model_logits

        found = model(**self.arguments({**inputs, "labels": labels}), **wanted)
        return found.loss, model_logits(found), found

    def arguments(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a model's forward for a batch with `labels`."""
        return dict(batch)

    def trainable(self, model: PreTrainedModel) -> nn.Module:
        """Return the module to train: it takes the columns of `encode` and gives loss and logits."""
        return model

    def trained_outputs(self, rows: EvaluatedRows) -> tuple[np.ndarray, np.ndarray]:
        """Return outputs and truth of these rows: both in the head's own numbers, padded."""
        raise NotImplementedError(self.problem_type)

    def thresholds(self, task: Task) -> list[float] | None:
        """Return the thresholds of a task for models whose config has none; None: the usual ones."""
        return None

    def threshold_flags(self, truth: np.ndarray, labels: Sequence[str]) -> dict[str, np.ndarray]:
        """Return what each threshold decides, by its name: (rows,) 0/1 flags; none for most."""
        return {}

    def usual_thresholds(self, labels: Sequence[str]) -> list[float]:
        """Return the thresholds that nobody chose, in the order of `threshold_flags`."""
        return []

    def chosen_thresholds(self, outputs: np.ndarray, truth: np.ndarray) -> list[float]:
        """Return the best thresholds for outputs of these rows, in the order of `threshold_flags`.

        One whose flag is the same in all rows is the usual one.
        """
        return []

    def decide(self, outputs: np.ndarray, thresholds: Sequence[float] | None = None) -> np.ndarray:
        """Return decisions: class numbers (rows,) or (rows, places), flags (rows, labels), values (rows,)."""
        raise NotImplementedError(self.problem_type)

    def compared(self, logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return the logits of a batch without those of padding, (n, labels); `mask` is 1 for a token."""
        raise NotImplementedError(self.problem_type)

    def choices(self, logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return what two models are compared by in a batch, (n, ...): the logits that `compared` leaves."""
        return self.compared(logits, mask)

    def agreement(
        self, parent: np.ndarray, child: np.ndarray, thresholds: Sequence[float] | None
    ) -> float | None:
        """Return how often two models decide alike, 0..1; of values the rank correlation, None if undefined.

        Args:
            parent: `choices` of all batches, one after another.
            child: the other's.
            thresholds: that both decide with.
        """
        from edgepress.core.metrics import agreement

        return agreement(parent, child, self.problem_type, thresholds)

    def label_scores(self, decided: np.ndarray, truth: np.ndarray, labels: Sequence[str]) -> list[LabelScore]:
        """Return the score of each label; none where there are no labels."""
        return []

    def worst_drop(
        self, parent: Sequence[LabelScore], child: Sequence[LabelScore], agreement: float | None
    ) -> tuple[float, str]:
        """Return the largest loss of any one label's recall [points], and its words; 0 without labels.

        Args:
            parent: scores of each label with the parent.
            child: with the child, in the same order.
            agreement: of the two.
        """
        lost = [
            (100 * (theirs.recall - ours.recall), ours.label)
            for theirs, ours in zip(parent, child, strict=True)
            if theirs.recall is not None and ours.recall is not None
        ]
        worst, label = max(lost, default=(0.0, ""))
        return worst, f"most of '{label}': {worst:.2f} points of recall" if worst > 0 else ""

    def likeness(self, parent: np.ndarray, child: np.ndarray) -> dict[str, float]:
        """Return further figures of how alike the `choices` of two models are, by name; none for most."""
        return {}

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the rows and columns of a confusion matrix."""
        return tuple(labels)

    def confusion(self, task: Task, decided: np.ndarray, truth: np.ndarray) -> dict[str, list[list[int]]]:
        """Return matrices of right (rows) and given (columns) labels, by name; none without labels."""
        return {}

    def said(self, outputs: np.ndarray, texts: tuple[str, ...], labels: Sequence[str]) -> list[Any]:
        """Return the answer to one text as a manifest keeps it; `said_words` puts it in words."""
        raise NotImplementedError(self.problem_type)

    def said_words(self, said: Sequence[Any], labels: Sequence[str]) -> str:
        """Return in words what `said` returned."""
        raise NotImplementedError(self.problem_type)

    def truth(self, own: np.ndarray, texts: tuple[str, ...], labels: Sequence[str]) -> Any:
        """Return the right answer to one text as a manifest keeps it; `truth_words` puts it in words."""
        raise NotImplementedError(self.problem_type)

    def truth_words(self, truth: Any, labels: Sequence[str]) -> str:
        """Return in words what `truth` returned."""
        raise NotImplementedError(self.problem_type)

    def by_row(self, logits: torch.Tensor, rows: int) -> torch.Tensor:
        """Return the logits of a batch with a first axis of rows, as `encode` counts them."""
        return logits

    def taught(self, examples: Examples, places: Places | None) -> list[int]:
        """Return how many logits a teacher gives for each row that is read."""
        return [1] * len(examples) if places is None else [len(own) for own in places]

    def gathered(self, raw: Sequence[np.ndarray], places: Places | None) -> list[np.ndarray]:
        """Return a teacher's logits where they count, for each text: (labels,) or (places, labels).

        It is NaN where the text was cut before.
        """
        raise NotImplementedError(self.problem_type)

    def of_gathered(
        self, gathered: Sequence[np.ndarray], places: Places | None, labels: Sequence[str]
    ) -> np.ndarray:
        """Outputs, as `collect` gives them, of what `gathered` gave for the same places."""
        return self.collect(gathered, None, labels)

    def compared_logits(
        self, student: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits that a student learns and its teacher's, (n, labels) each.

        Args:
            student: its logits.
            teacher: the teacher's.
            labels: of the batch.
            mask: (rows, tokens), 1 for a token and 0 for padding.
        """
        raise NotImplementedError(self.problem_type)

    def divergence(self, student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        """Return the divergence of answers (n, labels) from a teacher's at T, times T² (Hinton 2015)."""
        raise NotImplementedError(self.problem_type)

    def dimensions(self, config: PretrainedConfig) -> tuple[int, ...]:
        """Return the widths that a model's outputs may be cut to, the whole one first; none for most."""
        return ()

    def cut(self, outputs: np.ndarray, dimensions: int) -> np.ndarray:
        """Return outputs (..., width) cut to a width, where they can be."""
        return outputs

    def cut_loss(
        self, student: torch.Tensor, teacher: torch.Tensor, dimensions: Sequence[int]
    ) -> torch.Tensor:
        """Return what a student learns of its teacher for the widths below the whole one; 0 for most.

        Args:
            student: as `compared_logits` gives it.
            teacher: the teacher's.
            dimensions: of the student, as `dimensions` gives them.
        """
        return student.new_zeros(())

    @property
    def in_graph(self) -> str | None:
        """Problem type by which a graph with its tokenizer makes answers of logits; None: it makes none."""
        return self.config_type

    def asking(self, hypotheses: Hypotheses | None) -> TaskKind:
        """Return the kind for a model that is asked by hypotheses; itself where it is not."""
        return self

    def card_texts(self, tokenizer: PreTrainedTokenizerBase, count: int) -> tuple[str, ...]:
        """Return `count` texts that a model card asks about at once."""
        return self.example[:count]

    def width(self, config: PretrainedConfig) -> int | None:
        """Return the number of outputs of a text or token where the head names none; None: it names them."""
        return None

    def answer(self, reader: Reader, texts: tuple[str, ...]) -> Any:
        """Return the answer to one text, or to one pair."""
        raise NotImplementedError(self.problem_type)

    def answered(self, found: Sequence[Any], rows: Sequence[tuple[str, ...]]) -> list[Any]:
        """Answers to several texts, of what `answer` said to each."""
        return list(found)

    def shown_order(self, found: Sequence[Any], rows: Sequence[tuple[str, ...]]) -> list[int]:
        """Numbers of the rows in the order in which their answers are shown."""
        return list(range(len(rows)))

    def split_by(self, columns: Sequence[str]) -> tuple[str, ...]:
        """The columns whose rows stay on one side where a table is split: all of the text's."""
        return tuple(columns)
