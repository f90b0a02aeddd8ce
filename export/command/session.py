"""Write a model in formats and schemes, and compare each file with the model before it is kept."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from edgepress.core import console
from edgepress.core.artifact import Draft
from edgepress.core.causes import cause
from edgepress.core.errors import EdgepressError, first_line
from edgepress.core.evaluation import EVALUATION_SET, EvaluationSet
from edgepress.core.files import remove
from edgepress.core.intervals import Bounds
from edgepress.core.labels import shown
from edgepress.core.loading import OpenedModel, save_model
from edgepress.core.memory import require_room
from edgepress.core.tasks.kind import LabelScore
from export.core.config import CpuFlags, ExportConfig
from export.core.eager import EagerRunner
from export.core.format import Format
from export.core.registry import size_bytes
from export.core.runner import Batch
from export.core.scheme import Options, Scheme, cpu_targets
from export.core.shapes import Shapes
from export.validation import parity
from export.validation.sentences import ANY, calibration_sentences, evaluation_sentences, sweep_batches
from export.validation.tokenizer import require_tokenizer_parity
from export.validation.validator import FileVerdict, FurtherScore, Validator


@dataclass(frozen=True)
class Whole:
    """The model in one format, before any scheme, and not compared yet."""

    format: Format
    path: Path
    config: ExportConfig
    """How it was written."""
    seconds: float
    """Seconds that writing took."""
    how: Mapping[str, object] = field(default_factory=dict)
    """Facts of the exporter, for the manifest."""


@dataclass(frozen=True)
class QuantizedFile:
    """A quantized file, not compared with the model yet."""

    whole: Whole
    """The file that it was made from."""
    path: Path
    scheme: Scheme
    kept_float: tuple[str, ...] = ()
    """Layers that the scheme left alone."""
    block_size: int | None = None
    """Weights that share a scale; None: its scheme has no blocks."""
    cpus: tuple[str, ...] = ()
    """The CPUs that it is made for, where the user named some and its scheme asks."""
    seconds: float = 0.0
    """Seconds that writing took."""

    @property
    def format(self) -> Format:
        return self.whole.format


@dataclass(frozen=True)
class Written:
    """A file that was compared with the model, and kept."""

    format: Format
    path: Path
    scheme: Scheme | None
    """None: as the format writes it."""
    verdict: FileVerdict
    size_bytes: int
    seconds: float
    """What writing took, without the comparison."""
    kept_float: tuple[str, ...] = ()
    """Layers that the scheme left alone."""
    block_size: int | None = None
    """Weights that share a scale; None: its scheme has no blocks."""
    companion: Path | None = None
    """A second file made from it."""
    cpus: tuple[str, ...] = ()
    """The CPUs that it is made for, where the user named some and its scheme asks."""
    how: Mapping[str, object] = field(default_factory=dict)
    """Facts of the exporter that wrote the file that it was made from."""
    longest: int | None = None
    """Longest input that it takes [tokens]; None: the model's."""

    @property
    def precision(self) -> str:
        return self.scheme.precision if self.scheme else self.format.precision

    @cached_property
    def coverage(self) -> str:
        """Number of quantized matrix multiplications, and of all: "38/50"."""
        return self.format.coverage(self.path)

    @property
    def name(self) -> str:
        """The scheme, its CPUs, blocks that are not the usual ones, and how many layers it left in float; or
        the format's own precision.
        """
        usual = self.scheme.block_size if self.scheme else None
        blocks = f", blocks of {self.block_size}" if self.block_size != usual else ""
        kept = f", {len(self.kept_float)} float" if self.kept_float else ""
        cpus = f" for {', '.join(self.cpus)}" if self.cpus else ""
        return (self.scheme.name if self.scheme else self.precision) + cpus + blocks + kept


@dataclass(frozen=True)
class ParentScores:
    """Scores of the model itself, in torch, which its files are held against."""

    score: float | None
    """The task's metric; None where it cannot be scored."""
    bounds: Bounds | None
    """The interval of that score."""
    labels: tuple[LabelScore, ...]
    also: Mapping[str, FurtherScore]
    """What the model is judged by besides."""
    evaluation_set: EvaluationSet
    """Texts that the scores are of."""

    @property
    def recorded(self) -> dict[str, object]:
        """The score and its texts, as a manifest keeps them."""
        return {
            "parent_score": self.score,
            "parent_interval": self.bounds.recorded if self.bounds else None,
            EVALUATION_SET: self.evaluation_set.recorded(),
        }


