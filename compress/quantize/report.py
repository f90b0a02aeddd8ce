"""Results of a run: table rows, records, chart, card and manifest."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from compress.quantize.checks import QuantizeRequest
from compress.quantize.config import QuantizeConfig
from device_bench import records, summary
from device_bench.records import Measurement
from device_bench.summary import Row
from edgepress.core import console
from edgepress.core.artifact import Draft, Step
from edgepress.core.evaluation import EVALUATION_SET, EvaluationSet
from edgepress.core.intervals import Bounds
from edgepress.core.loading import OpenedModel
from edgepress.core.memory import peak_note
from edgepress.core.model_card import Card
from edgepress.core.tables import ScreenTable, screen_table, share_text
from export.command.report import agreement_heading, also, also_lines, cpu_notes, intervals, judged_on, usage
from export.command.session import Written
from export.core.scheme import cpu_targets
from export.validation.validator import FurtherScore

MEASUREMENTS_FILE = "measurements.jsonl"
CHART_FILE = "chart.png"
SHOWN_LAYERS, SHOWN_LABELS = 10, 20
CARD_BODY = """{table}
{judged_on} {caption}
{chart}
{usage}
"""
CARD_CHART = f"""
![size, latency and quality]({CHART_FILE})
"""


@dataclass(frozen=True)
class Sensitivity:
    """Change of the logits when one layer alone is quantized."""

    layer: str
    rms: float
    """Root mean square of the logits' differences from the parent's."""


@dataclass(frozen=True)
class Found:
    """The quantized files that are kept, and how the search came to them if there was one."""

    kept: tuple[Written, ...]
    tried: tuple[tuple[str, float], ...] = ()
    """Name and loss [points] of each file, in the order of trying."""
    sensitivities: tuple[Sensitivity, ...] = ()


@dataclass(frozen=True)
class Quantized:
    """Everything that a run found out."""

    config: QuantizeConfig
    order: QuantizeRequest
    opened: OpenedModel
    parent_score: float | None
    """Score of the model in torch."""
    parent_bounds: Bounds | None
    evaluation_set: EvaluationSet
    """What scores are of."""
    parent: Written
    """The file that is not quantized."""
    found: Found
    parent_also: Mapping[str, FurtherScore] = field(default_factory=dict)
    """What the model is judged by besides, in torch."""
    measurements: Sequence[Measurement] = ()

    @property
    def files(self) -> list[Written]:
        """The unquantized file, then the quantized ones."""
        return [self.parent, *self.found.kept]

    @property
    def also(self) -> list[str]:
        """Lines on what files are judged by besides."""
        return list(also_lines(self.opened, self.parent_also, self.files))

    @property
    def untimed(self) -> str:
        """Why nothing is timed; empty where it is."""
        if not self.parent.format.timed:
            return summary.NO_RUNTIME
        return "" if self.config.time_budget else "--time-budget 0"

    @property
    def remade(self) -> OpenedModel:
        """The model, with quantizing as its last step."""
        return replace(self.opened, applied=(*self.opened.applied, _step(self)))

    def write(self, draft: Draft, target: Path) -> None:
        """Write everything besides the model files themselves, for an artifact at `target`."""
        if self.measurements:
            records.append(draft.folder / MEASUREMENTS_FILE, self.measurements)
            from device_bench.charts.trade_off import trade_off_chart

            trade_off_chart(self.rows, self.metric, self.title, draft.folder / CHART_FILE)
        (draft.folder / "README.md").write_text(_card(self, target), encoding="utf-8")
        draft.manifest = self.remade.manifest(target.name, self.config.seed)

    def recorded(self, file: Written) -> dict[str, Any]:
        """Return the fields of a file's record, except its times."""
        model, verdict = self.opened.record(), file.verdict
        scored = verdict.score is not None
        return {
            "artifact": self.order.output.name,
            "format": file.format.name,
            "precision": file.precision,
            "parameters": model.parameters,
            "weights": model.weights,
            "task": self.opened.task.name if self.opened.task else "",
            "metric": self.metric,
            "score": verdict.score,
            "score_interval": tuple(verdict.bounds.recorded) if verdict.bounds else None,
            "scored_rows": self.evaluation_set.texts if scored else 0,
        }

    @property
    def metric(self) -> str:
        return self.opened.text_task.metric

    @property
    def judged_on(self) -> str:
        return judged_on(self.opened, self.evaluation_set, self.files)

    @property
    def agreement(self) -> str:
        """Heading of the column of agreement."""
        return agreement_heading(self.opened)

    @property
    def title(self) -> str:
        return f"{self.opened.source.short_name}: what quantizing bought"

    @cached_property
    def rows(self) -> list[Row]:
        """Rows of the table: the parent, then each quantized file that is kept."""
        return [self._row(file) for file in self.files]

    def _row(self, file: Written) -> Row:
        return Row(
            name=file.name,
            size_bytes=file.size_bytes,
            parameters=self.opened.model.num_parameters(),
            agreement=file.verdict.parity.agreement,
            score=file.verdict.score,
            bounds=file.verdict.bounds,
            quantized_matmuls=file.format.coverage(file.path),
            measurements=tuple(m for m in self.measurements if m.name == file.name),
        )


