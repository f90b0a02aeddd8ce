"""Students that are made of their teacher's layers."""

from typing import Any

import pytest
import torch
from small_models import DEBERTA, MODERNBERT, ROBERTA, SIZES
from transformers import (
    AlbertConfig,
    BertConfig,
    BertForMaskedLM,
    DebertaV2Config,
    DistilBertConfig,
    DistilBertForMaskedLM,
    ElectraConfig,
    ModernBertConfig,
    MPNetConfig,
    PreTrainedModel,
    RobertaConfig,
    XLMRobertaConfig,
)
from transformers import AutoModelForSequenceClassification as Classifier

from compress.distill.slicing import chosen_layers, random_student, slice_layers
from edgepress.core.architectures.depth import keep_layers
from edgepress.core.errors import EdgepressError

LAYERS = 4
LABELS = {"id2label": {0: "no", 1: "yes", 2: "both"}, "label2id": {"no": 0, "yes": 1, "both": 2}}
DEEP = {"num_hidden_layers": LAYERS, **LABELS}
CONFIGS = {
    "bert": BertConfig(**{**SIZES, **DEEP}),
    "roberta": RobertaConfig(**{**ROBERTA, **DEEP}, type_vocab_size=1),
    "mpnet": MPNetConfig(**{**ROBERTA, **DEEP}),
    "albert": AlbertConfig(**{**SIZES, **DEEP}, embedding_size=16),
    "electra": ElectraConfig(**{**SIZES, **DEEP}, embedding_size=16),
    "xlm-roberta": XLMRobertaConfig(**{**ROBERTA, **DEEP}, type_vocab_size=1),
    "deberta-v2": DebertaV2Config(**{**DEBERTA, **DEEP}),
    "modernbert": ModernBertConfig(**{**MODERNBERT, **DEEP}),
    "distilbert": DistilBertConfig(
        vocab_size=300, dim=32, n_layers=LAYERS, n_heads=2, hidden_dim=64, initializer_range=0.2, **LABELS
    ),
}
TEXT = {
    "input_ids": torch.tensor([[2, 17, 42, 201, 99, 3], [2, 77, 5, 3, 1, 1]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]]),
}
ALL = list(range(LAYERS))


@pytest.fixture(params=CONFIGS)
def teacher(request: pytest.FixtureRequest) -> PreTrainedModel:
    return build(request.param)


def build(name: str) -> PreTrainedModel:
    torch.manual_seed(7)
    model = Classifier.from_config(CONFIGS[name]).eval()
    for parameter in model.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))  # biases and norms too
    return model


@torch.inference_mode()
def states(model: PreTrainedModel) -> Any:
    found = model(**TEXT, output_hidden_states=True).hidden_states
    kept = TEXT["attention_mask"].bool()
    return [layer[kept] for layer in found]


def test_with_all_layers_the_states_are_the_teachers(teacher):
    student = slice_layers(teacher, ALL, seed=0)
    assert len(states(student)) == LAYERS + 1
    for ours, theirs in zip(states(student), states(teacher), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["roberta", "mpnet", "distilbert"])
def test_the_head_comes_along_where_it_fits(name):
    teacher = build(name)
    ours, theirs = (model(**TEXT).logits for model in (slice_layers(teacher, ALL, seed=0), teacher))
    torch.testing.assert_close(ours, theirs)


def test_a_bert_becomes_a_distilbert_with_its_labels():
    student = slice_layers(build("bert"), [0, 2], seed=0)
    assert student.config.model_type == "distilbert"
    assert student.config.id2label == LABELS["id2label"]
    assert not any("token_type" in name or "pooler" in name for name in student.state_dict())
    assert student(**TEXT).logits.shape == (2, 3)


def test_every_other_architecture_stays(teacher):
    kind = teacher.config.model_type
    student = slice_layers(teacher, [0 if kind == "modernbert" else 1], seed=0)
    assert student.config.model_type == ("distilbert" if kind == "bert" else kind)
    assert student.config.num_hidden_layers == 1
    assert len(states(student)) == 2


