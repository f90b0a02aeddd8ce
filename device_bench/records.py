"""Measurement: what one file cost at one shape on one device, one JSON line; raw samples, no statistics."""

import json
import lzma
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

from edgepress.core.console import warn
from edgepress.core.errors import EdgepressError, first_line
from edgepress.core.fields import require_fields
from edgepress.core.files import to_json

SCHEMA_VERSION = 4
PACKED = ".xz"
"""The ending of a file of records that is packed as a whole, a quarter of the size: for what is kept."""
MOST_BYTES, MOST_MEMORY = 1 << 29, 1 << 27
"""What a packed file may unpack to, and what unpacking may take: one that asks for more was made to."""

DeviceKind = Literal["cpu", "gpu", "phone"]
Kind = Literal["latency", "pass"]
Padding = Literal["none", "longest", "sorted"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """A start of the process that ran the file."""

    rounds: int
    """How many of the record's rounds are of it."""
    load_ms: float
    first_forward_ms: float
    peak_memory_bytes: int
    """Largest resident set of the process after warming up at the shape, before larger shapes came."""
    cores: tuple[int, ...] = ()
    """What its rounds ran on; empty where it was free to move, and before schema 4."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """Record of one file at one batch size and sequence length, or in passes over a data set."""

    name: str
    """Name of the file in tables."""
    file: str
    file_sha256: str
    size_bytes: int
    runtime: str
    """Name and version, as `Runner.runtime`."""
    device: str
    threads: int
    batch: int
    sequence_length: int
    """Tokens a row; 0 in a pass over a data set, whose rows have their own."""
    load_ms: float
    first_forward_ms: float
    peak_memory_bytes: int
    """Largest resident set of the process that ran it by then; on a GPU the most that torch's tensors took
    there, 0 where another runtime does not tell. All three are medians over launches."""
    warm_up_runs: int
    """Warm-up runs in all launches."""
    samples_ms: tuple[tuple[float, ...], ...]
    """Raw times of single runs (of whole passes), one inner tuple a round; round i of every file in one
    measurement was taken within the same moment, so ratios are formed round by round."""
    settled: bool
    """Whether the median's 95 % interval came within the target before the budget was spent."""
    environment: dict[str, Any]
    warnings: tuple[str, ...] = ()
    launches: tuple[Launch, ...] = ()
    """Launches in the order of the rounds; launch i of each file ran beside launch i of the others.
    Empty before schema 3, when all rounds were of one launch."""
    kind: Kind = "latency"
    padding: Padding = "none"
    """Rows of a pass: alone, in batches as they come and padded to their longest, or sorted by length."""
    rows: int = 0
    """Number of texts that went through a pass."""
    run: str = ""
    """Which interleaved measurement this is of: ratios are formed within one only."""
    baseline: str = ""
    """Name of the file that the ratios of its run are over; empty where the record does not say, which means
    the first of its run."""
    taken_at: str = ""
    """Time at which it was taken: UTC, ISO 8601."""
    artifact: str = ""
    """Name of the artifact, and `artifact_sha256`: of its manifest."""
    artifact_sha256: str = ""
    format: str = ""
    precision: str = ""
    compressed_bytes: int = 0
    """Size of the file deflated, as an app package holds it; 0 where it was not tried."""
    runtime_bytes: int = 0
    """Size on disk of the runtime's packages and all that they require, as installed here; 0 where the system
    brings its runtime, and before it was noted."""
    parameters: int = 0
    weights: str = ""
    """Origin of the weights, as the manifest says it; a model of random ones has no score."""
    tokenize_ms: tuple[float, ...] = ()
    """Raw times of tokenizing one text each, apart from the runs."""
    task: str = ""
    metric: str = ""
    score: float | None = None
    """The task's metric, 0..1, through this very runtime; None where nothing was scored."""
    score_interval: tuple[float, ...] | None = None
    """Both ends of the score's 95 % interval; None where it is not known."""
    scored_rows: int = 0
    outcomes: str = ""
    """What each text adds to the metric, as `packed_array.pack` writes it: two files that were scored on the
    same texts (`texts_sha256`) are compared text by text. Empty where nothing was scored, where it is too
    long, and before it was noted."""
    text_length: int = 0
    """Length that stands for the texts of its task, their mean rounded up [tokens]; 0 where nobody looked."""
    texts_sha256: str = ""
    """SHA-256 of the texts and labels that it was scored on, and `pass_sha256` of those that a pass went
    over; empty where there were none, and before they were noted."""
    pass_sha256: str = ""
    operations: int = 0
    """Multiplications and additions of the matrix products of one run; 0 where nobody counted."""
    peak: dict[str, Any] = field(default_factory=dict)
    """What the CPU can do at the products of the model with as many threads, as `device_bench.peak` measures
    it; empty where it was not measured."""
    energy_j: float | None = None
    """Energy of the package or GPU over all samples; None where it cannot be read."""
    state: dict[str, Any] = field(default_factory=dict)
    """What the device was like before and after (battery, thermal status, frequencies)."""
    waited: tuple[float, ...] = ()
    """Share of each round's time in which the process had no core, 0..1; empty where it is not known: with
    several threads, on a GPU or a phone, and before it was noted."""
    error: str = ""
    """Why there are no samples, where its process failed."""
    schema_version: int = SCHEMA_VERSION

    @property
    def all_samples_ms(self) -> list[float]:
        """The samples of all rounds, in order."""
        return list(chain.from_iterable(self.samples_ms))

    @property
    def launches_ms(self) -> list[tuple[tuple[float, ...], ...]]:
        """The samples by launch and round."""
        counts = [launch.rounds for launch in self.launches] or [len(self.samples_ms)]
        rounds = iter(self.samples_ms)
        return [tuple(islice(rounds, count)) for count in counts]

    @property
    def machine(self) -> tuple[str, ...]:
        """Device and machine that figures must share to stand in one table."""
        return (
            self.device,
            *(str(self.environment.get(key, "")) for key in ("cpu", "cores", "system", "gpu")),
        )


# What a line that is no record raises; one that is nested too deep, RecursionError.
WRONG = (ValueError, TypeError, KeyError, RecursionError)

_FIELDS = frozenset(entry.name for entry in fields(Measurement))


def append(path: Path, measurements: Iterable[Measurement]) -> None:
    """Add records to a JSON-lines file, each as it comes; what a killed run left cut is taken away.

    Raises:
        EdgepressError: the file is a packed one.
    """
    require_plain(path)
    _drop_cut_line(path)
    with path.open("a", encoding="utf-8") as stream:
        for measurement in measurements:
            stream.write(to_json(asdict(measurement)) + "\n")
            stream.flush()


def _drop_cut_line(path: Path) -> None:
    """Take away what a killed run left cut; a whole record whose line was not ended is ended."""
    if not path.exists() or (content := path.read_bytes()).endswith(b"\n"):
        return
    kept, _, last = content.rpartition(b"\n")
    try:
        _parse(json.loads(last))
        path.write_bytes(content + b"\n")
    except WRONG:
        path.write_bytes(kept + b"\n" if kept else b"")


def require_plain(path: Path) -> None:
    """Raise for the name of a packed file, to which no line can be added."""
    if path.suffix == PACKED:
        raise EdgepressError(f"{path}: a packed file takes no further records", f"name it without {PACKED}")


def write(path: Path, measurements: Iterable[Measurement]) -> None:
    """Write records as a whole file, in the place of what was there; packed if its name ends in .xz."""
    content = "".join(to_json(asdict(measurement)) + "\n" for measurement in measurements).encode()
    path.write_bytes(lzma.compress(content) if path.suffix == PACKED else content)


def read(path: Path) -> list[Measurement]:
    """The records of a JSON-lines file, plain or packed; a cut last line is left out with a warning.

    Raises:
        EdgepressError: a line is no record, or of a schema that is newer than this program; a packed file
            is damaged.
    """
    return list(_parse_lines(path))


def _unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix != PACKED:
        return content
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, MOST_MEMORY)
    try:
        unpacked = unpacker.decompress(content, max_length=MOST_BYTES)
    except lzma.LZMAError as error:
        raise EdgepressError(f"{path} cannot be unpacked: {first_line(error)}", "take it anew") from error
    if not unpacker.eof or unpacker.unused_data:
        said = f"it is cut, has something behind its end, or holds more than {MOST_BYTES >> 20} MiB"
        raise EdgepressError(f"{path} cannot be unpacked: {said}", "take it anew")
    return unpacked


