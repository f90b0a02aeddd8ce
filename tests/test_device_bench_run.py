"""`device_bench run` as a user types it, on a small artifact with real processes."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import SENTENCES, Result, write_split

from device_bench import facts
from device_bench.eager import open_eager
from device_bench.facts import deflated_bytes
from device_bench.plan import EAGER, EAGER_MODES, PACKED, Plan
from device_bench.records import Measurement, read
from device_bench.run.resume import done_cases, why_again
from device_bench.targets import Selection, find_targets, smallest_vocabulary
from edgepress.core.packed_array import unpack
from export.core.registry import find_format, open_runner
from export.onnx import OnnxConfig

QUICK = (
    *("--sequence-lengths", "4", "8", "--time-budget", "0.3"),
    *("--launches", "1", "--min-runs", "1", "--eval-samples", "12"),
)


@pytest.fixture(scope="module")
def artifact(model_folder: Path, data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from export.command.pipeline import export

    target = tmp_path_factory.mktemp("artifacts") / "small"
    config = OnnxConfig(
        model=str(model_folder),
        task=str(data_root / "verdicts"),
        scheme=("fp32", "int8"),
        output=target,
        eval_samples=10,
    )
    return export(config, [(find_format("onnx"), config)])


@pytest.fixture
def measured(
    cli: Callable[..., Result], artifact: Path, data_root: Path, tmp_path: Path
) -> Callable[..., tuple[Result, list[Measurement]]]:
    output = tmp_path / "records.jsonl"

    def run(*flags: object, data: Path = data_root) -> tuple[Result, list[Measurement]]:
        always = ("--artifacts", artifact, "--output", output, "--data", data)
        result = cli("device_bench.run", *always, *QUICK, *flags)
        return result, read(output) if output.exists() else []

    return run


Measured = Callable[..., tuple[Result, list[Measurement]]]


def test_a_record_says_everything_of_a_file(measured: Measured, artifact: Path) -> None:
    result, found = measured("--formats", "onnx", "--precisions", "fp32")
    assert result.code == 0, result.err
    assert "4 tokens, batch 1, 1 thread" in result.out
    assert [record.sequence_length for record in found] == [4, 8]
    one = found[0]
    assert (one.artifact, one.format, one.precision) == ("small", "onnx", "fp32")
    assert (one.task, one.metric, one.scored_rows) == ("verdicts", "accuracy", 12)
    assert one.score == 1.0  # the model was trained until every sentence is far from the other side
    assert unpack(one.outcomes).tolist() == [True] * 12
    assert one.texts_sha256
    assert 0 < one.compressed_bytes < one.size_bytes
    assert len(one.tokenize_ms) > 5
    assert one.parameters > 1000
    assert one.energy_j is None
    assert len(one.artifact_sha256) == 64


@pytest.mark.slow
def test_all_files_of_an_artifact_and_its_weights_in_torch(measured: Measured) -> None:
    result, found = measured("--eager", "--no-accuracy", "--sequence-lengths", "4")
    assert result.code == 0, result.err
    names = ["model.onnx", "model_quantized.onnx", *EAGER_MODES.values()]
    assert sorted(record.name for record in found) == sorted(f"small/{name}" for name in names)
    assert len({record.run for record in found}) == 1
    assert not any(record.error for record in found)
    assert {record.score for record in found} == {None}


@pytest.mark.slow
def test_what_is_there_is_not_measured_again(measured: Measured) -> None:
    flags = ("--precisions", "fp32", "--no-accuracy")
    _, first = measured(*flags, "--sequence-lengths", "4")
    result, both = measured(*flags)
    assert [record.sequence_length for record in both] == [4, 8]
    assert both[0] == first[0]
    assert "4 tokens" in result.out  # the table has what was measured before
    assert len(measured(*flags, "--measure-again")[1]) == 4


@pytest.mark.slow
def test_a_shape_that_lacks_a_file_is_measured_for_all(measured: Measured) -> None:
    flags = ("--no-accuracy", "--sequence-lengths", "4")
    measured(*flags, "--precisions", "fp32")
    _, found = measured(*flags)
    assert [(record.precision, record.run == found[-1].run) for record in found] == [
        ("fp32", False),
        ("fp32", True),
        ("int8", True),
    ]


@pytest.mark.slow
def test_an_interrupted_line_is_measured_again(measured: Measured, tmp_path: Path) -> None:
    flags = ("--no-accuracy", "--precisions", "fp32")
    measured(*flags)
    output = tmp_path / "records.jsonl"
    output.write_bytes(output.read_bytes()[:-100])
    _, found = measured(*flags)
    assert [record.sequence_length for record in found] == [4, 8]


@pytest.mark.slow
def test_records_of_another_machine_or_file_do_not_count(measured: Measured, artifact: Path) -> None:
    _, found = measured("--no-accuracy", "--precisions", "fp32")
    targets = find_targets([artifact], Selection(precisions=("fp32",)))
    plan = Plan((4, 8), launches=1)
    assert done_cases(found, targets, plan) == frozenset(plan.cases)
    elsewhere = [replace(one, environment={**one.environment, "cpu": "another"}) for one in found]
    changed = [replace(one, file_sha256="0" * 64) for one in found]
    assert not done_cases(elsewhere, targets, plan)
    assert not done_cases(changed, targets, plan)
    assert not done_cases(found, targets, replace(plan, threads=2))


@pytest.mark.slow
def test_records_of_another_runtime_gpu_or_fewer_launches_do_not_count(
    measured: Measured, artifact: Path
) -> None:
    _, found = measured("--no-accuracy", "--precisions", "fp32")
    targets = find_targets([artifact], Selection(precisions=("fp32",)))
    plan = Plan((4, 8), launches=1)

    def elsewhere(**facts: object) -> list[Measurement]:
        return [replace(one, environment={**one.environment, **facts}) for one in found]

    versions = found[0].environment["versions"]
    assert done_cases(found, targets, plan) == frozenset(plan.cases)
    assert done_cases(elsewhere(versions={**versions, "edgepress": "0"}), targets, plan)
    assert done_cases(elsewhere(versions={**versions, "openvino": "0"}), targets, plan)
    assert not done_cases(elsewhere(versions={**versions, "onnxruntime": "0"}), targets, plan)
    assert not done_cases(elsewhere(gpu="another"), targets, plan)
    assert not done_cases(found, targets, replace(plan, launches=2))
    failed = [replace(one, launches=(), samples_ms=(), error="killed") for one in found]
    assert done_cases(failed, targets, plan) == frozenset(plan.cases)
    (said,) = why_again(elsewhere(versions={**versions, "onnxruntime": "0"}), targets, plan)
    assert str(said) == f"versions.onnxruntime was 0, is {versions['onnxruntime']}"


@pytest.mark.slow
def test_corrected_labels_are_scored_again(measured: Measured, data_root: Path, tmp_path: Path) -> None:
    data = shutil.copytree(data_root, tmp_path / "data")
    flags = ("--precisions", "fp32", "--sequence-lengths", "4")
    _, first = measured(*flags, data=data)
    (same, again) = measured(*flags, data=data)
    assert "not repeated" in same.err
    assert len(again) == len(first) == 1
    write_split(data / "verdicts" / "validation.jsonl", [(text, "negative") for text, _ in SENTENCES[::5]])
    (doubtful, unscored) = measured(*flags, data=data)
    assert "validation.jsonl has other content" in doubtful.err.replace("\n", " ")
    assert f"--task {data / 'verdicts'} says that it is meant" in doubtful.err.replace("\n", " ")
    assert unscored == again
    (result, found) = measured(*flags, "--task", data / "verdicts", data=data)
    assert "records.jsonl has batch 1, 1 thread(s) of these files, but texts was " in result.err
    assert [record.score for record in found] == [1.0, pytest.approx(found[1].score)]
    assert found[1].score < 1


@pytest.mark.slow
def test_a_score_that_was_left_out_is_taken_when_it_is_asked_for(measured: Measured) -> None:
    flags = ("--precisions", "fp32", "--sequence-lengths", "4")
    measured(*flags, "--no-accuracy")
    _, found = measured(*flags)
    assert [record.score for record in found] == [None, 1.0]
    result, found = measured(*flags, "--no-accuracy")
    assert "not repeated" in result.err
    assert len(found) == 2


@pytest.mark.slow
def test_whole_passes(measured: Measured) -> None:
    flags = (
        "--passes",
        "2",
        "--batch-sizes",
        "1",
        "4",
        "--precisions",
        "fp32",
        "--no-accuracy",
        "--sequence-lengths",
        "4",
    )
    result, found = measured(*flags)
    assert result.code == 0, result.err
    passes = [record for record in found if record.kind == "pass"]
    assert [(one.batch, one.padding) for one in passes] == [(1, "none"), (4, "longest"), (4, "sorted")]
    assert {one.rows for one in passes} == {len(SENTENCES[::5])}
    assert {one.rows for one in found if one.kind == "latency"} == {0}


@pytest.mark.slow
def test_a_broken_file_has_its_row_and_the_others_go_on(
    cli: Callable[..., Result], onnx_file: Path, tmp_path: Path
) -> None:
    bad, output = tmp_path / "bad.onnx", tmp_path / "records.jsonl"
    bad.write_bytes(onnx_file.read_bytes()[:5000])
    result = cli("device_bench.run", "--artifacts", bad, onnx_file, "--output", output, *QUICK)
    assert result.code == 0
    assert "failed" in result.out
    assert [bool(record.error) for record in read(output)] == [True, False, True, False]


def test_an_altered_artifact_is_refused(cli: Callable[..., Result], artifact: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(artifact, tmp_path / "copy")
    with (copy / "onnx" / "model.onnx").open("ab") as stream:
        stream.write(b"x")
    result = cli("device_bench.run", "--artifacts", copy, "--output", tmp_path / "r.jsonl")
    assert result.code == 2
    assert "truncated or altered" in result.error


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--artifacts", "nowhere"), "no such file or folder: nowhere"),
        (("--artifacts", "."), "no files to measure"),
        (("--artifacts", ".", "--sequence-lengths", "8", "0"), "--sequence-lengths is out of range"),
        (("--artifacts", ".", "--sequence-lengths"), "--sequence-lengths takes whole numbers, and has none"),
        (("--artifacts", ".", "--batch-sizes", "-1"), "--batch-sizes is out of range"),
        (("--artifacts", ".", "--threads", "0"), "--threads is out of range"),
        (("--artifacts", ".", "--time-budget", "0"), "--time-budget is out of range"),
        (("--artifacts", ".", "--launches", "0"), "--launches is out of range"),
    ],
)
def test_bad_input_is_one_line(
    cli: Callable[..., Result],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = cli("device_bench.run", *flags)
    assert (result.code, message in result.error) == (2, True), result.err


def test_a_file_of_other_lines_is_refused_before_it_is_measured(
    cli: Callable[..., Result], onnx_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "r.jsonl").write_text(json.dumps({"schema_version": 99, "samples_ms": []}) + "\n")
    result = cli("device_bench.run", "--artifacts", onnx_file, "--output", tmp_path / "r.jsonl")
    assert (result.code, "schema version 99" in result.error) == (2, True)


def test_a_packed_file_is_refused_before_it_is_measured(
    cli: Callable[..., Result], onnx_file: Path, tmp_path: Path
) -> None:
    result = cli("device_bench.run", "--artifacts", onnx_file, "--output", tmp_path / "r.jsonl.xz")
    assert (result.code, "takes no further records" in result.error) == (2, True)


@pytest.mark.parametrize("mode", EAGER_MODES)
def test_torch_eager_gives_the_files_logits(artifact: Path, mode: str) -> None:
    batch = {
        name: np.ones((2, 6), dtype=np.int64) for name in ("input_ids", "attention_mask", "token_type_ids")
    }
    with (
        open_runner(artifact / "onnx" / "model.onnx") as file,
        open_eager(artifact / "model.safetensors", 1, mode) as eager,
    ):
        np.testing.assert_allclose(eager(batch), file(batch), atol=1e-4)


def test_packing_reaches_every_linear_layer(artifact: Path) -> None:
    from torch import nn

    runners = [open_eager(artifact / "model.safetensors", 1, mode) for mode in (EAGER, PACKED)]
    kinds = [[type(layer).__name__ for layer in runner._model.modules()] for runner in runners]
    assert kinds[0].count("Linear") == kinds[1].count("PackedLinear") > 0
    assert nn.Linear.__name__ not in kinds[1]


def test_deflated_size_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "zeros").write_bytes(bytes(10**6))
    (tmp_path / "noise").write_bytes(np.random.default_rng(0).bytes(10**5))
    assert deflated_bytes(tmp_path / "zeros") < 2000
    assert deflated_bytes(tmp_path / "noise") > 10**5
    assert deflated_bytes(tmp_path) == sum(deflated_bytes(tmp_path / name) for name in ("zeros", "noise"))


@pytest.mark.slow
def test_a_file_is_deflated_once_and_only_where_it_is_measured(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    deflated: list[Path] = []
    monkeypatch.setattr(facts, "deflated_bytes", lambda path: deflated.append(path) or 1)
    facts._packed.cache_clear()
    for _ in range(2):  # the second time nothing is left to be measured
        result, found = measured("--formats", "onnx", "--batch-sizes", "1", "2", "--no-accuracy")
        assert result.code == 0, result.err
        assert {one.compressed_bytes for one in found} == {1}
        assert [path.name for path in deflated] == ["model.onnx", "model_quantized.onnx"]
    facts._packed.cache_clear()


def test_ids_fit_the_smallest_vocabulary(artifact: Path, onnx_file: Path) -> None:
    size = json.loads((artifact / "config.json").read_text())["vocab_size"]
    assert smallest_vocabulary(find_targets([artifact], Selection())) == size
    assert smallest_vocabulary(find_targets([artifact, onnx_file], Selection())) == 100


def test_verbs_are_listed(cli: Callable[..., Result]) -> None:
    result = cli("device_bench", "--help")
    assert result.code == 0
    assert all(verb in result.out for verb in ("run", "claims", "charts", "report", "compare"))
    assert "did you mean 'run'" in cli("device_bench", "rnu").err
