"""ExecuTorch programs: their arithmetic next to torch's, what is quantized in them, damage."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SENTENCES, first_slow, small_bert
from small_models import ARCHITECTURES, LONGEST, VOCABULARY, WITH_TOKEN_TYPES
from transformers import (
    BertForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from edgepress.core.errors import EdgepressError
from edgepress.core.pretrained import encode
from export.core.config import ExportConfig
from export.core.eager import EagerRunner
from export.core.registry import find_format, open_runner
from export.core.runner import Batch
from export.core.scheme import CPU_TARGETS, Options
from export.core.shapes import Shapes
from export.executorch import SCHEMES, ExecuTorchRunner, export
from export.validation.parity import compare, compare_logits, parity_batches

if find_spec("executorch") is None:
    pytest.skip("the extra 'executorch' is not installed", allow_module_level=True)

# Lowering takes minutes: tests of every format (test_export_command.py) have its file by default.
pytestmark = pytest.mark.slow
OTHERS = [kind for kind in ARCHITECTURES if kind not in ("bert", "mpnet", "albert")]
TABLE = "bert.embeddings.word_embeddings"
HIDDEN = 64
OPTIONS = Options(CPU_TARGETS["arm64"])


@pytest.fixture(scope="module")
def sentences(tokenizer: PreTrainedTokenizerFast) -> list[Batch]:
    return encode(tokenizer, [(text,) for text, _ in SENTENCES], LONGEST)


@pytest.fixture(scope="module")
def weights_before(trained_bert: PreTrainedModel) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trained_bert.state_dict().items()}


@pytest.fixture(scope="module")
def fp32_file(
    tmp_path_factory: pytest.TempPathFactory,
    trained_bert: PreTrainedModel,
    weights_before: dict[str, torch.Tensor],
) -> Path:
    """The small trained BERT as a program, as the format's command writes it."""
    form = find_format("executorch")
    target = tmp_path_factory.mktemp("executorch") / form.file
    form.write(trained_bert, target, ExportConfig(model="x"))
    return target


@pytest.fixture(scope="module")
def int8_file(
    fp32_file: Path, trained_bert: PreTrainedModel, weights_before: dict[str, torch.Tensor]
) -> Path:
    target = fp32_file.with_name(SCHEMES["int8-dynamic"].file_name)
    SCHEMES["int8-dynamic"].quantize(fp32_file, target, replace(OPTIONS, model=trained_bert))
    return target


def difference(model: PreTrainedModel, path: Path, batches: list[Batch]) -> float:
    with open_runner(path) as runner:
        return compare(EagerRunner(model), runner, batches, "single_label_classification").max_abs


def test_parity_with_torch(fp32_file: Path, trained_bert: PreTrainedModel, sentences: list[Batch]) -> None:
    assert difference(trained_bert, fp32_file, [*parity_batches(sentences, LONGEST), *sentences[::8]]) < 1e-4


@pytest.mark.parametrize("length", [1, 2, 3])
def test_shortest_inputs(
    length: int, fp32_file: Path, trained_bert: PreTrainedModel, sentences: list[Batch]
) -> None:
    short = [{name: value[:, :length] for name, value in batch.items()} for batch in sentences[:3]]
    assert difference(trained_bert, fp32_file, short) < 1e-4


def test_int8_keeps_decisions(int8_file: Path, trained_bert: PreTrainedModel, sentences: list[Batch]) -> None:
    parent = [EagerRunner(trained_bert)(batch) for batch in sentences]
    with open_runner(int8_file) as runner:
        child = [runner(batch) for batch in sentences]
        assert runner({name: value[:, :1] for name, value in sentences[0].items()}).shape == (1, 2)
    found = compare_logits(parent, child, sentences, "single_label_classification")
    assert found.agreement == 1.0
    assert 0 < found.mean_abs < 0.5


def test_int8_is_smaller(int8_file: Path, fp32_file: Path, trained_bert: PreTrainedModel) -> None:
    # Of each matrix three bytes in four go; the program itself weighs much in so small a model.
    matrices = sum(value.numel() for value in trained_bert.state_dict().values() if value.dim() == 2)
    assert fp32_file.stat().st_size - int8_file.stat().st_size > 0.9 * 3 * matrices


def test_the_torch_model_stays_as_it_is(
    int8_file: Path, trained_bert: PreTrainedModel, weights_before: dict[str, torch.Tensor]
) -> None:
    assert int8_file.exists()
    after = trained_bert.state_dict()
    assert list(after) == list(weights_before)
    assert all(torch.equal(value, weights_before[name]) for name, value in after.items())


def test_runner_says_what_runs_and_takes_threads(fp32_file: Path, sentences: list[Batch]) -> None:
    from executorch.extension.pybindings import portable_lib

    for threads in (2, 1):
        with ExecuTorchRunner(fp32_file, threads) as runner:
            assert runner.runtime.startswith("executorch 1.")
            assert portable_lib._threadpool_get_thread_count() == threads
            assert runner(sentences[0]).dtype == np.float32


