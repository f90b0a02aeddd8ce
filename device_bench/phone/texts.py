"""Real texts that a file is scored on, on the phone: texts and labels, for the app tokenizes by itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from device_bench.phone.app import artifact_folder
from device_bench.plan import Target
from edgepress.core.artifact import is_artifact, open_artifact
from edgepress.core.artifact_task import artifact_task
from edgepress.core.console import warn
from edgepress.core.errors import EdgepressError
from edgepress.core.metrics import THRESHOLDS
from edgepress.core.splits import Examples, load_split
from edgepress.core.tasks import Task
from edgepress.core.tasks.kinds import kind_of


@dataclass(frozen=True)
class PhoneTexts:
    """A sample of a task's evaluation split."""

    task: Task
    examples: Examples
    thresholds: list[float] | None = None
    """Probability from which the file's artifact gives each label; None: one half."""


def texts_of(target: Target, task: str | None, data: Path | None, count: int) -> PhoneTexts | None:
    """A sample of the split that the file's artifact is scored on; None where there is none, saying so.

    Args:
        target: a file, in an artifact or not.
        task: the task to score on; None takes the one that the artifact's manifest names.
        data: the data root; None takes `EDGEPRESS_DATA`.
        count: most texts, drawn with a fixed seed.
    """
    folder = artifact_folder(target.path)
    artifact = open_artifact(folder) if is_artifact(folder) else None
    if artifact is None or (task is None and artifact.manifest.task is None):
        warn(f"{target.name}: no task is known, so it is not scored")
        return None
    try:
        found = artifact_task(artifact, data, task)
        assert found is not None, "the flag or the manifest names one"
        kind = kind_of(found.problem_type)
        if kind.per_token or kind.pairs or not kind.named:
            raise EdgepressError(
                f"the app gives whole texts their model's classes, and {found.name} is for {kind.pipeline}"
            )
        examples = load_split(found, found.evaluation_split).sample(count)
        return PhoneTexts(found, examples, json.loads((folder / "config.json").read_text()).get(THRESHOLDS))
    except EdgepressError as error:
        warn(f"{target.name}: no texts, so it is not scored: {error.with_hint}")
        return None
