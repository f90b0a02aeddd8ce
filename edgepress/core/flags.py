"""Types of flags that several commands share, each with its help text."""

from pathlib import Path
from typing import Annotated

from typing_extensions import Doc

from edgepress.core.models import Weights

DataRoot = Annotated[Path | None, Doc("Folder of local data sets, one folder each; default: EDGEPRESS_DATA.")]
Overwrite = Annotated[bool, Doc("Replace an existing output.")]
WeightsFrom = Annotated[
    Weights,
    Doc("auto: local, Hub, package index, else random; pretrained: fail instead; random: ask for it."),
]
Template = Annotated[
    str | None,
    Doc(
        "What a model of entailment is told of a text (zero-shot), with {} for a class; default: as its "
        'manifest says, else "This example is {}.".'
    ),
]
EntailmentLabel = Annotated[
    str | None,
    Doc("The model's label that means entailment (zero-shot); default: the one whose name begins so."),
]
