"""The command as a pipeline: check, run the steps, measure, judge, write, show."""

import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from compress.recipe.config import RecipeConfig
from compress.recipe.results import table
from compress.recipe.results.collect import collect
from compress.recipe.results.expectations import Expectation, ExpectationVerdict, expectations, judge
from compress.recipe.results.lines import RecipeResult, TableLine
from compress.recipe.results.write import Story, check_folder, write
from compress.recipe.run.deploy import Deployment, Stopped, Watch
from compress.recipe.run.plan import Run, plan
from compress.recipe.run.steps import LEDGER, Bench, RunLedger, at_work
from compress.recipe.schema.spec import RESULTS, Measure, Recipe, load, without_files
from device_bench.measure import measure
from device_bench.plan import Plan, Subject
from device_bench.records import Measurement
from device_bench.targets import smallest_vocabulary
from edgepress.core import console
from edgepress.core.errors import EdgepressError, ExpectationError, require_flags
from edgepress.core.splits import data_root

RECIPES = "recipes"


def run(config: RecipeConfig) -> Path:
    """Run the command and return the folder of results.

    Raises:
        EdgepressError: bad input (exit code 2), before anything runs; or a step failed, with its exit code.
        ExpectationError: an expectation of the recipe does not hold (exit code 1); all is written.
    """
    start = time.monotonic()
    require_flags({"--max-drop": config.max_drop is None or config.max_drop >= 0})
    own = load(config.recipe, config.quick, config.settings)
    own = without_files(own) if config.train_only else own
    output, target = _folders(config, own)
    runs = plan(own, output)
    expected = expectations(own)
    watch = Watch(own, config.max_drop)
    data_root(config.data)
    check_folder(target)
    if config.check:
        _list(own, runs)
        return target
    with at_work(output) as mark:
        bench = Bench(RunLedger(output / LEDGER), mark, config.data, config.ignore_code, {}, config.restart)
        result = _run(own, runs, Deployment(bench, own.measure), watch)
        verdicts = _judged(config, expected, result)
        story = _story(config, bench, time.monotonic() - start)
        write(result, verdicts, story, target)
    _show(result, verdicts, target)
    _conclude(result, verdicts)
    return target


def _folders(config: RecipeConfig, own: Recipe) -> tuple[Path, Path]:
    """Where the steps write, and where the results go."""
    name = f"{own.name}-quick" if config.quick else own.name
    output = config.output or Path("outputs") / RECIPES / name
    kept = output / RESULTS if config.quick else Path("results") / RECIPES / own.name
    return output, config.results or kept


def _list(own: Recipe, runs: Sequence[Run]) -> None:
    console.line(f"{own.title}: {len(runs)} steps")
    for index, run in enumerate(runs, start=1):
        console.line(f"  {index}  {run.title}")


def _run(own: Recipe, runs: Sequence[Run], deployment: Deployment, watch: Watch) -> RecipeResult:
    """Do the steps, then measure what they left."""
    note = ""
    done = list(runs)
    for index, run in enumerate(runs):
        deployment.bench.do(run, f"[{index + 1}/{len(runs)}]")
        try:
            watch.check(run, deployment)
        except Stopped as stop:
            console.warn(str(stop))
            note, done = str(stop), list(runs[:index])
            del deployment.bench.runs[run.name]
            break
    console.step(f"measuring what {len(done)} steps made")
    lines = tuple(collect(own, runs, deployment))
    if not lines:
        raise EdgepressError("no row of the table is complete", "nothing to measure")
    return RecipeResult(own, _timed(lines, own.measure), note)


def _timed(lines: Sequence[TableLine], how: Measure) -> tuple[TableLine, ...]:
    """The lines with their files timed, each file once, all in one interleaved measurement."""
    subjects = list(_distinct(line.subject for line in lines if line.subject is not None).values())
    if not subjects:
        return tuple(lines)
    plan_ = Plan(
        (how.sequence_length,),
        threads=how.threads,
        vocabulary=smallest_vocabulary(subjects),
        budget_s=how.time_budget * len(subjects),
    )
    with console.progress() as progress:
        task = progress.add_task("timing, interleaved", total=1.0)
        found = measure(subjects, plan_, lambda share: progress.update(task, completed=share))
    records = dict(zip(_distinct(subjects), found, strict=True))
    return tuple(_with_record(line, records) for line in lines)


def _distinct(subjects: Iterable[Subject]) -> dict[tuple[Path, str], Subject]:
    """The subjects by what is timed; a mean has the file of one of its lines."""
    found: dict[tuple[Path, str], Subject] = {}
    for subject in subjects:
        found.setdefault((subject.path, subject.mode), subject)
    return found


def _with_record(line: TableLine, records: Mapping[tuple[Path, str], Measurement]) -> TableLine:
    if line.subject is None:
        return line
    record = records[line.subject.path, line.subject.mode]
    return replace(line, measurement=replace(record, name=line.title))


def _judged(
    config: RecipeConfig, expected: Sequence[Expectation], result: RecipeResult
) -> list[ExpectationVerdict]:
    if config.quick and expected:
        console.step("a quick run: what the recipe expects is not judged")
        return []
    return judge(expected, result)


def _story(config: RecipeConfig, bench: Bench, seconds: float) -> Story:
    words = ["python", "-m", "compress.recipe", str(config.recipe)]
    words += [word for said in config.settings for word in ("--set", said)]
    words += ["--quick"] if config.quick else []
    words += ["--train-only"] if config.train_only else []
    words += ["--max-drop", f"{config.max_drop:g}"] if config.max_drop is not None else []
    known = {name: bench.ledger.known(name) or {} for name in bench.runs}
    taken = {name: float(entry["seconds"]) for name, entry in known.items() if "seconds" in entry}
    return Story(shlex.join(words), config.quick, seconds, taken)


def _show(result: RecipeResult, verdicts: Sequence[ExpectationVerdict], target: Path) -> None:
    table.screen(result).show()
    if verdicts:
        table.verdict_screen(verdicts).show()
    console.step(f"written: {target}")


def _conclude(result: RecipeResult, verdicts: Sequence[ExpectationVerdict]) -> None:
    """Raise for what was not reached."""
    if result.note:
        raise ExpectationError(result.note, "allow more with --max-drop, or change the step")
    failed = [verdict.expectation.text for verdict in verdicts if not verdict.holds]
    if failed:
        raise ExpectationError(f"not reached: {'; '.join(failed)}", "the table says what was measured")
