"""`edgepress`: the verbs, one line each."""

from typing import NoReturn

from edgepress.core.interruption import leave_at_once

VERBS = {
    "finetune": ("compress.finetune", "train a classifier on a task, from a pretrained encoder"),
    "pretrain": ("compress.pretrain", "train an encoder as a masked language model, on any text"),
    "distill": ("compress.distill", "teach a small student what a fine-tuned model knows"),
    "prune": ("compress.prune", "cut heads, feed-forward units, hidden width or layers out of a model"),
    "sparsify": ("compress.sparsify", "set weights to zero: smaller when compressed, and no faster"),
    "qat": ("compress.qat", "train with int8's rounding in the way, before quantizing"),
    "trim_vocab": ("compress.trim_vocab", "drop the tokens that a corpus never needs"),
    "shrink": ("compress.shrink", "find the smallest or fastest file of a classifier within limits"),
    "export": ("export", "write a model as ONNX, TorchScript, Core ML and more, and check each file"),
    "android": ("export.android", "put exported models into the Android demo app"),
    "quantize": ("compress.quantize", "make a model smaller and faster with 8, 4 or 16 bits, and measure it"),
    "predict": ("export.predict", "give the labels of texts, by a model or by one of its files"),
    "recipe": ("compress.recipe", "run a whole experiment that a YAML file describes, and write its table"),
    "bench": ("device_bench", "measure files on CPU, GPU or phone; claims, charts, report, compare"),
}


def main() -> NoReturn:
    """Entry point of the installed command."""
    leave_at_once()
    run_as("edgepress")


def run_as(program: str) -> NoReturn:
    """Run the verb that the first argument names, as `python -m` would.

    Args:
        program: how this is typed.
    """
    from edgepress.core.verbs import run_verb  # a moment of imports

    run_verb(program, VERBS)
