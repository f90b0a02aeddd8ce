"""Models as files: exported, quantized."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from compress.quantize.checks import check as check_quantize
from compress.quantize.checks import looks_for_one
from compress.quantize.config import QuantizeConfig
from compress.quantize.pipeline import quantize as quantize_files
from edgepress.api.model import Model, require_model
from edgepress.api.options import make_options
from edgepress.core.artifact import Draft, create_artifact
from edgepress.core.console import Listener, reporting
from edgepress.core.environment import environment
from edgepress.core.loading import check_kind
from export.command.checks import check as check_export
from export.command.config import FormatsConfig
from export.command.pipeline import write_files
from export.command.report import ComparedFiles
from export.command.session import Written
from export.core.config import ModelFlags, derive
from export.core.registry import find_format, open_runner
from export.core.runner import Runner

# The command times its files; here `benchmark` does, when it is asked to.
UNTIMED = {"time_budget": 0.0, "threads": 1, "sequence_lengths": QuantizeConfig.sequence_lengths}


class ExportedModel(Model):
    """A classifier with its files, in a folder that is gone with this object unless it is saved.

    `predict` and `evaluate` run the file to ship where one was looked for (several formats, or `auto`), else
    the last of the files, in its own runtime.
    """

    def __init__(self, made: ComparedFiles, draft: Draft, folder: TemporaryDirectory[str]) -> None:
        super().__init__(made.remade)
        self._made, self._draft, self._folder = made, draft, folder

    @property
    def files(self) -> list[Written]:
        """The files that were written, each with its size, score, and difference from the model in torch."""
        return list(self._made.kept)

    @property
    def chosen(self) -> Written:
        """The file that `predict` and `evaluate` run."""
        return self._made.preferred

    @property
    def report(self) -> str:
        """A line of text for each file; of quantized ones, which to ship."""
        lines = [
            f"{file.path.name}: {file.name}, {file.size_bytes / 1e6:.1f} MB, "
            f"largest difference {file.verdict.parity.max_abs:.1e}"
            for file in self.files
        ]
        return "\n".join([*lines, *self._made.advice])

    def save(self, folder: str | Path, overwrite: bool = False) -> Path:
        """Write the folder: weights, files, manifest, model card.

        Raises:
            EdgepressError: the folder exists, or cannot be written.
        """
        target = Path(folder)
        with reporting(None), create_artifact(target, overwrite) as draft:
            shutil.copytree(self._draft.folder, draft.folder, dirs_exist_ok=True)
            draft.precisions, draft.parities = self._draft.precisions, self._draft.parities
            self._made.write(draft, target)
        return target

    @contextmanager
    def _runner(self) -> Iterator[Runner]:
        with open_runner(self.chosen.path, environment().cores) as runner:
            yield runner


def quantize(
    model: Model,
    scheme: str | Sequence[str] = (),
    format: str | Sequence[str] = "onnx",  # noqa: A002  # as the command's flag
    progress: Listener | None = None,
    **options: Any,
) -> ExportedModel:
    """Write a classifier with 8, 4 or 16 bits.

    Args:
        model: a classifier; one with random weights shows size and latency only.
        scheme: one, several, or `auto`, which keeps the file to ship alone; empty: the format's own int8.
        format: by name (`edgepress quantize --help` names all); or several; or `all`, which takes those that
            are installed.
        progress: called with each step in words.
        options: further fields of `compress.quantize.config.QuantizeConfig`, such as `max_drop`, `minimize`;
            those that name the model, its task or the output are `load`'s and `save`'s. Files are timed where
            one of them is to be chosen (several formats, or `auto`), for 20 s unless `time_budget` says
            otherwise.

    Raises:
        EdgepressError: an option is wrong, or the format cannot hold the model.
        ExpectationError: a file is too far from the model, or loses more than `max_drop`.
    """
    folder = TemporaryDirectory(prefix="edgepress-")
    names = [[own] if isinstance(own, str) else list(own) for own in (format, scheme)]
    untimed = {} if looks_for_one(*names) else UNTIMED
    own = {**_own(model, folder), **untimed, "format": names[0], "scheme": names[1]}
    config = make_options(QuantizeConfig, options, own, without=ModelFlags)
    with reporting(progress):
        request, draft = check_quantize(config), _draft(folder)
        check_kind(model.opened)
        return ExportedModel(quantize_files(model.copied(), config, request, draft), draft, folder)


def export(
    model: Model,
    formats: str | Sequence[str] = "onnx",
    progress: Listener | None = None,
    **options: Any,
) -> ExportedModel:
    """Write a classifier in one or several formats, each file compared with it.

    Args:
        model: a classifier.
        formats: one or several, by name; `edgepress export --help` names all.
        progress: called with each step in words.
        options: further fields of `export.core.config.ExportConfig`, such as `scheme`, `sequence_length`;
            those that name the model, its task or the output are `load`'s and `save`'s.

    Raises:
        EdgepressError: an option is wrong, or a format cannot hold the model.
        ExpectationError: a file is too far from the model.
    """
    folder = TemporaryDirectory(prefix="edgepress-")
    own = {**_own(model, folder), "formats": formats}
    config = make_options(FormatsConfig, options, own, without=ModelFlags)
    with reporting(progress):
        wanted = [find_format(name) for name in config.formats]
        request = check_export(config, [(own, derive(own.config, config)) for own in wanted])
        request.check_lengths(model.opened.longest)
        check_kind(model.opened)
        draft = _draft(folder)
        return ExportedModel(write_files(model.copied(), config, request, draft), draft, folder)


def _own(model: Model, folder: TemporaryDirectory[str]) -> dict[str, Any]:
    require_model(model)
    return {"model": model.opened.source.short_name, "output": Path(folder.name) / "new"}


def _draft(folder: TemporaryDirectory[str]) -> Draft:
    draft = Draft(Path(folder.name) / "files")
    draft.folder.mkdir()
    return draft
