"""Named entities: a tag for each word of a text, entities with their places out of them.

A word's tag is learned and read at its first piece (Devlin et al. 2019, section 5.3). Texts are words with a
space between; where a text is cut, the words beyond count as outside any entity: what a model cannot see it
misses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.metrics import confusion_matrix

from edgepress.core.errors import EdgepressError
from edgepress.core.labels import label_key, label_text, shown
from edgepress.core.prediction import Entity, EntityPrediction, Reader
from edgepress.core.splits import Examples, RowNames
from edgepress.core.tags import IGNORED, OUTSIDE, TagSet, as_iob2, entities, entity_counts
from edgepress.core.tasks.classification import kl_divergence
from edgepress.core.tasks.kind import TEACHER_LOGITS, Collator, EvaluatedRows, LabelScore, Places, TaskKind
from edgepress.core.tasks.task import Task
from edgepress.core.words import SPACE, odd_word, spaced_spans, word_spans

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from edgepress.core.heads import Head

SHOWN = 20
LONGEST_WORD = 100
"""Letters of a word of a corpus; more are no word, but a link or a run of signs."""
PLACES = "places"
"""Column of the tokens that words begin with."""


class TokenClassification(TaskKind):
    """A tag for each word."""

    problem_type = "token_classification"
    pipeline = "token-classification"
    metric = "entity_f1"
    usual = ("entity_f1", "entity_precision", "entity_recall")
    beside: ClassVar[Mapping[str, str]] = {"precision": "entity_precision", "recall": "entity_recall"}
    also: ClassVar[Mapping[str, str]] = beside
    counted = "entities"
    tabled = "entity"
    per_token = True
    texts_a_row = 1
    of_words = True
    heading = "entities"
    example = ("Ada Lovelace was born in London",)
    program = """