@dataclass
class ExportSession:
    """Writes one model into the folder of one artifact; all files are judged on the same sentences."""

    opened: OpenedModel
    draft: Draft
    eval_samples: int
    """Sentences to judge by, drawn from the evaluation split of the task."""
    calibration_samples: int
    seed: int
    max_length: int | None = None
    """Longest input that files are compared on [tokens]; None: the model's."""
    _judges: dict[Shapes, Validator] = field(default_factory=dict)
    _calibrations: dict[Shapes, list[Batch]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.opened = replace(self.opened, most=self.max_length)

    def begin(self) -> None:
        """Write weights, configuration and tokenizer.

        Raises:
            ExpectationError: the saved tokenizer gives other ids than the one in memory.
        """
        save_model(self.opened, self.draft.folder)
        require_tokenizer_parity(self.draft.folder, self.opened.tokenizer, self.opened.longest)

    def write(self, format_: Format, config: ExportConfig) -> Whole:
        """The model in a format.

        Raises:
            EdgepressError: the format cannot hold the model, or its library fails.
        """
        target = self.draft.folder / format_.file
        target.parent.mkdir(parents=True, exist_ok=True)
        own = format_.fitted(config, self.opened)
        start = time.perf_counter()
        with _as_one_line(format_, target):
            how = format_.write(self.opened.model, target, own)
        return Whole(format_, target, own, time.perf_counter() - start, how or {})

    def keep(self, whole: Whole) -> Written:
        """Compare the file as it is with the model.

        Raises:
            ExpectationError: it is further from the model than the tolerance allows.
        """
        return self._examined(whole, whole.path, None, whole.seconds)

    def discard(self, file: Whole | Written | QuantizedFile) -> None:
        """Remove a file of the draft with all its parts, as far as they were written."""
        for piece in file.format.parts(file.path):
            remove(piece)

    def quantize(
        self,
        whole: Whole,
        scheme: Scheme,
        options: Options,
        cpus: Sequence[str] = (),
        suffix: str = "",
    ) -> QuantizedFile:
        """Quantize the file into one beside it.

        Args:
            whole: the file.
            scheme: how.
            options: of the scheme, its CPU among them.
            cpus: the CPUs that the user named and that take the same bytes as that one.
            suffix: of the file's name, before its ending.

        Raises:
            EdgepressError: the format's quantizer fails, or there are no sentences to calibrate on.
        """
        usual = whole.path.with_name(scheme.file_name)
        target = usual.with_name(f"{usual.stem}{suffix}{usual.suffix}")
        kept, block = tuple(sorted(options.keep_float)), scheme.block(options)
        made = QuantizedFile(whole, target, scheme, kept, block, tuple(cpus))
        start = time.perf_counter()
        with self._removing(made):
            self.quantize_into(target, whole, scheme, options)
        return replace(made, seconds=time.perf_counter() - start)

    def compare(self, made: QuantizedFile) -> Written:
        """Compare a quantized file with the model.

        Raises:
            ExpectationError: it is further from the model than the tolerance allows; it is removed.
        """
        with self._removing(made):
            found = self._examined(made.whole, made.path, made.scheme, made.seconds, made.kept_float)
        return replace(found, cpus=made.cpus, block_size=made.block_size)

    @contextmanager
    def _removing(self, file: QuantizedFile) -> Iterator[None]:
        """Remove the file if the block fails."""
        try:
            yield
        except BaseException:
            self.discard(file)
            raise

    def quantize_for(
        self, whole: Whole, scheme: Scheme, options: Options, flags: CpuFlags
    ) -> Iterator[Written]:
        """Quantize for each of the flags' CPUs, and compare each file with the model.

        CPUs that take the same bytes share one file.

        Raises:
            EdgepressError: as `quantize`.
            ExpectationError: as `compare`.
        """
        for number, group in enumerate(scheme.groups(cpu_targets(flags))):
            names = tuple(target.name for target in group)
            said = names if flags.cpu and scheme.cpu_traits else ()
            places = f" for {', '.join(said)}" if said else ""
            console.step(f"{whole.format.title}: {scheme.name}{places}")
            suffix = f"_{group[0].name}" if number else ""
            own = replace(options, target=group[0])
            yield self.compare(self.quantize(whole, scheme, own, said, suffix))

    def quantize_into(self, target: Path, whole: Whole, scheme: Scheme, options: Options) -> None:
        """Write the quantized file only."""
        batches = self.calibration(whole.config.shapes) if scheme.calibrated else ()
        own = replace(options, calibration_batches=batches, model=self.opened.model, export=whole.config)
        with _as_one_line(whole.format, target):
            scheme.quantize(whole.path, target, own)

    def calibration(self, shapes: Shapes) -> list[Batch]:
        """Sentences of the train split.

        Raises:
            EdgepressError: no source has the split.
        """
        if shapes not in self._calibrations:
            count = self.calibration_samples
            self._calibrations[shapes] = calibration_sentences(self.opened, count, self.seed, shapes)
        return self._calibrations[shapes]

    def validator(self, shapes: Shapes) -> Validator:
        """The judge of files with these shapes; the model runs once for all formats that share them.

        Raises:
            EdgepressError: the longest input needs more memory than there is.
        """
        opened = self.opened
        if shapes.most == opened.longest:
            shapes = replace(shapes, most=None)
        if shapes not in self._judges:
            longest = shapes.longest or opened.longest
            if said := require_room(opened.model, longest, "--max-length N compares shorter ones"):
                console.step(said)
            if not self._judges and opened.on_foreign_texts:
                _warn_of_foreign_texts(opened)
            sentences = evaluation_sentences(opened, self.eval_samples, self.seed, shapes)
            sweep = sweep_batches(opened, sentences, self.seed, shapes)
            with EagerRunner(opened.model) as eager:
                self._judges[shapes] = Validator(eager, replace(sentences, sweep=sweep))
        return self._judges[shapes]

    def parent(self, shapes: Shapes = ANY) -> ParentScores:
        """Return the scores of the model itself on the texts that files of these shapes are judged on."""
        own = self.validator(shapes)
        texts = own.sentences.evaluation_set
        return ParentScores(own.parent_score, own.parent_bounds, own.parent_labels, own.parent_also, texts)

    def drop(self, file: Written) -> float:
        """Return the loss of a file of any shapes against the model [points]."""
        return file.verdict.drop(self.parent().score)

    def record(self, files: list[Written]) -> None:
        """Note precision and parity of the files for the manifest."""
        for file in files:
            companions = [file.companion] if file.companion else []
            for piece in (*file.format.parts(file.path), *companions):
                self.draft.precisions[self._name(piece)] = file.precision
            self.draft.parities[self._name(file.path)] = file.verdict.parity.to_dict()

    def _name(self, path: Path) -> str:
        return path.relative_to(self.draft.folder).as_posix()

    def _examined(
        self, whole: Whole, path: Path, scheme: Scheme | None, seconds: float, kept: tuple[str, ...] = ()
    ) -> Written:
        format_, config = whole.format, whole.config
        precision = scheme.precision if scheme else format_.precision
        format_.describe(path, self.opened.facts(precision))
        verdict = self.validator(config.shapes)(path)
        parity.require(verdict.parity, format_.name, precision, config.atol, path.name)
        companion = format_.companion(path, self.opened, config)
        size = size_bytes(path)
        longest = config.shapes.longest
        return Written(
            format_,
            path,
            scheme,
            verdict,
            size,
            seconds,
            kept,
            companion=companion,
            how=whole.how,
            longest=longest,
        )


def _warn_of_foreign_texts(opened: OpenedModel) -> None:
    classes = f"its classes are {shown(opened.labels)}, and " if opened.labels else ""
    console.warn(
        f"nobody says what {opened.source.name} was trained on: {classes}the texts that it is compared on "
        f"are those of {opened.text_task.name}; nothing is scored, and "
        "agreement on its own texts may be another. --task FILE.csv, a folder or a zoo task names its own"
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
