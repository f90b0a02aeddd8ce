"""Transfer sets: texts that nobody labelled, which a teacher labels and its student learns.

Nothing of a split that the task is judged on gets in, exactly or nearly so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from compress.distill.augmentation import (
    Augmenter,
    MaskedWords,
    Replacements,
    by_class,
    common_mask,
    word_classes,
)
from compress.distill.config import DistillOptions
from compress.distill.teachers import Taught
from compress.distillation.logits import TextLogits, together
from edgepress.core import console
from edgepress.core.corpus import load_corpus, load_pairs
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import OpenedModel
from edgepress.core.masked_lm import open_masked_lm
from edgepress.core.near_duplicates import TextIndex, letters_key, letters_of
from edgepress.core.sentences import LengthModel
from edgepress.core.splits import Examples, held_out_splits, split_texts
from edgepress.core.tasks import MOST_TEXTS

BATCH = 10_000
AUGMENTED = "augmented texts"
MOST_OF_A_SPLIT = 0.5
"""Share of a corpus from which it is a split that the task is judged on, and not one that shares texts."""
FOREIGN_UNKNOWN = 0.05
"""Share of unknown tokens from which a corpus is in another language than the teacher."""
FOREIGN_LETTERS = 0.6
"""Letters a token beside those of the task's own text, below which it is, too."""
LOOKED_AT = 2_000


@dataclass
class CorpusCounts:
    """Numbers of texts of one corpus, and of those that were left out."""

    corpus: str
    texts: int = 0
    """Texts, or pairs, that were cut from it."""
    other_length: int = 0
    """Texts shorter or longer than those of the task are."""
    evaluation: int = 0
    """Texts of a split that the task is judged on, but for spaces, punctuation and case."""
    nearly_evaluation: int = 0
    """Texts that share most of their letters with one of those."""
    duplicates: int = 0
    """Texts of the train split, or that came before."""
    kept: int = 0

    @property
    def words(self) -> str:
        """The counts in a line."""
        return (
            f"{self.corpus}: {self.kept:,} of {self.texts:,} texts; left out {self.other_length:,} by their "
            f"length, {self.evaluation:,} of an evaluation split, {self.nearly_evaluation:,} nearly of one, "
            f"{self.duplicates:,} that were there already"
        )

    @property
    def recorded(self) -> dict[str, Any]:
        """The counts for a manifest."""
        return dict(vars(self))


@dataclass(frozen=True)
class TransferSet:
    """Texts without labels, and how they were found."""

    examples: Examples
    counts: Sequence[CorpusCounts]
    figures: dict[str, Any] = field(default_factory=dict)
    """Further figures for the manifest, by name."""

    @property
    def recorded(self) -> dict[str, Any]:
        """The set for a manifest."""
        counts = [own.recorded for own in self.counts]
        return {"rows": len(self.examples), "corpora": counts, **self.figures}


def transfer_set(options: DistillOptions, selection: TextSelection) -> TransferSet | None:
    """The texts of the corpora that the flags name; None where they name none.

    Raises:
        EdgepressError: there is no such corpus, it is a split that the task is judged on, or nothing of it is
            left.
    """
    if not options.transfer:
        return None
    rows: list[tuple[str, ...]] = []
    for name in options.transfer:
        rows += selection.of_corpus(name)
        console.step(selection.counts[-1].words)
    if not rows:
        raise EdgepressError(
            f"nothing of {', '.join(options.transfer)} is left to learn from: "
            + "; ".join(own.words for own in selection.counts),
            "name another --transfer",
        )
    examples = selection.examples(rows)
    if options.transfer_samples is not None:
        examples = examples.sample(options.transfer_samples)
    figures = _language(selection.teacher, [row[0] for row in examples.texts], selection.own)
    return TransferSet(examples, selection.counts, figures)


