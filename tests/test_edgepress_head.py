"""The head of one hidden layer: on every architecture, through a folder, into ONNX, into a student."""

import json

import numpy as np
import pytest
import torch
from small_models import ARCHITECTURES
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from compress.distill.slicing import slice_layers
from edgepress.core.architectures import BiLstmConfig, CnnConfig, StaticConfig
from edgepress.core.architectures.head import HEAD, put_head
from edgepress.core.architectures.pruned import model_type, record_shapes
from edgepress.core.artifact import open_artifact
from edgepress.core.errors import EdgepressError
from edgepress.core.heads import TEXT_CLASSIFIER
from edgepress.core.loading import open_model
from export.core.eager import EagerRunner
from export.onnx import OnnxRunner, export

SMALL = {
    "bilstm": lambda: AutoModelForSequenceClassification.from_config(BiLstmConfig(vocab_size=300)),
    "cnn": lambda: AutoModelForSequenceClassification.from_config(CnnConfig(vocab_size=300)),
    "static": lambda: AutoModelForSequenceClassification.from_config(StaticConfig(vocab_size=300)),
}
ALL = {**ARCHITECTURES, **SMALL}
TEXT = {"input_ids": torch.tensor([[2, 17, 42, 9, 3]]), "attention_mask": torch.ones(1, 5, dtype=torch.int64)}


@pytest.fixture(params=ALL)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    model = ALL[request.param]().eval()
    put_head(model, seed=0)
    return model


def logits(model: PreTrainedModel) -> torch.Tensor:
    with torch.inference_mode():
        return model(**TEXT).logits


def test_one_hidden_layer_of_50(model):
    seen = []
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    for module in linear:
        module.register_forward_hook(lambda layer, inputs, _: seen.append((layer, inputs[0])))
    assert logits(model).shape == (1, 2)
    last, before = seen[-1][0], seen[-2][0]
    assert (last.in_features, last.out_features, before.out_features) == (50, 2, 50)
    assert seen[-1][1].min() == 0  # ReLU
    assert 0.2 in [module.p for module in model.modules() if isinstance(module, nn.Dropout)]


def test_a_folder_gives_the_same_model(model, tmp_path):
    expected = logits(model)
    record_shapes(model)
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())[HEAD] == {"hidden": 50, "dropout": 0.2}
    read, info = model_type(model.config, TEXT_CLASSIFIER).from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert torch.allclose(logits(read.eval()), expected)


def test_a_head_that_is_there_stays():
    model = ARCHITECTURES["bert"]()
    put_head(model, seed=0)
    head = model.classifier
    put_head(model, seed=1)
    assert model.classifier is head


def test_a_record_that_is_not_right():
    model = ARCHITECTURES["bert"]()
    setattr(model.config, HEAD, {"hidden": "wide"})
    with pytest.raises(EdgepressError, match=HEAD):
        model_type(model.config, TEXT_CLASSIFIER)(model.config)


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert"])
def test_a_part_of_a_teacher_with_this_head_has_its_own(name):
    teacher = ARCHITECTURES[name]()
    put_head(teacher, seed=0)
    rebuilt = model_type(teacher.config, TEXT_CLASSIFIER)(
        teacher.config
    )  # as it is when it was opened from a folder
    student = slice_layers(rebuilt, [0], seed=0).eval()
    assert student.config.model_type == ("distilbert" if name == "bert" else name)
    assert not hasattr(student.config, HEAD)
    assert logits(student).shape == (1, 2)


def test_finetuned_distilled_opened_and_exported(cli, bare_encoder, data_root, tmp_path):
    common = ("--task", "verdicts", "--data", data_root, "--head", "mlp", "--epochs", 10)
    teacher, student = tmp_path / "teacher", tmp_path / "student"
    rate = ("--learning-rate", 2e-3)
    tuned = cli("compress.finetune", "--model", bare_encoder, "--output", teacher, *common, *rate)
    assert tuned.code == 0, tuned.err
    taught = cli(
        "compress.distill", "--teacher", teacher, "--output", student, *common, *rate, "--no-train-baseline"
    )
    assert taught.code == 0, taught.err
    assert open_artifact(student).manifest.steps[-1].metrics["accuracy"] > 0.8
    for folder, kind in ((teacher, "bert"), (student, "distilbert")):
        opened = open_model(str(folder), data=data_root)
        assert opened.model.config.model_type == kind
        assert getattr(opened.model.config, HEAD)["hidden"] == 50
        assert opened.head_trained
        export(opened.model, tmp_path / f"{kind}.onnx")
        batch = {
            name: ids.numpy()
            for name, ids in opened.tokenizer("the film holds up", return_tensors="pt").items()
        }
        with OnnxRunner(tmp_path / f"{kind}.onnx") as file, EagerRunner(opened.model) as eager:
            np.testing.assert_allclose(file(batch), eager(batch), atol=1e-4)
