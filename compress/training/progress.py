"""When a training run is looked at, at the end of each epoch and between, and what is shown of it."""

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from edgepress.core import console

# About so many checkpoints a run, each with an evaluation; never more than MOST.
CHECKPOINTS, MOST = 10, 20
SECONDS = "seconds"
# What the Trainer puts among the metrics of an evaluation.
TIMES = ("_runtime", "_per_second")


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


class Progress(TrainerCallback):
    """Asks for checkpoints at the marks, writes the seconds of training into each log entry, and shows a bar.

    Evaluations and checkpoints are not counted; what was trained before an interruption is.
    """

    def __init__(self) -> None:
        self._marks: set[int] = set()
        self._seconds = self._since = 0.0
        self._interrupted = False
        self._bar = console.progress()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show how far the training is while the block runs, and clear the line however it ends."""
        with self._bar:
            yield

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

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._marks = marks(state.max_steps, args.num_train_epochs)
        self._seconds = trained_seconds(state.log_history)
        self._since = time.monotonic()
        if state.is_world_process_zero:
            self._bar.add_task("training", total=state.max_steps, completed=state.global_step)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        for task in self._bar.task_ids:
            self._bar.update(task, completed=state.global_step)
        if state.global_step in self._marks:
            control.should_log = control.should_evaluate = control.should_save = True

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if "loss" in state.log_history[-1]:
            self._seconds += time.monotonic() - self._since
            state.log_history[-1][SECONDS] = self._seconds

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if state.is_world_process_zero and state.global_step:
            console.step(_looked_at(state, metrics or {}))

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._since = time.monotonic()


def trained_seconds(history: list[dict[str, float]]) -> float:
    """What a run has worked, by its own log; 0 where it has not begun."""
    return max((entry.get(SECONDS, 0.0) for entry in history), default=0.0)


def _looked_at(state: TrainerState, metrics: dict[str, float]) -> str:
    """One line about a mark: losses and metric on the rows that are watched."""
    losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
    found = {"loss": losses[-1]} if losses else {}
    found |= {
        name.replace("eval_", "evaluation "): value
        for name, value in metrics.items()
        if not name.endswith(TIMES) and name != "epoch"
    }
    shown = ", ".join(f"{name} {value:.4f}" for name, value in found.items())
    return f"step {state.global_step} of {state.max_steps}: {shown}"
