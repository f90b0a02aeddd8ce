"""Weights are the model's: each of its tensors is from the file, and each of the file is in it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from conftest import small_bert
from safetensors.torch import load_file, save_file
from small_models import ARCHITECTURES, MOBILEBERT, ROBERTA, SIZES
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForTokenClassification,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    MobileBertConfig,
    MobileBertForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from compress.distill.slicing import slice_layers
from edgepress.core.architectures.head import put_head
from edgepress.core.checkpoint import read_checkpoint
from edgepress.core.errors import EdgepressError
from edgepress.core.heads import find_head
from edgepress.core.masked_lm import open_masked_lm
from edgepress.core.models import MODELS, ModelSource
from edgepress.core.pretrained import load_config, load_model

CLASSES = (
    "SequenceClassification",
    "TokenClassification",
    "QuestionAnswering",
    "MaskedLM",
    "MultipleChoice",
    "NextSentencePrediction",
    "PreTraining",
)


def source(folder: Path) -> ModelSource:
    return ModelSource("it", "local", folder)


def rewrite(folder: Path, **changes: object) -> None:
    """Other words in config.json; None removes one."""
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def saved(model: PreTrainedModel, folder: Path, **more: torch.Tensor) -> Path:
    """The model's folder, with these tensors (`__` for a dot) beside its own."""
    model.save_pretrained(folder)
    path = folder / "model.safetensors"
    weights = {name.replace("__", "."): value for name, value in more.items()}
    save_file({**load_file(path), **weights}, path, {"format": "pt"})
    return folder


@pytest.mark.parametrize("architecture", ["Bert", "DistilBert", "Roberta", "MPNet", "Albert", "Electra"])
@pytest.mark.parametrize("head", CLASSES)
def test_head_by_class_and_by_tensors(architecture: str, head: str, tmp_path: Path) -> None:
    kind = getattr(transformers, f"{architecture}For{head}", None)
    if kind is None or (architecture, head) == ("Electra", "PreTraining"):
        pytest.skip("transformers has no such class")
    config = getattr(transformers, f"{architecture}Config")(vocab_size=300)
    config.hidden_size = config.intermediate_size = config.embedding_size = 24
    config.num_attention_heads, config.num_hidden_layers = 2, 1
    kind(config).save_pretrained(tmp_path)
    by_class = find_head(load_config(source(tmp_path)), read_checkpoint(tmp_path)).head
    assert head in by_class.endings[0]
    rewrite(tmp_path, architectures=None)
    assert find_head(load_config(source(tmp_path)), read_checkpoint(tmp_path)).head is by_class


