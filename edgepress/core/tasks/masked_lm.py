"""Masked language modelling: hidden tokens of a text are guessed among the whole vocabulary.

Tokens are hidden as in BERT's training (Devlin et al. 2019, section 3.1), drawn by the text's own content:
the same each time, whatever runs the model. Logits are of all tokens; so many are never kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.special import logsumexp

from edgepress.core.errors import EdgepressError
from edgepress.core.masked_scores import guesses, sums
from edgepress.core.prediction import Filling, FillingPrediction, Reader
from edgepress.core.splits import Examples, RowNames, as_texts
from edgepress.core.tasks.kind import Places, TaskKind
from edgepress.core.tasks.task import Task

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from edgepress.core.heads import Head

TOP = 5
"""Fillings of a mask that are given, as transformers' pipeline does."""
MASK = "[MASK]"
"""Place of the mask in a model card's text, whatever the tokenizer's own is."""
SEED = 0
"""Seed of the masks that models are judged on."""
PLACE, TOKEN = range(2)
"""Columns of a text's places: the position of a hidden token, and what it is."""


class MaskedLanguageModeling(TaskKind):
    """Hidden tokens of a text."""

    problem_type = "masked_lm"
    pipeline = "fill-mask"
    metric = "masked_accuracy"
    usual = ("masked_accuracy", "masked_lm_loss")
    also: ClassVar[Mapping[str, str]] = {"masked-LM loss": "masked_lm_loss"}
    per_token = True
    over_vocabulary = True
    unlabelled = True
    named = False
    untrained = "learns from a corpus, not from a task"
    untrained_hint = (
        "compress.pretrain trains it, compress.distill --stage pretrain shrinks it; or fine-tune its encoder"
    )
    texts_a_row = 1
    text_columns = ("text",)
    heading = "fillings"
    example = (f"a {MASK} to remember",)
    program = """
tokenizer = AutoTokenizer.from_pretrained(folder)
for place in (inputs["input_ids"][0] == tokenizer.mask_token_id).nonzero()[0]:
    print([tokenizer.decode([token]) for token in logits[place].argsort()[::-1][:5]])
""".strip()

    @property
    def head(self) -> Head:
        from edgepress.core.heads import MASKED_LM

        return MASKED_LM

    def describe(self, task: Task) -> str:
        return f"hidden tokens of text from {task.text_columns[0]}"

    def load(self, task: Task, split: str) -> Examples:
        if not task.is_corpus:
            return super().load(task, split)
        from edgepress.core.corpus import load_corpus

        training, held_out = load_corpus(task.name, task.root).parts()
        texts = (training if split == "train" else held_out).texts
        if not texts:
            raise EdgepressError(
                f"{task.name} is too short: of its {len(held_out.texts) + len(training.texts):,} texts none "
                "is held out to judge by",
                "name a larger corpus; one text in 20 is held out",
            )
        return Examples([(text,) for text in texts], np.zeros(len(texts), dtype=np.int64))

    def read(self, dataset: Dataset, task: Task, names: RowNames) -> Examples:
        """Texts without labels; blank ones are left out.

        Raises:
            EdgepressError: no row has a text.
        """
        column = as_texts(list(dataset[task.text_columns[0]]))
        texts: list[tuple[str, ...]] = [(text,) for text in column if isinstance(text, str) and text.strip()]
        if not texts:
            raise EdgepressError(
                f"{names.where}: no text in column '{task.text_columns[0]}'", "name another --text-columns"
            )
        return Examples(texts, np.zeros(len(texts), dtype=np.int64))

    def judging_batches(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], max_length: int
    ) -> list[dict[str, np.ndarray]]:
        """Inputs with hidden tokens."""
        return [inputs for inputs, _ in self._masked(tokenizer, texts, max_length)]

    def places(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], max_length: int
    ) -> list[np.ndarray]:
        """(hidden tokens, 2) of each text: the position of each, and its id."""
        return [where for _, where in self._masked(tokenizer, texts, max_length)]

    def _masked(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], max_length: int
    ) -> list[tuple[dict[str, np.ndarray], np.ndarray]]:
        """Inputs of each text with hidden tokens, (1, length) int64, and which they are."""
        from edgepress.core.masking import IGNORED, Masking

        _mask_token(tokenizer)
        mask, found = Masking(tokenizer, SEED), []
        for batch in self.batches(tokenizer, texts, max_length):
            hidden = mask([{name: values[0] for name, values in batch.items()}])
            inputs = {**batch, "input_ids": hidden["input_ids"].numpy()}
            (labels,) = hidden["labels"].numpy()
            at = np.flatnonzero(labels != IGNORED)
            found.append((inputs, np.column_stack([at, labels[at]])))
        return found

    def reduced(self, logits: np.ndarray, place: np.ndarray | None) -> np.ndarray:
        """(hidden tokens, 2), as `masked_scores.guesses` gives them."""
        assert place is not None
        return guesses(logits[place[:, PLACE]], place[:, TOKEN])

    def collect(self, raw: Sequence[np.ndarray], places: Places | None, labels: Sequence[str]) -> np.ndarray:
        """(texts, 3): the sums of each text."""
        return np.stack([sums(own) for own in raw])

    def decide(self, outputs: np.ndarray, thresholds: Sequence[float] | None = None) -> np.ndarray:
        """(texts, 3): what was guessed, which the metrics are of."""
        return outputs

    def compared(self, logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return logits[mask > 0]

    def choices(self, logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """(tokens,): the likeliest token at each that is read."""
        return self.compared(logits, mask).argmax(axis=-1)

    def agreement(
        self, parent: np.ndarray, child: np.ndarray, thresholds: Sequence[float] | None
    ) -> float | None:
        """Share of tokens at which both find the same one the likeliest."""
        return float((parent == child).mean())

    def card_texts(self, tokenizer: PreTrainedTokenizerBase, count: int) -> tuple[str, ...]:
        return tuple(text.replace(MASK, _mask_token(tokenizer)) for text in self.example)

    def width(self, config: PretrainedConfig) -> int | None:
        return getattr(config, "vocab_size", None)

    def answer(self, reader: Reader, texts: tuple[str, ...]) -> FillingPrediction:
        """The likeliest tokens at each mask of a text.

        Raises:
            EdgepressError: it has no mask among the tokens that are read.
        """
        token, batch, (text,) = _mask_token(reader.tokenizer), reader.encode(texts), texts
        masks = np.flatnonzero(batch["input_ids"][0] == reader.tokenizer.mask_token_id)
        written = text.count(token)
        if not written or len(masks) < written:
            lacking = "stands beyond the tokens that are read" if written else "does not stand in the text"
            raise EdgepressError(
                f"{token} {lacking}: {text[:60]}",
                f"write it where a word is to be filled in, among the first {reader.max_length} tokens",
            )
        logits = reader.logits(batch)[0]
        return FillingPrediction(tuple(_likeliest(reader, logits[place]) for place in masks))


def _mask_token(tokenizer: PreTrainedTokenizerBase) -> str:
    if tokenizer.mask_token is None:
        raise EdgepressError(
            "the tokenizer has no mask token, and so nothing can be filled in", "name another model"
        )
    return str(tokenizer.mask_token)


def _likeliest(reader: Reader, logits: np.ndarray) -> tuple[Filling, ...]:
    """Fillings of one mask, the likeliest first."""
    known = logits.astype(np.float64)
    shares = np.exp(known - logsumexp(known))
    order = np.argsort(-shares, kind="stable")[:TOP]
    return tuple(Filling(str(reader.tokenizer.decode([token])), float(shares[token])) for token in order)
