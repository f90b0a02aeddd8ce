"""The command as a pipeline: check, open, export, quantize, judge, measure, write, show."""

from dataclasses import replace
from pathlib import Path

from compress.quantize import report
from compress.quantize.checks import QuantizeRequest, check
from compress.quantize.config import QuantizeConfig
from compress.quantize.report import Found, Quantized
from device_bench.measure import Plan, Subject, measure_shown
from device_bench.records import Measurement
from edgepress.core import console
from edgepress.core.artifact import Draft, create_artifact
from edgepress.core.inputs import require_length
from edgepress.core.loading import OpenedModel, check_kind, open_model
from export.command.session import ExportSession, Whole, Written
from export.core.config import derive
from export.core.scheme import Options, cpu_targets
from export.validation.sentences import ANY

# Fewer than a measurement of its own takes: a table on the way has an interval all the same, a wider one.
LAUNCHES = 3


def run(config: QuantizeConfig) -> Path:
    """Run the command and return the artifact's folder.

    Raises:
        EdgepressError: bad input (exit code 2); nothing is written.
        ExpectationError: parity or --max-drop does not hold (exit code 1); nothing is written.
    """
    order = check(config)
    opened = open_model(
        config.model, config.weights, config.task, config.data, config.seed, options=config.task_options
    )
    check_kind(opened)
    with create_artifact(order.output, config.overwrite) as draft:
        quantized = quantize(opened, config, order, draft)
        measured = replace(quantized, measurements=_measure(quantized))
        measured.write(draft, order.output)
    console.step(f"written: {order.output}")
    report.show(measured)
    return order.output


def quantize(opened: OpenedModel, config: QuantizeConfig, order: QuantizeRequest, draft: Draft) -> Quantized:
    """Write a classifier unquantized and in the schemes of an order, each file compared with the model.

    Args:
        opened: the classifier.
        config: how; its paths are not looked at.
        order: what the flags ask for, checked.
        draft: the folder that the files are written into.

    Raises:
        EdgepressError: the format cannot hold the model, or a quantizer fails.
        ExpectationError: a file is too far from the model, or loses more than --max-drop.
    """
    require_length(config.max_length, opened.longest)
    samples = config.eval_samples, config.calibration_samples
    session = ExportSession(opened, draft, *samples, config.seed, config.max_length)
    console.step(f"exporting {opened.source.name} to {order.format.title} and comparing it with torch")
    session.begin()
    whole = session.write(order.format, derive(order.format.config, config))
    parent = session.keep(whole)
    found = _quantize(config, order, session, whole)
    session.record([parent, *found.kept])
    parent_score, parent_bounds = session.parent_score(), session.parent_bounds()
    judged_on = session.evaluation_set()
    also = session.judge(ANY).parent_also
    return Quantized(
        config, order, session.opened, parent_score, parent_bounds, judged_on, parent, found, also
    )


def _quantize(config: QuantizeConfig, order: QuantizeRequest, session: ExportSession, whole: Whole) -> Found:
    """The files that were asked for, or the one that the search keeps."""
    options = Options(
        target=cpu_targets(config)[0],
        keep_float=frozenset(config.keep_float),
        calibration=config.calibration,
        smooth_quant=config.smooth_quant,
    )
    if not order.schemes:
        console.step(f"looking for the smallest scheme that loses at most {config.max_drop} points")
        from compress.quantize.search import Limits, search

        limits = Limits(config.max_drop, config.max_label_drop)
        return search(session, whole, order.format.schemes(), options, limits)
    built: list[Written] = []
    for scheme in order.schemes:
        built += session.quantize_for(whole, scheme, options, config)
    return Found(tuple(built))


def _measure(quantized: Quantized) -> list[Measurement]:
    """Time the files, interleaved, each in a process of its own."""
    config, opened, files = quantized.config, quantized.opened, quantized.files
    if quantized.untimed:
        return []
    subjects = [Subject(file.name, file.path, known=quantized.recorded(file)) for file in files]
    lengths = tuple(sorted({min(length, opened.longest) for length in config.sequence_lengths}))
    if beyond := [length for length in config.sequence_lengths if length > opened.longest]:
        said = ", ".join(map(str, beyond))
        console.warn(f"the model reads {opened.longest} tokens at most: timed at that, not at {said}")
    plan = Plan(
        lengths,
        launches=LAUNCHES,
        threads=config.threads,
        vocabulary=opened.model.config.vocab_size,
        budget_s=config.time_budget,
    )
    return measure_shown(subjects, plan)
