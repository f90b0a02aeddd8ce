"""The files behind the rows: exported where a step left none, found, scored, and watched by `--max-drop`."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from compress.recipe.run.code_digest import code_digest, libraries
from compress.recipe.run.plan import Run, matching
from compress.recipe.run.steps import INPUTS, Bench, RunLedger
from compress.recipe.schema.spec import Measure, Recipe, RowSpec
from compress.recipe.schema.verbs import EXPORT_VERB, verbs
from device_bench.file_score import FileScore
from device_bench.plan import EAGER, EAGER_MODES, Plan, Target
from device_bench.scoring import TextsRequest, artifact_of, artifact_texts
from device_bench.targets import Selection, find_targets, smallest_vocabulary
from edgepress.core import console
from edgepress.core.environment import environment
from edgepress.core.errors import EdgepressError
from edgepress.core.files import sha256
from edgepress.core.identity import library_versions
from edgepress.core.intervals import in_points, packed_loss_bounds, points_text
from edgepress.core.squad import plain
from export.command.pipeline import export
from export.core.registry import find_format
from export.onnx import OnnxConfig

EXPORTED = ("fp32", "onnx")
ALL = 10**9
SCORED = "score"
PREDICTIONS = "predictions"
"""What `target` adds to a file's facts: where its predictions and their labels lie, as NPZ."""


@dataclass(frozen=True)
class Deployment:
    """Makes the file of a row and a run, ready to be timed."""

    bench: Bench
    measure: Measure

    def target(self, row: RowSpec, run: Run) -> Target:
        """The row's file of this run, with its score."""
        found = self._file(row, run)
        return replace(found, known={**found.known, **self._score(found, run)})

    def _file(self, row: RowSpec, run: Run) -> Target:
        if row.file == EAGER:
            modes = Selection(("none",), (), {EAGER: EAGER_MODES[EAGER]})
            return find_targets([run.output], modes)[0]
        files = _timed_files(run.output) or _timed_files(self._export(run))
        return _chosen(files, row)

    def _export(self, run: Run) -> Path:
        """The ONNX file of an artifact that has only weights, in an artifact of its own."""
        task, name = self._task(run), f"{run.name}-onnx"
        flags = {"model": str(run.output), **({"task": task} if task else {})}
        step, output = f"{run.step}, as a file", run.output.with_name(name)
        own = Run(name, step, verbs()[EXPORT_VERB], run.each, flags, output, (run.name,))
        self.bench.do(own, "   ", self._write)
        return own.output

    def _write(self, run: Run) -> None:
        """The export's command, in this process, which has its libraries loaded, and without its table."""
        format_ = find_format(EXPORT_VERB.rpartition(".")[2])
        config = OnnxConfig(**run.flags, output=run.output, data=self.bench.data, overwrite=True)
        with redirect_stdout(io.StringIO()):
            export(config, [(format_, config)])

    def _task(self, run: Run) -> str | None:
        """What the flags of the run, or of those that it builds on, call the task."""
        if run.flags.get("task"):
            return str(run.flags["task"])
        return next((task for name in run.uses if (task := self._task(self.bench.runs[name]))), None)

    def _score(self, target: Target, run: Run) -> dict[str, Any]:
        """Task, metric and score of a file over the evaluation split; kept, since neither changes."""
        manifest = run.output / "manifest.json"
        inputs = {
            "file": target.known["file_sha256"],
            "mode": target.mode,
            "artifact": sha256(manifest),
            "eval_samples": self.measure.eval_samples,
            "data": self.bench.digests([str(target.known.get("task", ""))]),
            "code": code_digest("device_bench.scoring"),
            "versions": library_versions(libraries("device_bench.scoring")),
            "cpu": environment().cpu,  # int8 sums overflow on some
        }
        name = f"{run.name}-{target.mode or target.path.name}-{SCORED}"
        known, saved = self.bench.ledger.known(name), self.bench.ledger.folder / f"{name}.npz"
        if known is not None and known[INPUTS] == inputs and "facts" in known and saved.is_file():
            return {**known["facts"], PREDICTIONS: saved}
        console.step(f"    scoring {target.name}")
        facts, judged = self._scored(target, self._task(run))
        if judged is None or judged.score is None:
            return facts
        np.savez(saved, predicted=judged.predicted, labels=plain(judged.labels))
        self.bench.ledger.note(name, {"inputs": inputs, "facts": facts})
        return {**facts, PREDICTIONS: saved}

    def _scored(self, target: Target, task: str | None) -> tuple[dict[str, Any], FileScore | None]:
        plan = Plan(threads=self.measure.threads, vocabulary=smallest_vocabulary([target]))
        own = artifact_of(target)
        assert own is not None, "every step of a recipe makes an artifact"
        with TemporaryDirectory() as folder:
            count = self.measure.eval_samples or ALL
            request = TextsRequest(Path(folder), self.bench.data, task, scored=count)
            texts = artifact_texts(own, request)
            judged = texts.judge(target, plan) if texts else None
        if texts is None:
            return {}, None
        facts = {name: texts.known[name] for name in ("task", "metric", "tokenize_ms")}
        return {**facts, **(judged.facts if judged else {})}, judged


