"""Student and losses as one module, which is what a Trainer trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from compress.distillation.options import DistillationOptions
from edgepress.core.errors import EdgepressError
from edgepress.core.inputs import input_names
from edgepress.core.outputs import model_logits
from edgepress.core.tasks import ProblemType
from edgepress.core.tasks.kinds import kind_of


def response_kl(
    student: torch.Tensor, teacher: torch.Tensor, temperature: float, problem_type: ProblemType
) -> torch.Tensor:
    """Divergence of softened answers (Hinton et al. 2015, section 2), times T² as there.

    Args:
        student: logits (rows, labels).
        teacher: logits (rows, labels).
        temperature: T, which logits are divided by.
        problem_type: with several labels at once each is a distribution of its own, yes and no; values
            of a regression are no distribution, and their squared difference is taken.

    Returns:
        the mean over rows, and over labels where each is a distribution.
    """
    return kind_of(problem_type).divergence(student, teacher, temperature)


def response_mse(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Squared difference of logits (Ba and Caruana 2014, section 2.1), the mean over all of them."""
    return functional.mse_loss(student.float(), teacher.float())


def response_loss(
    config: DistillationOptions, student: torch.Tensor, teacher: torch.Tensor, problem_type: ProblemType
) -> torch.Tensor:
    """Either of the two, as the flags say."""
    if config.response == "mse":
        return response_mse(student, teacher)
    return response_kl(student, teacher, config.temperature, problem_type)


