"""The commands that are disturbed, as they are typed, and the folders that they write."""

from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.faults.material import TASK, Material

OUT, RESULTS = "out", "results"
"""Names below a case's working folder: what the command writes, and a recipe's table."""

# Long enough that a kill hits between checkpoints, and that the weights move.
TRAINING = ("--epochs", "10", "--learning-rate", "1e-3")
QUICK = ("--sequence-lengths", "8", "--time-budget", "0.3", "--eval-samples", "20")


def _finetune(own: Material) -> list[str]:
    return ["compress.finetune", "--model", str(own.model), "--task", TASK, *TRAINING]


def _distill(own: Material) -> list[str]:
    taught = ["--teacher", str(own.teacher), "--student", str(own.model), "--task", TASK]
    return ["compress.distill", *taught, *TRAINING]


def _prune(own: Material) -> list[str]:
    return ["compress.prune", "--model", str(own.teacher), "--ffn", "0.5", *TRAINING]


def _quantize(own: Material) -> list[str]:
    return ["compress.quantize", "--model", str(own.teacher), *QUICK]


def _export(own: Material) -> list[str]:
    return ["export", "--model", str(own.teacher), "--formats", "onnx", "torchscript"]


COMMANDS: Mapping[str, Callable[[Material], list[str]]] = {
    "finetune": _finetune,
    "distill": _distill,
    "prune": _prune,
    "quantize": _quantize,
    "export": _export,
}


def typed(command: str, material: Material, work: Path) -> list[str]:
    """Module and arguments of a command that writes below `work`."""
    data = ["--data", str(material.data), "--output", str(work / OUT)]
    if command == "recipe":
        return ["compress.recipe", str(material.recipe), *data, "--results", str(work / RESULTS)]
    return [*COMMANDS[command](material), *data, "--overwrite"]


def target(command: str) -> str:
    """The folder that a user takes for the result, of which there is an old one."""
    return RESULTS if command == "recipe" else OUT
