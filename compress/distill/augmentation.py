"""Augmented texts of a task, which the teacher labels (Tang et al. 2019, section 3.3).

A word is masked, or replaced by another of its class; now and then a text is cut to a few words in a row.
There the class of a word is its part of speech; here it is a cluster of the teacher's token vectors, which
every teacher has, and no tagger with data of one language is needed. Or a masked language model says what
stands in the place of a word (Jiao et al. 2020, algorithm 1).
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from sklearn.cluster import MiniBatchKMeans

from compress.training.machine import device
from compress.training.masked_lm import masked_logits
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import OpenedModel

MASKED, REPLACED, CUT = 0.1, 0.1, 0.25
"""Chances that a word is masked, that it is replaced, and that a text is cut to a few words."""
LONGEST_CUT = 5
MOST_CLASSES = 100
WORDS_A_CLASS = 20
LIKELIEST = 15
"""Words that a masked language model gives for a place (Jiao et al. 2020: K)."""
BATCH = 10_000


@dataclass(frozen=True)
class WordClass:
    """Words that may stand for each other."""

    words: Sequence[str]
    totals: Sequence[int]
    """How often each of them occurs, and all before it together."""

    def draw(self, rng: random.Random) -> str:
        """Draw a word, the likelier the more frequent it is."""
        (word,) = rng.choices(self.words, cum_weights=self.totals)
        return word


def word_classes(teacher: OpenedModel, texts: Sequence[tuple[str, ...]]) -> dict[str, WordClass]:
    """The class of each word of a task's texts: words whose vectors in the teacher's table are near.

    Words that the teacher's tokenizer makes nothing of have none.
    """
    counts = Counter(word for row in texts for text in row for word in text.split())
    words, vectors = _vectors(teacher, [*counts])
    if not words:
        return {}
    clusters = max(1, min(MOST_CLASSES, len(words) // WORDS_A_CLASS))
    scaled = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    numbers = MiniBatchKMeans(clusters, random_state=0, n_init=1).fit_predict(scaled)
    members: dict[int, list[str]] = defaultdict(list)
    for word, number in zip(words, numbers.tolist(), strict=True):
        members[number].append(word)
    found = {
        number: WordClass(own, [*accumulate(counts[word] for word in own)]) for number, own in members.items()
    }
    return {word: found[number] for word, number in zip(words, numbers.tolist(), strict=True)}


def _vectors(teacher: OpenedModel, words: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Words with tokens, and the mean of their tokens' vectors: (words, width)."""
    embeddings: Any = teacher.model.get_input_embeddings()
    table = embeddings.weight.detach().float().cpu()
    known, found = [], []
    for start in range(0, len(words), BATCH):
        part = words[start : start + BATCH]
        pieces = teacher.tokenizer(list(part), add_special_tokens=False)["input_ids"]
        kept = [(word, ids) for word, ids in zip(part, pieces, strict=True) if ids]
        if not kept:
            continue
        offsets = np.cumsum([0, *(len(ids) for _, ids in kept[:-1])])
        ids = torch.as_tensor([token for _, own in kept for token in own])
        found.append(torch.nn.functional.embedding_bag(ids, table, torch.as_tensor(offsets), mode="mean"))
        known += [word for word, _ in kept]
    return known, torch.cat(found).numpy() if found else np.empty((0, 0), dtype=np.float32)


Replacements = Callable[[Sequence[str]], Sequence[WordClass | None]]
"""Gives the words that may stand for each word of a text; None where there are none."""


def by_class(classes: Mapping[str, WordClass]) -> Replacements:
    """Replacements from the class of each word."""
    return lambda words: [classes.get(word) for word in words]


