"""Predictions of a model for texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepress.core.errors import EdgepressError
from edgepress.core.metrics import predict
from edgepress.core.pretrained import encode
from edgepress.core.tasks import ProblemType

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SHOWN_NUMBERS = 3


@dataclass(frozen=True)
class Reader:
    """A model that reads texts, whatever runs it."""

    run: Callable[[Mapping[str, np.ndarray]], np.ndarray]
    """Gives the logits of a batch."""
    tokenizer: PreTrainedTokenizerBase
    labels: tuple[str, ...]
    """The head's, in the order of its logits."""
    max_length: int
    """Longer texts are cut [tokens]."""
    thresholds: Sequence[float] | None = None
    """Probability from which each label is given, where several may be; None: one half."""
    dimensions: int | None = None
    """Width that vectors are cut to; None: the whole one."""
    words: bool = False
    """Whether texts are words with a space between, as data of named entities have them."""
    width: int | None = None
    """Number of outputs of a text or token where the head names none; None: any."""

    def logits(self, batch: Mapping[str, np.ndarray]) -> np.ndarray:
        """The logits of a batch.

        Raises:
            EdgepressError: one is no finite number, or there is not one a label.
        """
        found = self.run(batch)
        wanted = len(self.labels) or self.width
        if wanted and found.shape[-1] != wanted:
            what, own = (
                ("logits", f"names {wanted} classes") if self.labels else ("numbers", f"says {wanted}")
            )
            raise EdgepressError(
                f"the model gives {found.shape[-1]} {what}, and config.json {own}",
                "put the config.json beside it that was saved with it",
            )
        if not np.isfinite(found).all():
            raise EdgepressError(
                "the model's logits are no finite numbers",
                "its weights or its file are damaged: make them again",
            )
        return found

    def encode(self, texts: tuple[str, ...]) -> dict[str, np.ndarray]:
        """One text, or one pair, as a batch of size 1."""
        return encode(self.tokenizer, [texts], self.max_length)[0]


@dataclass(frozen=True)
class Prediction:
    """The answer to one text."""

    label: str | tuple[str, ...] | float
    """The class; those that are given, where several may be; the value of a regression."""
    probabilities: dict[str, float]
    """Class -> probability, 0..1; empty for a regression."""

    @property
    def recorded(self) -> dict[str, Any]:
        """The answer as JSON has it."""
        label = list(self.label) if isinstance(self.label, tuple) else self.label
        return {"label": label, "probabilities": self.probabilities}

    @property
    def words(self) -> str:
        """Predicted label, labels ("none" without any) or value, as text."""
        if isinstance(self.label, tuple):
            return ", ".join(self.label) or "none"
        return self.label if isinstance(self.label, str) else f"{self.label:.4g}"

    @property
    def probability(self) -> float | None:
        """The probability of what is given; of several labels the least; None for a value."""
        if not self.probabilities:
            return None
        given = self.label if isinstance(self.label, tuple) else (str(self.label),)
        shares = [self.probabilities[name] for name in given] or [1 - max(self.probabilities.values())]
        return min(shares)


@dataclass(frozen=True)
class Entity:
    """A named entity in a text."""

    text: str
    label: str
    """Type of the entity, without B- and I-."""
    start: int
    """First character, and `end`: the one behind the last."""
    end: int
    score: float
    """Mean probability of its words' tags, 0..1."""


@dataclass(frozen=True)
class EntityPrediction:
    """The entities in one text, in their order."""

    entities: tuple[Entity, ...]

    @property
    def recorded(self) -> dict[str, Any]:
        """The answer as JSON has it."""
        return {"entities": [asdict(own) for own in self.entities]}

    @property
    def words(self) -> str:
        """Entities with their types, as text; "none" without any."""
        return ", ".join(f"{own.text} ({own.label})" for own in self.entities) or "none"

    @property
    def probability(self) -> float | None:
        """The score of the entity that is least sure; None where there is none."""
        return min((own.score for own in self.entities), default=None)


