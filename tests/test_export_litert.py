"""LiteRT files: their arithmetic next to torch's, their signatures, what is quantized in them, damage."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SENTENCES, first_slow, skip_without, small_bert
from small_models import ARCHITECTURES, LONGEST, VOCABULARY, WITH_TOKEN_TYPES
from transformers import BertForSequenceClassification, PreTrainedModel, PreTrainedTokenizerFast
from transformers.modeling_outputs import SequenceClassifierOutput

from edgepress.core.artifact import open_artifact
from edgepress.core.errors import EdgepressError
from edgepress.core.pretrained import encode
from export.core.eager import EagerRunner
from export.core.registry import find_format, open_runner
from export.core.runner import Batch
from export.core.scheme import CPU_TARGETS, Options
from export.tflite.config import LiteRtConfig
from export.tflite.contents import METADATA, coverage, describe
from export.tflite.convert import export
from export.tflite.runner import LiteRtRunner
from export.tflite.schemes import SCHEMES
from export.validation.parity import compare, compare_logits, parity_batches

skip_without("litert")

# Conversion takes ten seconds a signature.
pytestmark = pytest.mark.slow
OTHERS = [kind for kind in ARCHITECTURES if kind not in ("bert", "mpnet", "albert")]
SIGNATURES = (16, LONGEST)
TABLE = "bert.embeddings.word_embeddings"
BLOCK = 32
SINGLE = "single_label_classification"
OPTIONS = Options(CPU_TARGETS["arm64"])


@pytest.fixture(scope="module")
def sentences(tokenizer: PreTrainedTokenizerFast) -> list[Batch]:
    return encode(tokenizer, [(text,) for text, _ in SENTENCES], LONGEST)


@pytest.fixture(scope="module")
def fp32_file(tmp_path_factory: pytest.TempPathFactory, trained_bert: PreTrainedModel) -> Path:
    """The small trained BERT as a file, as the format's command writes it."""
    form = find_format("litert")
    target = tmp_path_factory.mktemp("litert") / form.file
    form.write(trained_bert, target, LiteRtConfig(model="x", signatures=SIGNATURES))
    return target


@pytest.fixture(scope="module")
def quantized(fp32_file: Path, trained_bert: PreTrainedModel):
    """The file in a scheme, made once."""
    made: dict[str, Path] = {}

    def of(name: str) -> Path:
        if name not in made:
            made[name] = fp32_file.with_name(SCHEMES[name].file_name)
            SCHEMES[name].quantize(fp32_file, made[name], replace(OPTIONS, model=trained_bert))
        return made[name]

    return of


def difference(model: PreTrainedModel, path: Path, batches: list[Batch]) -> float:
    with open_runner(path) as runner:
        return compare(EagerRunner(model), runner, batches, SINGLE).max_abs


def matrices(model: PreTrainedModel) -> int:
    return sum(value.numel() for value in model.state_dict().values() if value.dim() == 2)


def graph(path: Path):
    from ai_edge_litert.tools import flatbuffer_utils

    return flatbuffer_utils.read_model(str(path))


def stored(path: Path) -> int:
    """Bytes of a file's tables of numbers."""
    return sum(len(own.data) for own in graph(path).buffers if own.data is not None)


def test_parity_with_torch(fp32_file: Path, trained_bert: PreTrainedModel, sentences: list[Batch]) -> None:
    lengths = {batch["input_ids"].shape[1] for batch in sentences}
    assert min(lengths) <= 16 < max(lengths)  # through both signatures
    assert difference(trained_bert, fp32_file, [*parity_batches(sentences, LONGEST), *sentences]) < 1e-4


