"""The command as a pipeline: open, plan, show how long it takes, carry out, judge, write, name one file."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from compress.recipe.pipeline import carry_out
from compress.recipe.results import table
from compress.recipe.results.lines import RecipeResult
from compress.recipe.results.write import Story, write
from compress.recipe.run.deploy import Deployment, DropLimit, is_scored
from compress.recipe.run.plan import Run, plan
from compress.recipe.run.steps import LEDGER, Bench, RunLedger, at_work
from compress.recipe.schema.spec import RESULTS, Recipe, load
from compress.shrink.chain import WHOLE, Chain, ChainStep, chain_for
from compress.shrink.config import ShrinkConfig
from compress.shrink.estimate import measure_pace, minutes_left
from compress.shrink.verdict import Candidate, candidates, chosen, closest, sentence, uncertain
from compress.step import refuse_quantized, refuse_untrained, with_split
from compress.training.config import OUTPUTS
from edgepress.core import console
from edgepress.core.errors import EdgepressError, ExpectationError
from edgepress.core.files import writable_folder, write_whole
from edgepress.core.loading import OpenedModel, check_kind, open_model
from edgepress.core.models import short_name
from edgepress.core.splits import load_split
from edgepress.core.tables import ScreenTable
from export.validation.sentences import TextLengths

RECIPE = "shrink.yaml"
LOOKED_AT = 500
"""Texts whose mean length is taken."""


def run(config: ShrinkConfig) -> Path | None:
    """Run the command and return the file to ship; None with --check.

    Raises:
        EdgepressError: bad input (exit code 2), or a step failed, with its exit code.
        ExpectationError: no candidate keeps the limits (exit code 1); all is written.
    """
    config.require()
    begun, output = time.monotonic(), config.output or OUTPUTS / f"{short_name(config.model)}-shrunk"
    _refuse_other(output)
    # What is carried out is continued by the same command: the split stays where a step of it fails.
    with with_split(config, config.model, output) as own_config:
        config = own_config
        planned = _planned(config, output)
    own, length = planned.recipe, planned.length
    runs = plan(own, output)
    if config.check:
        return None
    with at_work(output) as mark:
        bench = Bench(RunLedger(output / LEDGER), mark, config.data, False, {}, config.restart)
        forecast = Forecast(own, None, planned=planned.seconds, last=planned.last_seconds)
        result = carry_out(own, runs, Deployment(bench, own.measure), forecast)
        found = candidates(result)
        best = chosen(found, config)
        said = _verdict(result, found, best, config, length)
        story = Story(_command(), False, time.monotonic() - begun, bench.step_seconds)
        write(replace(result, note=said), [], story, output / RESULTS)
    return _show(result, found, best, config, said, planned)


@dataclass(frozen=True)
class Planned:
    """Plan of a run, with estimated durations."""

    recipe: Recipe
    length: int
    """Input length at which files are timed [tokens]."""
    texts_a_row: int
    output: Path
    seconds: Mapping[str, float]
    """Step that is to be done -> its estimated duration [s]."""
    last_seconds: float
    """Estimated duration of scoring and timing all files [s]."""


@dataclass
class Forecast(DropLimit):
    """Says after each step how long the rest will take, by what the steps before took here."""

    planned: Mapping[str, float] = field(default_factory=dict)
    last: float = 0.0

    def check(self, run: Run, deployment: Deployment) -> None:
        """Look at a run that was just done."""
        super().check(run, deployment)
        taken = {
            name: seconds for name, seconds in deployment.bench.step_seconds.items() if name in self.planned
        }
        left = f"    about {minutes_left(self.planned, taken, self.last):.0f} min left"
        by = f", by what {len(taken)} of {len(self.planned)} steps took" if taken else ""
        console.step(left + by)


def _planned(config: ShrinkConfig, output: Path) -> Planned:
    """Show what will be done, and write its recipe into the output.

    The model is forgotten afterwards: the steps are processes, and need the memory.
    """
    opened = _open(config)
    train = load_split(opened.text_task, "train")
    judged_on = load_split(opened.text_task, opened.text_task.evaluation_split)
    rows = min(len(train), config.train_samples or len(train))
    length = _length(config, opened)
    chain = chain_for(opened, config, rows, length)
    pace = measure_pace(opened, train)
    texts = min(len(judged_on), config.eval_samples or len(judged_on))
    own = _recipe(config, chain, output, length)
    done, scored = _finished(own, output, config.data)
    files = len(chain.candidates)
    last = pace.last_seconds(files, files - scored, texts, config.time_budget)
    seconds = {step.name: pace.seconds(step, texts) for step in chain.steps}
    _show_plan(chain, seconds, last, done, (rows, texts))
    left = {name: own for name, own in seconds.items() if name not in done}
    return Planned(own, length, opened.texts_a_row, output, left, last)


def _refuse_other(output: Path) -> None:
    """Raise for a folder that no earlier run of this command wrote."""
    if output.exists() and not (output / RECIPE).is_file() and (not output.is_dir() or any(output.iterdir())):
        raise EdgepressError(f"{output} holds something else", "name another --output")


def _open(config: ShrinkConfig) -> OpenedModel:
    opened = open_model(
        config.model, "pretrained", config.task, config.data, config.seed, options=config.task_options
    )
    check_kind(opened)
    refuse_untrained(opened)
    refuse_quantized(opened)
    if opened.on_foreign_texts:
        raise EdgepressError(
            f"{opened.source.name} does not say what it was trained on: what it loses cannot be measured",
            "name it: --task FILE.csv --text-columns TITLE BODY --label-column LABEL, or a folder of splits",
        )
    if not opened.scored:
        raise EdgepressError(
            f"{opened.source.name} has no trained classifier: what it loses cannot be measured",
            "python -m compress.finetune trains one",
        )
    return opened


def _length(config: ShrinkConfig, opened: OpenedModel) -> int:
    """Return the input length at which files are timed [tokens]."""
    if config.sequence_length is not None:
        if config.sequence_length > opened.longest:
            raise EdgepressError(
                f"the model reads {opened.longest} tokens at most", "a --sequence-length of it"
            )
        return config.sequence_length
    task = opened.text_task
    texts = load_split(task, task.evaluation_split).sample(LOOKED_AT).texts
    rows = opened.kind.batches(opened.tokenizer, texts, opened.text_length)
    found = TextLengths.of(rows, opened.longest).typical
    console.step(f"timing at {found} tokens: the mean of {task.evaluation_split} texts, rounded up")
    return found


def _epochs(step: ChainStep) -> str:
    epochs = step.flags.get("epochs")
    return "-" if epochs is None else f"{epochs:g}"


def _finished(own: Recipe, output: Path, data: Path | None) -> tuple[set[str], int]:
    """Steps that an earlier run of the command has done, and the number of files that it has scored."""
    ledger = RunLedger(output / LEDGER)
    if not ledger.folder.is_dir():
        return set(), 0
    done = Bench(ledger, output, data, False, {}).finished(plan(own, output))
    return done, sum(is_scored(ledger, row.step) for row in own.rows.values() if row.step in done)


def _show_plan(
    chain: Chain, seconds: Mapping[str, float], last: float, done: Collection[str], counts: tuple[int, int]
) -> None:
    """Show the steps with their estimated durations [s]; `done` take no time, `counts` are of texts."""
    rows = [
        (
            step.name,
            step.verb,
            _epochs(step),
            "done" if step.name in done else f"{seconds[step.name] / 60:.1f}",
        )
        for step in chain.steps
    ]
    rows.append((f"all {len(chain.candidates)} files", "score and time", "-", f"{last / 60:.1f}"))
    minutes = (sum(own for name, own in seconds.items() if name not in done) + last) / 60
    said = f"{counts[0]:,} texts to train on, {counts[1]:,} to judge on; all about {minutes:.0f} min here"
    ScreenTable("what will be done", ("step", "by", "epochs", "about [min]"), rows, (0, 1), said).show()
    for reason in chain.left_out:
        console.step(f"left out: {reason}")


def _recipe(config: ShrinkConfig, chain: Chain, output: Path, length: int) -> Recipe:
    """The chain as a recipe that lies in the output."""
    content = chain.recipe(f"Shrinking {short_name(config.model)}", config, length)
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)
    write_whole(writable_folder(output) / RECIPE, text)
    return load(output / RECIPE, quick=False, said=())


def _verdict(
    result: RecipeResult,
    found: list[Candidate],
    best: Candidate | None,
    config: ShrinkConfig,
    length: int,
) -> str:
    doubt = uncertain([line.measurement for line in result.lines if line.measurement], config)
    if best is None:
        return f"No file keeps the limits. {closest(found, config)}.{doubt}"
    whole = next(own for own in found if own.name == WHOLE)
    said = f"{sentence(best, whole, config, length)}. Chosen among {len(found)} files on the same texts."
    needed = best.texts_needed(config.max_drop)
    if needed is not None and best is not whole:
        high = best.drop.high or 0.0
        said += f" With other texts it may lose {high:.1f} points: about {needed:,} texts would settle it."
    return f"{said}{doubt}"


def _show(
    result: RecipeResult,
    found: list[Candidate],
    best: Candidate | None,
    config: ShrinkConfig,
    said: str,
    planned: Planned,
) -> Path:
    table.screen(result).show()
    console.step(f"written: {planned.output / RESULTS}")
    if best is None:
        raise ExpectationError(
            f"no file keeps the limits: {closest(found, config)}",
            "allow more, train on more texts, or longer with --epochs",
        )
    console.line(said)
    if best.name == WHOLE:
        console.warn("that is the model itself: every smaller file is beyond the limits")
    console.line(f"ship   {best.path}")
    texts = " ".join(['"..."'] * planned.texts_a_row)
    console.line(f"try    edgepress predict {shlex.quote(str(best.folder))} --text {texts}")
    return best.path


def _command() -> str:
    return shlex.join(["edgepress", "shrink", *sys.argv[1:]])
