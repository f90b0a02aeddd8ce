"""The command as a pipeline: check, find files, score, measure, append, show."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from device_bench import records
from device_bench.energy import counter
from device_bench.measure import measure_each
from device_bench.plan import EAGER_MODES, Plan, Target
from device_bench.records import Measurement
from device_bench.run import report
from device_bench.run.config import RunConfig
from device_bench.run.resume import done_cases, why_again
from device_bench.targets import Selection, find_targets, smallest_vocabulary
from edgepress.core import console
from edgepress.core.environment import environment
from edgepress.core.errors import EdgepressError
from edgepress.core.files import writable_folder
from edgepress.core.identity import in_words, texts_digest
from edgepress.core.option_values import require_numbers

if TYPE_CHECKING:
    from device_bench.phone.adb import Adb
    from device_bench.phone.texts import PhoneTexts


def run(config: RunConfig) -> None:
    """Measure the files that the flags name.

    Raises:
        EdgepressError: bad input, or there is no such device (exit code 2).
    """
    plans = _checked(config)
    targets = find_targets(config.artifacts, _selection(config))
    vocabulary = smallest_vocabulary(targets)
    plans = [replace(plan, vocabulary=vocabulary) for plan in plans]
    with TemporaryDirectory() as folder, _phone(config) as phone:
        targets = _with_texts(config, targets, plans[0], Path(folder))
        texts = _phone_texts(config, targets)
        targets = [_with_digest(target, texts.get(target)) for target in targets]
        measured = (_measured(config, targets, plan, phone, texts) for plan in plans)
        found = [record for measurements in measured for record in _keep(config, measurements)]
    report.show([*found, *_known(config, targets, found)])
    if config.profile:
        report.show_profiles(targets, plans[0])


def _checked(config: RunConfig) -> list[Plan]:
    """A plan for each thread count and what shares its launches."""
    require_numbers(type(config), vars(config))
    if config.peak and config.device != "cpu":
        raise EdgepressError("--peak is of this machine's CPU", "--device cpu, or without --peak")
    if config.device == "gpu":
        from device_bench.gpu import require_gpu

        require_gpu()
    energy = config.energy and counter(config.device) is not None
    if config.energy and not energy:
        console.warn("no energy counter can be read here (RAPL needs root on most kernels)")
    records.require_plain(config.output)
    writable_folder(config.output.parent)
    if config.output.exists():
        records.read(config.output)  # a file that is none of ours is refused before hours of measuring
    return [
        Plan(
            _rising(config.sequence_lengths),
            own,
            threads=count,
            launches=config.launches,
            min_runs=config.min_runs,
            target_half_width=config.target,
            passes=config.passes,
            device=config.device,
            energy=energy,
            peak=config.peak,
        )
        for count in _rising(config.threads)
        for own in _sharing(_rising(config.batch_sizes), config.device)
    ]


def _rising(values: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted({*values}))


def _sharing(batches: tuple[int, ...], device: str) -> list[tuple[int, ...]]:
    """The batch sizes that share launches: on a GPU all, since a process takes longer to start than to
    measure and memory is told shape by shape; elsewhere none, since a peak stays that of the largest batch.
    """
    return [batches] if device == "gpu" else [(batch,) for batch in batches]


def _phone(config: RunConfig) -> AbstractContextManager[Adb | None]:
    """The phone, this command's until it ends; None where it measures on this machine."""
    if config.device != "phone":
        return nullcontext()
    from device_bench.phone import exclusive_phone

    return exclusive_phone(config.serial)


def _selection(config: RunConfig) -> Selection:
    if config.device == "phone":
        return Selection(("onnx",), config.precisions)  # what the app runs
    if config.device == "gpu":
        from device_bench.gpu import has_provider, modes

        return Selection(("onnx",) if has_provider() else ("none",), config.precisions, modes(config.modes))
    return Selection(config.formats, config.precisions, EAGER_MODES if config.eager else {})