def test_runner_is_quiet(int8_file: Path, sentences: list[Batch], capfd: pytest.CaptureFixture[str]) -> None:
    with ExecuTorchRunner(int8_file) as runner:
        runner(sentences[0])
    assert capfd.readouterr() == ("", "")


def test_input_that_is_missing_is_not_made_up(fp32_file: Path, sentences: list[Batch]) -> None:
    with ExecuTorchRunner(fp32_file) as runner, pytest.raises(KeyError, match="attention_mask"):
        runner({"input_ids": sentences[0]["input_ids"]})


@pytest.mark.parametrize("kept", [None, 0.0, 0.01, 0.5, 0.99])
def test_damaged_file_is_refused(
    fp32_file: Path, tmp_path: Path, kept: float | None, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.pte"
    data = fp32_file.read_bytes()
    if kept is not None:
        path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(EdgepressError, match="ExecuTorch cannot open it") as refused:
        ExecuTorchRunner(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert capfd.readouterr().err == ""


def test_unknown_layer_is_refused(trained_bert: PreTrainedModel, tmp_path: Path) -> None:
    options = replace(OPTIONS, model=trained_bert, keep_float=frozenset({"bert.poler.dense"}))
    with pytest.raises(EdgepressError, match=r"unknown layer 'bert\.poler\.dense'") as refused:
        SCHEMES["int8-dynamic"].quantize(tmp_path / "model.pte", tmp_path / "int8.pte", options)
    assert "did you mean 'bert.pooler.dense'" in refused.value.hint
    assert list(tmp_path.iterdir()) == []


def test_quantizing_needs_the_model(fp32_file: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgepressError, match="ExecuTorch quantizes the torch model"):
        SCHEMES["int8-dynamic"].quantize(fp32_file, tmp_path / "int8.pte", OPTIONS)


def test_model_that_cannot_be_captured_is_refused(tmp_path: Path) -> None:
    class Opaque(BertForSequenceClassification):
        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            raise ValueError("not with me\nnor with you", input_ids.shape)

    with pytest.raises(EdgepressError, match="ExecuTorch cannot hold bert") as refused:
        export(Opaque(small_bert(VOCABULARY).config), tmp_path / "model.pte")
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
@pytest.mark.timeout(900)
def test_keep_float_is_honoured(int8_file: Path, trained_bert: PreTrainedModel, tmp_path: Path) -> None:
    rows = trained_bert.config.vocab_size
    feed_forward = "bert.encoder.layer.0.intermediate.dense"
    for layer, matrix in ((TABLE, rows * HIDDEN), (feed_forward, HIDDEN * 128)):
        target = tmp_path / f"{layer}.pte"
        options = replace(OPTIONS, model=trained_bert, keep_float=frozenset({layer}))
        SCHEMES["int8-dynamic"].quantize(tmp_path / "unread.pte", target, options)
        grown = target.stat().st_size - int8_file.stat().st_size
        assert 0.8 * 3 * matrix < grown < 1.4 * 3 * matrix


@pytest.mark.parametrize("shape", first_slow([(4, 32), (None, 32), (4, None)], 1))
def test_fixed_shapes(
    shape: tuple[int | None, int | None],
    trained_bert: PreTrainedModel,
    sentences: list[Batch],
    tmp_path: Path,
) -> None:
    (rows, length), target = shape, tmp_path / "model.pte"
    export(trained_bert, target, Shapes(rows, (length,) if length else ()))
    with ExecuTorchRunner(target) as runner:
        assert runner.shapes == Shapes(rows or 1, (length,) if length else ())
    batches = [batch for batch in parity_batches(sentences, 32) if batch["input_ids"].shape[1] <= 32]
    assert difference(trained_bert, target, batches) < 1e-4


# In CI two of them go through test_every_architecture, in fp32.
@pytest.mark.long
@pytest.mark.parametrize("kind", ["mpnet", "albert", *OTHERS])
def test_every_architecture(kind: str, sentences: list[Batch], tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = ARCHITECTURES[kind]().eval()
    batches = [
        {name: v for name, v in batch.items() if name != "token_type_ids" or kind in WITH_TOKEN_TYPES}
        for batch in [*parity_batches(sentences, LONGEST), {n: v[:, :2] for n, v in sentences[0].items()}]
    ]
    export(model, tmp_path / "model.pte")
    assert difference(model, tmp_path / "model.pte", batches) < 1e-4
    SCHEMES["int8-dynamic"].quantize(
        tmp_path / "model.pte", tmp_path / "int8.pte", replace(OPTIONS, model=model)
    )
    assert 0 < difference(model, tmp_path / "int8.pte", batches) < 0.5
