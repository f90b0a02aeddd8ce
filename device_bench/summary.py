"""A row for each file: its size, latency and accuracy next to its parent, as a table and as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from device_bench import stats
from device_bench.choice import cold_start_ms
from device_bench.records import Measurement
from edgepress.core.environment import native_int8
from edgepress.core.intervals import Bounds, score_text
from edgepress.core.tables import ScreenTable, markdown_table

# A file below this ratio to its parent, with its whole interval, is called slower.
BREAK_EVEN = 1.0
MISSING = "-"
CARRIED = ("runtime MB", "memory MB", "start ms")
"""Size of the runtime's packages on disk, peak memory of the process, load and first run."""
NO_RUNTIME = "this machine does not have the runtime that its users have"
AGREEMENT = "agreement"
LOSS = "loss [points]"


@dataclass(frozen=True)
class Row:
    """A file beside its parent."""

    name: str
    size_bytes: int
    parameters: int
    agreement: float | None
    """Share of real sentences on which it decides as its parent, 0..1; None where it is undefined."""
    score: float | None
    """The task's metric, 0..1; None where the weights are untrained or there is no task."""
    quantized_matmuls: str
    measurements: tuple[Measurement, ...] = field(repr=False)
    """A record for each sequence length; none where it was not timed."""
    bounds: Bounds | None = None
    """The score's 95 % interval; None where it is not known."""
    lost: str = ""
    """Loss against the model in torch [points], with its interval; empty where it is not known."""
    parent: str = ""
    """Name of the unquantized file of its format; empty for that one itself: the first row then."""

    def latency(self, sequence_length: int) -> Measurement:
        """The record at one sequence length."""
        return next(m for m in self.measurements if m.sequence_length == sequence_length)

    def speed_up(self, parent: "Row", sequence_length: int) -> stats.Interval:
        """Return the parent's latency divided by this file's, over interleaved rounds."""
        ours, theirs = self.latency(sequence_length), parent.latency(sequence_length)
        return stats.paired_ratio(theirs.launches_ms, ours.launches_ms)

    @property
    def sequence_lengths(self) -> list[int]:
        return [m.sequence_length for m in self.measurements]


def baseline(rows: Sequence[Row]) -> Row:
    """The row that speed-ups are over: the first that was timed, else the first."""
    return next((row for row in rows if row.measurements), rows[0])


def runtimes(rows: Sequence[Row]) -> list[str]:
    """The runtimes that files were timed in, each once."""
    return list(dict.fromkeys(record.runtime for row in rows for record in row.measurements))


def headings(rows: Sequence[Row], metric: str, agreement: str = AGREEMENT) -> list[str]:
    """Headings of the table's columns; `agreement` may name the texts that it is of.

    Where files of several runtimes stand beside each other, the costs of carrying each come last.
    """
    latencies = [f"ms at {length}" for length in baseline(rows).sequence_lengths]
    judged = [metric, *([LOSS] if _lossy(rows) else []), agreement]
    if len(runtimes(rows)) > 1:
        return ["variant", "MB", *latencies, *judged, *CARRIED]
    return ["variant", "MB", "params", *latencies, *judged, "int MatMuls"]


def _lossy(rows: Sequence[Row]) -> bool:
    """Whether it is known of a file what it loses."""
    return any(row.lost for row in rows)


def cells(row: Row, rows: Sequence[Row]) -> list[str]:
    """A row's cells; a latency cell holds p50 / p95 and, below, the speed-up with its 95 % interval."""
    base, several = baseline(rows), len(runtimes(rows)) > 1
    return [
        row.name,
        f"{row.size_bytes / 1e6:.1f}",
        *([] if several else [f"{row.parameters / 1e6:.1f} M"]),
        *(_latency_cell(row, base, length) for length in base.sequence_lengths),
        score_text(row.score, row.bounds, gap="\n"),
        *([row.lost or MISSING] if _lossy(rows) else []),
        MISSING if row is rows[0] or row.agreement is None else f"{100 * row.agreement:.1f} %",
        *(_carried(row) if several else [row.quantized_matmuls]),
    ]


