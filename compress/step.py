"""The shell of every technique that makes one model of another: resume, write whole, then show.

A technique is a function `technique(opened, options, run) -> StepResult`. It writes nothing, and prints only
the steps on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Protocol, TypeVar

from compress.training.checkpoints import TechniqueRun, checkpoints_below
from compress.training.machine import is_main_process
from compress.training.pictures import write_pictures
from edgepress.core import console
from edgepress.core.artifact import Step, create_artifact, is_artifact, read_manifest
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import TRAININGS, OpenedModel, save_model
from edgepress.core.metrics import set_thresholds
from edgepress.core.model_card import Card
from edgepress.core.own_split import provisional_split, table_of
from edgepress.core.tables import ScreenTable
from edgepress.core.tasks import TaskOptions


class StepConfig(Protocol):
    """The flags of a technique's command, as far as the shell knows them."""

    @property
    def target(self) -> Path: ...
    @property
    def overwrite(self) -> bool: ...
    @property
    def restart(self) -> bool: ...
    @property
    def seed(self) -> int: ...

    def check(self) -> None:
        """Raise for a flag that is out of range."""

    def check_paths(self) -> None:
        """Raise for a model or an output that cannot be used."""


class SplitConfig(Protocol):
    """The flags of a command that trains on a task, as far as its data go."""

    @property
    def overwrite(self) -> bool: ...
    @property
    def restart(self) -> bool: ...
    @property
    def task(self) -> str | None: ...
    @property
    def data(self) -> Path | None: ...
    @property
    def task_options(self) -> TaskOptions: ...


SplitConfigT = TypeVar("SplitConfigT", bound=SplitConfig)


@dataclass(frozen=True)
class StepResult:
    """Result of a technique: the model, its score, and texts for card and screen."""

    opened: OpenedModel
    """The model as it is now; the step is the last of its steps."""
    score: float | None
    """The task's metric, 0..1; None where it cannot be scored."""
    body: str
    """Text of the model card, in Markdown."""
    shown: Sequence[ScreenTable | str]
    """Tables and lines for the screen."""
    trained: bool = True
    """Whether its weights come out of a training."""
    thresholds: Sequence[float] | None = None
    """Probability from which a trained model gives each label; None: one half."""
    pipeline: str = ""
    """Name of its pipeline in transformers; empty: that of its task."""

    @property
    def step(self) -> Step:
        """The technique, its options, and what it measured."""
        return self.opened.steps[-1]


def prepare(config: StepConfig) -> Path:
    """Check the flags before anything is opened; the output's folder.

    Raises:
        EdgepressError: a flag is out of range, or the output exists.
    """
    config.check()
    config.check_paths()
    return config.target


@contextmanager
def with_split(config: SplitConfigT, source: str, output: Path) -> Iterator[SplitConfigT]:
    """The flags with a data folder for their task: a single table is split, and that lies beside the output.

    A block that fails leaves a split behind where the same command goes on from its checkpoints, and the
    one that was there before as it was. A model that was trained with a split of its own keeps that.

    Args:
        config: the flags.
        source: the model that the step starts from.
        output: the folder of what it makes.

    Raises:
        EdgepressError: the table's columns are doubtful, or another split is there.
    """
    if config.task is None or config.task_options.split is not None or _has_own_split(Path(source)):
        yield config
        return
    table = table_of(config.task, config.data)
    if table is None:
        yield config
        return

    def resumable() -> bool:
        return any(own.is_of_use for own in checkpoints_below(training_folder(output)))

    replaced = config.overwrite or (config.restart and not output.exists())
    with provisional_split(table, output, config.task_options, replaced, resumable) as folder:
        yield replace(config, task=str(folder))  # type: ignore[type-var]  # a dataclass, as all flags are


def _has_own_split(folder: Path) -> bool:
    return is_artifact(folder) and "own_split" in (read_manifest(folder).data or {})


def run_step(config: StepConfig, output: Path, technique: Callable[[TechniqueRun], StepResult]) -> Path:
    """Run a technique, write its model as an artifact, and show what it measured.

    In a launch of several processes the first one writes and shows.

    Raises:
        EdgepressError: bad input (exit code 2); the output is as it was.
    """
    with TechniqueRun(training_folder(output), config.restart) as run:
        result = technique(run)
        if is_main_process():
            write(result, output, config.overwrite, config.seed)
            run.clear()
            for part in result.shown:
                part.show() if isinstance(part, ScreenTable) else console.line(part)
    return output


def training_folder(output: Path) -> Path:
    """The folder beside an output where the checkpoints of its trainings are."""
    return output.absolute().with_name(f".{output.name}.training")


def write(result: StepResult, output: Path, overwrite: bool, seed: int) -> None:
    """Write a technique's model as an artifact, whole or not at all.

    Raises:
        EdgepressError: the output exists, or cannot be written.
    """
    opened, name = result.opened, output.name
    if result.trained:
        set_thresholds(opened.model, result.thresholds)
    with create_artifact(output, overwrite) as draft:
        save_model(opened, draft.folder)
        draft.manifest = opened.manifest(name, seed)
        scores = {} if result.score is None else {"fp32": result.score}
        said = (opened.license, scores, result.body, opened.language)
        pipeline = result.pipeline or opened.kind.pipeline
        kinds = (pipeline, opened.kind.library)
        card = Card(name, opened.record(), opened.task, "finetune", *said, *kinds).text()
        if result.trained:
            card += write_pictures(name, opened.task, result.step.metrics, draft.folder)
        (draft.folder / "README.md").write_text(card, encoding="utf-8")
    console.step(f"written: {output}")


def refuse_untrained(opened: OpenedModel) -> None:
    """Raise for a model of a kind of task that nothing is trained on.

    Raises:
        EdgepressError: it is one.
    """
    kind = opened.kind
    if kind.untrained:
        raise EdgepressError(
            f"{opened.source.name} is for {kind.pipeline}, and {kind.untrained}", kind.untrained_hint
        )


def refuse_quantized(opened: OpenedModel) -> None:
    """Raise for a model whose small files would be left behind.

    A student has none of its teacher's.

    Raises:
        EdgepressError: it was quantized.
    """
    since = takewhile(lambda step: step.technique not in TRAININGS, reversed(opened.steps))
    if any(step.technique == "quantize" for step in since):
        raise EdgepressError(
            f"{opened.source.name} is quantized already: its small files would be left behind",
            "start from the model that it was made of, and quantize what comes out",
        )
