"""Make windows of tokens from questions, and answers from a model's logits over them.

Both are as SQuAD's training scripts have them: Devlin et al. 2019, section 4.2 (the best span) and 4.3 (the
score of no answer, at the first token).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp
from transformers import PreTrainedTokenizerBase

from edgepress.core.errors import EdgepressError
from edgepress.core.squad import Answers, answer_scores

# Shares of a window: SQuAD's usual 64 and 128 of 384 tokens.
QUESTION_SHARE, OVERLAP_SHARE = 1 / 6, 1 / 3
BEST_ENDS = 20
LONGEST_ANSWER = 30
SHORTEST_WINDOW = 16
LONGEST_CONTEXT = 10_000
"""A context of more tokens is refused: it is a book, and would take minutes."""
BEGIN, END, VALUE, NONE, SHARE, NONE_SHARE = range(6)
"""Columns of an answer: characters that it begins at and ends before, the sum of its logits, that of no
answer, and the probabilities of both: start times end, among a window's context tokens and its first one."""
NOWHERE = -1
USUAL_LEAD = 0.0
"""Least lead of the score of no answer, for none to be given, where nobody says another."""


@dataclass(frozen=True)
class Windows:
    """Every context in overlapping windows, each behind its question; one row a window."""

    inputs: dict[str, list[list[int]]]
    """What the model takes, not padded."""
    owners: list[int]
    """Which question a row is of."""
    characters: list[np.ndarray]
    """(tokens, 2) a row: where in the context a token begins and ends [characters]; -1 for those of the
    question and special ones."""

    @property
    def places(self) -> list[np.ndarray]:
        """(tokens, 3) a row: the question, and the characters of each token."""
        return [
            np.column_stack([np.full(len(own), owner), own])
            for owner, own in zip(self.owners, self.characters, strict=True)
        ]


def cut_windows(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], longest: int
) -> Windows:
    """Windows of at most `longest` tokens; of long questions the first sixth of that is kept.

    Args:
        tokenizer: a fast one.
        texts: questions, each with its context.
        longest: what the model reads at once [tokens].

    Raises:
        EdgepressError: the tokenizer is slow, a window has no room, or a context is beyond `LONGEST_CONTEXT`.
    """
    _require_room(tokenizer, longest)
    encoded = tokenizer(
        _shortened(tokenizer, [text[0] for text in texts], longest_question(longest)),
        [text[1] for text in texts],
        truncation="only_second",
        max_length=longest,
        stride=int(longest * OVERLAP_SHARE),
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    owners = list(encoded.pop("overflow_to_sample_mapping"))
    offsets = encoded.pop("offset_mapping")
    characters = []
    for row, spans in enumerate(offsets):
        parts = encoded.sequence_ids(row)
        known = [span if part == 1 else (NOWHERE,) * 2 for span, part in zip(spans, parts, strict=True)]
        characters.append(np.asarray(known, dtype=np.int64))
    _require_short(texts, owners, characters)
    return Windows(dict(encoded), owners, characters)


def longest_question(longest: int) -> int:
    """Number of a question's tokens that stand in each window of `longest` tokens; others are cut."""
    return int(longest * QUESTION_SHARE)


def _require_room(tokenizer: PreTrainedTokenizerBase, longest: int) -> None:
    if longest < SHORTEST_WINDOW:
        raise EdgepressError(
            f"windows of {longest} tokens have no room for a question and a context",
            f"raise --max-length to {SHORTEST_WINDOW} or more; 384 is usual",
        )
    if not tokenizer.is_fast:
        raise EdgepressError(
            f"{type(tokenizer).__name__} does not say where in a text its tokens stand, as answers need it",
            "name a model whose tokenizer has a fast form in transformers",
        )


def _require_short(
    texts: Sequence[tuple[str, ...]], owners: Sequence[int], characters: Sequence[np.ndarray]
) -> None:
    """Raise for a context that is too long; windows overlap, and a token counts once."""
    read = np.bincount(owners, weights=[int((own[:, 0] >= 0).sum()) for own in characters])
    for owner in np.flatnonzero(read > LONGEST_CONTEXT):
        own = [part[:, 0] for at, part in zip(owners, characters, strict=True) if at == owner]
        tokens = len(np.unique(np.concatenate(own))) - 1
        if tokens > LONGEST_CONTEXT:
            raise EdgepressError(
                f"the context of '{texts[owner][0][:40]}' has {tokens:,} tokens "
                f"(at most {LONGEST_CONTEXT:,})",
                "cut it into passages, a row each",
            )


def _shortened(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], longest: int) -> list[str]:
    encoded = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    ends = [spans[:longest][-1][1] if spans else 0 for spans in encoded["offset_mapping"]]
    return [text[:end] for text, end in zip(texts, ends, strict=True)]


def targets(windows: Windows, truth: Sequence[Answers]) -> np.ndarray:
    """(rows, 2): first and last token of the first answer; (0, 0) where a window does not hold all of it.

    Args:
        windows: of the questions.
        truth: of each question.
    """
    rows = zip(windows.owners, windows.characters, strict=True)
    return np.asarray([_target(truth[owner], own) for owner, own in rows], dtype=np.int64)


