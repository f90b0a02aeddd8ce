"""Opening a model that is to be changed, and what cannot be."""

from pathlib import Path
from typing import Protocol

from edgepress.errors import EdgepressError
from edgepress.files import refuse_existing
from edgepress.loading import OpenedModel, check_classifier, open_model
from edgepress.models import Weights, short_name
from edgepress.tasks import TaskOptions


class ChangeFlags(Protocol):
    """The flags that say which model, and where what becomes of it is written."""

    @property
    def model(self) -> str: ...
    @property
    def weights(self) -> Weights: ...
    @property
    def task(self) -> str | None: ...
    @property
    def data(self) -> Path | None: ...
    @property
    def seed(self) -> int: ...
    @property
    def output(self) -> Path | None: ...
    @property
    def overwrite(self) -> bool: ...
    @property
    def task_options(self) -> TaskOptions: ...

    def check(self) -> None:
        """Raise for a flag that is out of range."""


def open_to_change(config: ChangeFlags, suffix: str) -> tuple[Path, OpenedModel]:
    """Check the flags, and open the classifier that they name.

    Returns:
        the output's folder (by default outputs/MODEL-`suffix`) and the model.

    Raises:
        EdgepressError: a flag is wrong, the output exists, there is no such model, it is no classifier, or
            it was quantized already.
    """
    config.check()
    output = config.output or Path("outputs") / f"{short_name(config.model)}-{suffix}"
    refuse_existing(output, config.overwrite)
    opened = open_model(
        config.model, config.weights, config.task, config.data, config.seed, options=config.task_options
    )
    check_classifier(opened)
    if any(step.technique == "quantize" for step in opened.steps):
        raise EdgepressError(
            f"{opened.source.name} is quantized already: its small files would be left behind",
            "start from the model that it was made of, and quantize what comes out",
        )
    return output, opened
