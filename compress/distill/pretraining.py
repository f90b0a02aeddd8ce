"""The pretrain stage: a student learns from a corpus beside a masked language model."""

from pathlib import Path

from transformers import Trainer

from compress.distill.config import DistillConfig, DistillOptions
from compress.distill.pretraining_objective import PretrainingDistillation
from compress.distill.student import HALF, part_of
from compress.step import StepResult
from compress.training.config import with_defaults
from compress.training.history import seconds
from compress.training.masked_lm import PRETRAINING, MaskedLanguageModel, corpus_data, figures, loss_words
from compress.training.run import TechniqueRun
from compress.training.trainer import TrainingData, loss_before, train
from edgepress.core import console
from edgepress.core.artifact import Step
from edgepress.core.corpus import Corpus, load_corpus
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import OpenedModel
from edgepress.core.masked_lm import open_masked_lm


def open_pretraining(config: DistillConfig) -> tuple[Corpus, OpenedModel]:
    """The corpus and the teacher.

    Raises:
        EdgepressError: there is no such corpus or model, or the model cannot fill masks.
    """
    assert config.corpus is not None, "check() has seen to it"
    corpus = load_corpus(config.corpus, config.data)
    teacher = open_masked_lm(config.teacher, config.seed)
    if not teacher.head_trained:
        raise EdgepressError(
            f"{config.teacher} has no trained head over the vocabulary: it cannot fill masks",
            f"python -m compress.pretrain --model {config.teacher} --corpus {config.corpus} trains one",
        )
    return corpus, teacher


def distill_pretraining(
    teacher: OpenedModel, corpus: Corpus, options: DistillOptions, run: TechniqueRun
) -> StepResult:
    """Train a student to fill masks as its teacher does.

    Raises:
        EdgepressError: the student has another vocabulary, or the corpus is too short.
    """
    options = with_defaults(options, PRETRAINING)
    student = _open_student(options, teacher)
    module = PretrainingDistillation(student.model, teacher.model, options)
    data = corpus_data(student.tokenizer, corpus, options, min(teacher.longest, student.longest))
    console.step(f"{corpus.name}: {len(data.train)} blocks, {len(data.evaluation)} held out")
    checkpoints = run.checkpoints(options, None, data, teacher=teacher, student=student)
    taught_by = loss_before(MaskedLanguageModel(teacher.model), data, options, checkpoints)
    before = loss_before(module, data, options, checkpoints)
    trainer = _train(module, data, options, checkpoints)
    metrics, taken = figures(trainer, data, before), seconds(trainer) if trainer else 0.0
    metrics["teacher"] = {"masked_lm_loss": taught_by}
    losses = f"{loss_words(metrics)} of {corpus.name}; its teacher {taught_by:.3f}"
    return StepResult(
        opened=student.after(Step("distill", options.recorded(), taken, metrics), trained=True),
        score=None,
        body=f"Distilled from {teacher.record().name} as a masked language model: {losses}.\n",
        shown=[f"{losses}, {taken:.0f} s"],
        pipeline="fill-mask",
    )


def _train(
    module: PretrainingDistillation, data: TrainingData, options: DistillOptions, checkpoints: Path
) -> Trainer | None:
    """None where no epoch is asked for: the student stays as it begins."""
    if not options.epochs:
        return None
    console.step(f"distilling for {options.epochs:g} epochs, learning rate {options.learning_rate:g}")
    return train(module, data, options, checkpoints)


def _open_student(options: DistillOptions, teacher: OpenedModel) -> OpenedModel:
    if options.student == HALF:
        return part_of(teacher, options)
    student = open_masked_lm(options.student, options.seed)
    if student.tokenizer.get_vocab() != teacher.tokenizer.get_vocab():
        raise EdgepressError(
            f"{options.student} and the teacher have different vocabularies: they do not fill the same masks",
            "name a student with the teacher's vocabulary, or --student half",
        )
    return student
