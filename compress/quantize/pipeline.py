"""The command as a pipeline: check, open, export, quantize, judge, measure, write, show."""

from pathlib import Path

from compress.quantize import report
from compress.quantize.checks import Order, check
from compress.quantize.config import QuantizeConfig
from compress.quantize.report import Outcome
from compress.quantize.search import Found, search
from compress.quantize.variants import Builder
from device_bench.measure import Plan, Subject, measure
from device_bench.records import Measurement
from edgepress import console
from edgepress.artifact import Draft, create_artifact
from edgepress.environment import environment
from edgepress.loading import OpenedModel, check_classifier, open_model, save_model
from export.base.config import derive
from export.base.eager import EagerRunner
from export.base.runner import Batch, Runner
from export.base.scheme import Options
from export.check import parity
from export.check.judge import Judge, Sentences
from export.check.sentences import calibration_sentences, evaluation_sentences, sweep_batches

# Fewer than a measurement of its own takes: a table on the way has an interval all the same, a wider one.
LAUNCHES = 3


def quantize(config: QuantizeConfig) -> Path:
    """Run the command and return the artifact's folder.

    Raises:
        EdgepressError: bad input (exit code 2); nothing is written.
        ExpectationError: parity or --max-drop does not hold (exit code 1); nothing is written.
    """
    order = check(config)
    opened = open_model(
        config.model, config.weights, config.task, config.data, config.seed, options=config.task_options
    )
    check_classifier(opened)
    with create_artifact(order.output, config.overwrite) as draft:
        builder = _open_builder(config, order, opened, draft)
        found = _build(config, order, builder)
        _describe(builder, opened, found)
        measurements = _measure(config, opened, builder, found)
        outcome = Outcome(config, order, opened, builder, found, measurements)
        report.write(outcome, draft)
        report.show(outcome)
    console.step(f"written: {order.output}")
    return order.output


def _open_builder(config: QuantizeConfig, order: Order, opened: OpenedModel, draft: Draft) -> Builder:
    """Write the parent, compare it with torch, and set up what makes and judges variants."""
    console.step(f"exporting {opened.source.name} to {order.format.title} and comparing it with torch")
    save_model(opened, draft.folder)
    parent = draft.folder / order.format.file
    parent.parent.mkdir(parents=True)
    export = derive(order.format.config, config)
    order.format.write(opened.model, parent, export)
    sentences = evaluation_sentences(opened, config.eval_samples, config.seed, config.data)
    with order.format.open(parent, environment().cores) as runner:
        draft.parities[order.format.file] = _check_export(config, order, opened, runner, sentences)
        judge = Judge(runner, sentences)
    options = Options(
        target=order.cpu,
        keep_float=frozenset(config.keep_float),
        calibration_batches=_calibration(config, order, opened),
        calibration=config.calibration,
        smooth_quant=config.smooth_quant,
        model=opened.model,
        export=export,
    )
    return Builder(order.format, parent, judge, options, config.atol)


def _calibration(config: QuantizeConfig, order: Order, opened: OpenedModel) -> list[Batch]:
    """Sentences of the train split, only where a scheme calibrates on them."""
    if order.schemes and not any(scheme.calibrated for scheme in order.schemes):
        return []
    return calibration_sentences(opened, config.calibration_samples, config.seed, config.data)


def _check_export(
    config: QuantizeConfig, order: Order, opened: OpenedModel, runner: Runner, sentences: Sentences
) -> dict[str, object]:
    batches = sweep_batches(opened, sentences, config.seed)
    with EagerRunner(opened.model) as eager:
        found = parity.compare(eager, runner, batches, opened.problem_type)
    own = order.format
    parity.require(found, own.name, own.precision, config.atol, Path(own.file).name)
    return found.to_dict()


def _build(config: QuantizeConfig, order: Order, builder: Builder) -> Found:
    """The variants that were asked for, or the one that the search keeps."""
    if not order.schemes:
        console.step(f"looking for the smallest scheme that loses at most {config.max_drop} points")
        return search(builder, order.format.schemes(), config.max_drop, console.step)
    built = []
    for scheme in order.schemes:
        console.step(f"quantizing: {scheme.name} for {order.cpu.name}")
        built.append(builder.build(scheme))
    return Found(tuple(built))


def _describe(builder: Builder, opened: OpenedModel, found: Found) -> None:
    """Let each file say what it is."""
    builder.format.describe(builder.parent, opened.facts(builder.format.precision))
    for variant in found.kept:
        builder.format.describe(variant.path, opened.facts(variant.scheme.precision))


def _measure(
    config: QuantizeConfig, opened: OpenedModel, builder: Builder, found: Found
) -> list[Measurement]:
    """Time the parent and the variants, interleaved, each in a process of its own."""
    if not builder.format.timed:
        return []
    subjects = [Subject(builder.format.precision, builder.parent)]
    subjects += [Subject(variant.name, variant.path) for variant in found.kept]
    lengths = tuple(sorted({min(length, opened.longest) for length in config.sequence_lengths}))
    plan = Plan(
        lengths,
        launches=LAUNCHES,
        threads=config.threads,
        vocabulary=opened.model.config.vocab_size,
        budget_s=config.time_budget,
    )
    with console.progress() as progress:
        task = progress.add_task("timing, interleaved", total=1.0)
        return measure(subjects, plan, lambda share: progress.update(task, completed=share))
