"""The command as a pipeline: check, open, export, quantize, judge, measure, choose, write, show."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from compress.quantize import report
from compress.quantize.checks import FormatSchemes, Limits, QuantizeRequest, WrittenFormat, check
from compress.quantize.config import QuantizeConfig
from compress.quantize.report import Found, Quantized
from device_bench.records import Measurement
from edgepress.core import console
from edgepress.core.artifact import Draft, create_artifact
from edgepress.core.errors import EdgepressError
from edgepress.core.files import remove
from edgepress.core.inputs import require_length
from edgepress.core.loading import OpenedModel, check_kind, open_model
from export.command.session import ExportSession, Written
from export.core.config import derive
from export.core.scheme import Options, cpu_targets
from export.validation.sentences import ANY, TextLengths

# Fewer than a measurement of its own takes: a table on the way has an interval all the same, a wider one.
LAUNCHES = 3


def run(config: QuantizeConfig) -> Path:
    """Run the command and return the artifact's folder.

    Raises:
        EdgepressError: bad input (exit code 2); nothing is written.
        ExpectationError: parity or --max-drop does not hold (exit code 1); nothing is written.
    """
    request = check(config)
    opened = open_model(
        config.model, config.weights, config.task, config.data, config.seed, options=config.task_options
    )
    check_kind(opened)
    with create_artifact(request.output, config.overwrite) as draft:
        quantized = quantize(opened, config, request, draft)
        quantized.write(draft, request.output)
    console.step(f"written: {request.output}")
    report.show(quantized)
    return request.output


def quantize(
    opened: OpenedModel, config: QuantizeConfig, request: QuantizeRequest, draft: Draft
) -> Quantized:
    """Write a classifier unquantized and in the schemes of a request, each file compared with the model.

    Files are timed where `config.time_budget` is above 0, and where the order searches only the file to ship
    and the unquantized one of its format are kept.

    Args:
        opened: the classifier.
        config: how; its paths are not looked at.
        request: what the flags ask for, checked.
        draft: the folder that the files are written into.

    Raises:
        EdgepressError: the format cannot hold the model, or a quantizer fails.
        ExpectationError: a file is too far from the model, or loses more than --max-drop.
    """
    require_length(config.max_length, opened.longest)
    samples = config.eval_samples, config.calibration_samples
    session = ExportSession(opened, draft, *samples, config.seed, config.max_length)
    session.begin()
    formats = _write_formats(config, request, session)
    found = _search(config, session, formats) if request.searches else _every(config, session, formats)
    lengths = TextLengths.of(session.validator(ANY).sentences.batches, session.opened.longest)
    judged = Quantized(session.opened, session.parent(), config.seed, config, request, lengths, found)
    measured = replace(judged, measurements=_measure(judged))
    if request.chooses or measured.measurements:  # then it says which file to ship
        _say_what_is_not_shown(measured, session)
    if request.searches:
        measured = _keep_the_best(measured, session)
    session.record(measured.kept)
    return measured


@contextmanager
def _left_out(what: str, several: bool) -> Iterator[None]:
    """Name what fails and go on, where there are other files."""
    try:
        yield
    except EdgepressError as error:
        if not several:
            raise
        console.warn(f"{what} is left out: {error.with_hint}")


def _write_formats(
    config: QuantizeConfig, request: QuantizeRequest, session: ExportSession
) -> list[WrittenFormat]:
    """The unquantized file of each format.

    Raises:
        EdgepressError: no format can hold the model.
    """
    found: list[WrittenFormat] = []
    for part in request.parts:
        with _left_out(part.format.title, request.several):
            found.append(_write_format(config, part, session))
    if not found:
        raise EdgepressError("no format could be written", "name one --format to see what it lacks")
    return found


def _write_format(config: QuantizeConfig, part: FormatSchemes, session: ExportSession) -> WrittenFormat:
    own = part.format
    console.step(f"exporting {session.opened.source.name} to {own.title} and comparing it with torch")
    try:
        whole = session.write(own, derive(own.config, config))
        return WrittenFormat(part, whole, session.keep(whole))
    except BaseException:
        remove((session.draft.folder / own.file).parent)
        raise


def _options(config: QuantizeConfig) -> Options:
    return Options(
        target=cpu_targets(config)[0],
        keep_float=frozenset(config.keep_float),
        calibration=config.calibration,
        smooth_quant=config.smooth_quant,
        block_size=config.block_size,
    )


def _every(config: QuantizeConfig, session: ExportSession, formats: Sequence[WrittenFormat]) -> Found:
    """Write all files that were asked for."""
    files: list[Written] = []
    for own in formats:
        for scheme in own.part.schemes:
            with _left_out(f"{own.part.format.title}'s {scheme.name}", len(formats) > 1):
                files += session.quantize_for(own.whole, scheme, _options(config), config)
    if not files:
        raise EdgepressError("no file could be quantized", "name one --format to see what it lacks")
    return Found(tuple(own.parent for own in formats), tuple(files))


def _search(config: QuantizeConfig, session: ExportSession, formats: Sequence[WrittenFormat]) -> Found:
    """Write the files among which the one to ship is."""
    from compress.quantize.search import Search

    search = Search(session, formats, _options(config), Limits.of(config, session.opened.kind))
    by_size = report.why_by_size(config, [own.part.format for own in formats])
    said = "smallest" if by_size else "fastest"
    console.step(f"looking for the {said} file that loses at most {config.max_drop:g} points")
    files = search.smallest() if by_size else search.every()
    parents = tuple(own.parent for own in formats)
    return Found(parents, tuple(files), tuple(search.tried), tuple(search.sensitivities))


def _say_what_is_not_shown(found: Quantized, session: ExportSession) -> None:
    best = found.chosen
    if best.scheme is not None and best.verdict.loss is not None:
        from compress.quantize.search import say_what_is_not_shown

        texts = found.parent.evaluation_set.texts
        say_what_is_not_shown(best, session.drop(best), found.config.max_drop, texts)


def _keep_the_best(found: Quantized, session: ExportSession) -> Quantized:
    """Remove all files but the one to ship and the unquantized one of its format."""
    best = found.chosen
    for file in found.files:
        assert file.coverage  # read before the file is gone
        if file is not best and file is not found.parent_of(best):
            session.discard(file)
            if not any(file.path.parent.iterdir()):
                file.path.parent.rmdir()
    parent = found.parent_of(best)
    return replace(found, kept_files=(parent,) if parent is best else (parent, best))


def _measure(quantized: Quantized) -> list[Measurement]:
    """Time the files, interleaved, each in a process of its own."""
    config, opened, files = quantized.config, quantized.opened, quantized.timed_files
    if quantized.untimed:
        return []
    from device_bench.measure import Plan, Target, measure_shown

    targets = [Target(quantized.label(file), file.path, known=quantized.recorded(file)) for file in files]
    longest = quantized.longest
    if beyond := [length for length in config.sequence_lengths if length > longest]:
        said, whose = ", ".join(map(str, beyond)), "model" if longest == opened.longest else "file"
        console.warn(f"the {whose} reads {longest} tokens at most: timed at that, not at {said}")
    if not config.sequence_lengths:
        said = " and ".join(map(str, quantized.timed_lengths))
        where = quantized.parent.evaluation_set.where
        console.step(f"timing at {said} tokens, the mean and 95th percentile of {where}")
    plan = Plan(
        quantized.timed_lengths,
        launches=LAUNCHES,
        threads=config.threads,
        vocabulary=opened.model.config.vocab_size,
        budget_s=config.time_budget,
    )
    return measure_shown(targets, plan, tolerant=len(quantized.found.parents) > 1)