def _step(quantized: Quantized) -> Step:
    found = quantized.found
    resolved = {"scheme": quantized.order.scheme, "cpu": [own.name for own in cpu_targets(quantized.config)]}
    variants = [
        {
            "scheme": file.scheme.name if file.scheme else file.precision,
            **({"cpus": list(file.cpus)} if file.cpus else {}),
            "score": file.verdict.score,
            **intervals(file.verdict),
            **also(file.verdict),
            "agreement": file.verdict.parity.agreement,
            "quantized_matmuls": file.format.coverage(file.path),
            "kept_float": list(file.kept_float),
            **({"recalls": recalls} if (recalls := _recalls(file)) else {}),
        }
        for file in found.kept
    ]
    metrics: dict[str, Any] = {
        **({"export": dict(quantized.parent.how)} if quantized.parent.how else {}),
        "parent_score": quantized.parent_score,
        "parent_interval": quantized.parent_bounds.recorded if quantized.parent_bounds else None,
        EVALUATION_SET: quantized.evaluation_set.recorded(),
        "variants": variants,
    }
    if found.tried:
        metrics["tried"] = [{"name": name, "loss_points": loss} for name, loss in found.tried]
    if found.sensitivities:
        metrics["sensitivities"] = [asdict(entry) for entry in found.sensitivities]
    seconds = sum(file.seconds for file in found.kept)
    return Step("quantize", {**quantized.config.recorded(), **resolved}, seconds, metrics)


def _recalls(file: Written) -> dict[str, float | None]:
    """The recall of each label, for the manifest."""
    return {own.label: own.recall for own in file.verdict.labels}


def label_tables(quantized: Quantized) -> list[ScreenTable]:
    """A table of the recall of each label whose recall moved; none where none did."""
    files = [(file.name, _recalls(file)) for file in quantized.files]
    moved = [
        own for own in quantized.parent.verdict.labels if len({known[own.label] for _, known in files}) > 1
    ]
    if not moved:
        return []
    counted = quantized.opened.kind.counted
    rows = [
        (own.label, f"{own.texts:,}", *(share_text(known[own.label]) for _, known in files))
        for own in sorted(moved, key=lambda own: -own.texts)[:SHOWN_LABELS]
    ]
    headings = ("recall of", counted, *(name for name, _ in files))
    return [screen_table("labels whose recall moved", headings, rows)]


def _card(quantized: Quantized, target: Path) -> str:
    rows, own = quantized.rows, quantized.parent.format
    labels = [table.markdown() for table in label_tables(quantized)]
    measured_how = summary.caption(rows, quantized.untimed)
    body = CARD_BODY.format(
        table="\n".join([summary.markdown(rows, quantized.metric, quantized.agreement), *labels]),
        judged_on=quantized.judged_on,
        caption="\n".join(
            [measured_how, *(f"{note}." for note in (*quantized.also, *cpu_notes(quantized.files)))]
        ),
        chart=CARD_CHART if quantized.measurements else "",
        usage=usage(own, target, quantized.found.kept[-1].path, quantized.opened),
    )
    opened = quantized.opened
    pipeline = opened.kind.pipeline
    scores = {row.name: row.score for row in rows if row.score is not None}
    said = (opened.license, scores, body, opened.language)
    kinds = (pipeline, opened.kind.library)
    return Card(target.name, opened.record(), opened.task, "quantized", *said, *kinds).text()


def show(quantized: Quantized) -> None:
    """The table, the layers' sensitivities if they were measured, and what to know about them."""
    own = (quantized.metric, quantized.title, quantized.agreement, quantized.untimed)
    summary.table(quantized.rows, *own).show()
    console.line(quantized.judged_on)
    for line in quantized.also:
        console.line(line)
    if said := peak_note(quantized.opened.longest):
        console.line(said)
    for table in label_tables(quantized):
        table.show()
    if found := quantized.found.sensitivities:
        rows = [(entry.layer, f"{entry.rms:.4f}") for entry in found[:SHOWN_LAYERS]]
        title = f"most sensitive layers ({len(found)} measured)"
        screen_table(title, ("layer", "logit RMS when it alone is int8"), rows).show()
    for warning in (*summary.slower_than_parent(quantized.rows), *cpu_notes(quantized.files)):
        console.warn(warning)
    for note in _rival_notes(quantized):
        console.step(note)


def _rival_notes(quantized: Quantized) -> Iterator[str]:
    """How a scheme did against the one it has to beat, and why where it did not."""
    rows = {row.name: row for row in quantized.rows}
    names = {(file.scheme.name if file.scheme else "", file.cpus): file.name for file in quantized.found.kept}
    for file in quantized.found.kept:
        scheme = file.scheme
        if scheme is None or scheme.rival is None or file.kept_float:
            continue
        rival = names.get((scheme.rival, file.cpus))
        if rival is None:
            yield (
                f"{scheme.name} is not everywhere faster than {scheme.rival}: {scheme.why_slower}; "
                f"--scheme {scheme.rival} {scheme.name} compares them here"
            )
        elif quantized.measurements:
            yield _duel(rows[file.name], rows[rival], scheme.why_slower)


def _duel(row: Row, rival: Row, why_slower: str) -> str:
    ratios = {length: row.speed_up(rival, length).value for length in row.sequence_lengths}
    speeds = ", ".join(f"{ratio:.2f}x at {length}" for length, ratio in ratios.items())
    agreements = f"agreement {_percent(row.agreement)} against {_percent(rival.agreement)}"
    reason = "" if min(ratios.values()) > 1 else f"; where it is not faster: {why_slower}"
    return f"{row.name} against {rival.name}: {speeds}; {agreements}{reason}"


def _percent(share: float | None) -> str:
    return "undefined" if share is None else f"{100 * share:.1f} %"
