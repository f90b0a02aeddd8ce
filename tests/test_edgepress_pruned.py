"""Pruned shapes: other widths and heads in each layer, through a folder and into the formats."""

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SENTENCES
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    DistilBertConfig,
    MPNetConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
)

from edgepress.core.architectures.pruned import SHAPES, record_shapes, set_heads
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import open_model, save_model
from export.core.eager import EagerRunner
from export.onnx import OnnxRunner, export

HEAD = 16
SIZES = {
    "vocab_size": 300,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 66,
    "initializer_range": 0.2,
}
CONFIGS: dict[str, PretrainedConfig] = {
    "bert": BertConfig(**SIZES),
    "roberta": RobertaConfig(**SIZES),
    "mpnet": MPNetConfig(**SIZES),
    "distilbert": DistilBertConfig(
        vocab_size=300, dim=64, n_layers=2, n_heads=4, hidden_dim=128, initializer_range=0.2
    ),
}
# Of a layer: attention module, its projections in, its projection out, the two feed-forward layers.
FEED_FORWARD = "intermediate.dense output.dense"
LAYERS = {
    "bert": ("attention.self", "query key value", "attention.output.dense", FEED_FORWARD),
    "roberta": ("attention.self", "query key value", "attention.output.dense", FEED_FORWARD),
    "mpnet": ("attention.attn", "q k v", "attention.attn.o", FEED_FORWARD),
    "distilbert": ("attention", "q_lin k_lin v_lin", "attention.out_lin", "ffn.lin1 ffn.lin2"),
}
# What is left in each of the two layers.
HEADS, WIDTHS = ((2,), (0, 1, 3)), (24, 100)


@dataclass(frozen=True)
class Layer:
    attention: nn.Module
    inputs: list[nn.Module]
    output: nn.Module
    feed_forward: list[nn.Module]


def build(family: str) -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_config(deepcopy(CONFIGS[family])).eval()


def layers(model: PreTrainedModel) -> list[Layer]:
    stack = next(module for module in model.modules() if isinstance(module, nn.ModuleList))
    attention, inputs, output, feed_forward = LAYERS[model.config.model_type]
    return [
        Layer(
            layer.get_submodule(attention),
            [layer.get_submodule(f"{attention}.{name}") for name in inputs.split()],
            layer.get_submodule(output),
            [layer.get_submodule(name) for name in feed_forward.split()],
        )
        for layer in stack
    ]


def rows_of(heads: Sequence[int]) -> list[int]:
    return [head * HEAD + row for head in heads for row in range(HEAD)]


def cut(layer: nn.Module, kept: list[int], columns: bool = False) -> None:
    """Keep some rows (or columns) of a layer, in place."""
    weight, bias = layer.weight.data, layer.bias.data
    layer.weight = nn.Parameter(weight[:, kept] if columns else weight[kept])
    layer.bias = nn.Parameter(bias if columns else bias[kept])
    layer.out_features, layer.in_features = layer.weight.shape


def prune(model: PreTrainedModel, heads: Sequence[Sequence[int]], widths: Sequence[int]) -> None:
    for layer, kept, width in zip(layers(model), heads, widths, strict=True):
        for projection in layer.inputs:
            cut(projection, rows_of(kept))
        cut(layer.output, rows_of(kept), columns=True)
        set_heads(layer.attention, kept)
        cut(layer.feed_forward[0], [*range(width)])
        cut(layer.feed_forward[1], [*range(width)], columns=True)


def uneven(family: str) -> PreTrainedModel:
    model = build(family)
    prune(model, HEADS, WIDTHS)
    return model


