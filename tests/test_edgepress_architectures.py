"""The classifiers that transformers does not have: padding, short texts, losses, folders, formats."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from edgepress.core.architectures import BiLstmConfig, CnnConfig, SmallClassifier, StaticConfig
from export.core.eager import EagerRunner
from export.core.scheme import Options, this_cpu
from export.onnx import OnnxRunner, export
from export.onnx_graph.layers import coverage
from export.onnx_graph.schemes import SCHEMES

VOCABULARY = 200
CONFIGS = {
    "bilstm": BiLstmConfig(vocab_size=VOCABULARY),
    "bilstm_attention": BiLstmConfig(vocab_size=VOCABULARY, attention=True),
    "cnn": CnnConfig(vocab_size=VOCABULARY),
    "cnn_of_one_filter": CnnConfig(vocab_size=VOCABULARY, filters=1),
    "static": StaticConfig(vocab_size=VOCABULARY),
}
LENGTHS = (1, 2, 3, 4, 5, 6, 31, 128)


def build(name: str, **changes: Any) -> SmallClassifier:
    """With weights so large that the logits differ from text to text."""
    torch.manual_seed(0)
    config = type(CONFIGS[name])(**{**CONFIGS[name].to_diff_dict(), **changes})
    model = AutoModelForSequenceClassification.from_config(config).eval()
    for parameter in model.parameters():
        parameter.data.mul_(3)
    assert isinstance(model, SmallClassifier)
    return model


@pytest.fixture(params=CONFIGS)
def model(request: pytest.FixtureRequest) -> SmallClassifier:
    return build(request.param)


def padded(rows: int, length: int) -> dict[str, np.ndarray]:
    """Rows of 1 to `length` tokens, padded with ids that are no padding's."""
    rng = np.random.default_rng(length)
    ids = rng.integers(5, VOCABULARY, size=(rows, length), dtype=np.int64)
    kept = rng.integers(1, length + 1, size=(rows, 1)) > np.arange(length)
    return {"input_ids": ids, "attention_mask": kept.astype(np.int64)}


def whole(rows: int, length: int) -> dict[str, np.ndarray]:
    batch = padded(rows, length)
    return {**batch, "attention_mask": np.ones_like(batch["attention_mask"])}


def largest_difference(model: PreTrainedModel, path: Path) -> float:
    with OnnxRunner(path) as exported:
        eager = EagerRunner(model)
        batches = [make(rows, length) for length in LENGTHS for rows in (1, 8) for make in (whole, padded)]
        return float(max(np.abs(eager(batch) - exported(batch)).max() for batch in batches))


@pytest.mark.parametrize("length", LENGTHS)
def test_padding_changes_nothing(model: SmallClassifier, length: int) -> None:
    batch, runner = padded(6, length), EagerRunner(model)
    together = runner(batch)
    for row, kept in enumerate(batch["attention_mask"].sum(1)):
        alone = runner({"input_ids": batch["input_ids"][row : row + 1, :kept]})
        np.testing.assert_allclose(together[row : row + 1], alone, atol=1e-5)


def test_every_token_counts(model: SmallClassifier) -> None:
    batch, runner = whole(1, 6), EagerRunner(model)
    for position in range(6):
        other = {**batch, "input_ids": batch["input_ids"].copy()}
        other["input_ids"][0, position] = 4
        if model.classifier.in_features > 3:  # a filter alone may have its strongest response elsewhere
            assert np.abs(runner(batch) - runner(other)).max() > 1e-6


def test_bilstm_is_torchs_on_packed_sequences() -> None:
    model = build("bilstm")
    reference = torch.nn.LSTM(64, 64, batch_first=True, bidirectional=True)
    names = dict(reference.named_parameters())
    for name, values in model.forwards.named_parameters():
        names[name].data.copy_(values)
    for name, values in model.backwards.named_parameters():
        names[f"{name}_reverse"].data.copy_(values)
    batch = {name: torch.from_numpy(values) for name, values in padded(5, 12).items()}
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        model.embedding(batch["input_ids"]), batch["attention_mask"].sum(1), True, enforce_sorted=False
    )
    _, (last, _) = reference(packed)
    expected = model.classifier(torch.cat([last[0], last[1]], 1))
    torch.testing.assert_close(model(**batch).logits, expected)


