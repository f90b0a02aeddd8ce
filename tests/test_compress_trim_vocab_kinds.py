"""Trimming of each kind of tokenizer: a text whose tokens are kept is split as before."""

import json
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import ARCHITECTURES
from tokenizer_kinds import KINDS
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from trimming import CORPUS, TEXTS, TRIMMED, byte_bpe, published, reader, trim

from compress.trim_vocab.report import changes
from compress.trim_vocab.tokens import Kept, trim_embeddings, trimmed_tokenizer
from compress.trim_vocab.vocabularies import check_trimmable, vocabulary_of
from edgepress.core.errors import EdgepressError


@pytest.fixture(scope="module")
def model():
    return reader()


@pytest.fixture(scope="module", params=TRIMMED)
def own(request, tokenizer):
    """A tokenizer of each kind."""
    return TRIMMED[request.param](tokenizer)


def test_the_corpus_is_split_as_before(own, model):
    kept, trimmed = trim(own, model, CORPUS)
    assert len(trimmed) == len(kept.ids) < len(own)
    assert [trimmed.tokenize(text) for text in CORPUS] == [own.tokenize(text) for text in CORPUS]
    assert changes(own, trimmed, [(text,) for text in CORPUS]) == []


def test_tokens_keep_their_meaning_under_new_ids(own, model):
    kept, trimmed = trim(own, model, CORPUS)
    assert [own.convert_ids_to_tokens(old) for old in kept.ids] == trimmed.convert_ids_to_tokens(
        [*range(len(kept.ids))]
    )
    assert trimmed.pad_token_id == kept.new[own.pad_token_id]
    if own.unk_token_id is not None:
        assert trimmed.unk_token_id == kept.new[own.unk_token_id]


# Letters of the tokenizers' texts, blanks, and characters that none has met.
WORDS = st.one_of(
    st.sampled_from(sorted({word for text in TEXTS for word in text.split()})),
    st.text("aehilmnorst .,'\n", min_size=1, max_size=8),
    st.text(min_size=1, max_size=4),
)


@pytest.mark.parametrize("kind", KINDS)
@given(
    needed=st.lists(WORDS, min_size=1, max_size=12),
    others=st.lists(st.integers(0, 10**6), max_size=12),
    blank=st.sampled_from(["", " "]),
)
def test_a_text_is_split_as_before_where_its_tokens_are_kept(kind, needed, others, blank):
    """The corpus itself, and any other text that is split into tokens of the corpus."""
    own = published(kind)
    text = blank.join(needed)
    kept, trimmed = trim(own, reader(), [text])
    spelled = [own.decode([kept.ids[number % len(kept.ids)]]) for number in others]
    for each in (text, blank.join(spelled), blank.join([*spelled, *needed[:2]])):
        ids = own(each)["input_ids"]
        if kept.new.keys() >= set(ids):
            assert [kept.ids[new] for new in trimmed(each)["input_ids"]] == ids


def overlapping_merges(random: Random) -> Tokenizer:
    """Merges that nobody trained: they lead to one token in several ways."""
    symbols = [*"abc"]
    pairs: dict[tuple[str, str], None] = {}
    while len(pairs) < 60:
        pair = random.choice(symbols), random.choice(symbols)
        if len("".join(pair)) <= 5:
            pairs[pair] = None
            symbols.append("".join(pair))
    order = [*pairs]
    random.shuffle(order)
    tokens = dict.fromkeys([*pre_tokenizers.ByteLevel.alphabet(), *map("".join, pairs)])
    pieces = Tokenizer(models.BPE({token: at for at, token in enumerate(tokens)}, order))
    pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return pieces


@given(
    seed=st.integers(0, 10**6),
    needed=st.text("abc", min_size=1, max_size=12),
    others=st.lists(st.text("abc", max_size=12), max_size=12),
)
@settings(max_examples=100)
def test_any_byte_pair_vocabulary(seed, needed, others):
    own = PreTrainedTokenizerFast(tokenizer_object=overlapping_merges(Random(seed)), pad_token="!")
    kept, trimmed = trim(own, reader(), [needed])
    for text in (needed, *others):
        ids = own(text)["input_ids"]
        if kept.new.keys() >= set(ids):
            assert [kept.ids[new] for new in trimmed(text)["input_ids"]] == ids


def test_tokens_that_others_are_built_from_stay(model):
    own, text = byte_bpe(), " delight"
    token = next(own.vocab[piece] for piece in own.tokenize(text) if len(piece) > 4)
    kept, trimmed = trim(own, model, [text])
    vocabulary = vocabulary_of(own)
    between = vocabulary.parts(token) - vocabulary.characters([]) - {token}
    assert between
    assert between <= {*kept.ids}
    assert trimmed.tokenize(text) == own.tokenize(text)
    without = trimmed_tokenizer(own, Kept(tuple(sorted({*kept.ids} - between))))
    assert without.tokenize(text) != own.tokenize(text)


