"""The machine that a recipe ran on."""

from typing import Any

from compress.training.arithmetic import gpu_name
from edgepress.core.environment import environment


def machine() -> dict[str, Any]:
    """What this machine is, the GPU that it trains on included."""
    gpu = gpu_name()
    return {**environment().to_dict(), **({"gpu": gpu} if gpu else {})}