def test_attention_is_the_papers() -> None:
    model = build("bilstm_attention")
    states = torch.randn(1, 7, 128)
    layer = model.attention
    u = torch.tanh(states[0] @ layer.projection.weight.T + layer.projection.bias)
    weights = torch.softmax(u @ layer.query.weight[0], 0)
    torch.testing.assert_close(layer(states, torch.ones(1, 7)), (weights @ states[0])[None])


def test_cnn_sees_the_words_in_order() -> None:
    model, batch = build("cnn"), whole(1, 9)
    turned = {**batch, "input_ids": batch["input_ids"][:, ::-1].copy()}
    assert np.abs(EagerRunner(model)(batch) - EagerRunner(model)(turned)).max() > 1e-3


@pytest.mark.parametrize(
    ("problem_type", "labels"),
    [
        ("single_label_classification", torch.tensor([0, 2])),
        ("multi_label_classification", torch.tensor([[1.0, 0, 1], [0, 0, 1]])),
        ("regression", torch.tensor([[0.5, 1, 2], [3, 4, 5]])),
    ],
)
@pytest.mark.parametrize("name", CONFIGS)
def test_loss_has_a_gradient_everywhere(name: str, problem_type: str, labels: torch.Tensor) -> None:
    model = build(name, num_labels=3, problem_type=problem_type)
    batch = {name: torch.from_numpy(values) for name, values in padded(2, 12).items()}
    model(**batch, labels=labels).loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_survives_saving(model: SmallClassifier, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    loaded, found = AutoModelForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(found.values())
    assert loaded.config.to_diff_dict() == model.config.to_diff_dict()
    assert np.array_equal(EagerRunner(loaded)(padded(3, 9)), EagerRunner(model)(padded(3, 9)))


def test_onnx_parity_and_dynamic_axes(model: SmallClassifier, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    export(model, path)
    assert largest_difference(model, path) < 1e-4
    graph = onnx.load(str(path)).graph
    names = [entry.name for entry in (*graph.input, *graph.output)]
    assert names == ["input_ids", "attention_mask", "logits"]


def test_torchscript_trace_is_dynamic(model: SmallClassifier) -> None:
    example = {name: torch.from_numpy(values) for name, values in whole(2, 7).items()}
    traced = torch.jit.trace(model, example_kwarg_inputs=example, strict=False)
    for length in LENGTHS:
        batch = {name: torch.from_numpy(values) for name, values in padded(3, length).items()}
        torch.testing.assert_close(traced(**batch)["logits"], model(**batch).logits)


# Of the products in bilstm_attention, cnn and static: an LSTM or a convolution is one.
PRODUCTS = {
    "int8-dynamic": ("5/5", "1/4", "2/3"),
    "int8-static": ("2/5", "0/4", "0/3"),
    "int8-weights": ("2/5", "0/4", "0/3"),
    "int4-weights": ("2/5", "0/4", "0/3"),
    "fp16": ("0/5", "0/4", "0/3"),
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme(scheme: str, tmp_path: Path) -> None:
    sentences = [whole(1, length) for length in LENGTHS]
    options = Options(this_cpu(), calibration_batches=sentences)
    found = []
    for name in ("bilstm_attention", "cnn", "static"):
        model = build(name, vocab_size=5000)
        source, target = tmp_path / f"{name}.onnx", tmp_path / f"{name}-small.onnx"
        export(model, source)
        SCHEMES[scheme].quantize(source, target, options)
        assert target.stat().st_size < 0.7 * source.stat().st_size
        logits = EagerRunner(model)(padded(8, 20))
        assert largest_difference(model, target) < 0.5 * np.abs(logits).max()
        found.append(str(coverage(target)))
    assert tuple(found) == PRODUCTS[scheme]