def _with_texts(config: RunConfig, targets: list[Target], plan: Plan, folder: Path) -> list[Target]:
    # The phone tokenizes and scores by itself; a pass is of token ids on every device.
    scored = 0 if config.no_accuracy or config.device == "phone" else config.eval_samples
    if not scored and not config.passes:
        return targets
    from device_bench.scoring import TextsRequest, with_texts

    console.step("tokenizing and scoring real sentences")
    request = TextsRequest(folder, config.data, config.task, scored, config.passes > 0, config.pass_samples)
    return with_texts(targets, plan, request)


def _measured(
    config: RunConfig,
    targets: list[Target],
    plan: Plan,
    phone: Adb | None,
    texts: Mapping[Target, PhoneTexts | None],
) -> Generator[Measurement, None, None]:
    known = [] if config.measure_again or not config.output.exists() else records.read(config.output)
    facts = _machine_facts(config, phone)
    plan = replace(plan, done=done_cases(known, targets, plan, facts))
    if not plan.cases:
        console.step(f"{config.output} has all of {_told(plan)}: not repeated")
        return
    if differing := why_again(known, targets, plan, facts):
        console.step(
            f"{config.output} has {_told(plan)} of these files, but {in_words(differing)}: measured again"
        )
    plan = replace(plan, budget_s=config.time_budget * len(targets) * len(plan.cases))
    if plan.peak:
        from device_bench.peak import with_peak
        from device_bench.scoring import artifact_of

        targets = with_peak(targets, plan, {own: artifact_of(own) for own in targets})
    if phone is not None:
        from device_bench.phone import measure_on_phone

        yield from measure_on_phone(targets, plan, phone, config.apk, texts.get)
    else:
        yield from _with_progress(targets, plan)


def _told(plan: Plan) -> str:
    return f"batch {', '.join(map(str, plan.batches))}, {plan.threads} thread(s)"


def _machine_facts(config: RunConfig, phone: Adb | None) -> dict[str, Any] | None:
    if config.device == "gpu":
        from device_bench.gpu import environment as gpu

        return {**environment().to_dict(), **gpu()}
    if phone is None:
        return None
    from device_bench.phone import phone_environment

    return phone_environment(phone)


def _phone_texts(config: RunConfig, targets: Sequence[Target]) -> dict[Target, PhoneTexts | None]:
    """What each file is to classify on a phone."""
    if config.device != "phone" or config.no_accuracy:
        return {}
    from device_bench.phone.texts import texts_of

    return {target: texts_of(target, config.task, config.data, config.eval_samples) for target in targets}


def _with_digest(target: Target, texts: PhoneTexts | None) -> Target:
    if texts is None:
        return target
    return replace(target, known={**target.known, "texts_sha256": texts_digest(texts.examples)})


def _with_progress(targets: Sequence[Target], plan: Plan) -> Iterator[Measurement]:
    title = f"timing, interleaved: {_told(plan)}"
    with console.progress() as progress:
        task = progress.add_task(title, total=1.0)
        yield from measure_each(targets, plan, lambda share: progress.update(task, completed=share))


def _keep(config: RunConfig, measurements: Generator[Measurement, None, None]) -> Iterator[Measurement]:
    """Append each record the moment it exists."""
    with closing(measurements):  # Ctrl-C may come here: processes are ended and a phone is put back at once
        for record in measurements:
            records.append(config.output, [record])
            if record.error:
                console.warn(record.error)
            yield record


def _known(config: RunConfig, targets: Sequence[Target], found: Sequence[Measurement]) -> list[Measurement]:
    """What an earlier run of this command measured of the same files."""
    files = {target.known.get("file_sha256") for target in targets}
    runs = {record.run for record in found}
    every = records.read(config.output) if config.output.exists() else []
    return [record for record in every if record.file_sha256 in files and record.run not in runs]
