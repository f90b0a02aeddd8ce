"""The command as a pipeline: check, run the steps, measure, judge, write, show."""

import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from compress.recipe.config import RecipeConfig
from compress.recipe.results import table
from compress.recipe.results.collect import collect
from compress.recipe.results.expectations import Expectation, ExpectationVerdict, expectations, judge
from compress.recipe.results.lines import RecipeResult, TableLine
from compress.recipe.results.write import Story, check_folder, write
from compress.recipe.run.deploy import Deployment, DropLimit, Stopped
from compress.recipe.run.plan import Run, plan
from compress.recipe.run.steps import LEDGER, Bench, RunLedger, at_work
from compress.recipe.schema.spec import RESULTS, Measure, Recipe, load, without_files
from device_bench.measure import measure_shown
from device_bench.plan import Plan, Target
from device_bench.targets import smallest_vocabulary
from edgepress.core import console
from edgepress.core.errors import EdgepressError, ExpectationError
from edgepress.core.splits import data_root

RECIPES = "recipes"


def run(config: RecipeConfig) -> Path:
    """Run the command and return the folder of results.

    Raises:
        EdgepressError: bad input (exit code 2), before anything runs; or a step failed, with its exit code.
        ExpectationError: an expectation of the recipe does not hold (exit code 1); all is written.
    """
    start = time.monotonic()
    own = load(config.recipe, config.quick, config.settings)
    own = without_files(own) if config.train_only else own
    output, target = _folders(config, own)
    runs = plan(own, output)
    expected = expectations(own)
    drop_limit = DropLimit(own, config.max_drop)
    data_root(config.data)
    check_folder(target)
    if config.check:
        console.line(f"{own.title}: {len(runs)} steps")
        for index, step in enumerate(runs, start=1):
            console.line(f"  {index}  {step.title}")
        return target
    with at_work(output) as mark:
        bench = Bench(RunLedger(output / LEDGER), mark, config.data, config.ignore_code, {}, config.restart)
        result = carry_out(own, runs, Deployment(bench, own.measure), drop_limit)
        verdicts = _judged(config, expected, result)
        story = _story(config, bench, time.monotonic() - start)
        write(result, verdicts, story, target)
    table.screen(result).show()
    if verdicts:
        table.verdict_screen(verdicts).show()
    console.step(f"written: {target}")
    _conclude(result, verdicts)
    return target


def _folders(config: RecipeConfig, own: Recipe) -> tuple[Path, Path]:
    """Folder of the steps, and folder of the results."""
    name = f"{own.name}-quick" if config.quick else own.name
    output = config.output or Path("outputs") / RECIPES / name
    kept = output / RESULTS if config.quick else Path("results") / RECIPES / own.name
    return output, config.results or kept


def carry_out(
    own: Recipe, runs: Sequence[Run], deployment: Deployment, drop_limit: DropLimit
) -> RecipeResult:
    """Do the steps of a recipe, then score and time what they left.

    Args:
        own: the recipe.
        runs: its plan.
        deployment: where they are done.
        drop_limit: ends it early where more is lost than allowed.

    Raises:
        EdgepressError: a step failed, with its exit code.
    """
    note = ""
    done = list(runs)
    for index, run in enumerate(runs):
        deployment.bench.do(run, f"[{index + 1}/{len(runs)}]")
        try:
            drop_limit.check(run, deployment)
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
    targets: dict[tuple[Path, str], Target] = {}
    for line in lines:
        if line.target is not None:  # a mean has the file of one of its lines
            targets.setdefault((line.target.path, line.target.mode), line.target)
    if not targets:
        return tuple(lines)
    every = list(targets.values())
    plan_ = Plan(
        (how.sequence_length,),
        threads=how.threads,
        vocabulary=smallest_vocabulary(every),
        budget_s=how.time_budget * len(every),
    )
    records = dict(zip(targets, measure_shown(every, plan_), strict=True))

    def timed(line: TableLine, target: Target) -> TableLine:
        record = records[target.path, target.mode]
        return replace(line, measurement=replace(record, name=line.title, baseline=every[0].name))

    return tuple(timed(line, line.target) if line.target else line for line in lines)


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
    return Story(shlex.join(words), config.quick, seconds, bench.step_seconds)


def _conclude(result: RecipeResult, verdicts: Sequence[ExpectationVerdict]) -> None:
    """Raise for what was not reached."""
    if result.note:
        raise ExpectationError(result.note, "allow more with --max-drop, or change the step")
    failed = [verdict.expectation.text for verdict in verdicts if not verdict.holds]
    if failed:
        raise ExpectationError(f"not reached: {'; '.join(failed)}", "the table says what was measured")
