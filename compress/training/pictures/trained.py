"""What pictures are drawn of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Trained:
    """A model that was trained, and what its step says of that."""

    title: str
    metric: str
    """Empty for a masked language model."""
    metrics: Mapping[str, Any]
    """With `history`, `confusion` or `roc`, as far as there is one."""
    labels: Sequence[str] = ()
    task: str = ""
    """Curves of different tasks have axes of their own."""