def is_scored(ledger: RunLedger, run: str) -> bool:
    """Whether a file of this run was scored, whatever has changed since."""
    return any(ledger.folder.glob(f"{run}-*-{SCORED}.json"))


def _timed_files(folder: Path) -> list[Target]:
    try:
        return find_targets([folder], Selection())
    except EdgepressError:  # no file in any format: weights alone
        return []


def _chosen(files: Sequence[Target], row: RowSpec) -> Target:
    """The file that the row names; else the one that is not fp32, else the fp32 ONNX file."""
    known = {target.path.name: target for target in files}
    node = row.node.at("file", row.file)
    if row.file is not None:
        if row.file not in known:
            raise node.unknown("file", row.file, [*known, EAGER])
        return known[row.file]
    small = [target for target in files if target.known["precision"] != "fp32"]
    whole = [s for s in files if (s.known["precision"], s.known["format"]) == EXPORTED]
    candidates = small or whole or list(files)
    if len(candidates) > 1:
        names = ", ".join(target.path.name for target in candidates)
        raise row.node.error(f"{row.step} has several files", f"say file: one of {names}")
    return candidates[0]


class Stopped(Exception):  # noqa: N818  # not an error: the steps before it are the result
    """A step loses more than allowed."""


@dataclass
class DropLimit:
    """Scores each run that has a row, as soon as it is done, against the run of the first row."""

    recipe: Recipe
    max_drop: float | None
    """Points of the metric; None: nothing is watched."""
    _first: list[tuple[Run, Mapping[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Raise if the first row is no file.

        Raises:
            EdgepressError: it is a figure of a step.
        """
        if self.max_drop is not None and not self._reference.deployed:
            raise EdgepressError(
                f"--max-drop: the first row, {self._reference.name}, is a figure of a step and no file",
                "begin the table with the model that others are compared with",
            )

    @property
    def _reference(self) -> RowSpec:
        return self.recipe.rows[self.recipe.reference]

    def check(self, run: Run, deployment: Deployment) -> None:
        """Look at a run that was just done.

        Raises:
            Stopped: a file of it loses more than allowed.
        """
        for row in self.recipe.rows.values() if self.max_drop is not None else ():
            if row.step == run.step and row.deployed and row.takes(run.each):
                self._judge(row, run, deployment.target(row, run).known)

    def _judge(self, row: RowSpec, run: Run, known: Mapping[str, Any]) -> None:
        if known.get("score") is None or self.max_drop is None:
            return
        if row is self._reference:
            self._first.append((run, known))
        elif self._first:
            parent = matching([first for first, _ in self._first], run.each)
            whole = next(facts for first, facts in self._first if first is parent)
            drop = in_points(whole["score"] - known["score"])
            if drop > self.max_drop:
                outcomes = (facts.get("outcomes", "") for facts in (whole, known))
                bounds = packed_loss_bounds(str(known.get("metric", "")), *outcomes)
                raise Stopped(
                    f"stopped before {run.title}: it loses {points_text(drop, bounds)} against "
                    f"{self._reference.title} (--max-drop {self.max_drop:g})"
                )
