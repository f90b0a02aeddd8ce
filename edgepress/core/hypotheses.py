"""Hypotheses of zero-shot classification: what is said of a text to a model that knows entailment.

Yin, Hay and Roth 2019, "Benchmarking Zero-shot Text Classification", section 4.2; as transformers'
`zero-shot-classification` pipeline asks them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgepress.core.errors import EdgepressError
from edgepress.core.labels import label_key

TEMPLATE = "This example is {}."
ENTAILS = "entail"
"""How the name of the label begins that means entailment, as transformers looks for it."""
FEWEST = 2


@dataclass(frozen=True)
class Hypotheses:
    """Classes that nobody trained a model for, and how it is asked about them."""

    candidates: tuple[str, ...]
    """Names of the classes."""
    template: str
    """Hypothesis about a text, with {} for a class."""
    entailment_label: str
    """The model's label that means entailment."""
    column: int
    """Number of that label's logit."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The hypothesis of each candidate."""
        return tuple(self.template.format(own) for own in self.candidates)

    @property
    def recorded(self) -> dict[str, Any]:
        """The fields, for the manifest."""
        return asdict(self)


def make_hypotheses(
    labels: Sequence[str],
    candidates: Sequence[str],
    template: str | None = None,
    entailment_label: str | None = None,
) -> Hypotheses:
    """Check how a model is to be asked about classes.

    Args:
        labels: of its head, in the order of its logits.
        candidates: names of the classes.
        template: with {} for a class; None: `TEMPLATE`.
        entailment_label: the name that means entailment; None: the one that begins with `ENTAILS`.

    Raises:
        EdgepressError: there are too few candidates, the template has no place for one, or no label clearly
            means entailment.
    """
    template = TEMPLATE if template is None else template
    if len({label_key(own) for own in candidates}) < max(len(candidates), FEWEST):
        raise EdgepressError(
            f"{len(candidates)} labels to choose from ({', '.join(candidates)})",
            "name two or more, each once",
        )
    _require_place(template)
    column = _entailment(labels, entailment_label)
    return Hypotheses(tuple(candidates), template, labels[column], column)


def _require_place(template: str) -> None:
    try:
        filled = template.format("x") != template
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        filled = False
    if not filled:
        raise EdgepressError(
            f"--hypothesis-template '{template}' has no place for a label", f"for example '{TEMPLATE}'"
        )


def _entailment(labels: Sequence[str], wanted: str | None) -> int:
    """Number of the label that means entailment."""
    if len(labels) < FEWEST:
        raise EdgepressError(
            "--labels are asked of a classifier of entailment, and the model is none",
            "leave --labels away, or name a model that was trained on natural-language inference",
        )
    if wanted is not None:
        found = [at for at, own in enumerate(labels) if label_key(own) == label_key(wanted)]
    else:
        found = [at for at, own in enumerate(labels) if label_key(own).startswith(ENTAILS)]
    if len(found) != 1:
        raise EdgepressError(
            f"which label means entailment is not clear: the model has {list(labels)}"
            if wanted is None
            else f"--entailment-label: the model has no label '{wanted}'; it has {list(labels)}",
            "--entailment-label LABEL names it, of a model that was trained on natural-language inference",
        )
    return found[0]


def asked_hypotheses(
    labels: Sequence[str], recorded: object, candidates: Sequence[str], *given: str | None
) -> Hypotheses | None:
    """How the user says that a model is asked, else as its manifest does; None: it has its own classes.

    Args:
        labels: of its head, in the order of its logits.
        recorded: the manifest's entry; None where it has none.
        candidates: of the user; empty: the manifest's.
        given: template and label of entailment of the user; None: the manifest's, else the usual ones.

    Raises:
        EdgepressError: nobody says which classes it is asked about, or which label means entailment.
    """
    known: Mapping[str, Any] = recorded if isinstance(recorded, Mapping) else {}
    template, entailment = (
        own or known.get(name) for own, name in zip(given, ("template", "entailment_label"), strict=True)
    )
    if candidates or known.get("candidates"):
        return make_hypotheses(labels, candidates or known["candidates"], template, entailment)
    if template or entailment:
        raise EdgepressError("a hypothesis is about a label, and none is named", "--labels LABEL LABEL ...")
    return None
