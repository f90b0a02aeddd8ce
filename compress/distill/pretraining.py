"""The pretrain stage: a student learns from a corpus beside a masked language model."""

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from compress.distill.config import HALF, NARROW, DistillConfig, DistillOptions
from compress.distill.narrow import narrow_student
from compress.distill.student import part_of, unknown_student
from compress.distillation.objective import hidden_cosine, response_loss
from compress.step import StepResult
from compress.training.checkpoints import TechniqueRun
from compress.training.config import with_defaults
from compress.training.masked_lm import (
    PRETRAINING,
    MaskedLanguageModel,
    corpus_data,
    loss_words,
    masked_lm_loss,
    masked_logits,
    train_masked_lm,
)
from compress.training.trainer import loss_before
from edgepress.core.artifact import Step
from edgepress.core.corpus import Corpus, load_corpus
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import OpenedModel
from edgepress.core.masked_lm import open_masked_lm
from edgepress.core.masking import IGNORED
from edgepress.core.models import UnknownModelError


class PretrainingDistillation(nn.Module):
    """DistilBERT's triple loss (Sanh et al. 2019, section 3): L_ce between the two models' softened answers
    and L_mlm against the hidden tokens, at the masked positions; L_cos between their last hidden states, at
    all tokens.

    In evaluation it is L_mlm alone, so that held-out losses compare whatever the weights are.
    """

    def __init__(self, student: PreTrainedModel, teacher: PreTrainedModel, config: DistillOptions) -> None:
        """Put the parts together, and freeze the teacher.

        Raises:
            EdgepressError: the two models' hidden states have no angle.
        """
        super().__init__()
        widths = student.config.hidden_size, teacher.config.hidden_size
        if config.cosine_weight and widths[0] != widths[1]:
            raise EdgepressError(
                f"hidden states of width {widths[0]} and {widths[1]} have no angle",
                "--cosine-weight 0 leaves it away",
            )
        self.student = student
        # Not as a submodule: its weights are neither trained nor kept in checkpoints.
        self._teacher: list[Any] = [teacher.eval().requires_grad_(False)]
        self.options = config

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """The loss of a batch.

        Args:
            input_ids: (rows, tokens).
            attention_mask: (rows, tokens), 1 for a token and 0 for padding.
            labels: (rows, tokens), the hidden tokens, and -100 elsewhere.
        """
        masked = labels != IGNORED
        states, logits = masked_logits(self.student, input_ids, attention_mask, masked)
        hidden_tokens = masked_lm_loss(logits, labels[masked])
        if not self.training:
            return {"loss": hidden_tokens}
        loss = (self.options.label_weight or 0.0) * hidden_tokens
        if self.options.response_weight or self.options.cosine_weight:
            loss = loss + self._distillation_loss(states, logits, input_ids, attention_mask, masked)
        return {"loss": loss}

    def _distillation_loss(
        self,
        states: torch.Tensor,
        logits: torch.Tensor,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        masked: torch.Tensor,
    ) -> torch.Tensor:
        """What the teacher has to say, weighted."""
        teacher = self._teacher[0].to(input_ids.device)  # no submodule: nobody else moves it
        with torch.no_grad():
            their_states, their_logits = masked_logits(teacher, input_ids, attention_mask, masked)
        loss = logits.new_zeros((), dtype=torch.float32)
        if self.options.response_weight and len(logits):
            response = response_loss(self.options, logits, their_logits, "single_label_classification")
            loss = loss + self.options.response_weight * response
        if self.options.cosine_weight:
            angle = hidden_cosine(states, their_states, attention_mask)
            loss = loss + self.options.cosine_weight * angle
        return loss


def open_pretraining(config: DistillConfig) -> tuple[Corpus, OpenedModel]:
    """The corpus and the teacher.

    Raises:
        EdgepressError: there is no such corpus or model, or the model cannot fill masks.
    """
    assert config.corpus is not None, "check() has seen to it"
    corpus = load_corpus(config.corpus, config.data)
    teacher = open_masked_lm(config.teacher[0], config.seed)
    if not teacher.head_trained:
        raise EdgepressError(
            f"{config.teacher[0]} has no trained head over the vocabulary: it cannot fill masks",
            f"python -m compress.pretrain --model {config.teacher[0]} --corpus {config.corpus} trains one",
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
    student = _open_student(options, teacher, corpus)
    module = PretrainingDistillation(student.model, teacher.model, options)
    data = corpus_data(student.tokenizer, corpus, options, min(teacher.longest, student.longest))
    checkpoints = run.checkpoints(options, None, data, teacher=teacher, student=student)
    taught_by = loss_before(MaskedLanguageModel(teacher.model), data, options, checkpoints)
    metrics, taken = train_masked_lm(module, data, options, checkpoints, "distilling")
    metrics["teacher"] = {"masked_lm_loss": taught_by}
    losses = f"{loss_words(metrics)} of {corpus.name}; its teacher {taught_by:.3f}"
    return StepResult(
        opened=student.after(Step("distill", options.recorded(), taken, metrics), trained=True),
        score=None,
        body=f"Distilled from {teacher.record().name} as a masked language model: {losses}.\n",
        shown=[f"{losses}, {taken:.0f} s"],
        pipeline="fill-mask",
    )


def _open_student(options: DistillOptions, teacher: OpenedModel, corpus: Corpus) -> OpenedModel:
    if options.student == HALF:
        return part_of(teacher, options)
    if options.student == NARROW:
        return narrow_student(teacher, options, [(text,) for text in corpus.texts])
    try:
        student = open_masked_lm(options.student, options.seed)
    except UnknownModelError as error:
        raise unknown_student(options.student, (HALF, NARROW)) from error
    if student.tokenizer.get_vocab() != teacher.tokenizer.get_vocab():
        raise EdgepressError(
            f"{options.student} and the teacher have different vocabularies: they do not fill the same masks",
            "name a student with the teacher's vocabulary, or --student half",
        )
    return student
