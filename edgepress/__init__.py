"""Small, fast files of fine-tuned encoders, and what they cost, measured.

    import edgepress

    model = edgepress.load("outputs/minilm-sst2")
    student = edgepress.distill(model, student="half", epochs=3)
    small = edgepress.quantize(student, scheme="int8-dynamic")
    print(small.evaluate(), small.predict(["a film to remember"]))
    small.save("outputs/small")

Functions take a model and give another one. They print nothing, and write nothing before `save`. Names are
imported when they are first used (PEP 562): this package alone loads no library.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what a type checker and an editor see
    from edgepress.api.bench import benchmark, compare
    from edgepress.api.files import ExportedModel, export, quantize
    from edgepress.api.loading import load
    from edgepress.api.model import Evaluation, Model, evaluate
    from edgepress.api.techniques import distill, finetune, pretrain, prune, qat, sparsify, trim_vocab
    from edgepress.core.errors import EdgepressError, EdgepressWarning, ExpectationError
    from edgepress.core.prediction import (
        AnswerPrediction,
        EmbeddingPrediction,
        Entity,
        EntityPrediction,
        Filling,
        FillingPrediction,
        Prediction,
        RankPrediction,
    )

    __version__: str

__all__ = [
    "AnswerPrediction",
    "EdgepressError",
    "EdgepressWarning",
    "EmbeddingPrediction",
    "Entity",
    "EntityPrediction",
    "Evaluation",
    "ExpectationError",
    "ExportedModel",
    "Filling",
    "FillingPrediction",
    "Model",
    "Prediction",
    "RankPrediction",
    "__version__",
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

_MODULES = {
    "api.bench": ("benchmark", "compare"),
    "api.files": ("ExportedModel", "export", "quantize"),
    "api.loading": ("load",),
    "api.model": ("Evaluation", "Model", "evaluate"),
    "api.techniques": ("distill", "finetune", "pretrain", "prune", "qat", "sparsify", "trim_vocab"),
    "core.errors": ("EdgepressError", "EdgepressWarning", "ExpectationError"),
    "core.prediction": (
        "AnswerPrediction",
        "EmbeddingPrediction",
        "Entity",
        "EntityPrediction",
        "Filling",
        "FillingPrediction",
        "Prediction",
        "RankPrediction",
    ),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("edgepress")
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from edgepress.core.process import quiet_loggers

    with quiet_loggers():  # libraries that are imported with it warn of what only they could mend
        module = import_module(f"edgepress.{_MODULE_OF[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
