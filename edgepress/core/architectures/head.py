"""Another classifier head: one small hidden layer instead of the architecture's own, recorded in the config.

    "edgepress_head": {"hidden": 50, "dropout": 0.2}     in config.json

Such a folder only edgepress opens.
"""

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from edgepress.core.errors import EdgepressError

HEAD = "edgepress_head"
MLP = {"hidden": 50, "dropout": 0.2}


class MlpHead(nn.Module):
    """A classifier with one hidden layer, ReLU and dropout, before the logits."""

    def __init__(self, width: int, labels: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, hidden)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden, labels)

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        """(batch, width), or (batch, sequence, width) of which the first token is read -> (batch, labels)."""
        first = text[:, 0] if text.dim() == 3 else text  # noqa: PLR2004
        return self.output(self.dropout(self.hidden(first).relu()))


def put_head(model: PreTrainedModel, seed: int) -> None:
    """Give a classifier the head of one hidden layer, with random weights; one that has it keeps it.

    Raises:
        EdgepressError: nothing in it is known as its head.
    """
    if not hasattr(model.config, HEAD):
        torch.manual_seed(seed)
        setattr(model.config, HEAD, MLP)
        rebuild_head(model, MLP)


def reset_head(model: PreTrainedModel, seed: int) -> None:
    """Draw the weights of a classifier's head anew; its encoder stays.

    Raises:
        EdgepressError: the two are not apart.
    """
    encoder = model.base_model
    if encoder is model:
        raise EdgepressError(
            f"a {model.config.model_type} has no head apart from its encoder", "leave --head new away"
        )
    inside = set(encoder.modules())
    torch.manual_seed(seed)
    for module in model.modules():
        if module not in inside and module is not model:
            model._init_weights(module)


def rebuild_head(model: PreTrainedModel, record: dict[str, Any]) -> None:
    """Build the head that a config records into a stock model.

    Raises:
        EdgepressError: the record is not right, or nothing in the model is known as its head.
    """
    try:
        sizes = int(record["hidden"]), float(record["dropout"])
    except (KeyError, TypeError, ValueError) as error:
        raise EdgepressError(
            f"{HEAD} in config.json is not right: {record}", "make the artifact again"
        ) from error
    owner: Any = model
    owner.classifier = MlpHead(_width(owner), model.config.num_labels, *sizes)  # type: ignore[arg-type]
    if hasattr(model, "pre_classifier"):  # DistilBERT's own hidden layer
        owner.pre_classifier, owner.classifier = owner.classifier.hidden, owner.classifier.output
        owner.dropout = nn.Dropout(sizes[1])
    elif hasattr(model, "head") and hasattr(model, "drop"):  # ModernBERT's
        owner.head = nn.Sequential(owner.classifier.hidden, nn.ReLU())
        owner.drop, owner.classifier = nn.Dropout(sizes[1]), owner.classifier.output
    model.train(model.training)  # the new layers too


def _width(model: Any) -> int:
    """Width of the vectors that the head reads."""
    head = getattr(model, "pre_classifier", getattr(model, "classifier", None))
    if isinstance(head, nn.Linear):
        return head.in_features
    if hasattr(head, "out_proj"):  # RoBERTa's and MPNet's, which reads the first token
        return model.config.hidden_size
    raise EdgepressError(
        f"a {model.config.model_type} has no head that --head could replace", "leave it away"
    )
