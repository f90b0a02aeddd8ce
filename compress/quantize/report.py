"""Results of a run: table rows, records, chart, card and manifest."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.quantize.checks import Limits, QuantizeRequest
from compress.quantize.config import QuantizeConfig
from device_bench import records, stats, summary
from device_bench.choice import RatedFile, Recommendation
from device_bench.records import Measurement
from device_bench.summary import Row
from edgepress.core import console
from edgepress.core.artifact import Draft, Step
from edgepress.core.environment import environment
from edgepress.core.memory import peak_note
from edgepress.core.tables import ScreenTable, screen_table, share_text
from export.command.report import ComparedFiles, cpu_notes, recalls_of, recorded
from export.command.session import Written
from export.core.format import Format
from export.core.scheme import CpuTarget, cpu_targets, this_cpu
from export.validation.sentences import TextLengths

if TYPE_CHECKING:
    from compress.quantize.search import Sensitivity

MEASUREMENTS_FILE = "measurements.jsonl"
CHART_FILE = "chart.png"
SHOWN_LAYERS, SHOWN_LABELS = 10, 20
WHOLE = "fp32"
"""Precision of a file that parity alone holds to the model."""
CARD_BODY = """{table}
{judged_on} {caption}

{choice}
{chart}
{usage}
"""
CARD_CHART = f"""
![size, latency and quality]({CHART_FILE})
"""


@dataclass(frozen=True)
class Found:
    """The files that were compared with the model, and how a search came to them if there was one."""

    parents: tuple[Written, ...]
    """The unquantized file of each format."""
    quantized: tuple[Written, ...]
    tried: tuple[tuple[str, float], ...] = ()
    """Name and loss [points] of each file, in the order of trying."""
    sensitivities: tuple[Sensitivity, ...] = ()


@dataclass(frozen=True)
class Quantized(ComparedFiles):
    """Quantized files beside the unquantized ones of their formats."""

    config: QuantizeConfig
    request: QuantizeRequest
    lengths: TextLengths
    """Lengths of the texts that scores are of."""
    found: Found
    measurements: Sequence[Measurement] = ()
    kept_files: tuple[Written, ...] = ()
    """The files that are left where a search removed the others; empty: all are."""

    @property
    def files(self) -> list[Written]:
        """All that were compared: the unquantized file of each format, and behind it the quantized ones."""
        found = self.found
        return [
            file
            for parent in found.parents
            for file in (parent, *(own for own in found.quantized if own.format is parent.format))
        ]

    @property
    def kept(self) -> list[Written]:
        """The files that are in the artifact."""
        return [*self.kept_files] or self.files

    def parent_of(self, file: Written) -> Written:
        """The unquantized file of the same format."""
        return next(own for own in self.found.parents if own.format is file.format)

    def label(self, file: Written) -> str:
        """Name of a file in tables: its scheme, behind its format's name where there are several."""
        return f"{file.format.name} {file.name}" if len(self.found.parents) > 1 else file.name

    @property
    def timed_files(self) -> list[Written]:
        """The files whose runtime here is the one that users have."""
        return [file for file in self.files if file.format.timed]

    @property
    def timed_lengths(self) -> tuple[int, ...]:
        """Lengths to time at, in rising order [tokens]."""
        wanted = self.config.sequence_lengths or (self.lengths.typical, self.lengths.long)
        return tuple(sorted({min(length, self.longest) for length in wanted}))

    @property
    def longest(self) -> int:
        """The longest input that the model and all timed files take [tokens]."""
        return min([self.opened.longest, *(file.longest for file in self.timed_files if file.longest)])

    @property
    def deciding_length(self) -> int:
        """The timed length that latencies are compared at: the one that is nearest to the typical one."""
        return min(self.timed_lengths, key=lambda length: (abs(length - self.lengths.typical), length))

    @property
    def untimed(self) -> str:
        """Why nothing is timed; empty where it is."""
        return why_untimed(self.config, [file.format for file in self.files])

    @property
    def recommendations(self) -> list[Recommendation]:
        """The file to ship on each CPU that files are for."""
        return [self._recommendation(target) for target in cpu_targets(self.config)]

    @property
    def chosen(self) -> Written:
        """The file to ship, on the first CPU that files are for; where none is within the limits, the
        unquantized one."""
        best = self.recommendations[0].chosen
        labels = {self.label(file): file for file in self.files}
        return self.found.parents[0] if best is None else labels[best.label]

    @property
    def preferred(self) -> Written:
        """The file to ship where one was looked for; else the last of those that were asked for."""
        return self.chosen if self.request.chooses else self.files[-1]

    def _recommendation(self, target: CpuTarget) -> Recommendation:
        own, here = self.config, this_cpu().name
        limit = Limits.of(own, self.opened.kind).label
        files = [file for file in self.files if not file.cpus or target.name in file.cpus]
        what = self.metric if self.parent.score is not None else "agreement"
        points = f"{own.max_drop:g} point{'s' * (own.max_drop != 1)} of {what}"
        return Recommendation(
            tuple(self._rated(file) for file in files),
            summary.baseline(self.rows).name,
            points if limit is None else f"{points}, and {limit:g} {self.opened.kind.of_worst}",
            environment().cpu if target.name == here else target.name,
            own.minimize,
            why_unmeasured(own, target) or self.untimed,
        )

    def _rated(self, file: Written) -> RatedFile:
        label, verdict = self.label(file), file.verdict
        row = next(own for own in self.rows if own.name == label)
        loss = verdict.drop(self.parent.score)
        worst, _ = verdict.worst_drop(self.opened.kind, self.parent.labels)
        within = Limits.of(self.config, self.opened.kind).allow(loss, worst)
        known = loss if math.isfinite(loss) else None
        interval = verdict.loss.percent() if verdict.loss else ""
        found = RatedFile(label, file.size_bytes, within or file.precision == WHOLE, known, interval)
        if not row.measurements:
            return found
        record, base = row.latency(self.deciding_length), summary.baseline(self.rows)
        return replace(
            found,
            record=record,
            latency_ms=stats.percentile(record.all_samples_ms, 50),
            speed_up=None if row is base else row.speed_up(base, self.deciding_length),
        )

    @property
    def advice(self) -> list[str]:
        """Sentences that say which file to ship on each CPU."""
        return [own.sentence() for own in self.recommendations]

    @property
    def step(self) -> Step:
        """What was done, for the manifest."""
        return _step(self)

    def card(self, target: Path) -> str:
        """The text of README.md in the folder `target`."""
        return _card(self, target)

    def write(self, draft: Draft, target: Path) -> None:
        """Write everything besides the model files themselves, for an artifact at `target`."""
        if self.measurements:
            records.append(draft.folder / MEASUREMENTS_FILE, self.measurements)
            from device_bench.charts.trade_off import trade_off_chart

            timed = [row for row in self.rows if row.measurements]
            trade_off_chart(timed, self.metric, self.title, draft.folder / CHART_FILE)
        super().write(draft, target)

    def recorded(self, file: Written) -> dict[str, Any]:
        """Return the fields of a file's record, except its times."""
        model, verdict = self.opened.record(), file.verdict
        scored = verdict.score is not None
        return {
            "artifact": self.request.output.name,
            "format": file.format.name,
            "precision": file.precision,
            "parameters": model.parameters,
            "weights": model.weights,
            "task": self.opened.task.name if self.opened.task else "",
            "metric": self.metric,
            "score": verdict.score,
            "score_interval": tuple(verdict.bounds.recorded) if verdict.bounds else None,
            "scored_rows": self.parent.evaluation_set.texts if scored else 0,
            "texts_sha256": self.parent.evaluation_set.texts_sha256 if scored else "",
            "outcomes": verdict.outcomes,
            "text_length": self.lengths.typical,
        }

    @property
    def title(self) -> str:
        return f"{self.opened.source.short_name}: what quantizing bought"

    @property
    def rows(self) -> list[Row]:
        """Rows of the table: the unquantized file of each format, and behind it the quantized ones."""
        return [self._row(file) for file in self.files]

    def _row(self, file: Written) -> Row:
        return Row(
            name=self.label(file),
            size_bytes=file.size_bytes,
            parameters=self.opened.model.num_parameters(),
            agreement=file.verdict.parity.agreement,
            score=file.verdict.score,
            bounds=file.verdict.bounds,
            lost=file.verdict.loss_text(self.parent.score),
            quantized_matmuls=file.coverage,
            measurements=tuple(m for m in self.measurements if m.name == self.label(file)),
            parent="" if file.scheme is None else self.label(self.parent_of(file)),
        )


