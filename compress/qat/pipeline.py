"""The command as a pipeline: check, open, see what rounding costs, train with it, write, show."""

from __future__ import annotations

from pathlib import Path

from compress.change.check import open_to_change
from compress.change.result import State, checkpoints_of, write_learned
from compress.qat.config import QatConfig
from compress.qat.report import Outcome
from compress.qat.rounding import rounding
from compress.teaching.lesson import Learned, Lesson
from compress.training.config import with_defaults
from edgepress import console
from edgepress.artifact import Step
from edgepress.loading import OpenedModel


def qat(config: QatConfig) -> Path:
    """Run the command and return the artifact's folder.

    Raises:
        EdgepressError: bad input (exit code 2); the output is as it was.
    """
    output, opened = open_to_change(config, "qat")
    config = with_defaults(config, opened.schedule, opened.recorded_length)
    with checkpoints_of(config, output, opened) as (checkpoints, text):
        lesson = Lesson.of(config, opened, text)
        before = State.of(config, opened)
        with rounding(opened.model):
            at_once = State.of(config, opened)
            learned = _learn(config, lesson, (before, at_once), checkpoints)
        if learned is None or learned.writes:
            _write(config, output, opened, (before, at_once), learned, checkpoints)
    return output


def _learn(
    config: QatConfig, lesson: Lesson, states: tuple[State, State], checkpoints: Path
) -> Learned | None:
    """What training reached with rounding in the way; None where rounding alone costs little enough."""
    lost = drop(*states)
    if lost is not None and lost <= config.max_drop:
        said = f"rounding alone loses {lost:.2f} points, of {config.max_drop:g} that it may"
        console.step(f"{said}: nothing to train")
        return None
    console.step(f"training for {config.epochs:g} epochs, learning rate {config.learning_rate:g}")
    return lesson.learn(checkpoints)


def drop(before: State, after: State) -> float | None:
    """Points of the metric that were lost; None where nothing can be scored."""
    if before.score is None or after.score is None:
        return None
    return 100 * (before.score - after.score)


def _write(
    config: QatConfig,
    output: Path,
    opened: OpenedModel,
    states: tuple[State, State],
    learned: Learned | None,
    checkpoints: Path,
) -> None:
    after = states[1] if learned is None else State.after(config, opened, learned)
    outcome = Outcome(opened, *states, after, learned.figures if learned else {})
    seconds = learned.seconds if learned else 0.0
    step = Step("qat", config.recorded(), seconds, outcome.metrics)
    write_learned(config, output, opened, step, outcome.markdown(), learned, checkpoints)
    outcome.show()
