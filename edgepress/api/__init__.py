"""The library's functions: a model in, a model out. `edgepress` exports them."""

from edgepress.api.bench import benchmark, compare
from edgepress.api.files import ExportedModel, export, quantize
from edgepress.api.loading import load
from edgepress.api.model import Evaluation, Model, evaluate
from edgepress.api.techniques import distill, finetune, pretrain, prune, qat, sparsify, trim_vocab
from edgepress.core.prediction import Prediction

__all__ = [
    "Evaluation",
    "ExportedModel",
    "Model",
    "Prediction",
    "benchmark",
    "compare",
    "distill",
    "evaluate",
    "export",
    "finetune",
    "load",
    "pretrain",
    "prune",
    "qat",
    "quantize",
    "sparsify",
    "trim_vocab",
]
