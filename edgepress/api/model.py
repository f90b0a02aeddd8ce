"""A model in memory, and what one can ask of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compress.step import StepResult, write
from device_bench.records import Measurement
from edgepress.api.bench import benchmark
from edgepress.core.artifact import Step
from edgepress.core.console import reporting
from edgepress.core.errors import EdgepressError
from edgepress.core.evaluation import EvaluationSet
from edgepress.core.intervals import Bounds, score_bounds, score_text
from edgepress.core.loading import OpenedModel
from edgepress.core.matryoshka import require_dimensions
from edgepress.core.metrics import scores
from edgepress.core.option_values import require_numbers
from edgepress.core.prediction import AnyPrediction
from edgepress.core.split_files import split_name
from edgepress.core.tasks import judged_on
from edgepress.core.words import SPACE, odd_word
from export.core.eager import EagerRunner
from export.core.runner import Runner
from export.predict.config import PredictConfig
from export.validation.sentences import evaluation_sentences

Texts = str | Sequence[str] | Sequence[tuple[str, str]] | Sequence[str | list[str]]


@dataclass(frozen=True)
class Evaluation:
    """Scores, and what they are of."""

    metric: str
    """Name of the task's metric."""
    metrics: dict[str, float | None]
    """Metric -> value: 0..1, correlations -1..1; None where it is undefined."""
    evaluation_set: EvaluationSet
    bounds: Bounds | None = None
    """The 95 % interval of the task's metric; None where it is undefined."""

    @property
    def score(self) -> float | None:
        """Value of the metric on the texts; None where it is undefined."""
        return self.metrics[self.metric]

    def __str__(self) -> str:
        value = score_text(self.score, self.bounds, missing="undefined")
        return f"{self.metric} {value} on {self.evaluation_set}"


