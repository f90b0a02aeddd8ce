"""Make windows of tokens from questions, and answers from a model's logits over them back to answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerBase

from edgepress.core.squad import Question

# Shares of a window: SQuAD's usual 64 and 128 of 384 tokens.
QUESTION_SHARE, OVERLAP_SHARE = 1 / 6, 1 / 3
BEST_ENDS = 20
LONGEST_ANSWER = 30


@dataclass(frozen=True)
class Windows:
    """Every context in overlapping windows, each behind its question; one row a window."""

    inputs: dict[str, list[list[int]]]
    """What the model takes, not padded."""
    questions: list[int]
    """Which question a row is of."""
    characters: list[list[tuple[int, int] | None]]
    """Where in the context a token stands; None for those of the question and special ones."""
    targets: np.ndarray
    """(rows, 2): first and last token of the answer; (0, 0) where the window does not hold all of it."""


def cut_windows(tokenizer: PreTrainedTokenizerBase, questions: Sequence[Question], longest: int) -> Windows:
    """Windows of at most `longest` tokens; of long questions the first sixth of that is kept."""
    encoded = tokenizer(
        _shortened(tokenizer, questions, int(longest * QUESTION_SHARE)),
        [question.context for question in questions],
        truncation="only_second",
        max_length=longest,
        stride=int(longest * OVERLAP_SHARE),
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    owners = list(encoded.pop("overflow_to_sample_mapping"))
    offsets = encoded.pop("offset_mapping")
    characters = [
        [span if part == 1 else None for span, part in zip(spans, encoded.sequence_ids(row), strict=True)]
        for row, spans in enumerate(offsets)
    ]
    targets = [_target(questions[owner], row) for owner, row in zip(owners, characters, strict=True)]
    return Windows(dict(encoded), owners, characters, np.asarray(targets, dtype=np.int64))


def _shortened(tokenizer: PreTrainedTokenizerBase, questions: Sequence[Question], longest: int) -> list[str]:
    texts = [question.text for question in questions]
    encoded = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
    ends = [spans[:longest][-1][1] if spans else 0 for spans in encoded["offset_mapping"]]
    return [text[:end] for text, end in zip(texts, ends, strict=True)]


def _target(question: Question, characters: Sequence[tuple[int, int] | None]) -> tuple[int, int]:
    begin, end = question.start, question.start + len(question.answers[0])
    inside = [token for token, span in enumerate(characters) if span and span[0] < end and span[1] > begin]
    if not inside:
        return 0, 0
    first, last = characters[inside[0]], characters[inside[-1]]
    whole = first and last and first[0] <= begin and last[1] >= end
    return (inside[0], inside[-1]) if whole else (0, 0)


def best_answers(windows: Windows, logits: np.ndarray, questions: Sequence[Question]) -> list[str]:
    """The text between the start and the end whose logits are the largest sum over all windows of a question.

    Args:
        windows: of the questions.
        logits: (rows, tokens or more, 2), of start and end.
        questions: those that were cut.
    """
    best: dict[int, tuple[float, str]] = {}
    for row, owner in enumerate(windows.questions):
        found = _best_span(windows.characters[row], logits[row])
        if found is not None and found[0] > best.get(owner, (-np.inf, ""))[0]:
            value, begin, end = found
            best[owner] = value, questions[owner].context[begin:end]
    return [best.get(owner, (0.0, ""))[1] for owner in range(len(questions))]


def _best_span(
    characters: Sequence[tuple[int, int] | None], logits: np.ndarray
) -> tuple[float, int, int] | None:
    """Value and ends [characters] of the best span among the likeliest (Devlin et al. 2019, section 4.2)."""
    allowed = [token for token, span in enumerate(characters) if span is not None]
    starts, ends = (sorted(allowed, key=lambda token: -logits[token, side])[:BEST_ENDS] for side in (0, 1))
    spans = [
        (float(logits[start, 0] + logits[end, 1]), start, end)
        for start in starts
        for end in ends
        if start <= end < start + LONGEST_ANSWER
    ]
    if not spans:
        return None
    value, start, end = max(spans)
    first, last = characters[start], characters[end]
    assert first is not None
    assert last is not None
    return value, first[0], last[1]
