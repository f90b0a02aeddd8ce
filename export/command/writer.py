"""Writing the files of an order into a folder, each compared with the model before the next."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgepress import console
from edgepress.causes import cause
from edgepress.errors import EdgepressError, first_line
from edgepress.files import remove
from edgepress.loading import OpenedModel
from export.base.config import ExportConfig
from export.base.cpu import cpu_target
from export.base.eager import EagerRunner
from export.base.format import Format
from export.base.registry import size_bytes
from export.base.scheme import Options, Scheme
from export.base.shapes import Shapes
from export.check import parity
from export.check.judge import Judge, Verdict
from export.check.sentences import calibration_sentences, evaluation_sentences, sweep_batches
from export.command.checks import Part


@dataclass(frozen=True)
class Written:
    """One file that was kept."""

    format: Format
    path: Path
    scheme: Scheme | None
    verdict: Verdict
    size_bytes: int
    seconds: float
    """What writing took, without the comparison."""
    companion: Path | None = None
    """A second file made from it."""

    @property
    def precision(self) -> str:
        return self.scheme.precision if self.scheme else self.format.precision


@dataclass
class Writer:
    """Writes one model into one artifact's folder."""

    opened: OpenedModel
    folder: Path
    _judges: dict[Shapes, Judge] = field(default_factory=dict)

    def write(self, part: Part) -> list[Written]:
        """The files of one format.

        Raises:
            EdgepressError: the format cannot hold the model, or its library fails.
            ExpectationError: a file is too far from its parent.
        """
        whole = self.folder / part.format.file
        whole.parent.mkdir(parents=True, exist_ok=True)
        console.step(f"{part.format.title}: writing, and comparing with torch")
        start = time.perf_counter()
        with _as_one_line(part.format, whole):
            part.format.write(self.opened.model, whole, part.config)
        seconds = time.perf_counter() - start
        written = [*self._variants(part, whole, seconds)]
        if None not in part.schemes:
            for piece in part.format.parts(whole):
                remove(piece)
        return written

    def _variants(self, part: Part, whole: Path, seconds: float) -> Iterator[Written]:
        options = self._options(part)
        for scheme in part.schemes:
            if scheme is None:
                yield self._examined(part, whole, None, seconds)
                continue
            console.step(f"{part.format.title}: {scheme.name}")
            target = whole.with_name(scheme.file_name)
            start = time.perf_counter()
            with _as_one_line(part.format, target):
                scheme.quantize(whole, target, options)
            yield self._examined(part, target, scheme, time.perf_counter() - start)

    def _examined(self, part: Part, path: Path, scheme: Scheme | None, seconds: float) -> Written:
        precision = scheme.precision if scheme else part.format.precision
        part.format.describe(path, self.opened.facts(precision))
        verdict = self.judge(part.config)(path)
        parity.require(verdict.parity, part.format.name, precision, part.config.atol, path.name)
        companion = part.format.companion(path, self.opened, part.config)
        return Written(part.format, path, scheme, verdict, size_bytes(path), seconds, companion)

    def judge(self, config: ExportConfig) -> Judge:
        """The judge of files with these shapes; the model runs once for all formats that share them."""
        shapes = config.shapes
        if shapes not in self._judges:
            self._judges[shapes] = self._new_judge(config, shapes)
        return self._judges[shapes]

    def _new_judge(self, config: ExportConfig, shapes: Shapes) -> Judge:
        opened = self.opened
        sentences = evaluation_sentences(opened, config.eval_samples, config.seed, config.data, shapes)
        sweep = sweep_batches(opened, sentences, config.seed, shapes)
        with EagerRunner(opened.model) as eager:
            return Judge(eager, replace(sentences, sweep=sweep))

    def _options(self, part: Part) -> Options:
        config = part.config
        calibrated = any(scheme is not None and scheme.calibrated for scheme in part.schemes)
        count, shapes = config.calibration_samples, config.shapes
        return Options(
            target=cpu_target(config),
            calibration_batches=calibration_sentences(self.opened, count, config.seed, config.data, shapes)
            if calibrated
            else (),
            model=self.opened.model,
            export=config,
        )


@contextmanager
def _as_one_line(format_: Format, target: Path) -> Iterator[None]:
    """Make whatever a format's library raises an error of ours."""
    try:
        yield
    except (EdgepressError, OSError) as error:
        # Looked at now: what the file took is given back before the command ends.
        told = isinstance(error, EdgepressError) and error.__cause__ is None
        reason = "" if told else cause(error, target.parent)
        if not reason:
            raise
        raise _unwritten(format_, target, error, reason) from error
    except Exception as error:  # exporters and quantizers raise whatever they like
        raise _unwritten(format_, target, error, cause(error, target.parent)) from error


def _unwritten(format_: Format, target: Path, error: Exception, reason: str) -> EdgepressError:
    if not reason:
        hint = "a fixed --sequence-length asks less of an exporter; --debug shows where it failed"
        return EdgepressError(f"{format_.title} cannot write {target.name}: {first_line(error)}", hint)
    return EdgepressError(f"{format_.title} cannot write {target.name}: {reason}", "--debug shows all")
