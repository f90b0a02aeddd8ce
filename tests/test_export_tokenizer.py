"""Token ids of what ships and of the ONNX file that takes strings, next to the training tokenizer."""

import json
import random
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from conftest import SENTENCES, small_bert
from tokenizer_kinds import between_letters, fast, roberta
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import BertForTokenClassification, BertTokenizerFast, PreTrainedTokenizerFast

import edgepress
from edgepress.core.errors import EdgepressError, ExpectationError
from edgepress.core.loading import open_model, save_model
from export.core.scheme import CPU_TARGETS, Options
from export.onnx import export
from export.onnx_graph.schemes import SCHEMES
from export.onnx_graph.text import characters, wordpiece
from export.onnx_graph.text.model import add_tokenizer, open_with_extensions
from export.validation.tokenizer import HARD_PAIRS, HARD_STRINGS, require_tokenizer_parity

LONGEST = 64
LABELS = ("negative", "positive")


@pytest.fixture
def folder(model_folder: Path, tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Path:
    """A folder as it ships; its files are the test's to alter."""
    save_model(open_model(str(model_folder)), tmp_path)
    return tmp_path


def alter(folder: Path, change: Callable[[dict], object]) -> None:
    """Change a folder's tokenizer.json."""
    content = json.loads((folder / "tokenizer.json").read_text())
    change(content)
    (folder / "tokenizer.json").write_text(json.dumps(content))


def test_hard_strings_cover_what_is_hard() -> None:
    text = "".join(HARD_STRINGS.values())
    assert "" in HARD_STRINGS.values()
    assert any(len(word) == 200 for word in text.split())
    for character in "\0\x1b\u0301\u4e2d\u05d8\u0641\u202e\u200d\ufe0f\U0001f600\uc601\u0e2b":
        assert character in text
    assert text.encode()


def test_what_save_model_writes_has_parity(folder, tokenizer):
    tokenizer("as training leaves it", truncation=True, max_length=8)
    require_tokenizer_parity(folder, tokenizer, LONGEST)


def test_saving_leaves_no_truncation_behind(model_folder, tmp_path):
    opened = open_model(str(model_folder))
    opened.tokenizer("a text", truncation=True, padding="max_length", max_length=8)
    save_model(opened, tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    assert (content["truncation"], content["padding"]) == (None, None)


def swap(content: dict) -> None:
    vocabulary = content["model"]["vocab"]
    vocabulary["film"], vocabulary["the"] = vocabulary["the"], vocabulary["film"]


ALTERATIONS = {
    "vocabulary": (swap, "plain"),
    "case": (lambda content: content["normalizer"].update(lowercase=False), "plain"),
    "accents": (lambda content: content["normalizer"].update(strip_accents=False), "accents"),
    "ideographs": (lambda content: content["normalizer"].update(handle_chinese_chars=False), "Chinese"),
    "control characters": (lambda content: content["normalizer"].update(clean_text=False), "right to left"),
    "long words": (lambda content: content["model"].update(max_input_chars_per_word=200), "a word of 101"),
    "special tokens": (lambda content: content.update(added_tokens=content["added_tokens"][1:]), "special"),
}


@pytest.mark.parametrize("what", ALTERATIONS)
def test_altered_tokenizer_is_caught_with_the_string_named(folder, tokenizer, what):
    change, string = ALTERATIONS[what]
    alter(folder, change)
    with pytest.raises(ExpectationError, match=r"tokenizer parity of .* failed on '") as caught:
        require_tokenizer_parity(folder, tokenizer, LONGEST)
    assert str(folder) in str(caught.value)
    assert f"'{string}" in str(caught.value)


def test_file_that_cuts_by_itself_is_caught(folder, tokenizer):
    cut = {"direction": "Right", "max_length": 16, "strategy": "LongestFirst", "stride": 0}
    alter(folder, lambda content: content.update(truncation=cut))
    with pytest.raises(ExpectationError, match=r"tokenizer\.json failed .* token 15 is"):
        require_tokenizer_parity(folder, tokenizer, LONGEST)


def test_altered_vocabulary_list_is_caught(tokenizer, tmp_path):
    list_of = [token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])]
    (tmp_path / "vocab.txt").write_text("\n".join(list_of) + "\n")
    bert = BertTokenizerFast.from_pretrained(tmp_path)
    bert.save_pretrained(tmp_path)
    require_tokenizer_parity(tmp_path, bert, LONGEST)
    list_of[10], list_of[11] = list_of[11], list_of[10]
    (tmp_path / "vocab.txt").write_text("\n".join(list_of) + "\n")
    with pytest.raises(ExpectationError, match=r"vocab\.txt failed: line 10"):
        require_tokenizer_parity(tmp_path, bert, LONGEST)


