"""Measurements: what was appended is what is read."""

import json
import lzma
from dataclasses import replace
from pathlib import Path

import pytest

from device_bench import records
from device_bench.records import SCHEMA_VERSION, Launch, Measurement, append, read, write
from edgepress.core.environment import environment
from edgepress.core.errors import EdgepressError

FIRST = Measurement(
    name="fp32",
    file="model.onnx",
    file_sha256="ab" * 32,
    size_bytes=1234,
    runtime="onnxruntime 1.22",
    device="cpu",
    threads=1,
    batch=1,
    sequence_length=16,
    load_ms=3.5,
    first_forward_ms=1.25,
    peak_memory_bytes=10**9,
    warm_up_runs=5,
    samples_ms=((1.0, 1.1, 0.1 + 0.2), (1.2,)),
    settled=False,
    environment={"cpu": "Ünïcode CPU", "flags": ["avx2"], "git_commit": None},
    warnings=("median not within 3 %",),
)
SECOND = replace(FIRST, name="int8", sequence_length=64, settled=True, warnings=())

NEW_IN_3 = ("launches",)
NEW_IN_2 = ("schema_version", "kind", "padding", "rows", "run", "taken_at", "score", "tokenize_ms", "error")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "measurements.jsonl"


def test_round_trip(path: Path) -> None:
    append(path, [FIRST, SECOND])
    assert read(path) == [FIRST, SECOND]


def test_append_keeps_what_is_there(path: Path) -> None:
    append(path, [FIRST])
    append(path, [SECOND])
    assert read(path) == [FIRST, SECOND]


def test_one_json_line_each(path: Path) -> None:
    append(path, [FIRST, SECOND])
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["fp32", "int8"]


def test_blank_lines_are_skipped(path: Path) -> None:
    append(path, [FIRST])
    path.write_text("\n" + path.read_text() + "\n\n")
    assert read(path) == [FIRST]


def test_samples_of_all_rounds_in_order() -> None:
    assert FIRST.all_samples_ms == [1.0, 1.1, 0.1 + 0.2, 1.2]


def test_this_machine_can_be_written_down(path: Path) -> None:
    own = environment()
    append(path, [replace(FIRST, environment=own.to_dict())])
    (found,) = read(path)
    assert found.environment["flags"] == list(own.flags)
    assert {**found.environment, "flags": own.flags} == own.to_dict()


def test_a_cut_last_line_is_left_out_and_written_over(path: Path) -> None:
    append(path, [FIRST, SECOND])
    path.write_bytes(path.read_bytes()[:-40])
    assert read(path) == [FIRST]
    append(path, [SECOND])
    assert read(path) == [FIRST, SECOND]


def test_a_broken_line_in_the_middle_is_named(path: Path) -> None:
    append(path, [FIRST, SECOND])
    path.write_text("{}\n" + path.read_text())
    with pytest.raises(EdgepressError, match="line 1: no record"):
        read(path)


def test_a_cut_line_is_told(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    append(path, [FIRST, SECOND])
    path.write_bytes(path.read_bytes()[:-40])
    read(path)
    assert "line 2: cut, and left out" in capsys.readouterr().err


def test_a_whole_record_whose_line_was_not_ended_is_kept(path: Path) -> None:
    append(path, [FIRST])
    path.write_bytes(path.read_bytes()[:-1])
    append(path, [SECOND])
    assert read(path) == [FIRST, SECOND]


def test_a_broken_last_line_that_was_ended_is_refused(path: Path) -> None:
    append(path, [FIRST])
    path.write_text(path.read_text() + "{}\n")
    with pytest.raises(EdgepressError, match="line 2: no record"):
        read(path)


def test_separators_of_unicode_end_no_line(path: Path) -> None:
    append(path, [replace(FIRST, error="a\u2028b\x85c")])
    path.write_text(json.dumps(json.loads(path.read_text()), ensure_ascii=False) + "\n", encoding="utf-8")
    assert read(path)[0].error == "a\u2028b\x85c"


WRONG_VALUES = {
    "load_ms": ["fast", None, True, float("nan"), float("inf"), -1.0, 10**400],
    "size_bytes": ["1 MB", 1.5, -1],
    "samples_ms": ["fast", [1.0], [["fast"]], [[float("nan")]], {"a": 1}],
    "launches": [7, [[]], [{"rounds": "two", "load_ms": 1, "first_forward_ms": 1, "peak_memory_bytes": 1}]],
    "environment": [None, [], "Linux"],
    "kind": ["warm", 7],
    "score": ["good", []],
    "schema_version": ["4", None, -1],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in WRONG_VALUES for value in WRONG_VALUES[name]]
)
def test_a_value_of_another_type_is_named(path: Path, name: str, value: object) -> None:
    append(path, [FIRST])
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}) + "\n")
    with pytest.raises(EdgepressError, match="line 1: no record: (rounds|" + name + ") is "):
        read(path)


@pytest.mark.parametrize("line", ["[]", "7", "null", '"a"', "[" * 5000 + "]" * 5000])
def test_a_line_that_is_no_mapping_is_refused(path: Path, line: str) -> None:
    path.write_text(line + "\n")
    with pytest.raises(EdgepressError, match="line 1: no record"):
        read(path)


