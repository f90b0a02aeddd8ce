"""A vocabulary of a model's own, built from the text that it is trained on."""

from collections import Counter
from collections.abc import Iterable

from tokenizers import BertWordPieceTokenizer
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from transformers import BertTokenizerFast  # type: ignore[attr-defined]

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# Distinct characters: enough for several scripts; rarer ones become [UNK].
ALPHABET = 1000


def train_tokenizer(texts: Iterable[str], size: int) -> BertTokenizerFast:
    """A WordPiece tokenizer, uncased and normalized as BERT's, with the pieces that `texts` are made of.

    Args:
        texts: the training text.
        size: most entries, special ones included; text with fewer distinct pieces gives fewer, and the
            single characters are kept also where they alone are more.
    """
    words = _words(texts)
    alphabet, inner = _characters(words)
    trainee = BertWordPieceTokenizer(lowercase=True)
    trainee.train_from_iterator(
        words.elements(),
        vocab_size=size,
        limit_alphabet=ALPHABET,
        initial_alphabet=alphabet,
        # The library numbers them as it meets them, in another order each run, and ties fall accordingly.
        special_tokens=[*SPECIAL, *(f"##{character}" for character in inner)],
        show_progress=False,
    )
    pieces = BertWordPieceTokenizer(vocab=trainee.get_vocab(), lowercase=True)
    return BertTokenizerFast(tokenizer_object=pieces._tokenizer)


def _words(texts: Iterable[str]) -> Counter[str]:
    normalizer, splitter = BertNormalizer(lowercase=True), BertPreTokenizer()
    split = (splitter.pre_tokenize_str(normalizer.normalize_str(text)) for text in texts)
    return Counter(word for words in split for word, _ in words)


def _characters(words: Counter[str]) -> tuple[list[str], list[str]]:
    """The most frequent characters, and those of them that stand inside words."""
    counts: Counter[str] = Counter()
    for word, count in words.items():
        counts.update(dict.fromkeys(word, count))
    kept = [character for character, _ in counts.most_common(ALPHABET)]
    inside = {character for word in words for character in word[1:]}
    return kept, [character for character in kept if character in inside]
