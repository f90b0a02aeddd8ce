"""Models: the zoo's architectures, folders that cannot be read, heads that do not fit, and encoding."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SENTENCES, small_bert
from small_folder import load, local
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    MPNetConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
)

from edgepress.core.errors import EdgepressError
from edgepress.core.inputs import longest_input
from edgepress.core.models import MODELS, ModelSource, ModelSpec, find_model, short_name
from edgepress.core.pretrained import encode, load_config, load_model, load_tokenizer

# Millions of parameters with two labels: what the papers and model cards say, head included.
PARAMETERS = {
    "bert": 109.5,
    "distilbert": 67.0,
    "roberta": 124.6,
    "minilm": 22.7,
    "mpnet": 109.5,
    "tinybert": 14.4,
    "mobilebert": 24.6,
    "albert": 11.7,
    "distilroberta": 82.1,
    "xlm-roberta": 278.0,
    "multilingual-e5-small": 117.7,
    "multilingual-e5-base": 278.0,
    "paraphrase-multilingual-minilm": 117.7,
    "electra-small": 13.6,
    "electra-base": 109.5,
    "deberta-v3-xsmall": 70.8,
    "deberta-v3-small": 141.9,
    "deberta-v3-base": 184.4,
    "modernbert": 149.6,
    "ettin-17m": 16.9,
    "ettin-32m": 32.0,
    "ettin-68m": 68.4,
    "bge-small": 33.4,
    "gte-small": 33.4,
    "camembert": 110.6,
}


# The same for those that are trained from scratch, of BERT's vocabulary: 30522 * 64 in the embedding table.
SMALL_PARAMETERS = {"bilstm": 2.020, "bilstm_attention": 2.037, "cnn": 2.003, "static": 1.958}


TINY = ModelSpec(
    "tiny",
    "org/tiny",
    "bert",
    {
        "vocab_size": 50,
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    },
)


pytestmark = pytest.mark.usefixtures("no_hub_cache")


def test_every_model_is_listed() -> None:
    assert set(MODELS) == {*PARAMETERS, *SMALL_PARAMETERS}


@pytest.mark.parametrize("name", MODELS)
def test_config_has_the_architecture_and_size(name: str) -> None:
    spec = MODELS[name]
    config = load_config(ModelSource(name, "random", None, spec))
    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(config)
    assert config.model_type == spec.architecture
    assert model.num_parameters() / 1e6 == pytest.approx((PARAMETERS | SMALL_PARAMETERS)[name], rel=0.01)
    longest = {"modernbert": 8192}.get(spec.architecture, 512 if spec.pretrained else 128)
    assert longest_input(model) == longest


def test_every_zoo_name_is_random_when_asked() -> None:
    for name, spec in MODELS.items():
        assert find_model(name, "random") == ModelSource(name, "random", None, spec)


def test_zoo_name_without_any_source_is_random() -> None:
    assert find_model("bert").origin == "random"


def test_pretrained_without_any_source_is_refused() -> None:
    with pytest.raises(EdgepressError, match="no pretrained weights of 'bert'") as refused:
        find_model("bert", "pretrained")
    assert "--weights random" in refused.value.hint


@pytest.mark.parametrize("name", SMALL_PARAMETERS)
def test_model_trained_from_scratch_has_random_weights(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgepress.core.sources.from_hub", None)  # asking would fail
    assert find_model(name).origin == "random"
    with pytest.raises(EdgepressError, match=f"'{name}' has no pretrained weights: it is trained"):
        find_model(name, "pretrained")


def test_unknown_name_with_a_guess() -> None:
    with pytest.raises(EdgepressError, match="unknown model 'distillbert'") as refused:
        find_model("distillbert")
    assert "did you mean 'distilbert'?" in refused.value.hint


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "~/nowhere", "a/b/c"])
def test_missing_folder_is_not_taken_for_a_hub_id(name: str) -> None:
    with pytest.raises(EdgepressError, match="no such folder"):
        find_model(name)


@pytest.mark.parametrize("name", ["two words", "org/name?", "Ünï"])
def test_name_that_the_hub_does_not_allow(name: str) -> None:
    with pytest.raises(EdgepressError, match="unknown model"):
        find_model(name)


def test_regular_file_is_refused(model_folder: Path) -> None:
    with pytest.raises(EdgepressError, match="is a file of a model, not its folder") as refused:
        find_model(str(model_folder / "config.json"))
    assert f"--model {model_folder}" in refused.value.hint


def test_a_table_in_the_place_of_a_model_is_sent_to_the_task(tmp_path: Path) -> None:
    table = tmp_path / "tickets.csv"
    table.write_text("text,label\nfine,good\n")
    with pytest.raises(EdgepressError, match=r"tickets\.csv is a table, not a model") as refused:
        find_model(str(table))
    assert f"--task {table}" in refused.value.hint


def test_local_folder(model_folder: Path) -> None:
    source = find_model(str(model_folder))
    assert (source.origin, source.folder) == ("local", model_folder)
    assert source.short_name == "small-bert"


@pytest.mark.parametrize(("name", "expected"), [("org/name", "name"), ("a/b/", "b"), ("bert", "bert")])
def test_short_name(name: str, expected: str) -> None:
    assert short_name(name) == expected


def test_short_name_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert short_name(".") == tmp_path.name


def test_own_labels_are_kept(model_folder: Path) -> None:
    model, head_trained = load(model_folder)
    assert model.config.id2label == {0: "negative", 1: "positive"}
    assert head_trained
    assert not model.training


def test_labels_in_another_order_do_not_fit(model_folder: Path) -> None:
    with pytest.raises(EdgepressError, match="the labels do not fit the head of small"):
        load(model_folder, ("positive", "negative"))


@pytest.mark.parametrize("labels", [("a", "b", "c"), ("score",)])
def test_another_number_of_labels_does_not_fit(model_folder: Path, labels: tuple[str, ...]) -> None:
    with pytest.raises(EdgepressError, match="the labels do not fit"):
        load(model_folder, labels)


def test_head_of_a_bare_encoder_is_untrained(model_copy: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    small_bert(len(tokenizer)).bert.save_pretrained(model_copy)
    model, head_trained = load(model_copy, ("a", "b", "c"))
    assert not head_trained
    assert model.config.num_labels == 3


def random_model(seed: int) -> dict[str, torch.Tensor]:
    model, head_trained = load_model(
        ModelSource("tiny", "random", None, TINY), ("a", "b", "c"), "single_label_classification", seed
    )
    assert not head_trained
    return model.state_dict()


def test_random_weights_depend_on_the_seed_alone() -> None:
    first, again, other = random_model(1), random_model(1), random_model(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])
    assert first["classifier.weight"].shape == (3, 8)


def test_random_head_of_an_encoder_depends_on_the_seed_alone(
    model_copy: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    small_bert(len(tokenizer)).bert.save_pretrained(model_copy)
    heads = [load_model(local(model_copy), None, None, seed)[0].classifier.weight for seed in (1, 1, 2)]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (BertConfig(max_position_embeddings=64), 64),
        (BertConfig(max_position_embeddings=1024), 1024),
        (DistilBertConfig(max_position_embeddings=128), 128),
        (RobertaConfig(max_position_embeddings=514), 512),
        (RobertaConfig(max_position_embeddings=130), 128),
        (MPNetConfig(max_position_embeddings=130), 128),
    ],
)
def test_longest_input(config: BertConfig, expected: int) -> None:
    with torch.device("meta"):
        assert longest_input(AutoModelForSequenceClassification.from_config(config)) == expected


def test_longest_roberta_input_runs_and_one_more_does_not() -> None:
    config = RobertaConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    config.max_position_embeddings = 34
    model = AutoModelForSequenceClassification.from_config(config).eval()
    longest = longest_input(model)
    assert model(input_ids=torch.full((1, longest), 5)).logits.shape == (1, 2)
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.full((1, longest + 1), 5))


def test_encode_gives_one_unpadded_row_a_text(tokenizer: PreTrainedTokenizerFast) -> None:
    texts = [(text,) for text, _ in SENTENCES[:6]]
    rows = encode(tokenizer, texts, 64)
    assert len(rows) == 6
    for row, (text,) in zip(rows, texts, strict=True):
        assert sorted(row) == ["attention_mask", "input_ids", "token_type_ids"]
        assert {values.dtype for values in row.values()} == {np.dtype(np.int64)}
        assert {values.shape for values in row.values()} == {(1, len(tokenizer(text)["input_ids"]))}
        assert row["attention_mask"].all()


def test_encode_cuts_at_the_longest(tokenizer: PreTrainedTokenizerFast) -> None:
    (row,) = encode(tokenizer, [("the film " * 100,)], 16)
    assert row["input_ids"].shape == (1, 16)
    assert row["input_ids"][0, -1] == tokenizer.sep_token_id


def test_encode_pairs(tokenizer: PreTrainedTokenizerFast) -> None:
    (row,) = encode(tokenizer, [("the film", "is a tedious mess")], 64)
    assert (row["input_ids"] == tokenizer.sep_token_id).sum() == 2
    assert set(row["token_type_ids"][0].tolist()) == {0, 1}


def test_tokenizer_gives_what_the_model_takes(model_folder: Path) -> None:
    config = DistilBertConfig(vocab_size=300, dim=8, n_layers=1, n_heads=2, hidden_dim=8)
    tokenizer = load_tokenizer(local(model_folder), DistilBertForSequenceClassification(config))
    assert sorted(tokenizer("the film")) == ["attention_mask", "input_ids"]


def test_padding_and_truncation_inside_a_tokenizer_are_dropped(model_copy: Path) -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(model_copy)
    tokenizer.backend_tokenizer.enable_padding(length=32)
    tokenizer.backend_tokenizer.enable_truncation(4)
    tokenizer.save_pretrained(model_copy)
    loaded = load_tokenizer(local(model_copy), load(model_copy)[0])
    assert len(loaded.backend_tokenizer.encode("the film").ids) == 4
    assert len(loaded.backend_tokenizer.encode("the film is a tedious mess").ids) == 8


def test_random_weights_fit_the_tokenizer(
    model_folder: Path, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgepress.core.sources.from_index", lambda _: model_folder)
    source = ModelSource("tiny", "random", None, TINY)
    model, _ = load_model(source, ("a", "b"), None, 0)
    load_tokenizer(source, model)
    assert model.get_input_embeddings().num_embeddings == len(tokenizer) > TINY.config["vocab_size"]


@pytest.mark.parametrize(("positions", "longest"), [(16, 16), (8192, 8192)])
def test_random_weights_read_as_much_as_their_config_says(
    positions: int, longest: int, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgepress.core.sources.from_index", lambda _: model_folder)
    spec = replace(TINY, config={**TINY.config, "max_position_embeddings": positions})
    opened_model, _ = load_model(ModelSource("tiny", "random", None, spec), ("a", "b"), None, 0)
    tokenizer = load_tokenizer(ModelSource("tiny", "random", None, spec), opened_model)
    assert longest_input(opened_model, tokenizer) == longest
