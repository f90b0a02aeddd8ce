"""Operations of a model: multiplications and additions of its matrix products, whatever format it is in."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel

from device_bench.cpu import make_batch
from edgepress.core.models import find_model
from edgepress.core.pretrained import load_model
from export.core.eager import EagerRunner

MATRIX = 2
"""Least dimensions of a weight that takes part in a matrix product."""
LEAST_SHARE = 0.05
"""Share of all weights below which a matrix says nothing of the model's speed."""


def model_of(folder: Path) -> PreTrainedModel:
    """The model in an artifact's folder.

    Raises:
        EdgepressError: the folder is no model's, or its weights are damaged.
    """
    model, _ = load_model(find_model(str(folder)), labels=None, problem_type=None, seed=0)
    return model


def count_operations(model: PreTrainedModel, lengths: Sequence[int]) -> dict[int, int]:
    """Count the operations of matrix products and convolutions for one text of each length.

    Two for each multiplication with its addition, so that 1e9 of them are a GFLOP. Those of several rows are
    so many times as many. An attention that is one operator to torch is counted as the products in it, and an
    LSTM as those of its steps.

    Args:
        model: in torch.
        lengths: of texts [tokens].
    """
    vocabulary, found = int(model.config.vocab_size), {}
    runner = EagerRunner(model)
    with _products_alone():
        for length in lengths:
            counter = FlopCounterMode(display=False)
            with counter:
                runner(make_batch(1, length, vocabulary))
            found[length] = int(counter.get_total_flops())
    return found


@contextmanager
def _products_alone() -> Iterator[None]:
    """Let torch do without operators that hold several products, which the counter does not know."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of GPUs that are not here
        with torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH):
            yield


def product_shapes(model: PreTrainedModel) -> list[tuple[int, int]]:
    """Shapes (in, out) of the matrices that most products are with, the largest share first."""
    tables = {id(own.weight) for own in model.modules() if isinstance(own, nn.Embedding)}
    weights: dict[tuple[int, int], int] = {}
    for parameter in model.parameters():
        if parameter.ndim >= MATRIX and id(parameter) not in tables:
            rows, columns = parameter.flatten(1).shape  # a convolution multiplies by windows of its input
            weights[columns, rows] = weights.get((columns, rows), 0) + parameter.numel()
    least = LEAST_SHARE * sum(weights.values())
    return sorted((own for own in weights if weights[own] >= least), key=lambda own: -weights[own])
