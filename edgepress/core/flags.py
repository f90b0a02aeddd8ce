"""Flags that several commands share: their types with help texts, and the check of their paths."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from edgepress.core.artifact import refuse_output
from edgepress.core.errors import EdgepressError
from edgepress.core.models import Weights, refuse_file
from edgepress.core.option_values import described

DataRoot = Annotated[
    Path | None, described("Folder of local data sets, one folder each; default: EDGEPRESS_DATA.")
]
Overwrite = Annotated[bool, described("Replace an existing output.")]
WeightsFrom = Annotated[
    Weights,
    described("auto: local, Hub, package index, else random; pretrained: fail instead; random: ask for it."),
]
Template = Annotated[
    str | None,
    described(
        "What a model of entailment is told of a text (zero-shot), with {} for a class; default: as its "
        'manifest says, else "This example is {}.".'
    ),
]
EntailmentLabel = Annotated[
    str | None,
    described("The model's label that means entailment (zero-shot); default: the one whose name begins so."),
]


def refuse_paths(read: Sequence[str], output: Path | None, overwrite: bool) -> None:
    """Raise for a model or an output that a command cannot use, by their paths alone.

    Args:
        read: what the command reads, the model first.
        output: the folder that it writes; None: it is not known yet.
        overwrite: whether that may be replaced.

    Raises:
        EdgepressError: the model is a file, or the output is what is read, or exists and may not be replaced.
    """
    refuse_file(read[0])
    if output is None:
        return
    if any(output.resolve() == Path(own).resolve() for own in read):
        raise EdgepressError(f"{output} is what the command reads", "name another --output")
    refuse_output(output, overwrite)