def _parse_lines(path: Path) -> Iterator[Measurement]:
    # Not by splitlines: U+2028 and others, which JSON allows in a text, would end a line. And of bytes, for a
    # cut may fall within a character.
    lines = _unpacked(path).split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield _parse(json.loads(line.decode()))
        except WRONG as error:
            if number == len(lines):  # not ended: the run was killed as it wrote
                warn(f"{path}, line {number}: cut, and left out")
                return
            raise EdgepressError(
                f"{path}, line {number}: no record: {first_line(error)}",
                "name a file that device_bench run or compress.quantize wrote (.jsonl)",
            ) from error


def _parse(content: dict[str, Any]) -> Measurement:
    require_fields(Measurement, content, signed=("score", "score_interval"))
    version = content.setdefault("schema_version", 1)
    if version > SCHEMA_VERSION:
        raise EdgepressError(
            f"a record of schema version {version}; this program knows {SCHEMA_VERSION}", "update edgepress"
        )
    content["samples_ms"] = tuple(tuple(round_) for round_ in content["samples_ms"])
    if not all(sample > 0 for round_ in content["samples_ms"] for sample in round_):
        raise ValueError("samples_ms: a run takes more than 0 ms")
    if not -1 <= (content.get("score") or 0) <= 1:
        raise ValueError(f"score: {content['score']} is beyond 1")
    if content.get("score_interval") is not None:
        content["score_interval"] = _parse_interval(content["score_interval"])
    if content.get("outcomes"):
        from edgepress.core.packed_array import unpack

        unpack(content["outcomes"])  # ValueError where it is damaged
    content["launches"] = tuple(_parse_launch(launch) for launch in content.get("launches", ()))
    if not all(share <= 1 for share in content.get("waited", ())):
        raise ValueError("waited: a share is at most 1")
    for name in ("warnings", "tokenize_ms", "waited"):
        content[name] = tuple(content.get(name, ()))
    return Measurement(**{name: value for name, value in content.items() if name in _FIELDS})


def _parse_interval(ends: list[float]) -> tuple[float, ...]:
    low, high = ends  # ValueError where there are not two
    if low > high:
        raise ValueError(f"score_interval: {low} is above {high}")
    return low, high


def _parse_launch(content: dict[str, Any]) -> Launch:
    require_fields(Launch, content)
    return Launch(**{**content, "cores": tuple(content.get("cores", ()))})
