"""What the CPU can do, what a model asks of it, and the share that a file reaches."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from bench_records import measured
from conftest import small_bert
from transformers import DistilBertConfig, DistilBertForSequenceClassification

from device_bench import records
from device_bench.operations import count_operations, product_shapes
from device_bench.peak import COPY, FP32, INT8, WITHOUT_AMX, measure_peak, share_in_words, shares_of_peak
from edgepress.core.architectures.bilstm import BiLstmConfig, BiLstmForSequenceClassification
from edgepress.core.architectures.cnn import CnnConfig, CnnForSequenceClassification
from edgepress.core.errors import EdgepressError

PEAK = {
    FP32: {"gops": 100.0, "library": "one 1.0", "shape": [128, 64, 64]},
    INT8: {"gops": 400.0, "library": "two 2.0", "shape": [128, 64, 64]},
    COPY: 10.0,
}


def products(length: int, hidden: int, ffn: int, layers: int) -> int:
    """Operations of an encoder's layers: Q, K, V, output; two of the attention; two feed-forward ones."""
    layer = 4 * length * hidden**2 + 2 * length**2 * hidden + 2 * length * hidden * ffn
    return 2 * layers * layer


def test_an_encoders_operations_are_those_of_its_products() -> None:
    model = small_bert(300)
    head = 2 * (64 * 64 + 64 * 2)  # pooler and classifier read one token
    found = count_operations(model, [16, 64])
    assert found == {length: products(length, 64, 128, 2) + head for length in (16, 64)}
    assert product_shapes(model) == [(64, 64), (64, 128), (128, 64)]


def test_distilbert_at_128_tokens_is_11_2_gflop() -> None:
    model = DistilBertForSequenceClassification(DistilBertConfig(vocab_size=100)).eval()
    assert round(count_operations(model, [128])[128] / 1e9, 1) == 11.2


def test_recurrent_steps_and_convolutions_count() -> None:
    recurrent = BiLstmForSequenceClassification(BiLstmConfig(vocab_size=120, num_labels=2)).eval()
    gates = 2 * 2 * (64 + 64) * 4 * 64  # two directions, each of inputs and of states
    assert count_operations(recurrent, [10])[10] == 10 * gates + 2 * 128 * 2
    windows = CnnForSequenceClassification(CnnConfig(vocab_size=120, num_labels=2)).eval()
    assert count_operations(windows, [20])[20] == 2 * count_operations(windows, [10])[10] - 2 * 192 * 2
    assert (64 * 5, 64) in product_shapes(windows)


@pytest.mark.slow
def test_the_peak_names_its_library_and_shape() -> None:
    peak = measure_peak(1, 8, [(64, 32), (32, 64)])
    assert set(peak) - {WITHOUT_AMX} == {FP32, INT8, COPY}
    assert peak[COPY] > 0
    for name in (FP32, INT8):
        assert peak[name]["gops"] > 0
        assert peak[name]["library"].split()[-1][0].isdigit()
        assert peak[name]["shape"] in ([8, 64, 32], [8, 32, 64])


def test_share_is_of_the_peak_of_the_files_precision() -> None:
    own = replace(measured("int8", 10.0), operations=1_000_000_000, peak=PEAK, precision="int8")
    assert shares_of_peak(own)[INT8] == pytest.approx(0.25)
    assert share_in_words(own) == "25 % of int8"
    assert share_in_words(replace(own, precision="fp32")) == "100 % of fp32"
    both = {**PEAK, WITHOUT_AMX: {**PEAK[INT8], "gops": 200.0}}
    assert share_in_words(replace(own, peak=both)) == "25 % of int8, 50 % of int8 without AMX"
    for lacking in (replace(own, peak={}), replace(own, operations=0), replace(own, samples_ms=())):
        assert shares_of_peak(lacking) == {}


def test_records_keep_it_and_an_earlier_version_has_none(tmp_path: Path) -> None:
    own = replace(measured("int8", 10.0), operations=5, peak=PEAK)
    records.append(tmp_path / "a.jsonl", [own])
    assert records.read(tmp_path / "a.jsonl") == [own]
    content = json.loads((tmp_path / "a.jsonl").read_text())
    for name in ("operations", "peak"):
        del content[name]
    (tmp_path / "b.jsonl").write_text(json.dumps(content) + "\n")
    (older,) = records.read(tmp_path / "b.jsonl")
    assert (older.operations, older.peak) == (0, {})


@pytest.mark.slow
def test_tables_show_the_share(cli: Callable, model_folder: Path, data_root: Path, tmp_path: Path) -> None:
    task = ("--task", "verdicts", "--data", data_root)
    out = tmp_path / "small-onnx"
    assert cli("export.onnx", "--model", model_folder, *task, "--output", out).code == 0
    flags = ("--artifacts", out, "--output", tmp_path / "a.jsonl", "--time-budget", 0.2, "--launches", 1)
    flags = (*flags, "--no-accuracy", "--sequence-lengths", 8)
    assert cli("device_bench", "run", *flags).code == 0
    result = cli("device_bench", "run", *flags, "--peak")
    assert result.code == 0, result.err
    assert "measured again" in result.err
    text = " ".join(result.out.split())
    for part in ("share of", "% of fp32", "peak: fp32", "GB/s", "GFLOP"):
        assert part in text
    *_, last = records.read(tmp_path / "a.jsonl")
    assert last.operations == products(8, 64, 128, 2) + 2 * (64 * 64 + 64 * 2)
    again = cli("device_bench", "run", *flags, "--peak")
    assert "not repeated" in again.err


def test_a_peak_is_of_this_cpu_and_of_a_model(cli: Callable, onnx_file: Path, tmp_path: Path) -> None:
    flags = ("--artifacts", onnx_file, "--output", tmp_path / "a.jsonl", "--peak", "--no-accuracy")
    alone = cli("device_bench", "run", *flags)
    assert (alone.code, "none of these files lies in an artifact" in alone.error) == (2, True)
    phone = cli("device_bench", "run", *flags, "--device", "phone")
    assert (phone.code, "--peak is of this machine's CPU" in phone.error) == (2, True)
    assert not (tmp_path / "a.jsonl").exists()


def test_no_library_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(EdgepressError, match="the machine's peak cannot be measured"):
        measure_peak(1, 8, [(8, 8)])
