"""ONNX files that take strings, with byte-level BPE and Unigram, next to Hugging Face's tokenizers."""

import random
import unicodedata
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import first_slow
from onnx import TensorProto, helper
from tokenizer_kinds import EVERY, KINDS, LONGEST, between_letters, bpe, fast, roberta, unigram
from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers

from edgepress.core.errors import EdgepressError, ExpectationError
from export.onnx_graph.text import byte_bpe
from export.onnx_graph.text import unigram as unigram_graph
from export.onnx_graph.text.model import add_tokenizer, open_with_extensions
from export.validation.tokenizer import HARD_PAIRS, HARD_STRINGS

LABELS = ("mean",)
RANDOM_STRINGS = 50_000
# One of byte-level BPE by default: building a graph asks about every character of Unicode.
BY_DEFAULT = "RoBERTa"
KIND = pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind == BY_DEFAULT else pytest.mark.slow) for kind in KINDS]
)

Encode = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a classifier's inputs and output, for any vocabulary: the mean of the ids."""
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch_size", "sequence_length"])
        for name in ("input_ids", "attention_mask")
    ]
    seen = helper.make_node("Mul", ["input_ids", "attention_mask"], ["seen"])
    values = helper.make_node("Cast", ["seen"], ["values"], to=TensorProto.FLOAT)
    mean = helper.make_node("ReduceMean", ["values"], ["logits"], axes=[1])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch_size", 1])
    graph = helper.make_graph([seen, values, mean], "mean", inputs, [logits])
    target = tmp_path_factory.mktemp("classifier") / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), target)
    return target


@pytest.fixture(scope="module")
def encoders(classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple]:
    """A kind's tokenizer, and the graph as a function from texts to padded ids."""

    @cache
    def build(kind: str, pair: bool = False) -> tuple:
        tokenizer = fast(KINDS[kind]())
        target = tmp_path_factory.mktemp("kinds") / "strings.onnx"
        add_tokenizer(classifier, target, tokenizer, LONGEST, "regression", LABELS, pair)
        session = open_with_extensions(target)
        names = [entry.name for entry in session.get_inputs()]
        only_ids = onnxruntime.RunOptions()
        only_ids.only_execute_path_to_fetches = True

        def encode(*texts: list[str]) -> np.ndarray:
            feeds = {name: np.array(column, dtype=object) for name, column in zip(names, texts, strict=True)}
            return session.run(["input_ids"], feeds, only_ids)[0]

        return tokenizer, encode

    return build


def assert_same(tokenizer, encode: Encode, *columns: list[str]) -> None:
    wanted = tokenizer(*columns, padding=True, truncation=True, max_length=LONGEST, return_tensors="np")
    found = encode(*columns)
    assert found.shape == wanted["input_ids"].shape
    rows = (found != wanted["input_ids"]).any(1).nonzero()[0]
    assert not rows.size, [ascii(column[rows[0]]) for column in columns]


@KIND
def test_hard_strings_in_one_batch(encoders, kind: str) -> None:
    assert_same(*encoders(kind), [*HARD_STRINGS.values()])


@KIND
def test_pairs(encoders, kind: str) -> None:
    assert_same(
        *encoders(kind, pair=True), *(list(column) for column in zip(*HARD_PAIRS.values(), strict=True))
    )


@KIND
def test_characters_that_the_graph_marks_texts_with(encoders, kind: str) -> None:
    marks = "".join(map(chr, range(0xE000, 0xE018)))
    texts = [marks, f"a{marks[::-1]}b", "\ue000\ue001\ue010", "\ue011<mask>\ue012", "\0\ue000\0", " \ue013 "]
    assert_same(*encoders(kind), texts)


@pytest.mark.parametrize("kind", first_slow(KINDS, 1))
def test_every_character_of_unicode(encoders, kind: str) -> None:
    for texts in between_letters():
        assert_same(*encoders(kind), texts)


@pytest.mark.parametrize(
    "kind", first_slow(["RoBERTa", "XLM-R", *sorted({*KINDS} - {"RoBERTa", "XLM-R"})], 2)
)
def test_random_strings(encoders, kind: str) -> None:
    """Marks, blanks, composed letters and tokens are more frequent than in any text."""
    draw = random.Random(0)
    groups = [
        [chr(point) for point in range(32, 127)],
        [*" \t\n\r\x0b\x85\xa0\u2003\u3000\0"],
        [c for c in EVERY if unicodedata.combining(c)],
        [c for c in EVERY if unicodedata.decomposition(c)],
        [chr(point) for point in range(0x1100, 0x1200)],
        ["the", " film", "n't", "'s", "  ", "<mask>", " [MASK]", "<s>", "</s>", "<unk>", "3.14", "Caf\xe9"],
        EVERY[0x80:0x3000],
        EVERY,
    ]
    lengths = [draw.randrange(1, 24) for _ in range(RANDOM_STRINGS)]
    texts = ["".join(draw.choice(draw.choice(groups)) for _ in range(length)) for length in lengths]
    for start in range(0, len(texts), 2_000):
        assert_same(*encoders(kind), texts[start : start + 2_000])


def test_other_ids_fail_with_the_string_named(classifier, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(byte_bpe, "CONTRACTIONS", ("'x",))
    with pytest.raises(ExpectationError, match="failed on 'punctuation between words'"):
        add_tokenizer(classifier, tmp_path / "s.onnx", fast(roberta()), LONGEST, "regression", LABELS)


def with_parts(pieces: Tokenizer, **parts: object) -> Tokenizer:
    for name, part in parts.items():
        setattr(pieces, name, part)
    return pieces


def with_token(pieces: Tokenizer, **settings: bool) -> Tokenizer:
    pieces.add_tokens([AddedToken("<new>", **settings)])
    return pieces


QWEN = pre_tokenizers.Sequence([pre_tokenizers.Digits(), pre_tokenizers.ByteLevel(use_regex=False)])
REFUSED: dict[str, tuple[Callable[[], Tokenizer], str]] = {
    "a blank first": (lambda: bpe([], add_prefix_space=True), "a blank before each text"),
    "other words": (lambda: with_parts(bpe([]), pre_tokenizer=QWEN), "its words are those of Sequence"),
    "lowercase": (lambda: with_parts(bpe([]), normalizer=normalizers.Lowercase()), "its normalizer is Lower"),
    "whole words": (lambda: with_token(bpe([]), single_word=True), "'<new>' matches whole words only"),
    "no Metaspace": (
        lambda: with_parts(unigram(splits=True), pre_tokenizer=pre_tokenizers.Whitespace()),
        "its words are those of Whitespace",
    ),
    "a blank before the first word": (
        lambda: with_parts(
            unigram(splits=False), pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="first")
        ),
        "its Metaspace has",
    ),
    "accents": (
        lambda: with_parts(unigram(splits=False), normalizer=normalizers.StripAccents()),
        "its normalizer has StripAccents",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_graph_cannot_follow_is_refused(what: str) -> None:
    build, message = REFUSED[what]
    pieces = build()
    module = byte_bpe if type(pieces.model).__name__ == "BPE" else unigram_graph
    with pytest.raises(EdgepressError, match=message) as refused:
        module.read(pieces)
    assert refused.value.exit_code == 2
    assert str(refused.value).startswith("no ONNX graph for this tokenizer: ")
    assert "export without --with-tokenizer" in refused.value.hint