def test_one_label_makes_no_multiple_choice(tmp_path: Path) -> None:
    small_bert(300, ("score",)).save_pretrained(tmp_path)
    rewrite(tmp_path, architectures=None)
    assert load_model(source(tmp_path), None, None, seed=0)[1]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_architecture_is_whole(architecture: str, tmp_path: Path) -> None:
    own = ARCHITECTURES[architecture]()
    own.save_pretrained(tmp_path)
    model, head_trained = load_model(source(tmp_path), None, None, seed=0)
    assert head_trained
    assert all(torch.equal(value, own.state_dict()[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_encoder_gets_a_new_head(
    architecture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ARCHITECTURES[architecture]()
    own.base_model.save_pretrained(tmp_path)
    model, head_trained = load_model(source(tmp_path), None, None, seed=0)
    assert not head_trained
    encoder = own.base_model.state_dict()
    assert all(torch.equal(value, encoder[name]) for name, value in model.base_model.state_dict().items())
    assert "it: random: " in capsys.readouterr().err


def test_encoder_without_a_pooler_says_that_it_is_random(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    transformers.BertModel(BertConfig(**SIZES), add_pooling_layer=False).save_pretrained(tmp_path)
    assert not load_model(source(tmp_path), None, None, seed=0)[1]
    said = " ".join(capsys.readouterr().err.split())
    assert "random: bert.pooler.dense.bias, bert.pooler.dense.weight, classifier.bias and 1 more" in said


def test_encoder_with_half_a_pooler_is_refused(tmp_path: Path) -> None:
    transformers.BertModel(BertConfig(**SIZES)).save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = {name: value for name, value in load_file(path).items() if name != "pooler.dense.bias"}
    save_file(weights, path, {"format": "pt"})
    with pytest.raises(EdgepressError, match=r"lack bert\.pooler\.dense\.bias,"):
        load_model(source(tmp_path), None, None, seed=0)


def two_tags(folder: Path) -> torch.Tensor:
    """A token classifier whose classifier has the shape of a text classifier's; its weight."""
    model = BertForTokenClassification(BertConfig(**SIZES))
    model.save_pretrained(folder)
    return model.classifier.weight


def test_dropped_head_leaves_nothing_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tags = two_tags(tmp_path)
    asked = (source(tmp_path), ("no", "yes"), "single_label_classification")
    models = [load_model(*asked, seed, drops_others=True) for seed in (0, 0, 1)]
    assert [head_trained for _, head_trained in models] == [False] * 3
    first, again, other = (model.classifier.weight for model, _ in models)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.isclose(first, tags).any()
    said = " ".join(capsys.readouterr().err.split())
    assert "it is a token classifier (BertForTokenClassification): its head is dropped; random: " in said


def test_zoo_name_asks_for_the_encoder(tmp_path: Path) -> None:
    two_tags(tmp_path)
    zoo = ModelSource("bert", "hub", tmp_path, MODELS["bert"])
    assert not load_model(zoo, None, None, seed=0)[1]


def test_new_head_in_place_of_a_trained_one(model_folder: Path) -> None:
    labels = ("a", "b", "c")
    models = [load_model(source(model_folder), labels, None, seed, new_head=True) for seed in (0, 0, 1)]
    first, again, other = (model.classifier.weight for model, _ in models)
    assert first.shape[0] == 3
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_new_head_of_edgepress_own(model_folder: Path, tmp_path: Path) -> None:
    model = load_model(source(model_folder), None, None, seed=0)[0]
    put_head(model, seed=0)
    model.save_pretrained(tmp_path)
    assert load_model(source(tmp_path), None, None, seed=0)[1]
    assert not load_model(source(tmp_path), ("a", "b", "c"), None, seed=0, new_head=True)[1]


def test_pooler_that_a_class_never_reads(tmp_path: Path) -> None:
    model = RobertaForSequenceClassification(RobertaConfig(**ROBERTA, type_vocab_size=1))
    pooler = {"roberta__pooler__dense__weight": torch.ones(2), "roberta__pooler__dense__bias": torch.ones(2)}
    assert load_model(source(saved(model, tmp_path, **pooler)), None, None, seed=0)[1]


def test_pooler_that_a_config_leaves_away(tmp_path: Path) -> None:
    MobileBertForSequenceClassification(MobileBertConfig(**MOBILEBERT)).save_pretrained(tmp_path)
    rewrite(tmp_path, classifier_activation=False)
    with pytest.raises(EdgepressError, match=r"hold mobilebert\.pooler\.dense\.bias, mobilebert"):
        load_model(source(tmp_path), None, None, seed=0)


def test_what_a_class_says_is_superfluous_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = DebertaV2Config(**SIZES, type_vocab_size=0, position_biased_input=True)
    DebertaV2ForSequenceClassification(config).save_pretrained(tmp_path)
    rewrite(tmp_path, position_biased_input=False)
    assert load_model(source(tmp_path), None, None, seed=0)[1]
    said = capsys.readouterr().err.replace("\n", " ")
    assert "does not use deberta.embeddings.position_embeddings.weight" in said


@pytest.fixture
def with_tokenizer(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Path:
    tokenizer.save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "trained"),
    [
        ("BertForMaskedLM", True),
        ("BertForPreTraining", True),
        ("BertModel", False),
        ("BertForSequenceClassification", False),
        ("BertForTokenClassification", False),
        ("BertForNextSentencePrediction", False),
    ],
)
def test_masked_lm_of_each_head(kind: str, trained: bool, with_tokenizer: Path) -> None:
    own = getattr(transformers, kind)(BertConfig(**SIZES))
    own.save_pretrained(with_tokenizer)
    opened = open_masked_lm(str(with_tokenizer))
    assert opened.head_trained == trained
    assert opened.model.get_output_embeddings().weight is opened.model.get_input_embeddings().weight
    words = own.get_input_embeddings().weight
    assert torch.equal(opened.model.get_input_embeddings().weight, words)


def test_masked_lm_without_a_part_of_its_head(with_tokenizer: Path) -> None:
    BertForMaskedLM(BertConfig(**SIZES)).save_pretrained(with_tokenizer)
    path = with_tokenizer / "model.safetensors"
    kept = {name: value for name, value in load_file(path).items() if "transform.dense.bias" not in name}
    save_file(kept, path, {"format": "pt"})
    opened = open_masked_lm(str(with_tokenizer))
    assert not opened.head_trained


def test_masked_lm_of_a_wrong_depth(with_tokenizer: Path) -> None:
    BertForPreTraining(BertConfig(**{**SIZES, "num_hidden_layers": 2})).save_pretrained(with_tokenizer)
    rewrite(with_tokenizer, num_hidden_layers=1)
    with pytest.raises(EdgepressError, match=r"hold bert\.encoder\.layer\.1\."):
        open_masked_lm(str(with_tokenizer))


def test_untied_head_that_the_config_ties(with_tokenizer: Path) -> None:
    model = BertForMaskedLM(BertConfig(**SIZES, tie_word_embeddings=False))
    model.save_pretrained(with_tokenizer)
    rewrite(with_tokenizer, tie_word_embeddings=True)
    with pytest.raises(EdgepressError, match=r"differ, and by config\.json they are one") as refused:
        open_masked_lm(str(with_tokenizer))
    assert '"tie_word_embeddings": false' in refused.value.hint
    rewrite(with_tokenizer, tie_word_embeddings=False)
    assert open_masked_lm(str(with_tokenizer)).head_trained


DISTANCES = "bert.encoder.layer.{}.attention.self.distance_embedding.weight"


def test_relative_positions_are_kept_or_refused(tmp_path: Path) -> None:
    """transformers 5 has no relative positions in BERT: there their tensors are too many."""
    config = BertConfig(**{**SIZES, "num_hidden_layers": 2}, position_embedding_type="relative_key")
    teacher = transformers.BertForSequenceClassification(config)
    if DISTANCES.format(0) in teacher.state_dict():
        student = slice_layers(teacher, [1], seed=0)
        assert student.config.model_type == "bert"
        assert torch.equal(
            student.state_dict()[DISTANCES.format(0)], teacher.state_dict()[DISTANCES.format(1)]
        )
        return
    teacher.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    save_file({**load_file(path), **{DISTANCES.format(at): torch.ones(9, 32) for at in (0, 1)}}, path)
    with pytest.raises(EdgepressError, match=r"hold bert\.encoder\.layer\.0\.attention\.self\.distance"):
        load_model(source(tmp_path), None, None, seed=0)


def test_folder_is_left_as_it_was(model_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model_folder, tmp_path / "copy"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    load_model(source(folder), None, None, seed=0)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_pooler_that_a_class_never_reads_costs_no_head_in_training(tmp_path: Path) -> None:
    model = RobertaForSequenceClassification(RobertaConfig(**ROBERTA, type_vocab_size=1))
    pooler = {"roberta__pooler__dense__weight": torch.ones(2), "roberta__pooler__dense__bias": torch.ones(2)}
    folder = saved(model, tmp_path, **pooler)
    assert load_model(source(folder), None, None, seed=0, drops_others=True)[1]