@dataclass(frozen=True)
class AnswerPrediction:
    """The answer to a question in a context."""

    answer: str
    """As it stands in the context; empty where it has none."""
    start: int
    """First character in the context, and `end`: the one behind the last."""
    end: int
    score: float
    """Probability of its start times that of its end, in the window that it was found in, 0..1; where there
    is no answer, that of none."""

    @property
    def recorded(self) -> dict[str, Any]:
        """The answer as JSON has it."""
        return asdict(self)

    @property
    def words(self) -> str:
        """Text of the answer."""
        return self.answer or "none"

    @property
    def probability(self) -> float | None:
        """Probability of the answer, 0..1."""
        return self.score


@dataclass(frozen=True)
class RankPrediction:
    """Score of a passage for its query, and its rank."""

    score: float
    """Probability that it answers the query, 0..1."""
    rank: int
    """Rank among the passages of the query, from 1 on."""

    @property
    def recorded(self) -> dict[str, Any]:
        """The answer as JSON has it."""
        return asdict(self)

    @property
    def words(self) -> str:
        """Rank, as it is shown."""
        return str(self.rank)

    @property
    def probability(self) -> float | None:
        """Probability that the passage answers its query, 0..1."""
        return self.score


@dataclass(frozen=True)
class Filling:
    """A token in the place of a mask."""

    token: str
    """As the tokenizer writes it."""
    score: float
    """Probability among the whole vocabulary, 0..1."""


@dataclass(frozen=True)
class FillingPrediction:
    """The likeliest fillings of each mask in a text, in their order."""

    masks: tuple[tuple[Filling, ...], ...]

    @property
    def recorded(self) -> dict[str, Any]:
        """The answer as JSON has it."""
        return {"masks": [[asdict(own) for own in fillings] for fillings in self.masks]}

    @property
    def words(self) -> str:
        """The fillings of each mask, as text."""
        return " | ".join(", ".join(own.token.strip() for own in fillings) for fillings in self.masks)

    @property
    def probability(self) -> float | None:
        """The probability of the likeliest filling; of several masks the least."""
        return min(fillings[0].score for fillings in self.masks)


@dataclass(frozen=True)
class EmbeddingPrediction:
    """The vector of a text."""

    embedding: tuple[float, ...]

    @property
    def recorded(self) -> dict[str, Any]:
        """The answer as JSON has it."""
        return {"embedding": list(self.embedding)}

    @property
    def words(self) -> str:
        """Width of the vector and its first numbers."""
        first = ", ".join(f"{value:.3f}" for value in self.embedding[:SHOWN_NUMBERS])
        return f"{len(self.embedding)} numbers: {first}, ..."

    @property
    def probability(self) -> None:
        """None: a vector has no probability."""
        return None


AnyPrediction = (
    Prediction
    | EntityPrediction
    | AnswerPrediction
    | RankPrediction
    | FillingPrediction
    | EmbeddingPrediction
)


def predictions(
    logits: np.ndarray,
    labels: Sequence[str],
    problem_type: ProblemType,
    thresholds: Sequence[float] | None = None,
) -> list[Prediction]:
    """Answers from logits (rows, labels).

    Args:
        logits: one row a text.
        labels: the classes, in the order of the logits.
        problem_type: what the logits mean.
        thresholds: from which probability on each label is given, where several may be; None: one half.
    """
    decided = predict(logits, problem_type, thresholds)
    if problem_type == "regression":
        return [Prediction(float(value), {}) for value in decided]
    several = problem_type == "multi_label_classification"
    shares = 1 / (1 + np.exp(-logits)) if several else _softmax(logits)
    found = []
    for row, own in zip(shares, decided, strict=True):
        given = (
            tuple(name for name, flag in zip(labels, own, strict=True) if flag) if several else labels[own]
        )
        found.append(Prediction(given, dict(zip(labels, map(float, row), strict=True))))
    return found


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return shares