@pytest.fixture(scope="module")
def with_tokenizer(onnx_file, tokenizer, tmp_path_factory) -> Path:
    """The small BERT as a file that takes strings."""
    target = tmp_path_factory.mktemp("strings") / "model_with_tokenizer.onnx"
    add_tokenizer(onnx_file, target, tokenizer, LONGEST, "single_label_classification", LABELS)
    return target


def run(path: Path, *texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and ids."""
    session = open_with_extensions(path)
    names = [entry.name for entry in session.get_inputs()]
    feeds = {name: np.array(column, dtype=object) for name, column in zip(names, texts, strict=True)}
    probabilities, ids = session.run(["probabilities", "input_ids"], feeds)
    return probabilities, ids


def expected_logits(model, tokenizer, *texts: list[str]) -> tuple[torch.Tensor, np.ndarray]:
    """What torch makes of the same batch."""
    rows = tokenizer(*texts, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt")
    with torch.no_grad():
        return model(**rows).logits, rows["input_ids"].numpy()


def test_one_string_at_a_time_gives_the_tokenizers_ids(with_tokenizer, tokenizer):
    session = open_with_extensions(with_tokenizer)
    for name, text in HARD_STRINGS.items():
        ids = session.run(["input_ids"], {"text": np.array([text], dtype=object)})[0]
        assert ids.tolist() == [tokenizer(text, truncation=True, max_length=LONGEST)["input_ids"]], name


def test_a_batch_is_padded_and_scored_as_torch_does_it(with_tokenizer, tokenizer):
    texts = [*HARD_STRINGS.values()]
    logits, wanted = expected_logits(small_bert(len(tokenizer)), tokenizer, texts)
    probabilities, ids = run(with_tokenizer, texts)
    assert np.array_equal(ids, wanted)
    assert np.abs(probabilities - logits.softmax(-1).numpy()).max() < 1e-4


def test_it_is_a_valid_model_that_names_its_labels(with_tokenizer):
    model = onnx.load(str(with_tokenizer))
    onnx.checker.check_model(model)
    assert {entry.key: entry.value for entry in model.metadata_props}["labels"] == '["negative", "positive"]'
    assert [entry.name for entry in model.graph.input] == ["text"]
    assert [entry.name for entry in model.graph.output] == ["probabilities", "input_ids"]


def test_pairs(onnx_file, tokenizer, tmp_path):
    target = tmp_path / "pairs.onnx"
    add_tokenizer(onnx_file, target, tokenizer, LONGEST, "multi_label_classification", LABELS, pair=True)
    columns = [list(column) for column in zip(*HARD_PAIRS.values(), strict=True)]
    logits, wanted = expected_logits(small_bert(len(tokenizer)), tokenizer, *columns)
    probabilities, ids = run(target, *columns)
    assert np.array_equal(ids, wanted)
    assert np.abs(probabilities - logits.sigmoid().numpy()).max() < 1e-4


def test_int8_and_regression(onnx_file, tokenizer, tmp_path):
    SCHEMES["int8-dynamic"].quantize(onnx_file, tmp_path / "int8.onnx", Options(CPU_TARGETS["avx2"]))
    target = tmp_path / "strings.onnx"
    add_tokenizer(tmp_path / "int8.onnx", target, tokenizer, LONGEST, "regression", LABELS)
    texts = [text for text, _ in SENTENCES[:8]]
    logits, wanted = expected_logits(small_bert(len(tokenizer)), tokenizer, texts)
    values, ids = run(target, texts)
    assert np.array_equal(ids, wanted)
    assert np.abs(values - logits.numpy()).max() < 1


def rebuilt(tokenizer: PreTrainedTokenizerFast, **changes: object) -> PreTrainedTokenizerFast:
    """The tokenizer with another normalizer and added tokens."""
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.normalizer = normalizers.BertNormalizer(**changes)
    backend.add_tokens([AddedToken("<Br\u00e9ak>", normalized=True), AddedToken("[Film]", normalized=False)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", model_max_length=LONGEST)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{"lowercase": False}, {"lowercase": True, "handle_chinese_chars": False}]
)
def test_other_normalizers_and_added_tokens(tokenizer, tmp_path, changes):
    other = rebuilt(tokenizer, **changes)
    export(small_bert(len(other)), tmp_path / "model.onnx")
    target = tmp_path / "strings.onnx"
    add_tokenizer(tmp_path / "model.onnx", target, other, LONGEST, "single_label_classification", LABELS)
    texts = ["a<Br\u00e9ak>b", "a<BREAK>b <break>", "x[Film]y [film]", *HARD_STRINGS.values()]
    wanted = other(texts, padding=True, truncation=True, max_length=LONGEST, return_tensors="np")
    assert np.array_equal(run(target, texts)[1], wanted["input_ids"])


def test_a_file_with_other_ids_fails_with_the_string_named(onnx_file, tokenizer, tmp_path, monkeypatch):
    def forgetful(**settings):
        found = characters.characters(**settings)
        return replace(found, replaced={c: by for c, by in found.replaced.items() if c != "\xe9"})

    monkeypatch.setattr(wordpiece, "characters", forgetful)
    with pytest.raises(ExpectationError, match="failed on 'accents'"):
        add_tokenizer(onnx_file, tmp_path / "s.onnx", tokenizer, LONGEST, "regression", LABELS)


def test_bpe_without_all_bytes_is_refused(onnx_file, tmp_path):
    pieces = Tokenizer(models.BPE())
    pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pieces.train_from_iterator(["a film"], trainers.BpeTrainer(vocab_size=300, show_progress=False))
    roberta = PreTrainedTokenizerFast(tokenizer_object=pieces, pad_token="a")
    with pytest.raises(EdgepressError, match="no ONNX graph for this tokenizer") as refused:
        add_tokenizer(onnx_file, tmp_path / "s.onnx", roberta, LONGEST, "regression", LABELS)
    assert refused.value.exit_code == 2
    assert not (tmp_path / "s.onnx").exists()


def test_one_fixed_shape_is_refused(onnx_file, tokenizer, tmp_path):
    model = onnx.load(str(onnx_file))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 8
    onnx.save(model, str(tmp_path / "fixed.onnx"))
    with pytest.raises(EdgepressError, match="takes one shape only"):
        add_tokenizer(tmp_path / "fixed.onnx", tmp_path / "s.onnx", tokenizer, LONGEST, "regression", LABELS)


def test_without_the_extensions_the_extra_is_named(onnx_file, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime_extensions", None)
    with pytest.raises(EdgepressError, match="onnxruntime_extensions, which is not installed") as refused:
        add_tokenizer(onnx_file, tmp_path / "s.onnx", tokenizer, LONGEST, "regression", LABELS)
    assert "edgepress[tokenizer]" in refused.value.hint


@pytest.mark.slow
def test_every_character_of_unicode(with_tokenizer, tokenizer):
    session = open_with_extensions(with_tokenizer)
    only_ids = onnxruntime.RunOptions()
    only_ids.only_execute_path_to_fetches = True
    for texts in between_letters():
        ids = session.run(["input_ids"], {"text": np.array(texts, dtype=object)}, only_ids)[0]
        assert np.array_equal(ids, tokenizer(texts, padding=True, return_tensors="np")["input_ids"])


TAGS = ("O", "B-WORK", "I-WORK")


@pytest.fixture(scope="module")
def word_model(tokenizer) -> BertForTokenClassification:
    config = small_bert(len(tokenizer), TAGS).config
    return BertForTokenClassification(config).eval()


@pytest.fixture(scope="module")
def with_places(word_model, tokenizer, tmp_path_factory) -> Path:
    """A model of words as a file that takes strings, and says where their tokens stand."""
    folder = tmp_path_factory.mktemp("places")
    export(word_model, folder / "model.onnx")
    target, kind = folder / "model_with_tokenizer.onnx", "single_label_classification"
    add_tokenizer(folder / "model.onnx", target, tokenizer, LONGEST, kind, TAGS, per_token=True)
    return target


def places(path: Path, texts: list[str]) -> np.ndarray:
    feeds = {"text": np.array(texts, dtype=object)}
    found: np.ndarray = open_with_extensions(path).run(["offsets"], feeds)[0]
    return found


def expected_places(tokenizer, texts: list[str]) -> np.ndarray:
    cut = {"padding": True, "truncation": True, "max_length": LONGEST}
    return np.array(tokenizer(texts, return_offsets_mapping=True, **cut)["offset_mapping"])


def test_tokens_stand_where_the_tokenizer_says(with_places, tokenizer):
    texts = [*HARD_STRINGS.values()]
    assert np.array_equal(places(with_places, texts), expected_places(tokenizer, texts))
    text = "Her caf\xe9 \u2603 fa\xe7ade"
    spans = [text[first:behind] for first, behind in places(with_places, [text])[0] if behind]
    assert spans[0] == "Her"
    assert {"\u2603"} < {*spans}
    assert "".join(spans) == text.replace(" ", "")


def test_labels_of_tokens_are_torchs(with_places, word_model, tokenizer):
    texts = [text for text, _ in SENTENCES[::20]]
    logits, wanted = expected_logits(word_model, tokenizer, texts)
    probabilities, ids = run(with_places, texts)
    assert np.array_equal(ids, wanted)
    real = ids != tokenizer.pad_token_id
    assert np.abs(probabilities - logits.softmax(-1).numpy())[real].max() < 1e-4


@pytest.mark.slow
def test_places_in_random_strings(with_places, tokenizer):
    draw = random.Random(0)
    groups = [
        [chr(point) for point in range(32, 127)],
        [*" \t\n\r\x0b\x85\xa0\u2003\u3000\0"],
        [*"e\u0301\u0308\u0323\xe9\u1ec7\u0130\xdf\u01c6\ufb01\uc601\u1112\u1161\u11ab"],
        ["the", " film", "n't", "##s", "  ", "[MASK]", " [SEP] ", "[CLS]", "\u7535\u5f71", "3.14"],
        [chr(point) for point in range(0x80, 0x3000)],
        [chr(point) for point in range(0x20000) if not 0xD800 <= point < 0xE000],
    ]
    texts = [
        "".join(draw.choice(draw.choice(groups)) for _ in range(draw.randrange(1, 24))) for _ in range(4000)
    ]
    for start in range(0, len(texts), 500):
        own = texts[start : start + 500]
        assert np.array_equal(places(with_places, own), expected_places(tokenizer, own))


def test_places_are_known_of_word_pieces_alone(word_model, with_places, tmp_path):
    source, target, kind = with_places.with_name("model.onnx"), tmp_path / "s.onnx", "regression"
    with pytest.raises(EdgepressError, match="known of WordPiece alone"):
        add_tokenizer(source, target, fast(roberta()), LONGEST, kind, TAGS, per_token=True)
    assert not target.exists()


def test_a_file_with_its_tokenizer_finds_the_same_entities(
    cli, entity_model, entities, tmp_path, monkeypatch
):
    """Tags stand at the first token of each word; nothing but strings goes in."""
    monkeypatch.setenv("EDGEPRESS_DATA", str(entities.parent))
    out = tmp_path / "out"
    flags = ("--eval-samples", 8, "--with-tokenizer", "--output", out)
    result = cli("export.onnx", "--model", entity_model, *flags)
    assert result.code == 0, result.err
    session = open_with_extensions(out / "onnx" / "model_with_tokenizer.onnx")
    labels = json.loads(session.get_modelmeta().custom_metadata_map["labels"])
    text = "the film, and its ending, is a quiet delight."
    shares, offsets = session.run(["probabilities", "offsets"], {"text": np.array([text], dtype=object)})
    spans = zip(offsets[0], shares[0], strict=True)
    tags = {int(first): labels[int(own.argmax())] for (first, end), own in spans if end}
    (found,) = edgepress.load(out).predict([text])
    assert isinstance(found, edgepress.EntityPrediction)
    assert found.entities
    assert all(tags[own.start][2:] == own.label for own in found.entities)
    words = [word.span() for word in re.finditer(r"\w+|[^\w\s]", text)]
    inside = {first for first, _ in words if any(own.start <= first < own.end for own in found.entities)}
    assert inside == {first for first, _ in words if tags[first] != "O"}
