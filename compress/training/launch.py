"""What the processes of one launch decide together: the first decides, the others hear of it."""

from collections.abc import Callable
from typing import Any, TypeVar

from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from compress.training.arithmetic import has_accelerator
from edgepress.core.errors import EdgepressError

T = TypeVar("T")


def processes() -> int:
    """How many processes train together: 1 without `accelerate launch`."""
    return int(_state().num_processes)


def is_main_process() -> bool:
    """Whether this process is the one that writes and shows."""
    return bool(_state().is_main_process)


def wait() -> None:
    """Until all processes of the launch have come here."""
    _state().wait_for_everyone()


def agreed(decide: Callable[[], T]) -> T:
    """What the first process of a launch decides, in each of them; all of them have to ask.

    Raises:
        EdgepressError: the first process could not decide, and why.
    """
    outcome: list[Any] = [None]
    if _state().is_main_process:
        outcome = [_outcome(decide)]
    broadcast_object_list(outcome)
    value, error = outcome[0]
    if error is not None:
        raise error
    found: T = value
    return found


def _outcome(decide: Callable[[], T]) -> tuple[T | None, Exception | None]:
    try:
        return decide(), None
    except (EdgepressError, OSError) as error:
        return None, error


def _state() -> PartialState:
    return PartialState(cpu=not has_accelerator())
