"""What a machine trains in: bf16 where it multiplies that natively."""

import torch

from edgepress.core.environment import environment

BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


def has_accelerator() -> bool:
    """Whether there is a GPU."""
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def has_bf16() -> bool:
    """Whether bf16 is faster than fp32 here."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    return bool(BF16_FLAGS & set(environment().flags))


def device() -> torch.device:
    """Where models run."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def gpu_name() -> str | None:
    """What the GPU is called that a training here runs on; None: it runs on the CPU."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None