def hidden_cosine(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return one minus the cosine between hidden states (Sanh et al. 2019, section 3: L_cos).

    Args:
        student: (rows, tokens, width).
        teacher: the same shape.
        mask: (rows, tokens), 1 for a token and 0 for padding.

    Returns:
        the mean over tokens.
    """
    kept = mask.bool()
    return (1 - functional.cosine_similarity(student[kept].float(), teacher[kept].float(), dim=-1)).mean()


def hidden_mse(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Squared difference of hidden states of one width (Jiao et al. 2020, eq. 8), the mean over tokens."""
    kept = mask.bool()
    return functional.mse_loss(student[kept].float(), teacher[kept].float())


def attention_mse(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Squared difference of attention maps (Jiao et al. 2020, eq. 7).

    There it is taken of the scores before the softmax, which transformers' models do not give out.

    Args:
        student: (rows, heads, tokens, tokens), the last dimension summing to 1.
        teacher: the same shape.
        mask: (rows, tokens), 1 for a token and 0 for padding.

    Returns:
        the mean over heads and pairs of tokens.
    """
    kept = mask.bool()
    pairs = (kept.unsqueeze(1) & kept.unsqueeze(2)).unsqueeze(1).expand_as(student)
    return functional.mse_loss(student[pairs].float(), teacher[pairs].float())


class Distillation(nn.Module):
    """The weighted sum of the losses that the flags ask for."""

    def __init__(
        self,
        student: PreTrainedModel,
        config: DistillationOptions,
        problem_type: ProblemType,
        teacher: PreTrainedModel | None = None,
    ) -> None:
        """Put the parts together.

        Args:
            student: learns.
            config: weights of the losses.
            problem_type: what the logits mean.
            teacher: only where hidden states or attention maps are compared; else its logits come with
                the batch.

        Raises:
            EdgepressError: the two have no hidden states, or attention maps, that can be compared.
        """
        super().__init__()
        self.student = student
        # Not as a submodule: its weights are neither trained nor kept in checkpoints.
        self._teachers: list[Any] = [] if teacher is None else [teacher]
        self.options = config
        self.problem_type = problem_type
        self.projections = nn.ModuleList()
        if teacher is not None:
            _refuse_other_width(student, teacher, config, problem_type)
            _prepare(student, teacher, config)
            self.map = layer_map(student.config.num_hidden_layers, teacher.config.num_hidden_layers)
            if config.hidden_weight:
                widths = student.config.hidden_size, teacher.config.hidden_size
                torch.manual_seed(config.seed)  # whatever was trained before in this process
                self.projections.extend(_projection(*widths) for _ in self.map)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
        teacher_logits: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """The loss of a batch, and the student's logits.

        Args:
            input_ids: (rows, tokens).
            attention_mask: (rows, tokens), 1 for a token and 0 for padding.
            labels: (rows,), (rows, labels), (rows, tokens), or (rows, 2): where answers begin and end.
            token_type_ids: (rows, tokens), for whichever of the two models takes them.
            teacher_logits: (rows, labels) or (rows, tokens, labels), where the teacher does not run here.
        """
        text = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
        kind = kind_of(self.problem_type)
        own = _taken(self.student, text)
        label_loss, logits, ours = kind.loss_and_logits(self.student, own, labels, **self._wanted)
        loss = (self.options.label_weight or 0.0) * label_loss
        for teacher in self._teachers:
            teacher.to(input_ids.device)  # no submodule: nobody else moves it
            with torch.no_grad():
                theirs = teacher(**_taken(teacher, text), **self._wanted)
            teacher_logits = model_logits(theirs)
            loss = loss + self._states_loss(ours, theirs, attention_mask)
        if self.options.response_weight:
            assert teacher_logits is not None
            pair = kind.compared_logits(logits, teacher_logits, labels, attention_mask)
            response = response_loss(self.options, *pair, self.problem_type)
            response = response + kind.cut_loss(*pair, kind.dimensions(self.student.config))
            loss = loss + self.options.response_weight * response
        return {"loss": loss, "logits": logits}

    @property
    def _wanted(self) -> dict[str, bool]:
        """The outputs that are compared beside logits."""
        states = bool(self.options.cosine_weight or self.options.hidden_weight)
        wanted = {"output_hidden_states": states, "output_attentions": bool(self.options.attention_weight)}
        return {name: True for name, needed in wanted.items() if needed and self._teachers}

    def _states_loss(self, ours: Any, theirs: Any, mask: torch.Tensor) -> torch.Tensor:
        config, parts = self.options, []
        if config.cosine_weight:
            last = hidden_cosine(ours.hidden_states[-1], theirs.hidden_states[-1], mask)
            parts.append(config.cosine_weight * last)
        if config.hidden_weight:
            parts.append(config.hidden_weight * self._hidden(ours.hidden_states, theirs.hidden_states, mask))
        if config.attention_weight:
            pairs = [(ours.attentions[own - 1], theirs.attentions[other - 1]) for own, other in self.map[1:]]
            maps = torch.stack([attention_mse(own, other, mask) for own, other in pairs])
            parts.append(config.attention_weight * maps.mean())
        return torch.stack(parts).sum()

    def _hidden(
        self, ours: Sequence[torch.Tensor], theirs: Sequence[torch.Tensor], mask: torch.Tensor
    ) -> torch.Tensor:
        """The mean over layers; states 0 are the embeddings."""
        found = [
            hidden_mse(project(ours[own]), theirs[other], mask)
            for project, (own, other) in zip(self.projections, self.map, strict=True)
        ]
        return torch.stack(found).mean()


def _taken(model: PreTrainedModel, text: dict[str, torch.Tensor | None]) -> dict[str, torch.Tensor]:
    """The inputs that a model takes (DistilBERT and RoBERTa have no token types)."""
    known = input_names(model)
    return {name: ids for name, ids in text.items() if ids is not None and name in known}


def layer_map(student: int, teacher: int) -> list[tuple[int, int]]:
    """Pair the student's hidden states with the teacher's, evenly over the depth.

    Source: Jiao et al. 2020, section 3.1.

    Args:
        student: its number of layers.
        teacher: its number of layers.

    Returns:
        (student's, teacher's) numbers: 0 is the embeddings, n the output of the n-th layer.
    """
    return [(own, round(own * teacher / student)) for own in range(student + 1)]


def _projection(student: int, teacher: int) -> nn.Linear:
    """Linear map into the teacher's width; where that is the same, the identity to begin with."""
    layer = nn.Linear(student, teacher, bias=False)
    if student == teacher:
        nn.init.eye_(layer.weight)
    return layer


def _refuse_other_width(
    student: PreTrainedModel, teacher: PreTrainedModel, config: DistillationOptions, problem_type: ProblemType
) -> None:
    """Raise for vectors of two widths where the teacher runs beside: nothing fits them to each other."""
    if not kind_of(problem_type).free_width or not config.response_weight:
        return
    own, other = (model.config.hidden_size for model in (student, teacher))
    if own != other:
        raise EdgepressError(
            f"the student's vectors have {own} numbers, the teacher's {other}, and are fitted to each other "
            "only where vectors alone are compared",
            "leave --hidden-weight and --attention-weight away, or add --response-weight 0",
        )


def _prepare(student: PreTrainedModel, teacher: PreTrainedModel, config: DistillationOptions) -> None:
    """Freeze the teacher, and let both give out what is compared."""
    if not hasattr(student.config, "num_hidden_layers"):
        raise EdgepressError(
            f"a {student.config.model_type} has no layers to compare with the teacher's",
            "leave --cosine-weight, --hidden-weight and --attention-weight away",
        )
    sizes = [(model.config.hidden_size, model.config.num_attention_heads) for model in (student, teacher)]
    if config.cosine_weight and sizes[0][0] != sizes[1][0]:
        raise EdgepressError(
            f"--cosine-weight: hidden states of width {sizes[0][0]} and {sizes[1][0]} have no angle",
            "--hidden-weight compares them through a learned projection",
        )
    if config.attention_weight and sizes[0][1] != sizes[1][1]:
        raise EdgepressError(
            f"--attention-weight: the student has {sizes[0][1]} heads a layer, the teacher {sizes[1][1]}",
            "leave it away; --hidden-weight compares hidden states",
        )
    teacher.eval().requires_grad_(False)
    if config.attention_weight:
        for model in (student, teacher):
            model.set_attn_implementation("eager")  # the faster kernels never form the maps
