"""The app's bench entry: the APK's own bytecode, back on a JVM, keeps the contract with device_bench."""

import json

import numpy as np
import pytest
from conftest import SENTENCES
from phone_stand_in import STATE
from transformers import AutoTokenizer

from device_bench.phone.contract import Request, parse
from edgepress.core.artifact import open_artifact
from export.core.registry import open_runner
from tools.offline_apk.fetch import ORT_VERSION

pytest_plugins = ["android_app"]
pytestmark = [pytest.mark.android, pytest.mark.timeout(1800)]
RUN_ID = "0123-4-5"
TEXTS = [text for text, _ in SENTENCES[:12]] + ["", "naïve 日本 🙂", "film " * 500]


@pytest.fixture
def launch(app, small_artifact, tmp_path):
    """Start the entry; what it printed and the JSON that it left."""
    for name in ("battery", "thermalservice"):
        (tmp_path / name).write_text(STATE[name])
    media = tmp_path / "media"

    def start(precision, content, **changed):
        (tmp_path / "request.json").write_text(content.content())
        model = open_artifact(small_artifact).file(precision)
        asked = {"threads": 1, "warmup": 2, "runs": 5, "min_ms": 1.0, "run_id": RUN_ID}
        given = {"model": model, "request": tmp_path / "request.json", **asked, **changed}
        extras = {name: value for name, value in given.items() if value is not None}
        printed = app.instrument(tmp_path, media, extras)
        left = media / f"edgepress/{RUN_ID}.json"
        return printed, json.loads(left.read_text()) if left.exists() else None

    return start


def batch(artifact, texts, **flags):
    rows = AutoTokenizer.from_pretrained(artifact)(list(texts), padding=True, truncation=True, **flags)
    return {name: rows[name] for name in ("input_ids", "attention_mask", "token_type_ids")}


def logits(artifact, precision, rows):
    with open_runner(open_artifact(artifact).file(precision)) as runner:
        return runner({name: np.array(values, np.int64) for name, values in rows.items()})


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_its_logits_are_those_of_python(launch, small_artifact, precision):
    rows = batch(small_artifact, [text for text, _ in SENTENCES[:4]])
    request = Request([rows], [[text] for text in TEXTS], runs=5)
    printed, content = launch(precision, request)
    assert "INSTRUMENTATION_CODE: -1" in printed, printed
    result = parse(content, request)
    expected = logits(small_artifact, precision, rows)
    # int8's sums are rounded otherwise by another release of ONNX Runtime.
    tolerance = 1e-5 if precision == "fp32" else 0.5
    assert np.abs(np.array(result.logits) - expected).max() < tolerance
    assert (np.array(result.logits).argmax(1) == expected.argmax(1)).all()
    for text, found in zip(TEXTS, result.text_logits, strict=True):
        own = logits(small_artifact, precision, batch(small_artifact, [text]))[0]
        assert np.abs(np.array(found) - own).max() < tolerance, text


def test_it_says_how_the_phone_is(launch, small_artifact, tmp_path):
    request = Request([batch(small_artifact, ["the film"])], runs=5)
    printed, content = launch("fp32", request)
    result = parse(content, request)
    assert result.runtime == f"onnxruntime {ORT_VERSION}"
    assert result.before["battery_percent"] == 87
    assert (result.before["battery_c"], result.after["charging"]) == (25.1, True)
    assert result.thermal_status == (0,) * len(result.samples_ms)
    assert result.load_ms > 0
    assert result.peak_memory_bytes > 10_000_000
    assert "stage=run" in printed
    assert "org.edgepress.demo.MainActivity" in (tmp_path / "front").read_text()
    assert [path.name for path in (tmp_path / "media/edgepress").iterdir()] == [f"{RUN_ID}.json"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model": "/no/such.onnx"}, "/no/such.onnx"),
        ({"model": __file__}, "cannot be opened"),
        ({"threads": "many"}, "threads"),
        ({"runs": None}, "runs"),
        ({"min_ms": "-1"}, "min_ms"),
        ({"request": __file__}, "damaged"),
        ({"provider": "tpu"}, "tpu"),
        # Linux's library has not what Android's has: it says so, and nothing is measured on the CPU instead.
        ({"provider": "xnnpack"}, "XNNPACK execution provider is not supported in this build"),
    ],
)
def test_nonsense_is_an_error_in_the_json(launch, small_artifact, changed, said):
    printed, content = launch("fp32", Request([batch(small_artifact, ["the film"])]), **changed)
    assert "INSTRUMENTATION_CODE: -1" in printed, printed
    assert content["run_id"] == RUN_ID
    assert said in content["error"]


@pytest.mark.parametrize("run_id", [None, "../outside"])
def test_without_a_name_there_is_no_result(launch, small_artifact, run_id):
    printed, content = launch("fp32", Request([batch(small_artifact, ["the film"])]), run_id=run_id)
    assert "INSTRUMENTATION_CODE: 0" in printed
    assert "shortMsg=run_id" in printed
    assert content is None
