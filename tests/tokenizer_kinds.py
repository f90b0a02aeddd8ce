"""Tokenizers with the parts that published encoders have, with small vocabularies of their own."""

import unicodedata
from collections.abc import Callable, Iterator
from io import BytesIO

import sentencepiece
from conftest import SENTENCES
from sentencepiece import sentencepiece_model_pb2
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from export.onnx_graph.text.characters import SURROGATES, UNICODE
from export.validation.tokenizer import HARD_STRINGS

LONGEST = 64
# Every character, but of the empty parts of the planes beyond emoji each 64th.
EVERY = [
    chr(point)
    for point in UNICODE
    if point not in SURROGATES
    and (point < 0x20000 or point % 64 == 0 or unicodedata.category(chr(point)) not in ("Cn", "Co"))
]
# The hard strings are learnt from, too, so that there are pieces of every script.
TEXTS = [*(text for text, _ in SENTENCES), *HARD_STRINGS.values()]
MASK = AddedToken("<mask>", lstrip=True)


def between_letters() -> Iterator[list[str]]:
    """Texts with every character once inside a word, in batches."""
    for start in range(0, len(EVERY), 20_000):
        yield [f"the{c}film" for c in EVERY[start : start + 20_000]]


def bpe(special: list[str], **settings: object) -> Tokenizer:
    """A byte-level BPE with GPT-2's words."""
    pieces = Tokenizer(models.BPE())
    pieces.pre_tokenizer = pre_tokenizers.ByteLevel(**{"add_prefix_space": False, **settings})
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    pieces.train_from_iterator(TEXTS, trainer)
    return pieces


def roberta() -> Tokenizer:
    pieces = bpe(["<s>", "<pad>", "</s>", "<unk>"])
    pieces.add_special_tokens([MASK])
    pieces.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return pieces


def modernbert() -> Tokenizer:
    """Its runs of blanks are tokens, and are looked for in the normalized text."""
    pieces = bpe(["|||IP_ADDRESS|||", "<|padding|>"])
    pieces.normalizer = normalizers.NFC()
    pieces.add_tokens([AddedToken(" " * count, normalized=True) for count in range(24, 1, -1)])
    pieces.add_special_tokens(["<|endoftext|>", "[UNK]", "[CLS]", "[SEP]", "[PAD]"])
    pieces.add_special_tokens([AddedToken("[MASK]", lstrip=True)])
    return framed(pieces, "[CLS]", "[SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1")


def framed(pieces: Tokenizer, first: str, last: str, pair: str) -> Tokenizer:
    pieces.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=pair,
        special_tokens=[(token, pieces.token_to_id(token)) for token in (first, last)],
    )
    return pieces


def sentencepiece_model() -> tuple[list[tuple[str, float]], bytes]:
    """Pieces with their scores, and SentencePiece's own table of characters (nmt_nfkc)."""
    written = BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(text.replace("\0", "") for text in TEXTS),
        model_writer=written,
        vocab_size=500,
        hard_vocab_limit=False,
        character_coverage=0.98,  # some characters are unknown
        minloglevel=2,
    )
    model = sentencepiece_model_pb2.ModelProto.FromString(written.getvalue())
    pieces = [(piece.piece, piece.score) for piece in model.pieces if piece.type == piece.NORMAL]
    return pieces, model.normalizer_spec.precompiled_charsmap


def unigram(*normalizing: normalizers.Normalizer, splits: bool, table: bool = True) -> Tokenizer:
    learnt, charsmap = sentencepiece_model()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = Tokenizer(models.Unigram([*((token, 0.0) for token in special), *learnt], 3))
    steps = [normalizers.Precompiled(charsmap)] * table
    pieces.normalizer = normalizers.Sequence([*steps, *normalizing])
    words = [pre_tokenizers.WhitespaceSplit()] * splits
    pieces.pre_tokenizer = pre_tokenizers.Sequence([*words, pre_tokenizers.Metaspace()])
    pieces.add_special_tokens([*special, MASK])
    return framed(pieces, "<s>", "</s>", "<s> $A </s> </s> $B </s>")


ONE_BLANK = normalizers.Replace(Regex(" {2,}"), " ")


def deberta() -> Tokenizer:
    """As its published tokenizer.json has it."""
    pieces = unigram(ONE_BLANK, splits=False)
    pieces.normalizer = normalizers.Sequence([normalizers.Strip(), pieces.normalizer[0], ONE_BLANK])
    return pieces


def deberta_of_transformers_5() -> Tokenizer:
    """As transformers 5 builds it, whatever tokenizer.json says."""
    blanks = normalizers.Replace(Regex(r"\s{2,}|[\n\r\t]"), " ")
    steps = (blanks, normalizers.NFC(), normalizers.Strip(left=False, right=True))
    return unigram(*steps, splits=False, table=False)


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "RoBERTa": roberta,
    "ModernBERT": modernbert,
    "XLM-R": lambda: unigram(splits=True),
    "CamemBERT": lambda: unigram(ONE_BLANK, splits=False),
    "DeBERTa-v3": deberta,
    "DeBERTa-v3 under transformers 5": deberta_of_transformers_5,
}


def fast(pieces: Tokenizer) -> PreTrainedTokenizerFast:
    """As transformers opens its tokenizer.json."""
    padding = next(token for token in ("<pad>", "[PAD]", "a") if pieces.token_to_id(token) is not None)
    return PreTrainedTokenizerFast(
        tokenizer_object=pieces,
        pad_token=padding,
        model_max_length=LONGEST,
        clean_up_tokenization_spaces=False,
    )