tokens = AutoTokenizer.from_pretrained(folder).convert_ids_to_tokens(inputs["input_ids"][0])
print([(token, labels[str(int(row.argmax()))]) for token, row in zip(tokens, logits)])
""".strip()

    @property
    def head(self) -> Head:
        from edgepress.core.heads import TOKEN_CLASSIFIER

        return TOKEN_CLASSIFIER

    @property
    def in_graph(self) -> str:
        return "single_label_classification"  # of each token

    def describe(self, task: Task) -> str:
        types = TagSet(task.labels).types
        sources = f"words from {task.text_columns[0]}, tags from {task.label_columns[0]}"
        return f"entities of {len(types)} type{'s' * (len(types) != 1)}: {shown(types)}; {sources}"

    def read(self, dataset: Dataset, task: Task, names: RowNames) -> Examples:
        words = read_words(list(dataset[task.text_columns[0]]), task.text_columns[0], names)
        column = task.label_columns[0]
        tags = read_tags(list(dataset[column]), words, dict(task.tag_names), column, names)
        known = TagSet(task.labels)
        numbers = []
        for row, own in enumerate(as_iob2(tags, names.name)):
            try:
                numbers.append([known.number_of(tag) for tag in own])
            except KeyError as error:
                raise EdgepressError(
                    f"{names.name(row)}: the model and the train split have no entities of type {error}; "
                    f"they have {list(known.types)}",
                    "mend that row, or say what it means with --label-map",
                ) from None
        if not any(map(any, numbers)):
            raise EdgepressError(
                f"{names.where} has no entities: every tag is O, and nothing is to be found",
                "name another --split, or another file",
            )
        return Examples([(SPACE.join(own),) for own in words], _rows_of_words(numbers))

    def texts(self, dataset: Dataset, columns: Sequence[str], names: RowNames) -> list[tuple[str, ...]]:
        (column,) = columns
        return [(SPACE.join(own),) for own in read_words(list(dataset[column]), column, names)]

    def as_read(self, text: str) -> str:
        """Part a text into words, as one that is predicted is; empty where one is too long to be a word."""
        words = [text[begin:end] for begin, end in word_spans(text)]
        return "" if any(len(own) > LONGEST_WORD for own in words) else SPACE.join(words)

    def of_corpus(self, texts: Sequence[tuple[str, ...]]) -> Examples | None:
        return Examples([*texts], _rows_of_words([[0] * len(text.split(SPACE)) for (text,) in texts]))

    def joined(self, labelled: Examples, more: Examples, decided: np.ndarray | None) -> Examples:
        longest = max(labelled.labels.shape[1], more.labels.shape[1])
        own, others = (_wider(labels, longest, IGNORED) for labels in (labelled.labels, more.labels))
        if decided is not None:
            others = np.where(others == IGNORED, IGNORED, _wider(decided, longest, 0))
        labels = np.concatenate([own, others.astype(own.dtype)])
        return Examples([*labelled.texts, *more.texts], labels)

    def encode(
        self, tokenizer: PreTrainedTokenizerBase, task: Task, examples: Examples, max_length: int
    ) -> dict[str, Any]:
        places = self.places(tokenizer, examples.texts, max_length)
        encoded = tokenizer([text for (text,) in examples.texts], truncation=True, max_length=max_length)
        ids = TagSet(task.labels).to_labels(examples.labels)
        labels = []
        for row, own in enumerate(places):
            found = np.full(len(encoded["input_ids"][row]), IGNORED)
            found[own[own >= 0]] = ids[row, : len(own)][own >= 0]
            labels.append(found)
        return {**encoded, "labels": labels, PLACES: places}

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Collator:
        from transformers import DataCollatorWithPadding

        pad = DataCollatorWithPadding(tokenizer)

        def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
            import torch
            from torch.nn.utils.rnn import pad_sequence

            beside = ("labels", PLACES, TEACHER_LOGITS)
            batch = dict(
                pad([{name: own for name, own in row.items() if name not in beside} for row in rows])
            )
            labels = [torch.as_tensor(row["labels"]) for row in rows if "labels" in row]
            if labels:
                batch["labels"] = pad_sequence(labels, batch_first=True, padding_value=IGNORED)
            if TEACHER_LOGITS in rows[0]:
                said = [_at_places(row[TEACHER_LOGITS], row[PLACES], len(row["input_ids"])) for row in rows]
                batch[TEACHER_LOGITS] = pad_sequence(said, batch_first=True)
            return batch

        return collate

    def places(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], max_length: int
    ) -> list[np.ndarray]:
        """Number of the first piece of each word; -1 where it is beyond `max_length`, or has no piece.

        Raises:
            EdgepressError: the tokenizer does not say where its tokens stand, or one word alone is longer
                than the model reads.
        """
        spans = [list(spaced_spans(text)) for (text,) in texts]
        return first_pieces(tokenizer, [text for (text,) in texts], spans, max_length)

    def collect(self, raw: Sequence[np.ndarray], places: Places | None, labels: Sequence[str]) -> np.ndarray:
        """(rows, words of the longest text, numbers); a word that was cut off is outside any entity."""
        assert places is not None
        tags = TagSet(tuple(labels))
        outputs = np.zeros((len(raw), max(map(len, places), default=0), tags.size), dtype=np.float32)
        outputs[..., 0] = 1
        for row, (own, where) in enumerate(zip(raw, places, strict=True)):
            seen = np.flatnonzero(where >= 0)
            outputs[row, seen] = tags.in_order(own[where[seen]])
        return outputs

    def unread(self, places: Places | None, max_length: int) -> str:
        assert places is not None
        cut = sum(int((own < 0).sum()) for own in places)
        if not cut:
            return ""
        return (
            f"{cut:,} words of {len(places):,} texts are not among the {max_length} tokens that are read: "
            "entities there count as missed"
        )

    def trained_outputs(self, rows: EvaluatedRows) -> tuple[np.ndarray, np.ndarray]:
        tags, unused = TagSet(tuple(rows.names)), rows.labels == IGNORED
        truth = np.where(unused, IGNORED, tags.numbers[np.maximum(rows.labels, 0)])
        return tags.in_order(rows.logits), truth

    def decide(self, outputs: np.ndarray, thresholds: Sequence[float] | None = None) -> np.ndarray:
        return outputs.argmax(axis=-1)

    def compared(self, logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return logits[mask > 0]

    def label_scores(self, decided: np.ndarray, truth: np.ndarray, labels: Sequence[str]) -> list[LabelScore]:
        """Return the score of each type of entity."""
        counts = entity_counts(decided, truth).sum(axis=0)
        types = TagSet(tuple(labels)).types
        none = np.zeros(3, dtype=np.int64)
        found = [(name, counts[at] if at < len(counts) else none) for at, name in enumerate(types)]
        return [LabelScore(name, int(there), int(given), int(right)) for name, (right, given, there) in found]

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:
        return (OUTSIDE, *TagSet(tuple(labels)).types)

    def confusion(self, task: Task, decided: np.ndarray, truth: np.ndarray) -> dict[str, list[list[int]]]:
        """Words by the type of entity that they are in, whether they begin it or not."""
        kept = truth[:, : decided.shape[1]] != IGNORED
        given, there = ((own[:, : decided.shape[1]][kept] + 1) // 2 for own in (decided, truth))
        return {
            task.name: confusion_matrix(there, given, labels=range(len(self.classes(task.labels)))).tolist()
        }

    def said(self, outputs: np.ndarray, texts: tuple[str, ...], labels: Sequence[str]) -> list[str]:
        """The entities, as they are compared."""
        return self.truth(outputs.argmax(axis=-1), texts, labels)

    def said_words(self, said: Sequence[str], labels: Sequence[str]) -> str:
        return ", ".join(said) or "none"

    def truth(self, own: np.ndarray, texts: tuple[str, ...], labels: Sequence[str]) -> list[str]:
        words, types = texts[0].split(SPACE), TagSet(tuple(labels)).types
        return [
            f"{SPACE.join(words[first : last + 1])} ({types[kind]})"
            for kind, first, last in entities(own[: len(words)].tolist())
        ]

    def truth_words(self, truth: Sequence[str], labels: Sequence[str]) -> str:
        return self.said_words(truth, labels)

    def gathered(self, raw: Sequence[np.ndarray], places: Places | None) -> list[np.ndarray]:
        assert places is not None
        found = []
        for own, where in zip(raw, places, strict=True):
            rows = own[np.maximum(where, 0)]
            rows[where < 0] = np.nan
            found.append(rows)
        return found

    def of_gathered(
        self, gathered: Sequence[np.ndarray], places: Places | None, labels: Sequence[str]
    ) -> np.ndarray:
        """Words are gathered one after another; those that were not seen are no places."""
        seen = [np.where(np.isnan(own).any(axis=-1), -1, np.arange(len(own))) for own in gathered]
        return self.collect(gathered, seen, labels)

    def compared_logits(
        self, student: torch.Tensor, teacher: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Words that both see, at their first pieces, as labels are."""
        kept = (labels != IGNORED) & teacher.isfinite().all(-1)
        return student[kept], teacher[kept]

    def divergence(self, student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        return kl_divergence(student, teacher, temperature)

    def answer(self, reader: Reader, texts: tuple[str, ...]) -> EntityPrediction:
        (text,) = texts
        spans = list(spaced_spans(text)) if reader.words else word_spans(text)
        if not spans:
            return EntityPrediction(())
        (places,) = first_pieces(reader.tokenizer, [text], [spans], reader.max_length)
        (logits,) = reader.logits(reader.encode(texts))
        (outputs,) = self.collect([logits], [places], reader.labels)
        return EntityPrediction(tuple(_entities(text, spans, outputs, TagSet(reader.labels).types)))


def _rows_of_words(rows: Sequence[Sequence[int]]) -> np.ndarray:
    """Numbers of the words of each text: (texts, words of the longest), `IGNORED` beyond the last one."""
    found = np.full((len(rows), max(map(len, rows), default=0)), IGNORED, dtype=np.int16)
    for row, own in enumerate(rows):
        found[row, : len(own)] = own
    return found


def _wider(rows: np.ndarray, width: int, fill: int) -> np.ndarray:
    return np.pad(rows, ((0, 0), (0, width - rows.shape[1])), constant_values=fill)


def read_words(column: Sequence[Any], name: str, names: RowNames) -> list[list[str]]:
    """The words of each row.

    Raises:
        EdgepressError: a row has none, or one is no text, is blank, or has a space in it.
    """
    for row, words in enumerate(column):
        if not isinstance(words, list) or not words:
            raise EdgepressError(
                f"{names.name(row)}: no list of words in column '{name}'", "drop or fill that row"
            )
        for word in odd_word(words):
            raise EdgepressError(
                f"{names.name(row)}: {word!r} in column '{name}' is no word", "a word is text without spaces"
            )
    return list(column)


def read_tags(
    column: Sequence[Any], words: Sequence[Sequence[str]], tags: dict[str, str], name: str, names: RowNames
) -> list[list[str]]:
    """The tags of each row, by their names.

    Args:
        column: tags as names or numbers.
        words: as many in each row.
        tags: `label_key` of a tag as it is written -> its name; what is not there is its own name.
        name: of the column.
        names: of the rows.

    Raises:
        EdgepressError: a row has not as many tags as words, or a tag is missing.
    """
    found = []
    for row, (written, own) in enumerate(zip(column, words, strict=True)):
        if not isinstance(written, list) or len(written) != len(own):
            count = len(written) if isinstance(written, list) else "no"
            raise EdgepressError(
                f"{names.name(row)}: {len(own)} words, and {count} tags in column '{name}'", "mend that row"
            )
        texts = [label_text(tag) for tag in written]
        if None in texts:
            raise EdgepressError(f"{names.name(row)}: a tag is missing in column '{name}'", "mend that row")
        found.append([tags.get(label_key(text), text) for text in texts if text is not None])
    return found


def first_pieces(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    spans: Sequence[Sequence[tuple[int, int]]],
    max_length: int,
) -> list[np.ndarray]:
    """Return for each text the number of the token that each word begins with; -1 where it was cut.

    Args:
        tokenizer: a fast one.
        texts: as the model reads them.
        spans: first and behind the last character of each word, in rising order.
        max_length: longer texts are cut [tokens].

    Raises:
        EdgepressError: the tokenizer is slow, or one word alone is longer than the model reads.
    """
    if not tokenizer.is_fast:
        raise EdgepressError(
            f"{type(tokenizer).__name__} does not say where in a text its tokens stand, as entities need it",
            "name a model whose tokenizer has a fast form in transformers",
        )
    # Whole: where it is cut follows from how many tokens there is room for.
    encoded = tokenizer(list(texts), return_offsets_mapping=True, add_special_tokens=False, verbose=False)
    room, before = _room(tokenizer, max_length)
    found = []
    for text, own, offsets in zip(texts, spans, encoded["offset_mapping"], strict=True):
        places = _matched(offsets, own)
        if len(offsets) > room:
            _require_room(text, own, places, (len(offsets), room))
        found.append(np.where((places >= 0) & (places < room), places + before, -1))
    return found


def _room(tokenizer: PreTrainedTokenizerBase, max_length: int) -> tuple[int, int]:
    """How many tokens of a text a model reads, and how many special ones stand before them."""
    special = tokenizer("a", return_special_tokens_mask=True)["special_tokens_mask"]
    return max_length - tokenizer.num_special_tokens_to_add(), special.index(0) if 0 in special else 0


def _matched(offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> np.ndarray:
    """The first token that shares a character with each span; -1 where none does."""
    places, at = np.full(len(spans), -1), 0
    for number, (begin, end) in enumerate(spans):
        while at < len(offsets) and (offsets[at][1] <= begin or offsets[at][0] == offsets[at][1]):
            at += 1
        if at < len(offsets) and offsets[at][0] < end:
            places[number] = at
    return places


def _require_room(
    text: str, spans: Sequence[tuple[int, int]], places: np.ndarray, counts: tuple[int, int]
) -> None:
    """Raise for a word that alone has more tokens than the model reads; `counts`: the text's, the model's."""
    tokens, room = counts
    known = np.flatnonzero(places >= 0)
    pieces = np.diff([*places[known], tokens])
    if pieces.max(initial=0) > room:
        begin, end = spans[known[pieces.argmax()]]
        raise EdgepressError(
            f"the word '{text[begin : begin + SHOWN]}...' of {end - begin:,} characters has {pieces.max()} "
            f"tokens, and the model reads {room}",
            "drop that text, or raise --max-length",
        )


def _at_places(flat: Sequence[float], places: Sequence[int], tokens: int) -> torch.Tensor:
    """A teacher's logits of words, flat, at the tokens that they begin with: (tokens, labels)."""
    import torch

    said = torch.as_tensor(flat, dtype=torch.float32).view(len(places), -1)
    where = torch.as_tensor(places)
    found = torch.full((tokens, said.shape[1]), torch.nan)
    found[where[where >= 0]] = said[where >= 0]
    return found


def _entities(
    text: str, spans: Sequence[tuple[int, int]], outputs: np.ndarray, types: Sequence[str]
) -> Iterator[Entity]:
    powers = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
    shares = powers / powers.sum(axis=-1, keepdims=True)
    numbers = outputs.argmax(axis=-1)
    for kind, first, last in entities(numbers.tolist()):
        begin, end = spans[first][0], spans[last][1]
        own = [float(shares[at, numbers[at]]) for at in range(first, last + 1)]
        yield Entity(text[begin:end], types[kind], begin, end, float(np.mean(own)))