@pytest.fixture(params=CONFIGS)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return uneven(request.param)


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> Path:
    record_shapes(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def batches() -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    found = []
    for rows, length in ((1, 1), (1, 9), (4, 33), (2, 60)):
        ids = rng.integers(5, 300, size=(rows, length), dtype=np.int64)
        mask = (rng.integers(1, length + 1, size=(rows, 1)) > np.arange(length)).astype(np.int64)
        found.append({"input_ids": ids, "attention_mask": mask})
    return found


def logits(run: Callable[[dict[str, np.ndarray]], np.ndarray]) -> np.ndarray:
    return np.concatenate([run(batch) for batch in batches()])


def assert_same(one: PreTrainedModel, other: PreTrainedModel) -> None:
    np.testing.assert_allclose(logits(EagerRunner(one)), logits(EagerRunner(other)), atol=1e-5)


def test_what_is_cut_out_no_longer_counts(model: PreTrainedModel) -> None:
    whole = build(model.config.model_type)
    for layer, kept, width in zip(layers(whole), HEADS, WIDTHS, strict=True):
        layer.output.weight.data[:, rows_of(sorted({0, 1, 2, 3} - {*kept}))] = 0
        layer.feed_forward[1].weight.data[:, width:] = 0
    assert_same(model, whole)


def test_a_folder_gives_the_same_model(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    opened = open_model(str(save(model, tokenizer, tmp_path / "a")))
    assert opened.head_trained
    assert opened.model.num_parameters() == model.num_parameters()
    assert_same(opened.model, model)
    save_model(opened, tmp_path / "b")
    assert (tmp_path / "a" / "config.json").read_text() == (tmp_path / "b" / "config.json").read_text()
    assert_same(open_model(str(tmp_path / "b")).model, model)


def test_heads_and_widths_are_as_they_were_cut(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    loaded = open_model(str(save(uneven("bert"), tokenizer, tmp_path))).model
    layers = loaded.bert.encoder.layer
    assert [layer.attention.self.num_attention_heads for layer in layers] == [1, 3]
    assert [layer.attention.self.attention_head_size for layer in layers] == [HEAD, HEAD]
    assert [layer.intermediate.dense.out_features for layer in layers] == [24, 100]


def test_even_cuts_are_the_configs(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    model = build("bert")
    prune(model, heads=[range(4)] * 2, widths=(24, 24))
    model.config.intermediate_size = 24
    save(model, tokenizer, tmp_path)
    assert SHAPES not in json.loads((tmp_path / "config.json").read_text())
    stock, found = AutoModelForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(found.values())
    assert stock.num_parameters() == model.num_parameters()


def test_heads_of_another_size(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    model = build("bert")
    for module in (layer.attention.self for layer in model.bert.encoder.layer):
        set_heads(module, range(8))
    loaded = open_model(str(save(model, tokenizer, tmp_path))).model
    assert loaded.bert.encoder.layer[1].attention.self.attention_head_size == 8
    assert_same(loaded, model)


def test_dropped_layers_have_to_be_in_the_config() -> None:
    model = uneven("bert")
    del model.bert.encoder.layer[0]
    with pytest.raises(EdgepressError, match=r"does not say the model's layers: bert\.encoder\.layer\.1"):
        record_shapes(model)
    model.config.num_hidden_layers = 1
    record_shapes(model)
    assert getattr(model.config, SHAPES)["heads"] == {"bert.encoder.layer.0.attention.self": [0, 1, 3]}


def test_onnx_and_torchscript(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    loaded = open_model(str(save(model, tokenizer, tmp_path))).model
    export(loaded, tmp_path / "model.onnx")
    with OnnxRunner(tmp_path / "model.onnx") as runner:
        types = [{**batch, "token_type_ids": np.zeros_like(batch["input_ids"])} for batch in batches()]
        found = np.concatenate([runner(batch) for batch in types])
    assert np.abs(found - logits(EagerRunner(model))).max() < 1e-4
    example = {name: torch.from_numpy(values) for name, values in batches()[2].items()}
    traced = torch.jit.trace(loaded, example_kwarg_inputs=example, strict=False)
    for batch in batches():
        inputs = {name: torch.from_numpy(values) for name, values in batch.items()}
        torch.testing.assert_close(traced(**inputs)["logits"], model(**inputs).logits, atol=1e-5, rtol=1e-4)


def test_training_goes_on(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    model = open_model(str(save(uneven("distilbert"), tokenizer, tmp_path))).model.train()
    rows = tokenizer([text for text, _ in SENTENCES[:4]], padding=True, return_tensors="pt")
    model(rows["input_ids"], rows["attention_mask"], labels=torch.tensor([0, 1, 0, 1])).loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


WEIGHT = "bert.encoder.layer.0.intermediate.dense"
SELF = "bert.encoder.layer.0.attention.self"


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("weights", WEIGHT, [25, 64]),
        ("weights", WEIGHT, [24]),
        ("weights", WEIGHT, [-1, 64]),
        ("weights", WEIGHT, "wide"),
        ("weights", "bert.encoder.layer.7.intermediate.dense", [24, 64]),
        ("weights", "bert.encoder.layer.0", [24, 64]),
        ("heads", SELF, []),
        ("heads", SELF, [0, 1, 2]),
        ("heads", SELF, [-1]),
        ("heads", SELF, [1, 1]),
        ("heads", SELF, ["first"]),
        ("heads", SELF, None),
        ("heads", "bert.encoder.layer.0", [2]),
    ],
)
def test_wrong_record_is_one_line(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path, part: str, name: str, value: object
) -> None:
    save(uneven("bert"), tokenizer, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config[SHAPES][part][name] = value
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(EdgepressError, match=SHAPES) as refused:
        open_model(str(tmp_path))
    assert str(tmp_path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("record", [{}, [], "none", 3, {"weights": {}}, {"weights": [], "heads": {}}])
def test_record_that_is_none(tokenizer: PreTrainedTokenizerFast, tmp_path: Path, record: object) -> None:
    save(uneven("bert"), tokenizer, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, SHAPES: record}))
    with pytest.raises(EdgepressError, match=SHAPES):
        open_model(str(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_quantizes_as_any_other(
    cli: Callable, tokenizer: PreTrainedTokenizerFast, data_root: Path, tmp_path: Path, family: str
) -> None:
    save(uneven(family), tokenizer, tmp_path / "pruned")
    place = ("--model", tmp_path / "pruned", "--output", tmp_path / "out")
    text = ("--task", "verdicts", "--data", data_root, "--label-map", "negative=0", "positive=1")
    result = cli("compress.quantize", *place, *text, "--time-budget", 0)
    assert result.code == 0, result.err
    assert open_model(str(tmp_path / "out"), data=data_root).model.num_parameters() < 100_000
