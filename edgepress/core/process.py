"""Process-wide settings that commands make; importing edgepress makes none of them."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from edgepress.core.caches import move_unusable

# What libraries read as they are imported. What the user says stays.
ENVIRONMENT = {
    "TRANSFORMERS_VERBOSITY": "error",
    "DATASETS_VERBOSITY": "critical",  # it logs whole tracebacks before it raises
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
}
# Loggers that speak to the authors of their libraries: matplotlib of its cache, torchao (part of ExecuTorch)
# of GPU kernels that are not there, ONNX Runtime's quantizer of the opset that 4-bit tensors need.
QUIET = ("matplotlib", "onnxruntime.quantization", "torch.utils._pytree", "torchao")


def prepare() -> None:
    """Quiet libraries' logs and bars, and move caches that cannot be made; before libraries are imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
    silence_telemetry()
    move_unusable()


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Let transformers and what it imports log errors alone and draw no bars in a block; afterwards all is as
    the user has it.
    """
    with quiet_loggers():
        from transformers.utils import logging as own  # seconds of imports

        verbosity, bars = own.get_verbosity(), own.is_progress_bar_enabled()
        own.set_verbosity_error()
        own.disable_progress_bar()
        try:
            yield
        finally:
            own.set_verbosity(verbosity)
            if bars:
                own.enable_progress_bar()


@contextmanager
def quiet_loggers() -> Iterator[None]:
    """Let the loggers of `QUIET` log errors alone in a block; afterwards they are as they were."""
    levels = {name: logging.getLogger(name).level for name in QUIET}
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def silence_telemetry() -> None:
    """Turn off ONNX Runtime's reports to its makers; before its first session, when it reads this.

    From 1.29 on it keeps an identifier on the disk, asks for the network, and has a thread beside what is
    timed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