@pytest.mark.parametrize("name", ["bert", "roberta", "mpnet", "distilbert"])
def test_the_first_layers_compute_as_in_the_teacher(name):
    teacher = build(name)
    student = slice_layers(teacher, [0, 1], seed=0)
    for ours, theirs in zip(states(student), states(teacher)[:3], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_chosen_layers_stand_in_their_order():
    teacher = build("bert")
    student = slice_layers(teacher, [1, 3], seed=0)
    for new, old in enumerate((1, 3)):
        own = student.distilbert.transformer.layer[new].ffn.lin1.weight
        assert torch.equal(own, teacher.bert.encoder.layer[old].intermediate.dense.weight)


def test_a_masked_language_model_gives_the_teachers_words():
    torch.manual_seed(0)
    teacher = BertForMaskedLM(BertConfig(**{**SIZES, "num_hidden_layers": LAYERS})).eval()
    student = slice_layers(teacher, ALL, seed=0)
    assert isinstance(student, DistilBertForMaskedLM)
    kept = TEXT["attention_mask"].bool()
    torch.testing.assert_close(
        student(**TEXT).logits[kept], teacher(**TEXT).logits[kept], atol=1e-4, rtol=1e-4
    )


def test_a_random_student_has_the_shape_and_nothing_of_the_teacher():
    teacher = build("roberta")
    student, again = (random_student(teacher, [0, 2], seed) for seed in (0, 0))
    own, other = (model.roberta.embeddings.word_embeddings.weight for model in (student, teacher))
    assert own.shape == other.shape
    assert not torch.allclose(own, other, atol=0.1)
    assert torch.equal(own, again.roberta.embeddings.word_embeddings.weight)


@pytest.mark.parametrize(
    ("count", "layers", "depth", "expected"),
    [
        (6, "alternate", None, [0, 2, 4]),
        (12, "alternate", None, [0, 2, 4, 6, 8, 10]),
        (12, "alternate", 4, [0, 3, 6, 9]),
        (6, "first", None, [0, 1, 2]),
        (6, "last", 2, [4, 5]),
        (6, (0, 5), None, [0, 5]),
        (1, "alternate", None, [0]),
        (4, "alternate", 4, [0, 1, 2, 3]),
    ],
)
def test_choice_of_layers(count, layers, depth, expected):
    assert chosen_layers(count, layers, depth) == expected


@pytest.mark.parametrize(
    ("layers", "depth", "word"),
    [
        ("alternate", 7, "has 6 layers"),
        ((0, 6), None, "0 to 5"),
        ((), None, "0 to 5"),
        ((-1,), None, "0 to 5"),
        ((0, 1), 3, "names 2 layers"),
    ],
)
def test_layers_that_are_none(layers, depth, word):
    with pytest.raises(EdgepressError, match=word):
        chosen_layers(6, layers, depth)


def whole_text(model: PreTrainedModel) -> list[bool]:
    """Of each layer of a ModernBERT, whether it sees the whole text."""
    own = [layer.attn for layer in model.model.layers]
    windows = [getattr(one, "sliding_window", getattr(one, "local_attention", None)) for one in own]
    return [window in (None, (-1, -1)) for window in windows]


def test_layers_of_a_modernbert_stay_local_or_global():
    teacher = Classifier.from_config(
        ModernBertConfig(**{**MODERNBERT, **DEEP, "num_hidden_layers": 7})
    ).eval()
    assert whole_text(teacher) == [True, False, False, True, False, False, True]
    student = slice_layers(teacher, [0, 2, 4, 6], seed=0)
    assert whole_text(student) == [True, False, False, True]
    with pytest.raises(EdgepressError, match="the first has to stay the first"):
        slice_layers(teacher, [1, 2], seed=0)


def test_an_alternation_that_the_config_cannot_say():
    """Of transformers 4, which counts layers and does not list their kinds."""
    config = ModernBertConfig(**{**MODERNBERT, **DEEP, "num_hidden_layers": 7})
    listed = hasattr(config, "layer_types")
    if listed:
        keep_layers(config, [0, 3])
        assert config.layer_types == ["full_attention", "full_attention"]
    else:
        with pytest.raises(EdgepressError, match="do not alternate as transformers 4 has it"):
            keep_layers(config, [0, 3])