def test_every_byte_stays(model):
    own, text = byte_bpe(), "漢字 \U0001f600 \x00 é"
    _, trimmed = trim(own, model, ["the"])
    assert "".join(trimmed.tokenize(text)) == "".join(own.tokenize(text))
    assert {*pre_tokenizers.ByteLevel.alphabet()} <= trimmed.get_vocab().keys()


@pytest.mark.parametrize(
    ("kind", "name", "config"),
    [
        ("RoBERTa", "RobertaTokenizer", "roberta"),
        ("ModernBERT", "PreTrainedTokenizerFast", "modernbert"),
        ("XLM-R", "XLMRobertaTokenizer", "xlm-roberta"),
    ],
)
def test_transformers_opens_it_as_it_was_saved(kind, name, config, tmp_path):
    """By the class that the folder names, which under transformers 5 builds tokenizers of its own."""
    whole = open_tokenizer(published(kind), name, config, tmp_path / "whole")
    kept, trimmed = trim(whole, ARCHITECTURES[config](), CORPUS)
    again = open_tokenizer(trimmed, name, config, tmp_path / "trimmed")
    assert len(again) == len(kept.ids)
    for texts in (CORPUS, ["a  b <mask> [MASK] 漢", "tedious"]):
        assert again(texts)["input_ids"] == trimmed(texts)["input_ids"]
    assert again(CORPUS[0], CORPUS[1])["input_ids"] == trimmed(CORPUS[0], CORPUS[1])["input_ids"]
    assert again.all_special_ids == trimmed.all_special_ids


def open_tokenizer(tokenizer, name, config, folder):
    tokenizer.save_pretrained(folder)
    ARCHITECTURES[config]().config.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "tokenizer_class": name}))
    return AutoTokenizer.from_pretrained(folder)


def test_padding_keeps_its_place_where_positions_begin_behind_it(tmp_path):
    """As CamemBERT's: a token before it that no text needs."""
    words = {"unused": 0, "<pad>": 1, "<unk>": 2, "a": 3, "b": 4, "rare": 5, "often": 6}
    pieces = Tokenizer(models.WordPiece(words, unk_token="<unk>"))
    pieces.pre_tokenizer = pre_tokenizers.Whitespace()
    own = PreTrainedTokenizerFast(tokenizer_object=pieces, pad_token="<pad>", unk_token="<unk>")
    model = ARCHITECTURES["roberta"]().eval()
    kept, trimmed = trim(own, model, ["often"])
    ids = [split("often b", return_tensors="pt")["input_ids"] for split in (own, trimmed)]
    assert not torch.equal(*ids)
    with torch.inference_mode():
        before = model(input_ids=ids[0]).logits
        trim_embeddings(model, kept)
        model.save_pretrained(tmp_path)
        again = type(model).from_pretrained(tmp_path).eval()
        torch.testing.assert_close(again(input_ids=ids[1]).logits, before)


def test_gaps_among_ids_are_refused():
    pieces = Tokenizer(models.WordPiece({"[PAD]": 0, "[UNK]": 1, "a": 2, "b": 7}, unk_token="[UNK]"))
    pieces.add_tokens(["<new>"])
    own = PreTrainedTokenizerFast(tokenizer_object=pieces, pad_token="[PAD]", unk_token="[UNK]")
    with pytest.raises(EdgepressError, match="cannot be trimmed: its ids have gaps"):
        trimmed_tokenizer(own, Kept((0, 1, 2, own.vocab["<new>"], 7)))


def bpe_with(**settings) -> PreTrainedTokenizerFast:
    alphabet = [*pre_tokenizers.ByteLevel.alphabet(), "[UNK]"]
    pieces = Tokenizer(models.BPE({token: at for at, token in enumerate(alphabet)}, [], **settings))
    return PreTrainedTokenizerFast(tokenizer_object=pieces, pad_token="!")


REFUSED = {
    "it is a BPE with dropout 0.1": lambda: bpe_with(dropout=0.1),
    "it is a BPE with end_of_word_suffix '</w>'": lambda: bpe_with(end_of_word_suffix="</w>"),
    "it is a BPE, and lacks 256 of the 256 bytes": lambda: PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE({"[UNK]": 0}, []))
    ),
    "it is a WordLevel": lambda: PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"a": 0}))
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_trimmed(reason):
    with pytest.raises(EdgepressError, match=f"the vocabulary of it cannot be trimmed: {reason}"):
        check_trimmable(REFUSED[reason](), "it")
