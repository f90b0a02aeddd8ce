"""When a training is looked at, what is shown of it then, and what it says of itself afterwards."""

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from edgepress.core import console

# About so many checkpoints a run, each with an evaluation; never more than MOST.
CHECKPOINTS, MOST = 10, 20
SECONDS = "seconds"
# What the Trainer puts among the metrics of an evaluation.
TIMES = ("_runtime", "_per_second")
# The Trainer's words -> ours.
WORDS = {"eval_runtime": "eval_seconds", "eval_loss": "eval_loss"}
DROPPED = ("eval_samples_per_second", "eval_steps_per_second", "grad_norm")
TOTALS = ("train_runtime",)


def marks(steps: int, epochs: float) -> set[int]:
    """The steps after which a run is logged, evaluated and kept.

    Args:
        steps: of the optimizer, in the whole run.
        epochs: in the whole run; a part of one may be the last.

    Returns:
        the last step of every epoch, even parts of it where epochs are few, every n-th epoch where they are
        many; and the last step of all.
    """
    an_epoch = steps / epochs if epochs < 1 else int(steps / epochs)
    parts = max(1, round(CHECKPOINTS / epochs)) / max(1, math.ceil(epochs / MOST))
    ends = (round(an_epoch * part / parts) for part in range(1, math.ceil(epochs * parts) + 1))
    return {min(max(1, end), steps) for end in ends} | {steps}


class TrainingProgress(TrainerCallback):
    """Asks for checkpoints at the marks, writes the seconds of training into each log entry, and shows a bar.

    Evaluations and checkpoints are not counted; what was trained before an interruption is.
    """

    def __init__(self, epochs: float) -> None:
        """Begin a bar; `epochs` is the number of passes over the rows, a part of one too."""
        self._epochs = epochs
        self._marks: set[int] = set()
        self._seconds = self._since = 0.0
        self._interrupted = False
        self.bar = console.progress()
        """Shows how far the training is while it is entered, and clears the line however it ends."""

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Heed Ctrl-C at the end of a step in the block; a second one at once.

        Raised wherever it falls, Python loses it now and then: what a weak reference's callback raises is
        printed and forgotten, and torch has many of those.
        """
        before = signal.getsignal(signal.SIGINT)
        if before is not signal.default_int_handler:  # deaf, as a background job is, or somebody else's
            yield
            return
        signal.signal(signal.SIGINT, self._heed)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
        if self._interrupted:  # behind the last step
            raise KeyboardInterrupt

    def _heed(self, *_: Any) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        self._marks = marks(state.max_steps, self._epochs)
        self._seconds = trained_seconds(state.log_history)
        self._since = time.monotonic()
        if state.is_world_process_zero:
            self.bar.add_task("training", total=state.max_steps, completed=state.global_step)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        for task in self.bar.task_ids:
            self.bar.update(task, completed=state.global_step)
        if state.global_step in self._marks:
            control.should_log = control.should_evaluate = control.should_save = True

    def on_log(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        if "loss" in state.log_history[-1]:
            self._seconds += time.monotonic() - self._since
            state.log_history[-1][SECONDS] = self._seconds

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        if state.is_world_process_zero and state.global_step:
            console.step(_looked_at(state, metrics or {}))

    def on_save(self, *_: Any, **__: Any) -> None:
        self._since = time.monotonic()


def trained_seconds(history: list[dict[str, float]]) -> float:
    """Return the seconds that a run has trained, by its own log; 0 where it has not begun."""
    return max((entry.get(SECONDS, 0.0) for entry in history), default=0.0)


def _looked_at(state: TrainerState, metrics: dict[str, float]) -> str:
    """Describe a mark in one line: losses, and the metric on the rows that are watched."""
    losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
    found = {"loss": losses[-1]} if losses else {}
    found |= {
        name.replace("eval_", "evaluation "): value
        for name, value in metrics.items()
        if not name.endswith(TIMES) and name != "epoch"
    }
    shown = ", ".join(f"{name} {value:.4f}" for name, value in found.items())
    return f"step {state.global_step} of {state.max_steps}: {shown}"


def history(trainer: Trainer) -> list[dict[str, float]]:
    """Loss, evaluation loss and metric at each checkpoint, by epoch.

    Returns:
        one entry a checkpoint, one of them at the end of every epoch: `epoch`, `step`, `loss` (the mean since
        the last one), `seconds` (of training, since the run began), `learning_rate`, `eval_loss`,
        `eval_seconds` and the metric by its name.
    """
    entries: dict[int, dict[str, float]] = {}
    for logged in trainer.state.log_history:
        if not any(name in logged for name in TOTALS):
            entries.setdefault(int(logged["step"]), {}).update(_renamed(logged))
    return [entries[step] for step in sorted(entries)]


def seconds(trainer: Trainer) -> float:
    """Return the duration of the training [s], without evaluations.

    Time before an interruption counts too.
    """
    return trained_seconds(trainer.state.log_history)


def kept_epoch(trainer: Trainer) -> dict[str, float]:
    """`kept_epoch`, after which the weights were that scored best; nothing where the last ones are kept."""
    best = trainer.state.best_global_step
    if not trainer.args.load_best_model_at_end or best is None:
        return {}
    return {"kept_epoch": next(own["epoch"] for own in history(trainer) if own["step"] == best)}


def _renamed(logged: dict[str, Any]) -> dict[str, float]:
    """Drop what is no point of a curve, such as an undefined score."""
    kept = {name: value for name, value in logged.items() if name not in DROPPED and math.isfinite(value)}
    return {WORDS.get(name, name.removeprefix("eval_")): value for name, value in kept.items()}
