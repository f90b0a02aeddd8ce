"""Unlabelled text by name: what a masked language model is trained on."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from datasets import Dataset, concatenate_datasets
from transformers import PreTrainedTokenizerBase

from edgepress.core import sources
from edgepress.core.columns import text_columns
from edgepress.core.errors import EdgepressError, unknown_name
from edgepress.core.split_files import TABLES, find_splits, no_split
from edgepress.core.split_record import SPLITS
from edgepress.core.splits import as_texts, data_root, local_split, read_split, read_table, require_utf8
from edgepress.core.tasks import TASKS

# Corpora that are no task -> the beginning of their Parquet files' path on the Hub.
HUB_CORPORA = {"wikitext2": "Salesforce/wikitext/wikitext-2-v1/train"}
HUB_DEFAULT = "data/train"
HINT = (
    "SET/SPLIT below the data root (imdb/unsupervised, wikitext2), a zoo task's split (movie_reviews/train), "
    "a Hub data set (ORG/NAME/config/train), or a file with a text a line"
)
NEEDS_PAIRS = "name a table with two columns of text, such as SET/SPLIT of a task of pairs"
# One text in so many is held out.
HELD_OUT_ONE_IN = 20


@dataclass(frozen=True)
class Corpus:
    """Texts that nobody labelled, in their own order."""

    name: str
    texts: list[str]

    @property
    def digest(self) -> str:
        """SHA-256 of the texts."""
        digest = hashlib.sha256()
        for text in self.texts:
            digest.update(f"{len(text)} {text}".encode())
        return digest.hexdigest()

    def sample(self, count: int, seed: int = 0) -> "Corpus":
        """Draw at most `count` texts without replacement, and keep their order."""
        if count >= len(self.texts):
            return self
        rows = np.sort(np.random.default_rng(seed).choice(len(self.texts), count, replace=False))
        return Corpus(self.name, [self.texts[row] for row in rows])

    def parts(self) -> tuple["Corpus", "Corpus"]:
        """Split off one text in 20; return the texts to train on, and those that are held out.

        A text's own hash decides: the split is the same for every model, seed and library version, so that
        losses compare, and a text that occurs twice cannot stand on both sides.
        """
        held_out = [_is_held_out(text) for text in self.texts]
        return (
            Corpus(self.name, [text for text, out in zip(self.texts, held_out, strict=True) if not out]),
            Corpus(self.name, [text for text, out in zip(self.texts, held_out, strict=True) if out]),
        )


def _is_held_out(text: str) -> bool:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % HELD_OUT_ONE_IN == 0


def load_corpus(name: str, data: Path | None = None) -> Corpus:
    """The texts of a corpus; blank ones are left out.

    Args:
        name: a file (a text a line, or Parquet, CSV or JSON lines with a column `text`); `SET/SPLIT` below
            the data root, a local folder, a zoo task, or the Hub (`ORG/NAME/` and the beginning of its
            Parquet files' path). A set without a split is its train split, or all splits where it has none.
        data: the data root; None takes `EDGEPRESS_DATA`.

    Raises:
        EdgepressError: there is no such corpus, it is unreadable, or it has no text.
    """
    texts = _lines(Path(name)) if _is_lines(name) else _column(name, data)
    texts = [text for text in texts if text.strip()]
    if not texts:
        raise EdgepressError(f"{name} has no text", HINT)
    return Corpus(name, texts)


def load_pairs(name: str, data: Path | None, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """The pairs of texts of a corpus that is a table; rows where one is blank are left out.

    Args:
        name: as `load_corpus` takes it; a file with a text a line has no pairs.
        data: the data root; None takes `EDGEPRESS_DATA`.
        columns: names of the two columns; where they are missing, the corpus' own pair of columns counts.

    Raises:
        EdgepressError: there is no such corpus, or it has no pairs.
    """
    if _is_lines(name):
        raise EdgepressError(f"{name} has a text a line, and no pairs", NEEDS_PAIRS)
    dataset = _rows(name, data)
    known = set(columns) <= set(dataset.column_names)
    found = tuple(columns) if known else text_columns(dataset, name)
    if len(found) != len(columns):
        raise EdgepressError(f"{name} has text in '{found[0]}' alone, and no pairs", NEEDS_PAIRS)
    rows = zip(*(as_texts(dataset[column]) for column in found), strict=True)
    pairs = [row for row in rows if all(isinstance(text, str) and text.strip() for text in row)]
    if not pairs:
        raise EdgepressError(f"{name} has no pair of texts", HINT)
    return pairs


def _is_lines(name: str) -> bool:
    path = Path(name)
    return path.is_file() and path.suffix.lower() not in TABLES


def _lines(path: Path) -> list[str]:
    require_utf8(path)
    return path.read_text(encoding="utf-8-sig").split("\n")


def _column(name: str, data: Path | None) -> list[str]:
    dataset = _rows(name, data)
    columns = text_columns(dataset, name)
    texts = chain.from_iterable(zip(*(as_texts(dataset[column]) for column in columns), strict=True))
    return [text for text in texts if text is not None]


def _rows(name: str, data: Path | None) -> Dataset:
    splits = [[Path(name)]] if Path(name).is_file() else _local_splits(name, data)
    if splits:
        return concatenate_datasets([read_table(files) for files in splits])
    task, _, split = name.partition("/")
    if task in TASKS:
        return read_split(replace(TASKS[task], root=data), split or SPLITS[0])
    files = _hub_files(HUB_CORPORA.get(name, name))
    if not files:
        raise _unknown(name, data)
    return read_table(files)


def _local_splits(name: str, data: Path | None) -> list[list[Path]]:
    """The files of each split that is named."""
    for path in (Path(name), *([root / name] if (root := data_root(data)) else [])):
        if path.is_dir():
            return _splits(path)
        if path.parent.is_dir() and (files := local_split(path.parent, path.name)):
            return [files]
    return []


def _splits(folder: Path) -> list[list[Path]]:
    """The train split, or whatever else there is."""
    present = {split: files for split in SPLITS if (files := local_split(folder, split))}
    if not present:
        raise EdgepressError(f"{folder} has no split", f"name one: {folder.name}/SPLIT")
    return [present[SPLITS[0]]] if SPLITS[0] in present else list(present.values())


def _hub_files(name: str) -> list[Path]:
    organisation, _, rest = name.partition("/")
    repository, _, beginning = rest.partition("/")
    pattern = f"{beginning or HUB_DEFAULT}*.parquet"
    snapshot = None
    if repository:
        repo_id = f"{organisation}/{repository}"
        snapshot = sources.from_hub(repo_id, None, (pattern,), (pattern,), "dataset")
    return sorted(snapshot.glob(pattern)) if snapshot else []


def _unknown(name: str, data: Path | None) -> EdgepressError:
    """The error for a corpus, or a split of a folder, that is nowhere."""
    root = data_root(data)
    for path in (Path(name), *([root / name] if root else [])):
        if len(Path(name).parts) > 1 and path.parent.is_dir() and (known := find_splits(path.parent)):
            return no_split(path.parent, path.name, known)
    known_names = [*HUB_CORPORA, *TASKS, "imdb/unsupervised"]
    error = unknown_name("corpus", name, known_names, "no file, no folder, and the Hub gives none")
    return EdgepressError(str(error), HINT)


def blocks(tokenizer: PreTrainedTokenizerBase, corpus: Corpus, length: int) -> Dataset:
    """Blocks of `length` tokens, the column `input_ids`: texts joined, with a separator between two.

    Joined, as RoBERTa's FULL-SENTENCES (Liu et al. 2019, section 4.2), which DistilBERT follows: one text a
    row would cut away most of a long review, and pad a heading of five words to the length of its batch.
    Every block but the last is full. No next sentence is predicted, so where a text ends matters little.

    Args:
        tokenizer: has a classification and a separator token.
        corpus: its texts, in order.
        length: of a block with its two special tokens.
    """
    first, last = tokenizer.cls_token_id, tokenizer.sep_token_id
    tokens = _joined(tokenizer, corpus, last)
    room = length - 2
    rows = [[first, *tokens[at : at + room].tolist(), last] for at in range(0, len(tokens), room)]
    return Dataset.from_dict({"input_ids": rows})


def _joined(tokenizer: PreTrainedTokenizerBase, corpus: Corpus, separator: int) -> np.ndarray:
    parts = list(_encoded(tokenizer, corpus, separator))
    return np.concatenate(parts)[:-1] if parts else np.empty(0, dtype=np.int32)


def _encoded(tokenizer: PreTrainedTokenizerBase, corpus: Corpus, separator: int) -> Iterator[np.ndarray]:
    batch = 1000  # as many at once as keep memory small
    for start in range(0, len(corpus.texts), batch):
        texts = corpus.texts[start : start + batch]
        for ids in tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]:
            if ids:  # a text of characters that the tokenizer drops has none
                yield np.asarray([*ids, separator], dtype=np.int32)
