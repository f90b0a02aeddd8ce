"""Augmented texts of a task, which the teacher labels (Tang et al. 2019, section 3.3).

A word is masked, or replaced by another of its class; now and then a text is cut to a few words in a row.
There the class of a word is its part of speech; here it is a cluster of the teacher's token vectors, which
every teacher has, and no tagger with data of one language is needed.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from sklearn.cluster import MiniBatchKMeans

from edgepress.core.loading import OpenedModel

MASKED, REPLACED, CUT = 0.1, 0.1, 0.25
"""Chances that a word is masked, that it is replaced, and that a text is cut to a few words."""
LONGEST_CUT = 5
MOST_CLASSES = 100
WORDS_A_CLASS = 20
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


class Augmenter:
    """Makes other texts of a text, always the same ones of the same texts."""

    def __init__(self, classes: dict[str, WordClass], mask: str | None, seed: int = 0) -> None:
        """Keep what texts are made with.

        Args:
            classes: of words, which replace each other.
            mask: stands for a masked word; None leaves such words out.
            seed: of all draws.
        """
        self._classes = classes
        self._mask = mask
        self._rng = random.Random(seed)

    def rows(self, texts: Sequence[tuple[str, ...]], count: int) -> Iterator[tuple[str, ...]]:
        """Give `count` rows of each row: of a pair the first text is another, then the second, then both."""
        for row in texts:
            words = [text.split() for text in row]
            for number in range(count):
                changed = self._changed(len(row), number)
                yield tuple(
                    self._varied(own) if at in changed else text
                    for at, (text, own) in enumerate(zip(row, words, strict=True))
                )

    @staticmethod
    def _changed(texts: int, number: int) -> set[int]:
        """Return which texts of a row are changed in its n-th variant."""
        turn = number % (texts + 1)
        return {*range(texts)} if texts in (1, turn) else {turn}

    def _varied(self, words: Sequence[str]) -> str:
        varied = []
        for word in words:
            drawn = self._rng.random()
            if drawn < MASKED:
                varied += [self._mask] if self._mask else []
            elif drawn < MASKED + REPLACED and word in self._classes:
                varied.append(self._classes[word].draw(self._rng))
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