class MaskedWords:
    """Words that a masked language model finds likely in the place of each word of a text."""

    def __init__(self, opened: OpenedModel) -> None:
        """Take the masked language model that fills the places, and its tokenizer.

        Raises:
            EdgepressError: its head over the vocabulary was not trained.
        """
        if not opened.head_trained:
            raise EdgepressError(
                f"{opened.source.name} has no trained head over the vocabulary: it cannot fill masks",
                f"python -m compress.pretrain --model {opened.source.name} --corpus CORPUS trains one",
            )
        self._tokenizer, self._longest = opened.tokenizer, opened.longest
        self._model = opened.model.to(device()).eval()  # type: ignore[arg-type]
        self._whole: dict[int, str] = {}

    @torch.inference_mode()
    def __call__(self, words: Sequence[str]) -> list[WordClass | None]:
        """Mask each word in turn; the likeliest words of each place, but for the word itself."""
        mask = str(self._tokenizer.mask_token)
        masked = [" ".join([*words[:at], mask, *words[at + 1 :]]) for at in range(len(words))]
        if not masked:
            return []
        batch = self._tokenizer(
            masked, padding=True, truncation=True, max_length=self._longest, return_tensors="pt"
        ).to(device())
        hidden = batch["input_ids"] == self._tokenizer.mask_token_id
        hidden &= hidden.sum(-1, keepdim=True) == 1  # cut off, or a text that has a mask of its own
        _, logits = masked_logits(self._model, batch["input_ids"], batch["attention_mask"], hidden)
        likely = iter(logits.topk(LIKELIEST).indices.tolist())
        found = [next(likely) if own else [] for own in hidden.any(-1).tolist()]
        return [self._words(tokens, word) for tokens, word in zip(found, words, strict=True)]

    def _words(self, tokens: Sequence[int], word: str) -> WordClass | None:
        named = (self._word(token) for token in tokens)
        kept = [own for own in named if own and own.casefold() != word.casefold()]
        return WordClass(kept, range(1, len(kept) + 1)) if kept else None

    def _word(self, token: int) -> str:
        """Return the word that a token is; empty where it is a part of one, or no word."""
        if token not in self._whole:
            text = str(self._tokenizer.decode([token])).strip()
            self._whole[token] = text if text.isalpha() else ""
        return self._whole[token]


class Augmenter:
    """Makes other texts of a text, always the same ones of the same texts."""

    def __init__(self, replacements: Replacements, mask: str | None, seed: int = 0) -> None:
        """Keep what texts are made with.

        Args:
            replacements: gives what may stand for words.
            mask: stands for a masked word; None leaves such words out.
            seed: of all draws.
        """
        self._replacements = replacements
        self._mask = mask
        self._rng = random.Random(seed)

    def rows(self, texts: Sequence[tuple[str, ...]], count: int) -> Iterator[tuple[str, ...]]:
        """Give `count` rows of each row: of a pair the first text is another, then the second, then both."""
        for row in texts:
            words = [text.split() for text in row]
            others = [self._replacements(own) for own in words]
            for number in range(count):
                changed = self._changed(len(row), number)
                yield tuple(
                    self._varied(words[at], others[at]) if at in changed else text
                    for at, text in enumerate(row)
                )

    @staticmethod
    def _changed(texts: int, number: int) -> set[int]:
        """Return which texts of a row are changed in its n-th variant."""
        turn = number % (texts + 1)
        return {*range(texts)} if texts in (1, turn) else {turn}

    def _varied(self, words: Sequence[str], others: Sequence[WordClass | None]) -> str:
        varied = []
        for word, other in zip(words, others, strict=True):
            drawn = self._rng.random()
            if drawn < MASKED:
                varied += [self._mask] if self._mask else []
            elif drawn < MASKED + REPLACED and other is not None:
                varied.append(other.draw(self._rng))
            else:
                varied.append(word)
        if self._rng.random() < CUT:
            length = self._rng.randint(1, LONGEST_CUT)
            start = self._rng.randrange(max(1, len(varied) - length + 1))
            varied = varied[start : start + length]
        return " ".join(varied)


def common_mask(models: Sequence[OpenedModel]) -> str | None:
    """The mask token of all models; None where they have none in common."""
    masks = {model.tokenizer.mask_token for model in models}
    return masks.pop() if len(masks) == 1 else None
