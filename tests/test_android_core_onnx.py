"""The demo app's core on a JVM with ONNX Runtime's Java API: what a real exported file answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
from conftest import SENTENCES, run_well, small_bert
from transformers import PreTrainedTokenizerFast

from device_bench.phone.contract import AppFailedError, Request, parse
from edgepress.core.metrics import THRESHOLDS, predict
from edgepress.core.pretrained import encode
from export.core.shapes import Shapes
from export.onnx import OnnxRunner, export
from export.validation.tokenizer import HARD_CASES
from tools.offline_apk.fetch import ORT_VERSION

if TYPE_CHECKING:  # pytest is the first to import it
    from android.core_jvm import Core

# The first test waits for the tools to be fetched, and for the compiler.
pytestmark = [pytest.mark.android, pytest.mark.timeout(1800)]
pytest_plugins = ["android.core_jvm"]  # the fixture `core`

LONGEST = 64
LABELS = ("negative", "positive")
SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"
TEXTS = [*((text,) for text, _ in SENTENCES), *HARD_CASES.values()]
FILES = {"fp32": "onnx/model.onnx", "int8": "onnx/model_quantized.onnx"}
# Java's ONNX Runtime is another release than Python's: its int8 kernels round elsewhere.
CLOSE = {"fp32": 1e-5, "int8": 0.1}
ANY = Shapes()


@pytest.fixture(scope="module")
def artifact(
    tmp_path_factory: pytest.TempPathFactory, model_folder: Path, data_root: Path, core: Core
) -> Path:
    """What compress.quantize leaves of the trained model: fp32 and int8."""
    target = tmp_path_factory.mktemp("artifacts") / "small-int8"
    flags = ("--data", data_root, "--time-budget", 0)
    run_well("compress.quantize", "--model", model_folder, "--output", target, "--task", "verdicts", *flags)
    return target


def logits_in_python(
    model: Path, tokenizer: PreTrainedTokenizerFast, texts: Sequence[tuple[str, ...]], shapes: Shapes = ANY
) -> Any:
    """One text at a time, as the app does."""
    with OnnxRunner(model) as runner:
        batches = (encode(tokenizer, [text], shapes.longest or LONGEST)[0] for text in texts)
        return np.concatenate([shapes.run(runner, batch) for batch in batches])


def classify(core: Core, model: Path, texts: Sequence[tuple[str, ...]], scratch: Path) -> Any:
    asked = scratch / "texts.json"
    asked.write_text(json.dumps(texts))
    return core.ask("classify", model, asked)


@pytest.mark.parametrize("precision", FILES)
def test_logits_and_labels_as_in_python(
    core: Core, artifact: Path, tokenizer: PreTrainedTokenizerFast, tmp_path: Path, precision: str
) -> None:
    model = artifact / FILES[precision]
    wanted = logits_in_python(model, tokenizer, TEXTS)
    answers = classify(core, model, TEXTS, tmp_path)
    found = np.array([answer["logits"] for answer in answers])
    print(f"{precision}: logits differ by up to {np.abs(found - wanted).max():.2e}")
    np.testing.assert_allclose(found, wanted, atol=CLOSE[precision], rtol=0)
    assert [answer["given"] for answer in answers[: len(SENTENCES)]] == [[label] for _, label in SENTENCES]
    clear = np.abs(wanted[:, 1] - wanted[:, 0]) > 2 * CLOSE[precision]
    best = wanted.argmax(axis=1)
    assert all(answers[at]["given"] == [LABELS[best[at]]] for at in np.flatnonzero(clear))
    assert clear.mean() > 0.9
    probabilities = np.exp(found) / np.exp(found).sum(axis=1, keepdims=True)
    np.testing.assert_allclose([answer["values"] for answer in answers], probabilities, atol=1e-6)


@pytest.fixture
def head(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Callable[..., Path]:
    """An exported model with a head of another kind; its files lie beside it, without a manifest."""

    def make(problem_type: str, labels: tuple[str, ...], thresholds: list[float] | None = None) -> Path:
        model = small_bert(len(tokenizer), labels)
        model.config.problem_type = problem_type
        if thresholds:
            setattr(model.config, THRESHOLDS, thresholds)
        export(model, tmp_path / "model.onnx")
        model.config.save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
        return tmp_path / "model.onnx"

    return make


@pytest.mark.parametrize("thresholds", [None, [0.35, 0.5, 0.65, 0.5]])
def test_any_number_of_labels(
    core: Core, head: Callable[..., Path], tokenizer: Any, tmp_path: Path, thresholds: list[float] | None
) -> None:
    labels = ("a", "b", "c", "d")
    model = head(MULTI, labels, thresholds)
    wanted = logits_in_python(model, tokenizer, TEXTS)
    flags = predict(wanted, MULTI, thresholds)
    assert {0, 1} == set(flags.flat)
    answers = classify(core, model, TEXTS, tmp_path)
    np.testing.assert_allclose([one["values"] for one in answers], 1 / (1 + np.exp(-wanted)), atol=1e-5)
    given = [[label for label, flag in zip(labels, row, strict=True) if flag] for row in flags]
    assert [answer["given"] for answer in answers] == given


def test_a_regression_gives_its_value(
    core: Core, head: Callable[..., Path], tokenizer: Any, tmp_path: Path
) -> None:
    model = head(REGRESSION, ("similarity",))
    pairs = [("the film", "this story"), ("", "the film")]
    answers = classify(core, model, pairs, tmp_path)
    wanted = logits_in_python(model, tokenizer, pairs)
    np.testing.assert_allclose([answer["values"] for answer in answers], wanted, atol=1e-5)


def test_a_file_of_one_shape(
    core: Core, model_folder: Path, data_root: Path, tokenizer: Any, tmp_path: Path
) -> None:
    """Texts are filled up or cut to the only length that it takes."""
    shape = Shapes(batch=2, lengths=(12,))
    flags = ("--data", data_root, "--sequence-length", 12, "--batch-size", 2)
    run_well("export.onnx", "--model", model_folder, "--output", tmp_path / "a", "--task", "verdicts", *flags)
    model = tmp_path / "a/onnx/model.onnx"
    found = [answer["logits"] for answer in classify(core, model, TEXTS, tmp_path)]
    np.testing.assert_allclose(found, logits_in_python(model, tokenizer, TEXTS, shape), atol=1e-5)


def ask_bench(core: Core, model: Path, request: Request, scratch: Path, **others: object) -> Any:
    """One launch, as `am instrument` would start it."""
    asked = scratch / "request.json"
    asked.write_text(request.content())
    files = {"model": model, "request": asked, "run_id": "a-0-0-1"}
    numbers = {"threads": request.threads, "warmup": request.warm_up_batches, "runs": request.runs}
    extras = {**files, **numbers, "min_ms": request.min_time_ms, **others}
    return core.ask("bench", scratch / "outbox", *(f"{name}={value}" for name, value in extras.items()))


def batches_of(tokenizer: Any, texts: Sequence[tuple[str, ...]]) -> list[dict[str, list[list[int]]]]:
    batches = (encode(tokenizer, [text], LONGEST)[0] for text in texts)
    return [{name: ids.tolist() for name, ids in batch.items()} for batch in batches]


@pytest.mark.parametrize("precision", FILES)
def test_the_contract_with_device_bench(
    core: Core, artifact: Path, tokenizer: Any, tmp_path: Path, precision: str
) -> None:
    model = artifact / FILES[precision]
    request = Request(batches_of(tokenizer, TEXTS[:5]), TEXTS, warm_up_batches=3, runs=7, min_time_ms=1.0)
    result = parse(ask_bench(core, model, request, tmp_path), request)
    assert result.runtime == f"onnxruntime {ORT_VERSION}"
    assert len(result.samples_ms) >= 7
    assert sum(result.samples_ms) >= 1.0
    assert min(result.load_ms, result.first_forward_ms, *result.tokenize_ms) > 0
    assert result.peak_memory_bytes > 10_000_000
    wanted = logits_in_python(model, tokenizer, TEXTS)
    np.testing.assert_allclose(result.logits, wanted[:1], atol=CLOSE[precision])
    np.testing.assert_allclose(result.text_logits, wanted, atol=CLOSE[precision])


def test_a_whole_pass_is_one_run(core: Core, artifact: Path, tokenizer: Any, tmp_path: Path) -> None:
    request = Request(batches_of(tokenizer, TEXTS), warm_up_batches=0, runs=1, min_time_ms=0.0)
    result = parse(ask_bench(core, artifact / FILES["fp32"], request, tmp_path), request)
    assert len(result.samples_ms) == 1
    assert result.text_logits == ()


def test_what_is_wrong_stands_in_the_json(core: Core, artifact: Path, tokenizer: Any, tmp_path: Path) -> None:
    whole = artifact / FILES["fp32"]
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    good = Request(batches_of(tokenizer, TEXTS[:1]))
    beyond = Request([{name: [[10**9]] for name in ("input_ids", "attention_mask", "token_type_ids")}])
    long = Request([{name: [[1] * 500] for name in ("input_ids", "attention_mask", "token_type_ids")}])
    bare = Request([{"input_ids": [[1]]}])
    for words, model, request in (
        ("cut.onnx cannot be opened", cut, good),
        ("model.onnx cannot be run", whole, beyond),
        ("model.onnx cannot be run", whole, long),
        ("takes 'attention_mask', and the request has none", whole, bare),
    ):
        content = ask_bench(core, model, request, tmp_path)
        assert words in content["error"]
        assert "\n" not in content["error"]
        with pytest.raises(AppFailedError, match="the app says"):
            parse(content, request)


def test_a_provider_that_this_build_has_not(
    core: Core, artifact: Path, tokenizer: Any, tmp_path: Path
) -> None:
    request = Request(batches_of(tokenizer, TEXTS[:1]))
    content = ask_bench(core, artifact / FILES["fp32"], request, tmp_path, provider="xnnpack")
    assert "model.onnx cannot be opened" in content["error"]
    assert "XNNPACK execution provider is not supported in this build" in content["error"]
    assert "\n" not in content["error"]


def test_the_phones_runtime_reads_what_is_exported(core: Core, artifact: Path, tmp_path: Path) -> None:
    """How far it goes it says itself of a file that is too new; the other tests run the exported ones."""
    import onnx

    model = onnx.load(artifact / FILES["fp32"])
    own = model.ir_version, {entry.domain: entry.version for entry in model.opset_import}
    (tmp_path / "onnx").mkdir()
    newest = {}
    for kind in ("ir", "opset"):
        model.ir_version = 999 if kind == "ir" else own[0]
        model.opset_import[0].version = 999 if kind == "opset" else 17
        file = tmp_path / f"onnx/{kind}.onnx"
        onnx.save(model, file)
        said = ask_bench(core, file, Request([{"input_ids": [[1]]}]), tmp_path)["error"]
        found = re.search(r"max supported IR version: (\d+)|is till opset (\d+)", said)
        assert found, said
        newest[kind] = int(found[1] or found[2])
    assert own[0] <= newest["ir"]
    assert own[1][""] == 17 <= newest["opset"]


def test_which_provider_ran_how_much(core: Core, artifact: Path) -> None:
    """Here the CPU is all that there is: it ran every operation that is left when the file is loaded."""
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(artifact.parent / "profile")
    session = onnxruntime.InferenceSession(artifact / FILES["fp32"], options, ["CPUExecutionProvider"])
    session.run(None, {entry.name: np.ones((1, 2), np.int64) for entry in session.get_inputs()})
    events = json.loads(Path(session.end_profiling()).read_text())
    names = {event["name"] for event in events if event["cat"] == "Node"}
    shares = core.ask("shares", artifact / FILES["fp32"])
    assert list(shares) == ["CPUExecutionProvider"]
    # Another release fuses a few operations more, or fewer.
    assert shares["CPUExecutionProvider"]["nodes"] == pytest.approx(len(names), rel=0.3)
    assert shares["CPUExecutionProvider"]["ms"] > 0


def test_files_that_do_not_fit(core: Core, head: Callable[..., Path], tmp_path: Path) -> None:
    model = head(SINGLE, ("a", "b", "c"))
    config = tmp_path / "config.json"
    said = json.loads(config.read_text())
    config.write_text(json.dumps({**said, "id2label": {"0": "a", "1": "b"}}))
    assert "3 labels, and config.json names 2" in classify(core, model, TEXTS, tmp_path)["error"]
    config.write_text(config.read_text()[:200])
    assert "config.json is damaged" in classify(core, model, TEXTS, tmp_path)["error"]
    config.write_text(json.dumps(said))
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text()[:2000])
    assert "tokenizer.json is damaged" in classify(core, model, TEXTS, tmp_path)["error"]


def test_a_model_of_other_inputs(core: Core, head: Callable[..., Path], tmp_path: Path) -> None:
    import onnx

    path = head(SINGLE, ("a", "b"))
    model = onnx.load(path)
    for node in model.graph.node:
        node.input[:] = ["pixels" if name == "input_ids" else name for name in node.input]
    model.graph.input[0].name = "pixels"
    onnx.save(model, path)
    assert "is no classifier of texts: it takes 'pixels'" in classify(core, path, TEXTS, tmp_path)["error"]