def why_untimed(config: QuantizeConfig, formats: Sequence[Format]) -> str:
    """Say why no file of these formats is timed; empty where one is."""
    if not any(own.timed for own in formats):
        return summary.NO_RUNTIME
    return "" if config.time_budget else "--time-budget 0"


def why_unmeasured(config: QuantizeConfig, target: CpuTarget) -> str:
    """Say why latency on a CPU cannot be measured here; empty where it can."""
    own, here = this_cpu().name, environment().cpu
    if not config.cpu or target.name == own:
        return ""
    return f"the latency on {target.name} cannot be measured on this {here} ({own})"


def why_by_size(config: QuantizeConfig, formats: Sequence[Format]) -> str:
    """Say why size decides which file to ship; empty where latency does."""
    if config.minimize == "size":
        return "--minimize size"
    return why_unmeasured(config, cpu_targets(config)[0]) or why_untimed(config, formats)


def _step(quantized: Quantized) -> Step:
    found = quantized.found
    resolved = {
        "scheme": quantized.request.scheme,
        "cpu": [own.name for own in cpu_targets(quantized.config)],
    }
    variants = [
        {
            **({"format": file.format.name} if len(found.parents) > 1 else {}),
            "scheme": file.scheme.name if file.scheme else file.precision,
            **recorded(file),
            "agreement": file.verdict.parity.agreement,
            "quantized_matmuls": file.coverage,
            "kept_float": list(file.kept_float),
            **({"block_size": file.block_size} if file.block_size else {}),
        }
        for file in quantized.kept
        if file.scheme is not None
    ]
    best, how = quantized.chosen, found.parents[0].how
    metrics: dict[str, Any] = {
        **({"export": dict(how)} if how else {}),
        **quantized.parent.recorded,
        "variants": variants,
        "chosen": f"{best.path.parent.name}/{best.path.name}",
        "chosen_because": quantized.advice,
    }
    if found.tried:
        metrics["tried"] = [{"name": name, "loss_points": loss} for name, loss in found.tried]
    if found.sensitivities:
        metrics["sensitivities"] = [asdict(entry) for entry in found.sensitivities]
    seconds = sum(file.seconds for file in found.quantized)
    return Step("quantize", {**quantized.config.recorded(), **resolved}, seconds, metrics)


