"""What a student can be taught by: losses between two models' outputs."""

import torch
from torch.nn import functional

from edgepress.core.tasks import ProblemType


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
    if problem_type == "regression":
        return response_mse(student, teacher)
    if problem_type == "multi_label_classification":
        # Yes and no with the logits (z, 0) have the probabilities sigmoid(z) and 1 - sigmoid(z).
        student, teacher = (
            torch.stack([z, torch.zeros_like(z)], -1).flatten(0, 1) for z in (student, teacher)
        )
    ours, theirs = ((logits.float() / temperature).log_softmax(-1) for logits in (student, teacher))
    return temperature**2 * functional.kl_div(ours, theirs, log_target=True, reduction="batchmean")


def response_mse(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Squared difference of logits (Ba and Caruana 2014, section 2.1), the mean over all of them."""
    return functional.mse_loss(student.float(), teacher.float())


def hidden_cosine(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """One minus the cosine between hidden states (Sanh et al. 2019, section 3: L_cos).

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
