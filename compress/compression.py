"""Code shared by the techniques that make a trained classifier smaller: prune, sparsify, qat, trim_vocab."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from transformers import PreTrainedModel, TrainerCallback

from compress.distillation.logits import TextLogits, fitted, read_by_teacher, with_logits
from compress.distillation.objective import Distillation
from compress.distillation.options import CompressionConfig, DistillationOptions
from compress.step import StepResult, prepare, refuse_quantized, refuse_untrained, run_step, with_split
from compress.training.checkpoints import TechniqueRun
from compress.training.data import TrainingText, load_text
from compress.training.scoring import INTERVAL, TrainingResult, judge
from compress.training.trainer import TrainingData, task_data, train
from edgepress.core.artifact import Step
from edgepress.core.errors import EdgepressError
from edgepress.core.evaluation import EVALUATION_SET, EvaluationSet
from edgepress.core.intervals import Bounds, in_points, packed_loss_bounds, points_text, score_text
from edgepress.core.loading import OpenedModel, check_kind, open_model
from edgepress.core.tables import ScreenTable
from export.core.eager import EagerRunner
from export.validation.sentences import evaluation_sentences
from export.validation.validator import Validator

ConfigT = TypeVar("ConfigT", bound=CompressionConfig)
BYTES_OF_FP32 = 4
BATCH_ROWS = 16


def run_compression(
    config: ConfigT, technique: Callable[[OpenedModel, ConfigT, TechniqueRun], StepResult]
) -> Path:
    """Run the command of a technique: check the flags, open the classifier that they name, and compress it.

    Args:
        config: the flags.
        technique: what to do to the classifier.

    Returns:
        the artifact's folder.

    Raises:
        EdgepressError: a flag is wrong, the output exists, there is no such model, it is no classifier, or
            it was quantized already; the output is as it was.
    """
    output = prepare(config)
    with with_split(config, config.model, output) as own:
        opened = open_model(own.model, own.weights, own.task, own.data, own.seed, options=own.task_options)
        check_kind(opened)
        refuse_untrained(opened)
        refuse_quantized(opened)
        return run_step(own, output, lambda run: technique(opened, own, run))


@dataclass(frozen=True)
class ModelFigures:
    """Size and score of a model at one stage of a compression."""

    parameters: int
    score: float | None
    """The task's metric, 0..1; None where the model cannot be scored."""
    evaluation_set: EvaluationSet | None
    """Texts that the score was measured on; None where the model cannot be scored."""
    bounds: Bounds | None = None
    """The score's 95 % interval; None where it is undefined."""
    metric: str = ""
    outcomes: str = ""
    """What each text adds to the metric, packed."""

    @classmethod
    def of(
        cls, options: DistillationOptions, opened: OpenedModel, training: TrainingResult | None = None
    ) -> ModelFigures:
        """Measure a model as it is now.

        The score is the one that `training` reached. Without a training, the model is scored in torch on
        texts of the evaluation split, as training would score it.

        Raises:
            EdgepressError: no source has the split.
        """
        parameters, metric = opened.model.num_parameters(), opened.text_task.metric
        if training is not None:
            found = training.scores
            bounds = Bounds(*found[INTERVAL]) if found[INTERVAL] else None
            texts, own = training.evaluation_set, training.outcomes
            return cls(parameters, found[metric], texts, bounds, metric, own)
        if not opened.scored:
            return cls(parameters, None, None)
        length = options.length_for(opened)
        sentences = evaluation_sentences(opened, options.eval_samples, options.seed, max_length=length)
        with EagerRunner(opened.model) as runner:
            judged = Validator(runner, sentences)
        score, bounds = judged.parent_score, judged.parent_bounds
        return cls(parameters, score, sentences.evaluation_set, bounds, metric, judged.parent_outcomes)

    @property
    def cells(self) -> tuple[str, str, str]:
        """Table cells: parameters, size of the weights in fp32, score."""
        score = score_text(self.score, self.bounds, gap="\n")
        megabytes = self.parameters * BYTES_OF_FP32 / 1e6
        return f"{self.parameters / 1e6:.2f} M", f"{megabytes:.1f}", score

    @property
    def recorded(self) -> dict[str, Any]:
        """Figures for the manifest."""
        own = {EVALUATION_SET: self.evaluation_set.recorded()} if self.evaluation_set else {}
        interval = self.bounds.recorded if self.bounds else None
        return {"parameters": self.parameters, "score": self.score, INTERVAL: interval, **own}

    def lost(self, before: ModelFigures) -> str:
        """The loss against an earlier stage with its interval; empty where one of the two has no score."""
        if self.score is None or before.score is None:
            return ""
        same = self.evaluation_set == before.evaluation_set
        bounds = packed_loss_bounds(self.metric, before.outcomes, self.outcomes) if same else None
        return points_text(in_points(before.score - self.score), bounds)

    def loss_against(self, before: ModelFigures) -> list[str]:
        """A sentence on what it loses against an earlier stage; none where one of the two has no score."""
        lost = self.lost(before)
        return [f"It loses {lost} against the model as it was."] if lost else []

    @property
    def scored_on(self) -> list[str]:
        """A sentence that says what the score is of; none where there is no score."""
        return (
            [f"Scores are of {self.evaluation_set}, with their 95 % intervals."]
            if self.evaluation_set
            else []
        )


