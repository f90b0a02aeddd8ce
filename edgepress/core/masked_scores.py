"""Scores of masked language models at hidden tokens, of sums that texts contribute."""

from collections.abc import Callable

import numpy as np
from scipy.special import logsumexp

LOSS, RIGHT, HIDDEN = range(3)
"""Columns of a text's sums: cross-entropy of its hidden tokens [nats], those that are guessed, and all."""


def guesses(logits: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """(hidden tokens, 2), float64: the cross-entropy of each, and 1 where it has the largest logit.

    Args:
        logits: (hidden tokens, vocabulary).
        hidden: (hidden tokens,), the ids.
    """
    known = logits.astype(np.float64)
    own = known[np.arange(len(hidden)), hidden]
    return np.column_stack([logsumexp(known, axis=-1) - own, known.argmax(axis=-1) == hidden])


def sums(guessed: np.ndarray) -> np.ndarray:
    """(3,): the sums of a text, of what `guesses` gave for it."""
    return np.append(guessed.sum(axis=0), len(guessed))


METRICS: dict[str, Callable[[np.ndarray], float]] = {
    "masked_accuracy": lambda texts: float(texts[:, RIGHT].sum() / texts[:, HIDDEN].sum()),
    "masked_lm_loss": lambda texts: float(texts[:, LOSS].sum() / texts[:, HIDDEN].sum()),
}
"""Means over all hidden tokens, of sums (texts, 3)."""
