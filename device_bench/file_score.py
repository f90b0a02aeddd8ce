"""Score of a file on texts, as records keep it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgepress.core.intervals import Bounds, score_bounds
from edgepress.core.metrics import predict, score
from edgepress.core.outcomes import packed_outcomes
from edgepress.core.tasks import ProblemType


@dataclass(frozen=True)
class FileScore:
    """Score of one file on the texts of its task."""

    score: float | None
    bounds: Bounds | None
    outcomes: str
    """What each text adds to the metric, packed."""
    predicted: np.ndarray
    """Predictions that `metrics.predict` made from its logits."""
    labels: np.ndarray

    @classmethod
    def of(
        cls,
        metric: str,
        logits: np.ndarray,
        labels: np.ndarray,
        problem_type: ProblemType,
        thresholds: Sequence[float] | None,
    ) -> FileScore:
        """Score logits; the arguments are those of `metrics.score`."""
        judged = (metric, logits, labels, problem_type, thresholds)
        predicted = predict(logits, problem_type, thresholds)
        return cls(score(*judged), score_bounds(*judged), packed_outcomes(*judged), predicted, labels)

    @property
    def facts(self) -> dict[str, Any]:
        """Fields of the file's records."""
        interval = (self.bounds.low, self.bounds.high) if self.bounds else None
        rows = len(self.labels)
        return {
            "score": self.score,
            "score_interval": interval,
            "scored_rows": rows,
            "outcomes": self.outcomes,
        }
