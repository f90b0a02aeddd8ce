"""`compress.trim_vocab` as a user types it, and the vocabulary that it leaves."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import SENTENCES, write_split
from small_models import ARCHITECTURES
from tokenizers import Tokenizer, models, trainers
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)
from trimming import CORPUS, TEXTS, TRIMMED, byte_bpe, reader, trim

from compress.trim_vocab.report import PieceChange, changes
from compress.trim_vocab.tokens import (
    choose,
    encode_with_dropout,
    trim_embeddings,
)
from edgepress.core.artifact import open_artifact
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import open_model
from edgepress.core.splits import Examples

EXAMPLES = Examples([(text,) for text in TEXTS], np.arange(len(TEXTS)))


@pytest.fixture
def flags(data_root, tmp_path):
    return ("--data", data_root, "--task", "verdicts", "--output", tmp_path / "out")


@pytest.fixture
def half_of_it(tmp_path):
    """A corpus that does not need every token of the vocabulary."""
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(text for text, label in SENTENCES if label == "positive"))
    return path


@pytest.fixture(scope="module")
def model():
    return reader()


@pytest.fixture(scope="module", params=TRIMMED)
def own(request, tokenizer):
    """A tokenizer of each kind."""
    return TRIMMED[request.param](tokenizer)


def test_special_tokens_still_surround_a_text(tokenizer, model):
    kept, trimmed = trim(tokenizer, model, CORPUS)
    ids = trimmed(CORPUS[0], CORPUS[1])["input_ids"]
    assert [kept.ids[new] for new in ids] == tokenizer(CORPUS[0], CORPUS[1])["input_ids"]


def test_a_text_that_needs_a_dropped_token_is_split_into_smaller_ones(tokenizer, model):
    _, trimmed = trim(tokenizer, model, [text for text in TEXTS if "tedious" not in text])
    assert tokenizer.tokenize("tedious") != trimmed.tokenize("tedious")
    assert "[UNK]" not in trimmed.tokenize("tedious")
    assert "".join(piece.removeprefix("##") for piece in trimmed.tokenize("tedious")) == "tedious"
    assert trimmed.tokenize("漢") == ["[UNK]"]


def test_what_differs_is_named(tokenizer, model):
    _, trimmed = trim(tokenizer, model, ["never"])
    (change,) = changes(tokenizer, trimmed, [("never", "the film"), ("never", "never")])
    assert change == PieceChange("never | the film", ("the", "film"), change.after)
    assert "".join(change.after).replace("##", "") == "thefilm"


def test_rare_tokens_go(tokenizer, model):
    counts = Counter({tokenizer.vocab["film"]: 1, tokenizer.vocab["story"]: 2})
    kept = choose(tokenizer, model, counts, 2, None)
    assert tokenizer.vocab["story"] in kept.ids
    assert tokenizer.vocab["film"] not in kept.ids


def test_a_size_keeps_the_most_frequent(tokenizer, model):
    counts = Counter({tokenizer.vocab["film"]: 3, tokenizer.vocab["story"]: 2, tokenizer.vocab["the"]: 1})
    every = choose(tokenizer, model, counts, 1, None)
    kept = choose(tokenizer, model, counts, 1, len(every.ids) - 1)
    assert set(every.ids) - set(kept.ids) == {tokenizer.vocab["the"]}


def test_below_what_has_to_stay(tokenizer, model):
    with pytest.raises(EdgepressError, match=r"--size 3: \d+ special tokens and single characters"):
        choose(tokenizer, model, Counter(), 1, 3)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_answers_as_before(name, tokenizer, tmp_path):
    model = ARCHITECTURES[name]().eval()
    kept, trimmed = trim(tokenizer, model, CORPUS)
    with torch.inference_mode():
        ids = tokenizer(CORPUS[0], return_tensors="pt")["input_ids"]
        before = model(input_ids=ids).logits
        trim_embeddings(model, kept)
        after = model(input_ids=trimmed(CORPUS[0], return_tensors="pt")["input_ids"]).logits
    torch.testing.assert_close(before, after)
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    assert again.config.vocab_size == len(kept.ids)
    assert again.config.pad_token_id == model.config.pad_token_id < len(kept.ids)


@pytest.fixture
def opened(own, model_folder):
    return replace(open_model(str(model_folder)), tokenizer=own)


def spelled(tokenizer, rows):
    pieces = (tokenizer.convert_ids_to_tokens(ids) for ids in rows)
    return ["".join(piece.removeprefix("##") for piece in own) for own in pieces]


def test_dropout_splits_words_into_smaller_pieces(opened):
    tokenizer = opened.tokenizer
    rows = encode_with_dropout(opened, EXAMPLES, 64, 0.3, 0)
    whole = tokenizer(TEXTS)["input_ids"]
    assert sum(map(len, rows["input_ids"])) > sum(map(len, whole))
    assert any(own != other for own, other in zip(rows["input_ids"], whole, strict=True))
    assert spelled(tokenizer, rows["input_ids"]) == spelled(tokenizer, whole)
    assert rows["labels"] == EXAMPLES.labels.tolist()


def test_dropout_draws_for_each_group_of_texts(opened, monkeypatch):
    monkeypatch.setattr("compress.trim_vocab.tokens.BATCH", 1)
    same = Examples([("never the film",)] * 30, np.zeros(30))
    drawn = {tuple(ids) for ids in encode_with_dropout(opened, same, 64, 0.5, 0)["input_ids"]}
    assert len(drawn) > 1


def test_dropout_is_the_same_with_the_same_seed(opened):
    drawn = [encode_with_dropout(opened, EXAMPLES, 64, 0.3, seed)["input_ids"] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_no_dropout_changes_nothing(opened):
    rows = encode_with_dropout(opened, EXAMPLES, 8, 0, 0)
    assert rows["input_ids"] == opened.tokenizer(TEXTS, truncation=True, max_length=8)["input_ids"]


def test_command(cli, model_folder, half_of_it, flags, tmp_path):
    done = cli("compress.trim_vocab", "--model", model_folder, *flags, "--corpus", half_of_it)
    assert done.code == 0, done.err
    artifact = open_artifact(tmp_path / "out")
    step = artifact.manifest.steps[-1]
    before, after = step.metrics["before"], step.metrics["after"]
    model = AutoModelForSequenceClassification.from_pretrained(artifact.folder)
    assert after["tokens"] == model.config.vocab_size < before["tokens"]
    assert after["parameters"] == model.num_parameters() == artifact.manifest.model.parameters
    assert before["parameters"] - after["parameters"] == 64 * (before["tokens"] - after["tokens"])
    assert before["score"] == 1.0
    assert 0 <= after["score"] <= 1
    changed = {change["text"] for change in step.metrics["changed"]}
    old, new = (AutoTokenizer.from_pretrained(folder) for folder in (model_folder, artifact.folder))
    assert changed == {text for text in TEXTS[::5] if old.tokenize(text) != new.tokenize(text)} != set()
    assert f"{len(changed)} of {len(TEXTS[::5])} texts of verdicts/validation are split otherwise" in done.out


def test_the_task_itself_is_the_corpus(cli, model_folder, flags, tmp_path):
    assert cli("compress.trim_vocab", "--model", model_folder, *flags).code == 0
    step = open_artifact(tmp_path / "out").manifest.steps[-1]
    assert step.metrics["changed"] == []
    assert step.metrics["after"]["score"] == step.metrics["before"]["score"]
    card = (tmp_path / "out/README.md").read_text()
    assert f"All {len(TEXTS[::5])} texts of verdicts/validation are split as before." in card


def test_it_recovers_taught_by_the_untrimmed_model(cli, model_folder, half_of_it, flags, tmp_path):
    typed = ("compress.trim_vocab", "--model", model_folder, *flags, "--corpus", half_of_it)
    assert cli(*typed).code == 0
    at_once = open_artifact(tmp_path / "out").manifest.steps[-1].metrics
    done = cli(*typed, "--epochs", 10, "--learning-rate", 1e-3, "--subword-dropout", 0.3, "--overwrite")
    assert done.code == 0, done.err
    artifact = open_artifact(tmp_path / "out")
    step = artifact.manifest.steps[-1]
    assert step.metrics["trimmed"] == at_once["after"]
    assert step.metrics["changed"] == at_once["changed"]
    assert step.metrics["after"]["tokens"] == at_once["after"]["tokens"]
    assert step.metrics["after"]["score"] == step.metrics["accuracy"] > 0.8  # of few texts
    losses = [epoch["loss"] for epoch in step.metrics["history"]]
    assert losses[-1] < losses[0]
    assert step.config["subword_dropout"] == 0.3
    assert artifact.manifest.model.weights == "trained"
    assert "| recovered |" in (tmp_path / "out/README.md").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"corpus.txt", "out"}


def test_other_pieces_have_other_states(cli, model_folder, flags, tmp_path):
    done = cli("compress.trim_vocab", "--model", model_folder, *flags, "--epochs", 1, "--hidden-weight", 1)
    assert done.code == 2
    assert "hidden states of other pieces cannot be compared" in done.error
    assert not (tmp_path / "out").exists()


def test_it_is_exported_like_any_other(cli, model_folder, half_of_it, flags, tmp_path):
    assert cli("compress.trim_vocab", "--model", model_folder, *flags, "--corpus", half_of_it).code == 0
    data = flags[:2]
    done = cli("export.onnx", "--model", tmp_path / "out", *data, "--output", tmp_path / "onnx")
    assert done.code == 0, done.err


@pytest.mark.slow
def test_a_quantized_artifact_is_refused(cli, model_folder, flags, data_root, tmp_path):
    small = tmp_path / "small"
    command = ("--model", model_folder, "--data", data_root, "--task", "verdicts", "--output", small)
    assert cli("compress.quantize", *command, "--time-budget", 0).code == 0
    done = cli("compress.trim_vocab", "--model", small, *flags)
    assert done.code == 2
    assert "is quantized already" in done.error
    assert not (tmp_path / "out").exists()


def test_several_corpora_are_one(cli, model_folder, half_of_it, flags, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("\n".join(text for text, label in SENTENCES if label == "negative"))
    both = ("--corpus", half_of_it, other)
    done = cli("compress.trim_vocab", "--model", model_folder, *flags, *both)
    assert done.code == 0, done.err
    step = open_artifact(tmp_path / "out").manifest.steps[-1]
    assert step.config["corpus"] == [str(half_of_it), str(other)]
    assert step.metrics["changed"] == []
    whole = tmp_path / "whole.txt"
    whole.write_text("\n".join(TEXTS))
    assert (
        cli("compress.trim_vocab", "--model", model_folder, *flags, "--corpus", whole, "--overwrite").code
        == 0
    )
    assert open_artifact(tmp_path / "out").manifest.steps[-1].metrics["after"] == step.metrics["after"]


@pytest.mark.slow
def test_a_byte_pair_vocabulary_through_the_command(cli, half_of_it, flags, tmp_path):
    model, own = ARCHITECTURES["roberta"](), byte_bpe()
    model.resize_token_embeddings(len(own), mean_resizing=False)
    model.config.id2label = {0: "negative", 1: "positive"}
    model.config.label2id = {"negative": 0, "positive": 1}
    for folder in (model, own):
        folder.save_pretrained(tmp_path / "pairs")
    done = cli("compress.trim_vocab", "--model", tmp_path / "pairs", *flags, "--corpus", half_of_it)
    assert done.code == 0, done.err
    after = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert after.config.vocab_size == len(tokenizer) < len(own)
    for text in half_of_it.read_text().split("\n"):
        assert tokenizer.tokenize(text) == own.tokenize(text)
    data = flags[:2]
    done = cli(
        "export.onnx", "--model", tmp_path / "out", *data, "--with-tokenizer", "--output", tmp_path / "onnx"
    )
    assert done.code == 0, done.err


def test_a_byte_pair_vocabulary_without_bytes_is_refused(cli, model_folder, flags, tmp_path):
    folder = tmp_path / "pairs"
    AutoModelForSequenceClassification.from_pretrained(model_folder).save_pretrained(folder)
    pieces = Tokenizer(models.BPE(unk_token="[UNK]"))
    pieces.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=60, special_tokens=["[UNK]"]))
    PreTrainedTokenizerFast(tokenizer_object=pieces, unk_token="[UNK]").save_pretrained(folder)
    done = cli("compress.trim_vocab", "--model", folder, *flags)
    assert done.code == 2
    assert "cannot be trimmed: it is a BPE, and lacks" in done.error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "   \n\n"])
def test_an_empty_corpus(cli, model_folder, flags, tmp_path, text):
    (tmp_path / "empty.txt").write_text(text)
    done = cli("compress.trim_vocab", "--model", model_folder, *flags, "--corpus", tmp_path / "empty.txt")
    assert done.code == 2
    assert "has no text" in done.error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--min-count", 0), ("--size", 0), ("--eval-samples", 0), ("--epochs", -1), ("--subword-dropout", 1)],
)
def test_value_out_of_range(cli, model_folder, flags, flag, value):
    done = cli("compress.trim_vocab", "--model", model_folder, *flags, flag, value)
    assert done.code == 2
    assert f"{flag} is out of range" in done.error


def test_the_size_is_too_small(cli, model_folder, flags, tmp_path):
    done = cli("compress.trim_vocab", "--model", model_folder, *flags, "--size", 4)
    assert done.code == 2
    assert "--size 4" in done.error
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_over(cli, model_folder, flags, tmp_path):
    (tmp_path / "out").mkdir()
    done = cli("compress.trim_vocab", "--model", model_folder, *flags)
    assert done.code == 2
    assert "--overwrite" in done.err


def test_texts_of_two_columns(cli, model_folder, tmp_path):
    root = tmp_path / "data"
    write_split(root / "pairs" / "train.jsonl", SENTENCES[::2])
    write_split(root / "pairs" / "validation.jsonl", SENTENCES[1::2])
    for path in (root / "pairs").iterdir():
        path.write_text(path.read_text().replace('{"text":', '{"sentence2": "never", "sentence1":'))
    where = ("--data", root, "--task", "pairs", "--output", tmp_path / "out")
    assert cli("compress.trim_vocab", "--model", model_folder, *where).code == 0
    tokens = open_artifact(tmp_path / "out").manifest.steps[-1].metrics["after"]["tokens"]
    assert len(AutoTokenizer.from_pretrained(tmp_path / "out")) == tokens