class Model:
    """A model in memory, with its tokenizer, its task, and what was done to it so far.

    Techniques give new models and leave this one as it is.
    """

    def __init__(self, opened: OpenedModel, result: StepResult | None = None) -> None:
        self.opened = opened
        self.result = result
        """What the last technique measured; None where nothing was done to it yet."""

    @property
    def model(self) -> PreTrainedModel:
        """The model in torch."""
        return self.opened.model

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Return the model's tokenizer."""
        return self.opened.tokenizer

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return self.opened.labels

    @property
    def steps(self) -> tuple[Step, ...]:
        """Steps that made the model, with their options and metrics."""
        return self.opened.steps

    @property
    def metrics(self) -> dict[str, Any]:
        """Metrics of the last step; empty without steps."""
        return dict(self.steps[-1].metrics) if self.steps else {}

    @property
    def report(self) -> str:
        """Screen output of the last technique's command, as text of 100 columns; empty without one."""
        parts = self.result.shown if self.result else ()
        return "\n".join(part if isinstance(part, str) else part.text(100).plain for part in parts)

    def predict(self, texts: Texts, dimensions: int | None = None) -> list[AnyPrediction]:
        """Answers to texts, or to pairs of texts (a question and its context); longer ones are cut to
        `OpenedModel.text_length` tokens, contexts read in windows of as many.

        Args:
            texts: one or several, or tuples of two; of a model of named entities also lists of words.
            dimensions: width that vectors are cut to, and scaled to length 1 again; None: the whole one.

        Returns:
            of a classifier labels, of a model of named entities the entities in each text, of one that
            answers questions the answers, of one that ranks each passage's rank among those of its query, of
            a masked language model the likeliest fillings of each mask, of one that gives vectors the vector
            of each text.

        Raises:
            EdgepressError: its head is not trained, single texts are given where it reads pairs, what is
                given is no text, or the model gives no vectors of `dimensions` numbers.
        """
        opened = self.opened
        require_width(opened, dimensions)
        if not opened.head_trained:
            raise EdgepressError(
                "its classifier is not trained: its answers mean nothing", "finetune it first"
            )
        every = [texts] if isinstance(texts, str) else [*texts]
        words = [opened.kind.of_words and isinstance(row, list) for row in every]
        rows = [_row(row, number, own) for number, (row, own) in enumerate(zip(every, words, strict=True))]
        wanted = opened.kind.texts_a_row or (opened.text_task.texts_a_row if opened.task else None)
        if wanted and any(len(row) != wanted for row in rows):
            name = opened.text_task.name if opened.task else opened.source.short_name
            read, given = ("one text", "texts") if wanted == 1 else (f"{wanted} texts", f"tuples of {wanted}")
            raise EdgepressError(f"{name} reads {read} at once", f"give {given}")
        with reporting(None), self._runner() as runner:
            reader = replace(opened.reader(runner), dimensions=dimensions)
            asked = zip(rows, words, strict=True)
            found = [opened.kind.answer(replace(reader, words=own), row) for row, own in asked]
            return opened.kind.answered(found, rows)

    def evaluate(
        self,
        split: str | None = None,
        samples: int = 1000,
        max_length: int | None = None,
        seed: int = 0,
        dimensions: int | None = None,
    ) -> Evaluation:
        """Score the model on a split of its task.

        Args:
            split: of the task; None: the one that it is judged on.
            samples: number of texts, drawn at random.
            max_length: longer texts are cut [tokens]; None: as it was trained.
            seed: of the draw.
            dimensions: width that vectors are cut to; None: the whole one.

        Raises:
            EdgepressError: it has no task or no trained classifier, no source has the split, `samples` or
                `max_length` is below 1, or the model gives no vectors of `dimensions` numbers.
        """
        opened = self.opened
        require_width(opened, dimensions)
        for name, value in (("samples", samples), ("max_length", max_length)):
            if value is not None and value < 1:
                raise EdgepressError(f"{name}={value}: there is nothing to score", "name 1 or more")
        if not opened.scored:
            raise EdgepressError(
                "there is nothing to score: "
                + ("its classifier is not trained" if opened.task else "no task"),
                "finetune it, or load it with task=",
            )
        with reporting(None), self._runner() as runner:
            if split is not None:
                opened = replace(opened, task=judged_on(opened.text_task, split_name(split)))
            sentences = evaluation_sentences(opened, samples, seed, max_length=max_length)
            outputs = sentences.outputs(runner)
            outputs = outputs if dimensions is None else opened.kind.cut(outputs, dimensions)
            assert sentences.labels is not None, "it is scored"
            judged = (outputs, sentences.labels, opened.problem_type, opened.thresholds)
            found, bounds = scores(sentences.metric, *judged), score_bounds(sentences.metric, *judged)
        return Evaluation(sentences.metric, found, sentences.evaluation_set, bounds)

    def benchmark(self, **options: Any) -> list[Measurement]:
        """Measure the model's latency, memory and size; `options` are those of `edgepress.benchmark`."""
        return benchmark(self, **options)

    def save(self, folder: str | Path, overwrite: bool = False) -> Path:
        """Write it as a folder that transformers opens, with a manifest and a model card.

        Args:
            folder: to write, whole or not at all.
            overwrite: an existing one may be replaced.

        Raises:
            EdgepressError: the folder exists, or cannot be written.
        """
        result = self.result or StepResult(self.opened, None, "", (), trained=False)
        with reporting(None):
            write(result, Path(folder), overwrite, seed=0)
        return Path(folder)

    def copied(self) -> OpenedModel:
        """The same in memory of its own, for a technique that works in place."""
        opened = self.opened
        return replace(opened, model=copy.deepcopy(opened.model), tokenizer=copy.deepcopy(opened.tokenizer))

    @contextmanager
    def _runner(self) -> Iterator[Runner]:
        with EagerRunner(self.opened.model) as runner:
            yield runner

    def __repr__(self) -> str:
        opened = self.opened
        done = ", ".join(step.technique for step in self.steps) or "as it was loaded"
        size = f"{opened.model.num_parameters() / 1e6:.1f} M parameters"
        return f"{type(self).__name__}({opened.source.short_name}, {size}, {done})"


def evaluate(model: Model, **options: Any) -> Evaluation:
    """Score a model on its task; the same as `Model.evaluate`."""
    require_model(model)
    return model.evaluate(**options)


def _row(row: Any, number: int, words: bool) -> tuple[str, ...]:
    """The texts of a row; one text alone is a row, and so are the words of one.

    Raises:
        EdgepressError: something else than a text, or a word, is among them.
    """
    if words:
        for word in odd_word(row or [""]):
            raise EdgepressError(f"row {number}: {word!r} is no word", "a word is text without spaces")
        return (SPACE.join(row),)
    if isinstance(row, str):
        return (row,)
    if not isinstance(row, Sequence) or not all(isinstance(text, str) for text in row):
        raise EdgepressError(
            f"row {number} is no text: {row!r:.60}", 'give strings, or tuples of strings: ["a text", ...]'
        )
    return tuple(row)


def require_width(opened: OpenedModel, dimensions: int | None) -> None:
    """Raise for a width that a model's vectors cannot be cut to, and warn of one that it was not trained for.

    Raises:
        EdgepressError: it is no number of 1 or more, or as `require_dimensions`.
    """
    with reporting(None):
        require_numbers(PredictConfig, {"dimensions": dimensions})
        require_dimensions(opened, dimensions)


def require_model(given: object) -> None:
    """Raise for what is no model in memory.

    Raises:
        EdgepressError: it is something else.
    """
    if not isinstance(given, Model):
        raise EdgepressError(
            f"{given!r:.60} is no model", 'edgepress.load("FOLDER") gives one, edgepress.finetune trains one'
        )