def test_each_length_has_a_signature_and_all_share_the_weights(
    fp32_file: Path, trained_bert: PreTrainedModel
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(str(fp32_file))
    names = ["attention_mask", "input_ids", "token_type_ids"]
    known = {"inputs": names, "outputs": ["logits"]}
    assert model.get_signature_list() == {f"tokens_{length}": known for length in SIGNATURES}
    for length in SIGNATURES:
        inputs = model.get_signature_runner(f"tokens_{length}").get_input_details()
        assert {(*own["shape"], own["dtype"]) for own in inputs.values()} == {(1, length, np.int32)}
    assert 4 * matrices(trained_bert) < stored(fp32_file) < 1.1 * 4 * matrices(trained_bert)


def test_a_text_longer_than_the_longest_signature(fp32_file: Path, sentences: list[Batch]) -> None:
    longer = {name: np.tile(value, LONGEST)[:, : LONGEST + 1] for name, value in sentences[0].items()}
    with LiteRtRunner(fp32_file) as runner, pytest.raises(EdgepressError) as refused:
        runner(longer)
    assert str(refused.value) == (
        f"model.tflite: a text of {LONGEST + 1} tokens is longer than its longest signature, {LONGEST}"
    )


def test_int8_keeps_decisions(quantized, trained_bert: PreTrainedModel, sentences: list[Batch]) -> None:
    parent = [EagerRunner(trained_bert)(batch) for batch in sentences]
    for name in ("int8-dynamic", "int8-weights"):
        with open_runner(quantized(name)) as runner:
            found = compare_logits(parent, [runner(batch) for batch in sentences], sentences, SINGLE)
        assert found.agreement == 1.0
        assert 0 < found.mean_abs < 0.5


def test_fp16_rounds_no_more_than_weights(
    quantized, trained_bert: PreTrainedModel, sentences: list[Batch]
) -> None:
    assert 0 < difference(trained_bert, quantized("fp16"), sentences) < 2e-2


@pytest.mark.parametrize(
    ("scheme", "saved"), [("int8-dynamic", 3), ("int8-weights", 3), ("fp16", 2), ("int4-dynamic", 3)]
)
def test_bytes_that_a_scheme_saves(
    quantized, fp32_file: Path, trained_bert: PreTrainedModel, scheme: str, saved: int
) -> None:
    # Positions are constants of each signature, and stay; scales lie beside the buffers.
    assert stored(fp32_file) - stored(quantized(scheme)) > 0.9 * saved * matrices(trained_bert)
    assert quantized(scheme).stat().st_size < fp32_file.stat().st_size


def test_coverage_counts_matrices_in_integers(quantized, fp32_file: Path) -> None:
    assert coverage(fp32_file).startswith("0/")
    assert coverage(quantized("fp16")).startswith("0/")
    found = coverage(quantized("int8-dynamic"))
    assert found == coverage(quantized("int8-weights")) == coverage(quantized("int4-dynamic"))
    # Each layer's six matrices, pooler and classifier; attention's own products have no weights.
    assert found == "14/18"


def test_blocks_of_int4_are_run_as_they_are_stored(
    quantized, trained_bert: PreTrainedModel, sentences: list[Batch]
) -> None:
    """Torch with the weights rounded by blocks is nearer to the file than torch as it was."""
    rounded = BertForSequenceClassification(trained_bert.config).eval()
    rounded.load_state_dict(trained_bert.state_dict())
    for module in rounded.modules():
        if isinstance(module, torch.nn.Linear):
            blocks = module.weight.data.view(-1, BLOCK)
            scales = blocks.abs().amax(1, keepdim=True) / 7
            module.weight.data = (torch.round(blocks / scales) * scales).view_as(module.weight)
    found = [EagerRunner(own) for own in (rounded, trained_bert)]
    with open_runner(quantized("int4-dynamic")) as runner:
        near, far = (compare(own, runner, sentences, SINGLE).mean_abs for own in found)
    assert near < 0.6 * far


def test_keep_float_is_honoured(
    quantized, fp32_file: Path, trained_bert: PreTrainedModel, tmp_path: Path
) -> None:
    query = "bert.encoder.layer.1.attention.self.query"
    for layer in (TABLE, query):
        target = tmp_path / "kept.tflite"
        options = replace(OPTIONS, model=trained_bert, keep_float=frozenset({layer}))
        SCHEMES["int8-dynamic"].quantize(fp32_file, target, options)
        matrix = trained_bert.get_submodule(layer).weight.numel()
        assert stored(target) - stored(quantized("int8-dynamic")) == 3 * matrix


def test_unknown_layer_is_refused(fp32_file: Path, trained_bert: PreTrainedModel, tmp_path: Path) -> None:
    options = replace(OPTIONS, model=trained_bert, keep_float=frozenset({"bert.poler.dense"}))
    with pytest.raises(EdgepressError, match=r"unknown layer 'bert\.poler\.dense'") as refused:
        SCHEMES["int8-dynamic"].quantize(fp32_file, tmp_path / "int8.tflite", options)
    assert "did you mean 'bert.pooler.dense'" in refused.value.hint
    with pytest.raises(EdgepressError, match="finds layers by the torch model"):
        SCHEMES["fp16"].quantize(fp32_file, tmp_path / "half.tflite", replace(options, model=None))
    assert list(tmp_path.iterdir()) == []


def test_facts_are_in_the_file(quantized, sentences: list[Batch], tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(quantized("int8-dynamic").read_bytes())
    with open_runner(path) as runner:
        before = runner(sentences[0])
    describe(path, {"labels": '["böse", "gut"]'})
    model = graph(path)
    (entry,) = [own for own in model.metadata if own.name.decode() == METADATA]
    assert json.loads(bytes(model.buffers[entry.buffer].data)) == {"labels": '["böse", "gut"]'}
    with open_runner(path) as runner:
        assert np.array_equal(runner(sentences[0]), before)


def test_runner_is_quiet_and_says_what_runs(
    quantized, sentences: list[Batch], capfd: pytest.CaptureFixture[str]
) -> None:
    for threads in (2, 1):
        with LiteRtRunner(quantized("int8-dynamic"), threads) as runner:
            assert runner.runtime.startswith("ai-edge-litert 2.")
            assert runner(sentences[0]).dtype == np.float32
    assert capfd.readouterr() == ("", "")


def test_input_that_is_missing_is_not_made_up(fp32_file: Path, sentences: list[Batch]) -> None:
    with LiteRtRunner(fp32_file) as runner, pytest.raises(KeyError, match="attention_mask"):
        runner({"input_ids": sentences[0]["input_ids"]})


@pytest.mark.parametrize("scheme", [None, "int8-dynamic"])
@pytest.mark.parametrize("kept", [None, 0.0, 0.01, 0.5, 0.99])
def test_damaged_file_is_refused(
    quantized,
    fp32_file: Path,
    tmp_path: Path,
    scheme: str | None,
    kept: float | None,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "model.tflite"
    data = (quantized(scheme) if scheme else fp32_file).read_bytes()
    if kept is not None:
        path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(EdgepressError, match="LiteRT cannot open it") as refused:
        LiteRtRunner(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert capfd.readouterr().err == ""


def test_a_file_for_a_newer_runtime_is_refused(quantized, tmp_path: Path) -> None:
    from ai_edge_litert.tools import flatbuffer_utils

    model = graph(quantized("int8-dynamic"))
    for code in model.operatorCodes:
        code.version = 99
    flatbuffer_utils.write_model(model, str(tmp_path / "model.tflite"))
    with pytest.raises(EdgepressError, match=r"LiteRT cannot open it: .*version '99'") as refused:
        LiteRtRunner(tmp_path / "model.tflite")
    assert "\n" not in str(refused.value)


def test_signatures_of_others_are_refused(fp32_file: Path, tmp_path: Path) -> None:
    from ai_edge_litert.tools import flatbuffer_utils

    model = graph(fp32_file)
    for number, signature in enumerate(model.signatureDefs):
        signature.signatureKey = f"serve_{number}".encode()
    flatbuffer_utils.write_model(model, str(tmp_path / "model.tflite"))
    with pytest.raises(EdgepressError, match="its signatures are serve_0, serve_1, not tokens_N"):
        LiteRtRunner(tmp_path / "model.tflite")


def test_operation_that_the_converter_lacks_is_named(tmp_path: Path) -> None:
    class Opaque(BertForSequenceClassification):
        def forward(self, input_ids: torch.Tensor) -> SequenceClassifierOutput:
            return SequenceClassifierOutput(logits=torch.linalg.svdvals(input_ids.float())[:, None])

    model = Opaque(small_bert(VOCABULARY).config).eval()
    with pytest.raises(EdgepressError, match=r"LiteRT's converter cannot take bert: .*svd") as refused:
        export(model, tmp_path / "model.tflite", (16,))
    assert "\n" not in str(refused.value)
    assert refused.value.hint == "other formats can: python -m export.onnx"
    assert list(tmp_path.iterdir()) == []


def test_command_chooses_signatures_and_card_runs(cli, model_folder, data_root, tmp_path) -> None:
    out = tmp_path / "out"
    task = ("--model", model_folder, "--task", data_root / "verdicts")
    result = cli("export.litert", *task, "--output", out, "--scheme", "fp32", "int8")
    assert result.code == 0, result.err
    files = open_artifact(out).manifest.steps[-1].metrics["files"]
    assert {file["score"] for file in files} == {1.0}
    (signatures,) = {tuple(file["signatures"]) for file in files}
    assert signatures[-1] == LONGEST
    assert len(signatures) > 1
    said = cli("export.predict", out / "litert" / "model_int8.tflite", "--text", SENTENCES[0][0], "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["label"] == SENTENCES[0][1]
    program = (out / "README.md").read_text().split("```python\n")[1].split("```")[0]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=out, capture_output=True, text=True, check=True
    )
    assert "positive" in done.stdout or "negative" in done.stdout


def test_fixed_shapes(trained_bert: PreTrainedModel, sentences: list[Batch], tmp_path: Path) -> None:
    target = tmp_path / "model.tflite"
    config = LiteRtConfig(model="x", batch_size=4, sequence_length=32)
    find_format("litert").write(trained_bert, target, config)
    with LiteRtRunner(target) as runner:
        assert runner.shapes == config.shapes
    batches = [batch for batch in parity_batches(sentences, 32) if batch["input_ids"].shape[1] <= 32]
    assert difference(trained_bert, target, batches) < 1e-4


@pytest.mark.parametrize("kind", first_slow(["mpnet", "albert", *OTHERS], 1))
def test_every_architecture(kind: str, sentences: list[Batch], tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = ARCHITECTURES[kind]().eval()
    batches = [
        {name: v for name, v in batch.items() if name != "token_type_ids" or kind in WITH_TOKEN_TYPES}
        for batch in [*parity_batches(sentences, LONGEST), {n: v[:, :2] for n, v in sentences[0].items()}]
    ]
    export(model, tmp_path / "model.tflite", SIGNATURES)
    assert difference(model, tmp_path / "model.tflite", batches) < 1e-4
    SCHEMES["int8-dynamic"].quantize(tmp_path / "model.tflite", tmp_path / "int8.tflite", OPTIONS)
    assert 0 < difference(model, tmp_path / "int8.tflite", batches) < 0.5