def _carried(row: Row) -> list[str]:
    """Cells of the costs of carrying a file: its runtime, the memory of its process, its start."""
    if not row.measurements:
        return [MISSING] * len(CARRIED)
    runtime = max(record.runtime_bytes for record in row.measurements)
    memory = max(record.peak_memory_bytes for record in row.measurements)
    start = cold_start_ms(row.measurements[0])
    return [f"{runtime / 1e6:.0f}" if runtime else MISSING, f"{memory / 1e6:.0f}", f"{start:.0f}"]


def _latency_cell(row: Row, base: Row, length: int) -> str:
    if not row.measurements:
        return MISSING
    samples = row.latency(length).all_samples_ms
    shown = [stats.percentile(samples, each) for each in (50, 95)]
    text = " / ".join(stats.milliseconds_form(shown, 2).format(value) for value in shown)
    if row is base:
        return text
    ratio = row.speed_up(base, length)
    return f"{text}\n{ratio.value:.2f}x\n[{ratio.low:.2f}, {ratio.high:.2f}]"


def table(
    rows: Sequence[Row], metric: str, title: str, agreement: str = AGREEMENT, untimed: str = NO_RUNTIME
) -> ScreenTable:
    """The screen's table; the first row is the parent. `untimed`: as `caption` takes it."""
    shown = [cells(row, rows) for row in rows]
    return ScreenTable(title, headings(rows, metric, agreement), shown, caption=caption(rows, untimed))


def markdown(rows: Sequence[Row], metric: str, agreement: str = AGREEMENT) -> str:
    """The same table for a README or a model card."""
    return markdown_table(headings(rows, metric, agreement), [markdown_cells(row, rows) for row in rows])


def markdown_cells(row: Row, rows: Sequence[Row]) -> list[str]:
    """A row's cells, of two lines at most: a page is wide."""
    return [_on_two_lines(cell) for cell in cells(row, rows)]


def _on_two_lines(cell: str) -> str:
    first, end, rest = cell.partition("\n")
    return first + end + rest.replace("\n", " ")


def caption(rows: Sequence[Row], untimed: str = NO_RUNTIME) -> str:
    """Describe the conditions of the measurement; `untimed`: why there are no times where there are none."""
    base = baseline(rows)
    if not base.measurements:
        return f"not timed: {untimed}"
    record, first = base.measurements[0], "the first row" if base is rows[0] else base.name
    lost = ", loss against the model in torch" if _lossy(rows) else ""
    return (
        f"p50 / p95 at batch {record.batch}, {record.threads} thread{'s' * (record.threads > 1)}, "
        f"{', '.join(runtimes(rows))}, speed-up over {first}{lost} [95 % interval]\n"
        f"{record.environment['cpu']}, int8 dot products (VNNI): {_dot_products(record.environment['flags'])}"
    )


def _dot_products(flags: Sequence[str]) -> str:
    """Whether the CPU multiplies int8 natively; without, int8 is slower than with it, and may saturate."""
    if native := native_int8(flags):
        return f"yes ({', '.join(native)})"
    return "no: int8 is slower than with VNNI, and may saturate" if flags else "unknown"


def slower_than_parent(rows: Sequence[Row]) -> list[str]:
    """A warning for each file and sequence length that costs more time than the parent."""
    found, named = [], {row.name: row for row in rows}
    for row in rows:
        parent = named.get(row.parent, rows[0])
        for length in row.sequence_lengths if row is not parent and parent.measurements else ():
            ratio = row.speed_up(parent, length)
            if ratio.high < BREAK_EVEN:
                found.append(f"{row.name} is slower than its parent at sequence {length}: {ratio.value:.2f}x")
    return found