def with_augmented(
    options: DistillOptions,
    selection: TextSelection,
    learned: Examples,
    teacher: OpenedModel,
    readers: Sequence[OpenedModel],
    found: TransferSet | None,
) -> TransferSet | None:
    """Add augmented texts of the train split to a transfer set, where the flags ask for some.

    Args:
        options: the flags.
        selection: of the task; an augmented text may be one that is judged on, too.
        learned: the train split.
        teacher: whose table of tokens says which words are of a class: the largest one, so that students of
            several teachers learn the same texts as those of that one, which are labelled once.
        readers: all that read the texts, teachers and student.
        found: texts without labels; None: there are none yet.
    """
    if not options.augment:
        return found
    if options.augment_with is not None:
        replacements: Replacements = MaskedWords(open_masked_lm(options.augment_with, options.seed))
    else:
        replacements = by_class(word_classes(teacher, learned.texts))
    augmenter = Augmenter(replacements, common_mask(readers))
    rows = selection.of_rows(AUGMENTED, augmenter.rows(learned.texts, options.augment))
    console.step(selection.counts[-1].words)
    examples = selection.examples([*(found.examples.texts if found else ()), *rows])
    return TransferSet(examples, selection.counts, found.figures if found else {})


@dataclass(frozen=True)
class TextSelection:
    """What is taken of corpora for a task, and what was left out of them."""

    teacher: OpenedModel
    own: list[str]
    """First texts of the rows that the task is learned from, or judged on where nothing is learned."""
    held_out: TextIndex
    seen: set[int]
    """Keys of the texts that are there already."""
    counts: list[CorpusCounts]

    @classmethod
    def of(cls, options: DistillOptions, teacher: OpenedModel) -> TextSelection | None:
        """Read the splits of the task; None where no texts without labels are asked for.

        Raises:
            EdgepressError: the task is not learned from text alone.
        """
        if not options.transfer and not options.augment:
            return None
        task, kind = teacher.text_task, teacher.kind
        if kind.of_corpus([]) is None:
            flag = "--transfer" if options.transfer else "--augment"
            raise EdgepressError(
                f"{flag}: a {teacher.problem_type} is learned from labelled texts alone", "leave it away"
            )
        if options.augment and kind.without_labels:
            raise EdgepressError(
                "--augment: where vectors are learned, the texts of the train split stay as they are",
                "leave it away, or name more --transfer",
            )
        apart = teacher.texts_a_row == 1 and kind.texts_a_row == 1
        judged = [row for split in held_out_splits(task) for row in split_texts(task, split, apart)]
        learned = [] if kind.without_labels else split_texts(task, "train", apart)
        seen = {letters_key(letters_of(row)) for row in learned}
        return cls(teacher, [row[0] for row in learned or judged], TextIndex(judged), seen, [])

    def of_corpus(self, name: str) -> list[tuple[str, ...]]:
        """Return what is taken of a corpus.

        Raises:
            EdgepressError: there is no such corpus, or it is a split that the task is judged on.
        """
        found = self.of_rows(name, self._rows(name))
        counts = self.counts[-1]
        judged = counts.evaluation + counts.nearly_evaluation
        if judged and judged >= MOST_OF_A_SPLIT * (counts.texts - counts.other_length):
            raise EdgepressError(
                f"{name}: {judged:,} of its {counts.texts:,} texts are of a split that "
                f"{self.teacher.text_task.name} is judged on, or nearly so",
                "name another --transfer: what is judged on is never learned",
            )
        return found

    def of_rows(self, name: str, rows: Iterator[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """Return what is taken of rows of text, and count it under a name."""
        counts = CorpusCounts(name)
        self.counts.append(counts)
        return [row for part in _batches(rows) for row in self._taken(part, counts)]

    def examples(self, rows: Sequence[tuple[str, ...]]) -> Examples:
        """Return texts as the task's kind has them without labels."""
        found = self.teacher.kind.of_corpus(rows)
        assert found is not None, "`of` has seen to it"
        return found

    def _rows(self, name: str) -> Iterator[tuple[str, ...]]:
        """The texts of a corpus, cut to the like of the task's; pairs as they are."""
        task, data = self.teacher.text_task, self.teacher.data
        if self.teacher.texts_a_row == MOST_TEXTS:
            yield from load_pairs(name, data, task.text_columns)
            return
        lengths = LengthModel(self.own)
        for text in load_corpus(name, data).texts:
            for part in map(self.teacher.kind.as_read, lengths.cut(text)):
                # An empty row is one of another length, which is counted.
                yield (part,) if lengths.fits(part) else ()

    def _taken(self, rows: list[tuple[str, ...]], counts: CorpusCounts) -> Iterator[tuple[str, ...]]:
        counts.texts += len(rows)
        fitting = [row for row in rows if row]
        counts.other_length += len(rows) - len(fitting)
        letters = [letters_of(row) for row in fitting]
        exact, near = self.held_out.exact(letters), self.held_out.near(letters)
        counts.evaluation += int(exact.sum())
        counts.nearly_evaluation += int((near & ~exact).sum())
        for at in np.flatnonzero(~exact & ~near):
            key = letters_key(letters[at])
            if key in self.seen or not letters[at]:
                counts.duplicates += 1
                continue
            self.seen.add(key)
            counts.kept += 1
            yield fitting[at]


def _batches(rows: Iterator[tuple[str, ...]]) -> Iterator[list[tuple[str, ...]]]:
    part: list[tuple[str, ...]] = []
    for row in rows:
        part.append(row)
        if len(part) == BATCH:
            yield part
            part = []
    if part:
        yield part


def _language(teacher: OpenedModel, texts: Sequence[str], own: Sequence[str]) -> dict[str, Any]:
    """Return shares of unknown tokens and letters a token, and warn where they are of another language."""
    unknown, letters = _tokens(teacher, texts)
    _, usual = _tokens(teacher, own)
    if unknown > FOREIGN_UNKNOWN or letters < FOREIGN_LETTERS * usual:
        console.warn(
            f"--transfer seems to be of another language than the teacher: {100 * unknown:.1f} % of its "
            f"tokens are unknown, and one stands for {letters:.1f} letters ({usual:.1f} in the task's text)"
        )
    return {"unknown_tokens": unknown, "letters_a_token": letters}


def _tokens(teacher: OpenedModel, texts: Sequence[str]) -> tuple[float, float]:
    """Share of unknown tokens, and letters a token, of some of the texts."""
    drawn = np.random.default_rng(0).permutation(len(texts))[:LOOKED_AT]
    some = [texts[at] for at in drawn]
    ids = [token for row in teacher.tokenizer(some, add_special_tokens=False)["input_ids"] for token in row]
    unknown = sum(token == teacher.tokenizer.unk_token_id for token in ids)
    return unknown / max(1, len(ids)), sum(map(len, some)) / max(1, len(ids))


def with_transfer(
    options: DistillOptions, taught: Taught, found: TransferSet
) -> tuple[Taught, dict[str, Any]]:
    """Add the texts of a transfer set to those that are learned, labelled as the teacher decides.

    Decisions stand for labels as in Tang et al. 2019, section 3.2.

    Returns:
        the texts and what teachers said to them, and what the manifest keeps of the set.

    Raises:
        EdgepressError: the teacher is not sure enough of any of them.
    """
    text, teacher, splits = taught.text, taught.first, dict(taught.logits.splits)
    examples, own = found.examples, splits.get("transfer")
    figures: dict[str, Any] = {}
    if own is not None and options.transfer_confidence:
        sure = _sure(options, teacher, own)
        figures["confident"] = len(sure)
        examples, own = replace(examples, texts=[examples.texts[row] for row in sure]), np.asarray(own)[sure]
    decided = None
    if own is not None and options.label_weight:
        outputs = teacher.kind.of_gathered(list(own), None, teacher.labels)
        decided = teacher.kind.decide(outputs, teacher.thresholds)
    joined = teacher.kind.joined(text.train, examples, decided)
    if own is not None:
        parts = [splits["train"]] if "train" in splits else []
        splits["train"] = together([*parts, own])
    logits = replace(taught.logits, splits=splits)
    return replace(taught, text=replace(text, train=joined), logits=logits), {**found.recorded, **figures}


def _sure(options: DistillOptions, teacher: OpenedModel, logits: TextLogits) -> np.ndarray:
    """Numbers of the texts of which the teacher is sure enough."""
    confidence = teacher.kind.confidence(teacher.kind.of_gathered(list(logits), None, teacher.labels))
    if confidence is None:
        raise EdgepressError(
            f"--transfer-confidence: a {teacher.problem_type} says nothing of how sure it is",
            "leave it away",
        )
    sure = np.flatnonzero(confidence >= options.transfer_confidence)
    if not len(sure):
        raise EdgepressError(
            f"--transfer-confidence {options.transfer_confidence:g}: the teacher is less sure of every text",
            f"it is {confidence.max():.3f} sure at most",
        )
    console.step(f"the teacher is sure enough of {len(sure):,} of {len(logits):,} texts")
    return sure