@dataclass(frozen=True)
class Report:
    """Results of a compression: figures, model card and screen output."""

    after: ModelFigures
    """The model as it is now."""
    metrics: dict[str, Any]
    """Figures for the manifest, beside the scores of the training."""
    card: str
    """The body of the model card, in Markdown."""
    shown: Sequence[ScreenTable | str]
    """Tables and lines for the screen."""


def compressed(
    opened: OpenedModel,
    technique: str,
    options: DistillationOptions,
    report: Report,
    training: TrainingResult | None,
    seconds: float,
) -> StepResult:
    """Return the result of a technique, with the technique recorded as the classifier's last step.

    Args:
        opened: the classifier as it is now.
        technique: its verb.
        options: its options, with defaults filled in.
        report: its results.
        training: the last one; None where there was none.
        seconds: duration of the whole technique [s].
    """
    metrics = {**(training.metrics if training else {}), **report.metrics}
    step = Step(technique, options.recorded(), seconds, metrics)
    return StepResult(
        opened=opened.after(step, trained=training is not None),
        score=report.after.score,
        body=report.card,
        shown=report.shown,
        trained=training is not None,
        thresholds=training.thresholds if training else None,
    )


def headings(opened: OpenedModel) -> tuple[str, str, str]:
    """Column headings for `ModelFigures.cells`."""
    return "params", "fp32 MB", opened.text_task.metric


def load_task_text(options: DistillationOptions, opened: OpenedModel) -> TrainingText:
    """The texts of the task that a model was trained for.

    Raises:
        EdgepressError: nobody said what the model was trained for, or no source has a split of the task.
    """
    if opened.task is None:
        raise EdgepressError(f"nobody said what {opened.source.name} was trained for", "name its --task")
    return load_text(options, opened.task)


def begin_training(
    run: TechniqueRun,
    options: DistillationOptions,
    opened: OpenedModel,
    more: Mapping[str, Any] | None = None,
) -> tuple[Path, TrainingText | None]:
    """The folder for checkpoints, and the texts of the trainings; no texts where there are no trainings.

    Args:
        run: of the technique.
        options: say for how many epochs.
        opened: the model before the compression.
        more: further contents that decide what is trained, by name.

    Raises:
        EdgepressError: checkpoints of another run are there; or there are no texts.
    """
    if not options.epochs:
        return run.folder, None
    text = load_task_text(options, opened)
    return run.checkpoints(options, opened.text_task, text, more, model=opened), text


@dataclass(frozen=True)
class SelfDistillation:
    """A model that is its own teacher: after compression it learns from the answers that it gave before."""

    options: DistillationOptions
    opened: OpenedModel
    text: TrainingText
    data: TrainingData
    """Rows of the training; another split of the texts may take their place."""
    logits: Mapping[str, TextLogits]
    """The model's logits for the texts, by split; empty where nothing is learned."""
    teacher: PreTrainedModel | None
    """A copy of the model as it was, only where hidden states are compared."""

    @classmethod
    def of(cls, options: DistillationOptions, opened: OpenedModel, text: TrainingText) -> SelfDistillation:
        """Read the texts with the model before it is compressed, and keep its logits.

        Without epochs nothing is learned, and no logits are kept.
        """
        data = task_data(opened.tokenizer, opened.text_task, text, options.length_for(opened))
        if not options.epochs:  # nothing is learned: texts are looked at
            return cls(options, opened, text, data, {}, None)
        logits = read_by_teacher(options, opened, text, options.length_for(opened)).splits
        teacher = copy.deepcopy(opened.model) if options.compares_states else None
        return cls(options, opened, text, data, logits, teacher)

    def batches(self, count: int) -> Sequence[Mapping[str, torch.Tensor]]:
        """`count` texts of the train split with their labels, drawn at random, as the model takes them."""
        rows = self.data.train.shuffle(seed=self.options.seed)
        rows = rows.select(range(min(count, len(rows))))
        starts = range(0, len(rows), BATCH_ROWS)
        parts = (rows.select(range(start, min(start + BATCH_ROWS, len(rows)))) for start in starts)
        return [self.opened.kind.arguments(self.data.collator(list(part))) for part in parts]

    def train(self, checkpoints: Path, callbacks: Sequence[TrainerCallback] = ()) -> TrainingResult:
        """Train the model as it is now, in place."""
        torch.manual_seed(self.options.seed)  # whatever was trained before in this process
        module = Distillation(self.opened.model, self.options, self.opened.problem_type, self.teacher)
        kind, width = self.opened.kind, getattr(self.opened.model.config, "hidden_size", 0)
        logits = fitted(self.logits, width) if kind.free_width else self.logits
        taught = with_logits(self.options, self.data, logits)
        trainer = train(module, taught, self.options, checkpoints, callbacks)
        # A model that may give no answer keeps its own threshold.
        chosen = self.opened.thresholds is not None and not kind.abstains
        length = self.options.length_for(self.opened)
        own = self.opened
        dimensions = kind.dimensions(own.model.config)
        return judge(trainer, taught, own.tokenizer, own.text_task, self.text, length, chosen, dimensions)
