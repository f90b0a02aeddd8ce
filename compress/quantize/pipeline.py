"""The command as a pipeline: check, open, export, quantize, judge, measure, write, show."""

from pathlib import Path

from rich.progress import Progress

from compress.quantize import report
from compress.quantize.checks import Order, check
from compress.quantize.config import QuantizeConfig
from compress.quantize.report import Outcome
from compress.quantize.search import Found, search
from compress.quantize.variants import Builder, Judge, Sentences
from device_bench.measure import Plan, Subject, measure
from device_bench.records import Measurement
from edgepress import console
from edgepress.artifact import Draft, create_artifact
from edgepress.loading import OpenedModel, open_model, save_model
from edgepress.pretrained import encode
from edgepress.splits import Examples, load_split
from export import onnx
from export.base.eager import EagerRunner
from export.base.runner import Batch
from export.base.scheme import Options
from export.check import parity
from export.onnx import OnnxRunner
from export.onnx_graph.schemes import SCHEMES

PARENT_FILE = "onnx/model.onnx"
PARITY_SENTENCES = 32
# Where there is no score only agreement is judged, and fewer sentences settle that.
UNSCORED_SAMPLES = 200


def quantize(config: QuantizeConfig) -> Path:
    """Run the command and return the artifact's folder.

    Raises:
        EdgepressError: bad input (exit code 2); nothing is written.
        ExpectationError: parity or --max-drop does not hold (exit code 1); nothing is written.
    """
    order = check(config)
    opened = open_model(config.model, config.weights, config.task, config.data, config.seed)
    if not opened.head_trained and opened.source.origin != "random":
        console.warn(f"{config.model} has no trained classifier: its accuracy is shown as '-'")
    with create_artifact(order.output, config.overwrite) as draft:
        builder = _open_builder(config, order, opened, draft)
        found = _build(config, order, builder)
        measurements = _measure(config, opened, builder, found)
        outcome = Outcome(config, order, opened, builder, found, measurements)
        report.write(outcome, draft)
        report.show(outcome)
    console.step(f"written: {order.output}")
    return order.output


def _open_builder(config: QuantizeConfig, order: Order, opened: OpenedModel, draft: Draft) -> Builder:
    """Write the fp32 parent, compare it with torch, and set up what makes and judges variants."""
    console.step(f"exporting {opened.source.name} to ONNX and comparing it with torch")
    save_model(opened, draft.folder)
    parent = draft.folder / PARENT_FILE
    onnx.export(opened.model, parent, config.opset)
    sentences = _sentences(config, opened)
    draft.parities[PARENT_FILE] = _check_export(config, opened, parent, sentences)
    options = Options(
        target=order.target,
        keep_float=frozenset(config.keep_float),
        calibration_batches=_calibration(config, order, opened),
        calibration=config.calibration,
        smooth_quant=config.smooth_quant,
    )
    return Builder(parent, Judge(parent, sentences), options, config.atol)


def _sentences(config: QuantizeConfig, opened: OpenedModel) -> Sentences:
    """The sentences to judge by; with labels only where the model can be scored on them."""
    task = opened.text_task
    count = config.eval_samples if opened.scored else min(config.eval_samples, UNSCORED_SAMPLES)
    examples = load_split(task, task.evaluation_split, config.data).sample(count, config.seed)
    return Sentences(
        batches=_batches(opened, examples),
        labels=examples.labels if opened.scored else None,
        head_trained=opened.head_trained,
        problem_type=opened.problem_type,
        metric=task.metric,
    )


def _calibration(config: QuantizeConfig, order: Order, opened: OpenedModel) -> list[Batch]:
    """Sentences of the train split, only where a scheme calibrates on them."""
    if order.schemes and not any(scheme.calibrated for scheme in order.schemes):
        return []
    examples = load_split(opened.text_task, "train", config.data)
    return _batches(opened, examples.sample(config.calibration_samples, config.seed))


def _batches(opened: OpenedModel, examples: Examples) -> list[Batch]:
    return [*encode(opened.tokenizer, examples.texts, opened.longest)]


def _check_export(
    config: QuantizeConfig, opened: OpenedModel, parent: Path, sentences: Sentences
) -> dict[str, object]:
    batches = parity.parity_batches(sentences.batches[:PARITY_SENTENCES], opened.longest, config.seed)
    with OnnxRunner(parent) as exported, EagerRunner(opened.model) as eager:
        found = parity.compare(eager, exported, batches, opened.problem_type)
    parity.require(found, "fp32", config.atol, parent.name)
    return found.to_dict()


def _build(config: QuantizeConfig, order: Order, builder: Builder) -> Found:
    """The variants that were asked for, or the one that the search keeps."""
    if not order.schemes:
        console.step(f"looking for the smallest scheme that loses at most {config.max_drop} points")
        return search(builder, SCHEMES, config.max_drop, console.step)
    built = []
    for scheme in order.schemes:
        console.step(f"quantizing: {scheme.name} for {order.target.name}")
        built.append(builder.build(scheme))
    return Found(tuple(built))


def _measure(
    config: QuantizeConfig, opened: OpenedModel, builder: Builder, found: Found
) -> list[Measurement]:
    """Time the parent and the variants, interleaved, each in a process of its own."""
    subjects = [Subject(report.PARENT, builder.parent)]
    subjects += [Subject(variant.name, variant.path) for variant in found.kept]
    lengths = tuple(sorted({min(length, opened.longest) for length in config.sequence_lengths}))
    plan = Plan(
        lengths,
        threads=config.threads,
        vocabulary=opened.model.config.vocab_size,
        budget_s=config.time_budget,
    )
    with Progress(console=console.log, transient=True) as progress:
        task = progress.add_task("timing, interleaved", total=1.0)
        return measure(subjects, plan, lambda share: progress.update(task, completed=share))