def test_a_newer_schema_is_refused(path: Path) -> None:
    append(path, [replace(FIRST, schema_version=SCHEMA_VERSION + 1), SECOND])
    with pytest.raises(EdgepressError, match=f"schema version {SCHEMA_VERSION + 1}") as refused:
        read(path)
    assert refused.value.hint == "update edgepress"


def test_records_of_the_first_schema_are_read(path: Path) -> None:
    append(path, [FIRST])
    content = json.loads(path.read_text())
    old = {name: content[name] for name in content if name not in NEW_IN_2 + NEW_IN_3}
    path.write_text(json.dumps(old) + "\n")
    (found,) = read(path)
    assert (found.name, found.kind, found.score, found.schema_version) == ("fp32", "latency", None, 1)


def test_records_of_the_second_schema_are_of_one_launch(path: Path) -> None:
    append(path, [FIRST])
    content = json.loads(path.read_text())
    old = {name: content[name] for name in content if name not in NEW_IN_3} | {"schema_version": 2}
    path.write_text(json.dumps(old) + "\n")
    (found,) = read(path)
    assert (found.launches, found.launches_ms) == ((), [FIRST.samples_ms])


def test_launches_come_back_with_their_rounds(path: Path) -> None:
    rounds = ((1.0,), (1.1, 1.2), (1.3,))
    launches = tuple(
        Launch(rounds=count, load_ms=3.0, first_forward_ms=1.0, peak_memory_bytes=10, cores=cores)
        for count, cores in ((2, (1,)), (1, ()))
    )
    append(path, [replace(FIRST, samples_ms=rounds, launches=launches)])
    (found,) = read(path)
    assert found.launches == launches
    assert found.launches_ms == [rounds[:2], rounds[2:]]


def test_launches_of_the_third_schema_name_no_cores(path: Path) -> None:
    launch = Launch(rounds=1, load_ms=3.0, first_forward_ms=1.0, peak_memory_bytes=10)
    append(path, [replace(FIRST, launches=(launch,), schema_version=3)])
    path.write_text(path.read_text().replace(', "cores": []', ""))
    assert read(path)[0].launches == (launch,)


def test_records_of_two_machines_are_of_two_machines() -> None:
    other = replace(FIRST, environment={**FIRST.environment, "cpu": "another"})
    assert FIRST.machine == SECOND.machine != other.machine


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("samples_ms", ((0.0,),), "more than 0 ms"),
        ("score", 17.5, "17.5 is beyond 1"),
        ("score", -2.0, "beyond 1"),
    ],
)
def test_figures_that_cannot_be_are_no_record(tmp_path, field, value, message):
    append(tmp_path / "a.jsonl", [replace(FIRST, **{field: value})])
    with pytest.raises(EdgepressError, match=message):
        read(tmp_path / "a.jsonl")


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    path = tmp_path / "measurements.jsonl.xz"
    write(path, [FIRST, SECOND])
    return path


def test_a_packed_file_is_read_as_a_plain_one(packed: Path, path: Path) -> None:
    write(path, [FIRST, SECOND])
    assert read(packed) == read(path) == [FIRST, SECOND]
    assert lzma.decompress(packed.read_bytes()) == path.read_bytes()
    append(path, [SECOND])
    assert read(path) == [FIRST, SECOND, SECOND]


def test_writing_replaces_and_gives_the_same_bytes(packed: Path) -> None:
    before = packed.read_bytes()
    write(packed, [FIRST])
    assert read(packed) == [FIRST]
    write(packed, [FIRST, SECOND])
    assert packed.read_bytes() == before
    write(packed, [])
    assert read(packed) == []


def test_a_packed_file_takes_no_further_record(packed: Path) -> None:
    with pytest.raises(EdgepressError, match="a packed file takes no further records"):
        append(packed, [FIRST])
    assert read(packed) == [FIRST, SECOND]


def _flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda content: content[:-40], "it is cut"),
        (lambda content: content[: len(content) // 2], "it is cut"),
        (lambda content: content + content, "has something behind its end"),
        (lambda _: b"", "it is cut"),
        (lambda _: b'{"name": "fp32"}\n', "format not supported"),
        (_flipped, "Corrupt input data"),
    ],
)
def test_a_damaged_packed_file_is_one_line(packed: Path, damage, said: str) -> None:
    packed.write_bytes(damage(packed.read_bytes()))
    with pytest.raises(EdgepressError, match=said) as found:
        read(packed)
    assert str(packed) in str(found.value)
    assert "\n" not in str(found.value)


def test_a_packed_file_of_other_lines_names_the_line(packed: Path) -> None:
    packed.write_bytes(lzma.compress(lzma.decompress(packed.read_bytes()) + b'{"name": 1}\n'))
    with pytest.raises(EdgepressError, match="line 3: no record"):
        read(packed)


def test_a_packed_file_cannot_fill_the_memory(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MOST_BYTES", 1 << 20)
    packed.write_bytes(lzma.compress(b"\n" * (1 << 21)))
    with pytest.raises(EdgepressError, match="holds more than 1 MiB"):
        read(packed)
    large = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 28}]
    packed.write_bytes(lzma.compress(b"\n", filters=large))
    with pytest.raises(EdgepressError, match=r"cannot be unpacked: .*[Mm]emory usage limit"):
        read(packed)
