"""The chain of techniques as a recipe: which candidates there are for a model, and how each is made."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from compress.parts import parts
from compress.shrink.config import ShrinkConfig
from compress.trim_vocab.vocabularies import check_trimmable
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import OpenedModel
from edgepress.core.tasks import TaskFlags

BATCH = 32
STEPS = {"distill": 600, "recover": 300}
"""Least number of steps of the optimizer, where the train split is small."""
EPOCHS = {"distill": (3, 20), "recover": (2, 10)}
"""Least and most passes."""
FFN = 0.5
"""Share of the feed-forward units that is pruned."""
WHOLE = "model"
"""Name of the row, and of the step, that is the model as it is."""
LEAST_LAYERS = 2
SAID = tuple(own.name for own in fields(TaskFlags))


@dataclass(frozen=True)
class Work:
    """Amount of work of a step, in texts that the whole model would process at the same cost."""

    forward: float = 0.0
    """Texts that the whole model, or as much as it, reads."""
    training: float = 0.0
    """Texts that the whole model, or as much as it, learns from."""


@dataclass(frozen=True)
class ChainStep:
    """A command of the chain."""

    name: str
    verb: str
    flags: Mapping[str, Any]
    work: Work = Work()


@dataclass(frozen=True)
class Chain:
    """Steps and candidates for one model."""

    steps: tuple[ChainStep, ...]
    candidates: Mapping[str, str]
    """Step -> what the table calls its file."""
    left_out: tuple[str, ...]
    """Why techniques are not in it."""

    def recipe(self, title: str, config: ShrinkConfig, length: int) -> dict[str, Any]:
        """The chain as `compress.recipe` reads it."""
        rows = {
            name: {"of": name, "title": said, **({} if name == WHOLE else {"over": WHOLE})}
            for name, said in self.candidates.items()
        }
        return {
            "title": title,
            "steps": {own.name: {"verb": own.verb, "flags": dict(own.flags)} for own in self.steps},
            "table": rows,
            "measure": {
                "sequence_length": length,
                "time_budget": config.time_budget,
                "eval_samples": config.eval_samples,
            },
            "pictures": ["size-latency", "accuracy-latency", "speed-up"],
        }


def chain_for(opened: OpenedModel, config: ShrinkConfig, rows: int, length: int) -> Chain:
    """The chain for a model.

    Args:
        opened: the model.
        config: the flags.
        rows: texts to train on.
        length: what files are timed at [tokens].
    """
    own = _Making(opened, config, rows, length)
    steps = list(own.steps())
    return Chain(tuple(steps), own.candidates, tuple(own.left_out))


class _Making:
    """The steps of one model's chain, and what is noted on the way."""

    def __init__(self, opened: OpenedModel, config: ShrinkConfig, rows: int, length: int) -> None:
        self._opened, self._config, self._rows, self._length = opened, config, rows, length
        self._layers = int(getattr(opened.model.config, "num_hidden_layers", None) or 0)
        self.candidates: dict[str, str] = {}
        self.left_out: list[str] = []

    def steps(self) -> Iterator[ChainStep]:
        """Yield the steps in their order."""
        model, name = self._config.model, self._opened.source.short_name
        trims = self._allows("trim_vocab", lambda: check_trimmable(self._opened.tokenizer, name))
        yield ChainStep(WHOLE, "export.onnx", {"model": model, **self._data})
        self.candidates[WHOLE] = f"{name}, as it is"
        yield self._int8("int8", model, "int8")
        if trims:
            yield self._trimmed("trimmed", model)
            yield self._int8("trimmed-int8", "${steps.trimmed}", "vocabulary trimmed; int8")
        if self._layers < LEAST_LAYERS:
            self.left_out.append("distill: the model has no layers to take half of")
            last, said, scale = (
                ("${steps.trimmed}", "vocabulary trimmed; ", 1.0) if trims else (model, "", 1.0)
            )
        else:
            last, said, scale = "${steps.student}", "half of the layers, distilled; ", 0.5
            yield self._student()
            yield self._int8("student-int8", last, f"{said}int8")
            if trims:
                yield self._trimmed("student-trimmed", last)
                last, said = "${steps.student-trimmed}", f"{said}vocabulary trimmed; "
                yield self._int8("student-trimmed-int8", last, f"{said}int8")
        if self._allows("prune", lambda: parts(self._opened.model, "ffn")):
            yield self._pruned(last, scale)
            yield self._int8("pruned-int8", "${steps.pruned}", f"{said}half of the feed-forward units; int8")

    @property
    def _data(self) -> dict[str, Any]:
        """The task as every step names it: what is understood of a folder's columns holds for all of them."""
        task = self._opened.text_task
        said = {name: getattr(self._config, name) for name in SAID}
        if task.folder is None:
            said = {"task": task.name, **said}
        else:
            columns = {"text_columns": task.text_columns, "label_column": task.label_columns}
            said = {**said, "task": str(task.folder.resolve()), **columns}
        return {name: _plain(value) for name, value in said.items() if value not in (None, ())}

    def _trimmed(self, name: str, model: str) -> ChainStep:
        return ChainStep(name, "trim_vocab", {"model": model, **self._data, **self._judged()})

    def _allows(self, technique: str, check: Callable[[], object]) -> bool:
        """Whether a check of a technique passes; if not, its error is noted in `left_out`."""
        try:
            check()
        except EdgepressError as error:
            self.left_out.append(f"{technique}: {error}")
            return False
        return True

    def _judged(self) -> dict[str, Any]:
        count = self._config.eval_samples
        return {"seed": self._config.seed, **({"eval-samples": count} if count else {})}

    def _int8(self, name: str, model: str, said: str) -> ChainStep:
        self.candidates[name] = said
        flags = {"model": model, **self._data, **self._judged()}
        return ChainStep(name, "quantize", {**flags, "sequence-lengths": self._length, "time-budget": 1.0})

    def _epochs(self, kind: str) -> float:
        """Number of passes: enough steps for a small split, within bounds."""
        if self._config.epochs is not None:
            return self._config.epochs if kind == "distill" else self._config.epochs / 2
        least, most = EPOCHS[kind]
        return float(min(max(math.ceil(STEPS[kind] * BATCH / self._rows), least), most))

    def _training_flags(self, kind: str, learning_rate: float) -> dict[str, Any]:
        count = self._config.train_samples
        return {
            "epochs": self._epochs(kind),
            "learning-rate": learning_rate,
            "batch-size": BATCH,
            **self._judged(),
            **({"train-samples": count} if count else {}),
        }

    def _student(self) -> ChainStep:
        taught = self._training_flags("distill", 1e-4)
        flags = {
            "teacher": self._config.model,
            **self._data,
            "student": "half",
            **taught,
            "temperature": 2.0,
            "response-weight": 0.5,
            "label-weight": 0.5,
            "cosine-weight": 0.0,
            "train_baseline": False,
        }
        work = Work(forward=self._rows, training=0.5 * taught["epochs"] * self._rows)
        return ChainStep("student", "distill", flags, work)

    def _pruned(self, model: str, scale: float) -> ChainStep:
        taught = self._training_flags("recover", 5e-5)
        flags = {"model": model, **self._data, "ffn": FFN, "importance": "taylor", **taught}
        # Without half of the feed-forward units two thirds of a layer's products are left.
        work = Work(forward=scale * self._rows, training=scale * 2 / 3 * taught["epochs"] * self._rows)
        return ChainStep("pruned", "prune", flags, work)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
