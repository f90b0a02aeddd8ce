"""Real sentences of each artifact's task: tokenized against the clock, scored through each file's runtime."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from device_bench.cpu import timed_ms
from device_bench.file_score import FileScore
from device_bench.plan import Plan, Target
from device_bench.process import Process, of_each
from device_bench.texts import save
from edgepress.core import console
from edgepress.core.artifact import is_artifact
from edgepress.core.errors import EdgepressError
from edgepress.core.identity import texts_digest
from edgepress.core.loading import OpenedModel, open_model
from edgepress.core.splits import Examples, load_split
from export.core.runner import Batch
from export.validation.sentences import TextLengths

TOKENIZED = 200


@dataclass(frozen=True)
class TextsRequest:
    """Texts that files are scored on and that passes run over."""

    folder: Path
    """Folder that their token ids are written to."""
    data: Path | None = None
    """The data root; None takes `EDGEPRESS_DATA`."""
    task: str | None = None
    """The task whose texts they are; None takes the one that each artifact's manifest names."""
    scored: int = 0
    """Texts to score on, drawn with a fixed seed; 0: none."""
    passes: bool = False
    """Whether whole passes over the evaluation split are to come."""
    pass_samples: int | None = None
    """Number of its texts that passes run over; None: all."""


class ArtifactTexts:
    """The texts of one artifact in its own token ids."""

    def __init__(self, folder: Path, request: TextsRequest) -> None:
        self._folder = request.folder
        opened = open_model(str(folder), task=request.task, data=request.data)
        task = opened.text_task
        split = load_split(task, task.evaluation_split)
        self.known: dict[str, Any] = {"task": task.name, "metric": task.metric}
        self.known["tokenize_ms"] = tokenize_ms(opened, split.sample(TOKENIZED))
        self._opened, self._decisions = opened, (opened.problem_type, opened.thresholds)
        self._metric = task.metric
        sample = split.sample(request.scored) if request.scored and opened.scored else None
        self._labels = sample.labels if sample else None
        self._places = (
            opened.kind.places(opened.tokenizer, sample.texts, opened.text_length) if sample else None
        )
        self.known |= {"texts_sha256": texts_digest(sample)}
        scored = (
            opened.kind.judging_batches(opened.tokenizer, sample.texts, opened.text_length) if sample else []
        )
        self._rows = len(scored)
        self._scored = _save(scored, request.folder / f"{folder.name}-scored.npz")
        whole = split.sample(request.pass_samples or len(split)) if request.passes else None
        passed = opened.kind.batches(opened.tokenizer, whole.texts, opened.text_length) if whole else []
        if rows := scored or passed:
            self.known |= {"text_length": TextLengths.of(rows, opened.longest).typical}
        self.path = _save(passed, request.folder / f"{folder.name}-pass.npz")
        self.rows = len(whole) if whole else 0
        self.passed = {"rows": self.rows, "pass_sha256": texts_digest(whole)}

    def judge(self, target: Target, plan: Plan) -> FileScore | None:
        """Score one file, through its own process; None where there are no labels or it fails."""
        if self._labels is None:
            return None
        process, kind = None, self._opened.kind
        try:
            process = Process(replace(target, texts=self._scored), plan)
            logits = kind.collect(list(self._reduced(process)), self._places, self._opened.labels)
        except EdgepressError as error:
            console.warn(f"not scored: {error.with_hint}")
            return None
        finally:
            if process is not None:
                process.close()
        return FileScore.of(self._metric, logits, self._labels, *self._decisions)

    def _reduced(self, process: Process) -> Iterator[np.ndarray]:
        """What is kept of each text's logits; of a vocabulary's those of one text at a time are there."""
        saved, kind = self._folder / f"{uuid4().hex}.npy", self._opened.kind
        step = 1 if kind.over_vocabulary else self._rows
        for first in range(0, self._rows, step):
            process.save_logits(saved, first, first + step)
            for at, logits in enumerate(np.load(saved), first):
                yield kind.reduced(logits, None if self._places is None else self._places[at])
        saved.unlink()


def tokenize_ms(opened: OpenedModel, examples: Examples) -> tuple[float, ...]:
    """Times of tokenizing texts one at a time [ms]; the first, which loads what is lazy, is left out."""
    kind, length = opened.kind, opened.text_length
    calls = [partial(kind.batches, opened.tokenizer, [text], length) for text in examples.texts]
    return tuple(timed_ms(call) for call in calls)[1:]


def _save(rows: Sequence[Batch], saved: Path) -> Path | None:
    if not rows:
        return None
    save(saved, rows)
    return saved


def with_texts(targets: Sequence[Target], plan: Plan, request: TextsRequest) -> list[Target]:
    """The targets with what their artifacts' texts tell: tokenization, score, the texts of passes."""
    folders = [artifact_of(target) for target in targets]
    known = {folder: artifact_texts(folder, request) for folder in dict.fromkeys(folders) if folder}

    def with_known(target: Target) -> Target:
        folder = artifact_of(target)
        texts = known[folder] if folder else None
        return _with(target, texts, plan) if texts else target

    return of_each(with_known, targets, plan.device)


def artifact_of(target: Target) -> Path | None:
    """The folder of the artifact that a file lies in; None where it is in none."""
    return next((each for each in target.path.parents[:2] if is_artifact(each)), None)


def artifact_texts(folder: Path, request: TextsRequest) -> ArtifactTexts | None:
    """The texts of an artifact; None, with a warning, where it has none and no pass needs them."""
    try:
        return ArtifactTexts(folder, request)
    except EdgepressError as error:
        if request.passes:  # there would be nothing to pass over
            raise
        console.warn(f"{folder.name}: no texts, so neither tokenization nor score: {error.with_hint}")
        return None


def _with(target: Target, texts: ArtifactTexts, plan: Plan) -> Target:
    judged = texts.judge(target, plan)
    known = {**target.known, **texts.known, **(judged.facts if judged else {})}
    return replace(target, texts=texts.path, known={**known, **texts.passed})
