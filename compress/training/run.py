"""A technique at work: where its trainings go on after an interruption."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from compress.training.checkpoints import checkpoint_folder
from compress.training.config import TrainingOptions
from compress.training.identity import Rows, run_identity
from edgepress.core.loading import OpenedModel
from edgepress.core.tasks import Task


class TechniqueRun:
    """A technique at work: where its trainings go on after an interruption."""

    def __init__(self, folder: Path, restart: bool = False) -> None:
        """
        Args:
            folder: for checkpoints; made when the first training begins.
            restart: whether checkpoints that are there already are removed.
        """
        self.folder = folder
        self._restart = restart
        self._stack = ExitStack()

    def checkpoints(
        self,
        options: TrainingOptions,
        task: Task | None,
        rows: Rows,
        more: Mapping[str, Any] | None = None,
        **models: OpenedModel,
    ) -> Path:
        """The folder for checkpoints of trainings that are made from all this (`run_identity`).

        Raises:
            EdgepressError: checkpoints of another run are there, or another process is training there.
        """
        identity = run_identity(options, task, rows, more, **models)
        return self._stack.enter_context(checkpoint_folder(self.folder, self._restart, identity))

    def clear(self) -> None:
        """Remove the checkpoints: what they were for is written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> TechniqueRun:
        self._stack.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._stack.__exit__(kind, error, trace)