def _target(truth: Answers, characters: np.ndarray) -> tuple[int, int]:
    if not truth.texts:
        return 0, 0
    begin, end = truth.starts[0], truth.starts[0] + len(truth.texts[0])
    first, behind = characters.T
    inside = np.flatnonzero((first >= 0) & (first < end) & (behind > begin))
    if not len(inside):
        return 0, 0
    whole = first[inside[0]] <= begin and behind[inside[-1]] >= end
    return (int(inside[0]), int(inside[-1])) if whole else (0, 0)


def best_answers(raw: Sequence[np.ndarray], places: Sequence[np.ndarray]) -> np.ndarray:
    """The span between the start and the end whose logits are the largest sum over all windows of a question.

    Args:
        raw: of each window the logits of start and end, (tokens or more, 2).
        places: of the same windows, as `Windows.places` has them.

    Returns:
        (questions, 6), float64: the columns `BEGIN` to `NONE_SHARE`. What is said of no answer is the least
        over the windows of a question. All are NaN where a logit is no finite number.
    """
    count = max((int(own[0, 0]) for own in places), default=-1) + 1
    found = np.zeros((count, 6))
    found[:, VALUE], found[:, [NONE, NONE_SHARE]] = -np.inf, np.inf
    for logits, own in zip(raw, places, strict=True):
        best, known = found[int(own[0, 0])], logits[: len(own)].astype(np.float64)
        if not np.isfinite(known).all():
            best[:] = np.nan
            continue
        allowed = np.flatnonzero(own[:, 1] >= 0)
        none = known[0].sum(), _share(known, allowed, 0, 0)
        best[[NONE, NONE_SHARE]] = np.minimum(best[[NONE, NONE_SHARE]], none)  # a NaN stays one
        span = _best_span(known, allowed)
        if span is not None and known[span[0], 0] + known[span[1], 1] > best[VALUE]:
            first, last = span
            best[[BEGIN, END]] = own[first, 1], own[last, 2]
            best[[VALUE, SHARE]] = known[first, 0] + known[last, 1], _share(known, allowed, first, last)
    return np.where(np.isinf(found), 0.0, found)


def _best_span(logits: np.ndarray, allowed: np.ndarray) -> tuple[int, int] | None:
    """First and last token of the best span among the likeliest; None where the window holds no context."""
    if not len(allowed):
        return None
    starts, ends = (allowed[np.argsort(-logits[allowed, side], kind="stable")][:BEST_ENDS] for side in (0, 1))
    lengths = ends[None, :] - starts[:, None]
    sums = logits[starts, 0][:, None] + logits[ends, 1][None, :]
    sums = np.where((lengths >= 0) & (lengths < LONGEST_ANSWER), sums, -np.inf)
    start, end = np.unravel_index(int(sums.argmax()), sums.shape)
    return None if np.isinf(sums[start, end]) else (int(starts[start]), int(ends[end]))


def _share(logits: np.ndarray, allowed: np.ndarray, first: int, last: int) -> float:
    """Probability of a span among the tokens of the context and the first one, which stands for no answer."""
    among = [0, *allowed.tolist()]
    shares = (
        logits[token, side] - logsumexp(logits[among, side]) for side, token in enumerate((first, last))
    )
    return float(np.exp(sum(shares)))


def decided(answers: np.ndarray, threshold: float | None) -> np.ndarray:
    """Return the answers that are given: (questions, 2) characters; (0, 0) where there is none.

    Args:
        answers: of `best_answers`.
        threshold: by how much the score of no answer has to be above that of the answer (Rajpurkar et al.
            2018); None: every question has an answer.
    """
    spans = np.nan_to_num(answers[:, [BEGIN, END]]).astype(np.int64)
    if threshold is not None:
        spans[answers[:, NONE] - answers[:, VALUE] > threshold] = 0
    return spans


def best_lead(answers: np.ndarray, truth: np.ndarray) -> float:
    """The threshold of `decided` at which the F1 of words is largest, as SQuAD 2.0's script finds it.

    All thresholds between the leads of two questions give the same answers; the one in the middle is taken,
    for one that equals a question's own would turn it over where a file rounds otherwise. Of several that are
    as good it is the one nearest to the usual one, which also stands where all questions have an answer, or
    none has.

    Args:
        answers: of `best_answers`.
        truth: of the same questions, which are others than those that the result is judged on.
    """
    if len({bool(own.texts) for own in truth}) < len((True, False)):
        return USUAL_LEAD
    spans = decided(answers, None)
    given, none = (answer_scores("answer_f1", own, truth) for own in (spans, np.zeros_like(spans)))
    leads = answers[:, NONE] - answers[:, VALUE]
    known = np.unique(leads)
    between = (known[:-1] + known[1:]) / 2
    thresholds = np.concatenate([[known[0] - 1], between, [known[-1] + 1]])
    order = np.argsort(leads, kind="stable")
    below = np.searchsorted(leads[order], thresholds)  # questions that are answered
    gained = np.concatenate([[0.0], np.cumsum((given - none)[order])])[below]
    best = thresholds[np.isclose(gained, gained.max())]
    return float(best[np.abs(best - USUAL_LEAD).argmin()])