def label_tables(quantized: Quantized) -> list[ScreenTable]:
    """A table of the recall of each label whose recall moved; none where none did."""
    files = [(quantized.label(file), recalls_of(file)) for file in quantized.files]
    first = quantized.files[0].verdict.labels
    moved = [own for own in first if len({known[own.label] for _, known in files}) > 1]
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
    rows, best = quantized.rows, quantized.preferred
    labels = [table.markdown() for table in label_tables(quantized)]
    measured_how = summary.caption(rows, quantized.untimed)
    body = CARD_BODY.format(
        table="\n".join([summary.markdown(rows, quantized.metric, quantized.agreement), *labels]),
        judged_on=quantized.judged_on,
        caption="\n".join(
            [measured_how, *(f"{note}." for note in (*quantized.also, *cpu_notes(quantized.kept)))]
        ),
        choice="\n".join(quantized.advice),
        chart=CARD_CHART if quantized.measurements else "",
        usage=quantized.usage(best, target),
    )
    scores = {row.name: row.score for row in rows if row.score is not None}
    return quantized.card_of(target, scores, body)


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
    for warning in (*summary.slower_than_parent(quantized.rows), *cpu_notes(quantized.kept)):
        console.warn(warning)
    for note in _rival_notes(quantized):
        console.step(note)
    _show_choice(quantized)


def _show_choice(quantized: Quantized) -> None:
    """The file to ship, and the command that asks it."""
    for sentence in quantized.advice:
        console.line(sentence)
    if quantized.chosen.scheme is None:
        console.warn("that is the model unquantized: --minimize size or a larger --max-drop takes another")
    if quantized.opened.head_trained:
        console.line(_predict_line(quantized))


def _predict_line(quantized: Quantized) -> str:
    """The command that asks the file to ship."""
    path = quantized.request.output / quantized.chosen.path.parent.name / quantized.chosen.path.name
    opened = quantized.opened
    texts = opened.kind.card_texts(opened.tokenizer, opened.text_task.texts_a_row)
    return shlex.join(["edgepress", "predict", str(path), "--text", *texts[: opened.texts_a_row]])


def _rival_notes(quantized: Quantized) -> Iterator[str]:
    """How a scheme did against the one it has to beat, and why where it did not."""
    rows = {row.name: row for row in quantized.rows}
    found = quantized.found.quantized
    names = {
        (file.format.name, file.scheme.name if file.scheme else "", file.cpus): quantized.label(file)
        for file in found
    }
    for file in found:
        scheme = file.scheme
        if scheme is None or scheme.rival is None or file.kept_float:
            continue
        rival, row = names.get((file.format.name, scheme.rival, file.cpus)), rows[quantized.label(file)]
        if rival is None:
            yield (
                f"{scheme.name} is not everywhere faster than {scheme.rival}: {scheme.why_slower}; "
                f"--scheme {scheme.rival} {scheme.name} compares them here"
            )
        elif row.measurements and rows[rival].measurements:
            yield _duel(row, rows[rival], scheme.why_slower)


def _duel(row: Row, rival: Row, why_slower: str) -> str:
    ratios = {length: row.speed_up(rival, length).value for length in row.sequence_lengths}
    speeds = ", ".join(f"{ratio:.2f}x at {length}" for length, ratio in ratios.items())
    agreements = f"agreement {_percent(row.agreement)} against {_percent(rival.agreement)}"
    reason = "" if min(ratios.values()) > 1 else f"; where it is not faster: {why_slower}"
    return f"{row.name} against {rival.name}: {speeds}; {agreements}{reason}"


def _percent(share: float | None) -> str:
    return "undefined" if share is None else f"{100 * share:.1f} %"
