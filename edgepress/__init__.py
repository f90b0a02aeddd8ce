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
from typing import Any

__all__ = [
    "EdgepressError",
    "EdgepressWarning",
    "Evaluation",
    "ExpectationError",
    "ExportedModel",
    "Model",
    "Prediction",
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
ERRORS = ("EdgepressError", "EdgepressWarning", "ExpectationError")


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("edgepress")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("edgepress.core.errors" if name in ERRORS else "edgepress.api"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
