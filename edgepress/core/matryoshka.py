"""Matryoshka widths: the first numbers of a vector, scaled to length 1 again, serve as a shorter vector.

config.json says which widths a model was trained for, under the key that servers of embeddings read:

    "matryoshka_dimensions": [384, 128, 64]

Kusupati et al. 2022, "Matryoshka Representation Learning".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgepress.core.console import warn
from edgepress.core.errors import EdgepressError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from edgepress.core.loading import OpenedModel
    from edgepress.core.tasks.kind import TaskKind

RECORD = "matryoshka_dimensions"
DIMENSIONS = "dimensions"
"""What manifests call the scores of each width, among the metrics of a step."""


def trained_dimensions(config: PretrainedConfig) -> tuple[int, ...]:
    """Widths that a model's vectors were trained for, the whole one first; none where that is the only one.

    Raises:
        EdgepressError: what the config says is no list of widths.
    """
    known = getattr(config, RECORD, None)
    if known is None:
        return ()
    if not isinstance(known, list | tuple) or not all(map(_is_width, known)):
        raise EdgepressError(
            f"{RECORD} in config.json is no list of widths: {known!r:.60}", "write [384, 128], or remove it"
        )
    below = sorted({own for own in known if own < config.hidden_size}, reverse=True)
    return (config.hidden_size, *below) if below else ()


def _is_width(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def record_dimensions(config: PretrainedConfig, asked: Sequence[int] = ()) -> None:
    """Write into a config which widths the model's vectors are trained for.

    Args:
        config: of the model.
        asked: by the user; none: those that it has, as far as the model is so wide.
    """
    if asked:
        setattr(config, RECORD, list(asked))
    if found := trained_dimensions(config):
        setattr(config, RECORD, list(found))
    elif hasattr(config, RECORD):
        delattr(config, RECORD)


def refuse_dimensions(dimensions: Sequence[int], kind: TaskKind, name: str, width: int | None) -> None:
    """Raise for widths that a model's outputs cannot be cut to.

    Args:
        dimensions: as the user gave them.
        kind: of the model's task.
        name: of the model or its task, for messages.
        width: of the model's vectors; None: not known yet.

    Raises:
        EdgepressError: it gives no vectors, or narrower ones.
    """
    if not dimensions:
        return
    if not kind.free_width:
        raise EdgepressError(
            f"--dimensions: {name} is for {kind.pipeline}",
            "it is of models that give vectors: --problem-type embedding",
        )
    if width is not None and max(dimensions) > width:
        raise EdgepressError(
            f"--dimensions {max(dimensions)}: the vectors of {name} have {width} numbers", "name fewer"
        )


def require_dimensions(opened: OpenedModel, dimensions: int | None) -> None:
    """Raise where a model's vectors cannot be cut to a width, and warn where they were not trained for it.

    Args:
        opened: gives the vectors.
        dimensions: the width that the user wants; None: the whole one.

    Raises:
        EdgepressError: as `refuse_dimensions`.
    """
    if dimensions is None:
        return
    config, name = opened.model.config, opened.source.name
    refuse_dimensions([dimensions], opened.kind, name, getattr(config, "hidden_size", None))
    trained = opened.kind.dimensions(config)
    if dimensions not in (*trained, config.hidden_size):
        known = f"for {', '.join(map(str, trained))} numbers alone" if trained else "for whole vectors alone"
        warn(f"--dimensions {dimensions}: {name} was trained {known}, and others may rank worse")
