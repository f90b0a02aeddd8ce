"""What techniques share that make a trained classifier smaller: prune, sparsify, qat, trim_vocab."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from compress.distillation.options import DistillationOptions
from compress.step import StepConfig, StepResult, prepare, refuse_quantized
from compress.training.checkpoints import TechniqueRun
from compress.training.data import TrainingText, load_text
from compress.training.scoring import TrainingResult
from edgepress.core.artifact import Step
from edgepress.core.errors import EdgepressError
from edgepress.core.evaluation import EVALUATION_SET, EvaluationSet
from edgepress.core.loading import OpenedModel, check_classifier, open_model
from edgepress.core.models import Weights
from edgepress.core.tables import ScreenTable
from edgepress.core.tasks import TaskOptions
from export.core.eager import EagerRunner
from export.validation.sentences import evaluation_sentences
from export.validation.validator import Validator

BYTES_OF_FP32 = 4


class CompressionConfig(StepConfig, Protocol):
    """The flags that say which classifier is compressed."""

    @property
    def model(self) -> str: ...
    @property
    def weights(self) -> Weights: ...
    @property
    def task(self) -> str | None: ...
    @property
    def data(self) -> Path | None: ...
    @property
    def task_options(self) -> TaskOptions: ...


def open_classifier(config: CompressionConfig, suffix: str) -> tuple[Path, OpenedModel]:
    """Check the flags, and open the classifier that they name.

    Returns:
        the output's folder (by default outputs/MODEL-`suffix`) and the model.

    Raises:
        EdgepressError: a flag is wrong, the output exists, there is no such model, it is no classifier, or
            it was quantized already.
    """
    output = prepare(config, config.model, suffix)
    opened = open_model(
        config.model, config.weights, config.task, config.data, config.seed, options=config.task_options
    )
    check_classifier(opened)
    refuse_quantized(opened)
    return output, opened


@dataclass(frozen=True)
class ModelFigures:
    """Size and score of a model at one stage of a compression."""

    parameters: int
    score: float | None
    """The task's metric, 0..1; None where the model cannot be scored."""
    evaluation_set: EvaluationSet | None
    """What the score is of."""

    @classmethod
    def of(cls, options: DistillationOptions, opened: OpenedModel) -> "ModelFigures":
        """Of a model as it is, scored in torch on texts of the evaluation split, as training would score it.

        Raises:
            EdgepressError: no source has the split.
        """
        if not opened.scored:
            return cls(opened.model.num_parameters(), None, None)
        length = options.length_for(opened)
        sentences = evaluation_sentences(opened, options.eval_samples, options.seed, max_length=length)
        with EagerRunner(opened.model) as runner:
            score = Validator(runner, sentences).parent_score
        return cls(opened.model.num_parameters(), score, sentences.evaluation_set)

    @classmethod
    def after(
        cls, options: DistillationOptions, opened: OpenedModel, training: TrainingResult | None
    ) -> "ModelFigures":
        """Of a model after a compression, and after the training that followed it, if one did."""
        if training is None:
            return cls.of(options, opened)
        judged = training.judged
        score = judged.metrics[opened.text_task.metric]
        return cls(opened.model.num_parameters(), score, judged.evaluation_set)

    @property
    def cells(self) -> tuple[str, str, str]:
        """Of a table: parameters, weights in fp32, score."""
        score = "-" if self.score is None else f"{100 * self.score:.2f} %"
        megabytes = self.parameters * BYTES_OF_FP32 / 1e6
        return f"{self.parameters / 1e6:.2f} M", f"{megabytes:.1f}", score

    @property
    def recorded(self) -> dict[str, Any]:
        """As a manifest keeps them."""
        own = {EVALUATION_SET: self.evaluation_set.recorded()} if self.evaluation_set else {}
        return {"parameters": self.parameters, "score": self.score, **own}

    @property
    def scored_on(self) -> list[str]:
        """A sentence that says what the score is of; none where there is no score."""
        return [f"Scores are of {self.evaluation_set}."] if self.evaluation_set else []


class Report(Protocol):
    """What a compression found out."""

    @property
    def after(self) -> ModelFigures:
        """The model as it is now."""

    @property
    def metrics(self) -> dict[str, Any]:
        """As a manifest keeps them."""

    def markdown(self) -> str:
        """The body of the model card."""

    def shown(self) -> Sequence[ScreenTable | str]:
        """What the screen shows."""


def compressed(
    opened: OpenedModel,
    technique: str,
    options: DistillationOptions,
    report: Report,
    training: TrainingResult | None,
    seconds: float,
) -> StepResult:
    """What a technique made of a classifier.

    Args:
        opened: the classifier as it is now.
        technique: its verb.
        options: its options, with defaults filled in.
        report: what it found out.
        training: the last one; None where there was none.
        seconds: what all of it took.
    """
    step = Step(technique, options.recorded(), seconds, report.metrics)
    return StepResult(
        opened=opened.after(step, trained=training is not None),
        score=report.after.score,
        body=report.markdown(),
        shown=report.shown(),
        trained=training is not None,
        thresholds=training.judged.thresholds if training else None,
    )


def headings(opened: OpenedModel) -> tuple[str, str, str]:
    """Over `ModelFigures.cells`."""
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
