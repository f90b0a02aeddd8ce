"""Zero-shot classification: a model of entailment is asked which of some hypotheses a text entails.

A text is read with the hypothesis of each class, a pair each; the class with the largest logit of entailment
is given. Files stay those of pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgepress.core.errors import EdgepressError
from edgepress.core.hypotheses import Hypotheses
from edgepress.core.labels import shown
from edgepress.core.prediction import Prediction, Reader, predictions
from edgepress.core.tasks.classification import SingleLabel
from edgepress.core.tasks.kind import LabelScore, Places, TaskKind
from edgepress.core.tasks.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class ZeroShot(SingleLabel):
    """One class a text, of classes that the model was not trained for."""

    problem_type = "zero-shot"
    config_type = "single_label_classification"
    pipeline = "zero-shot-classification"
    untrained = "is asked about classes that it was never trained on"
    untrained_hint = (
        "train or compress it on pairs with entailment as their label, or fine-tune it on the classes"
    )
    own_heads = False
    pairs = True
    texts_a_row = 1
    text_columns = ("text",)

    def __init__(self, hypotheses: Hypotheses | None = None) -> None:
        self._hypotheses = hypotheses

    def asking(self, hypotheses: Hypotheses | None) -> TaskKind:
        return ZeroShot(hypotheses)

    @property
    def hypotheses(self) -> Hypotheses:
        """What the model is asked."""
        assert self._hypotheses is not None, "a model that was opened has them"
        return self._hypotheses

    def describe(self, task: Task) -> str:
        assert task.hypotheses is not None
        asked = f"asked by '{task.hypotheses.template}', entailment is '{task.hypotheses.entailment_label}'"
        return f"zero-shot, {len(task.classes)} classes: {shown(task.classes)}; {asked}"

    def batches(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], max_length: int
    ) -> list[dict[str, np.ndarray]]:
        """A pair for each text and hypothesis; of long texts the end is cut, of hypotheses nothing.

        Raises:
            EdgepressError: a hypothesis has no room beside a text.
        """
        asked = self.hypotheses.texts
        self._require_room(tokenizer, max_length)
        encoded = tokenizer(
            [text for (text,) in texts for _ in asked],
            [*asked] * len(texts),
            truncation="only_first",
            max_length=max_length,
        )
        return [
            {name: np.asarray([ids[row]], dtype=np.int64) for name, ids in encoded.items()}
            for row in range(len(encoded["input_ids"]))
        ]

    def _require_room(self, tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
        special = tokenizer.num_special_tokens_to_add(pair=True)
        for hypothesis in self.hypotheses.texts:
            tokens = len(tokenizer(hypothesis, add_special_tokens=False)["input_ids"])
            if tokens + special >= max_length:
                raise EdgepressError(
                    f"the hypothesis '{hypothesis[:60]}' has {tokens} tokens, and the model reads "
                    f"{max_length} with the text",
                    "shorten the label, or --hypothesis-template",
                )

    def places(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], max_length: int
    ) -> list[np.ndarray]:
        """(2,) of each pair: the text, and the candidate."""
        candidates = range(len(self.hypotheses.candidates))
        return [np.asarray([text, own]) for text in range(len(texts)) for own in candidates]

    def collect(self, raw: Sequence[np.ndarray], places: Places | None, labels: Sequence[str]) -> np.ndarray:
        """(texts, candidates): the logits of entailment."""
        known = np.stack(raw)[:, self.hypotheses.column]
        return known.reshape(-1, len(self.hypotheses.candidates))

    def label_scores(self, decided: np.ndarray, truth: np.ndarray, labels: Sequence[str]) -> list[LabelScore]:
        return super().label_scores(decided, truth, self.hypotheses.candidates)

    def card_texts(self, tokenizer: PreTrainedTokenizerBase, count: int) -> tuple[str, ...]:
        """A text with the first hypothesis."""
        return (self.example[0], self.hypotheses.texts[0])

    def answer(self, reader: Reader, texts: tuple[str, ...]) -> Prediction:
        """The class, with the probability of each among all: the softmax of their logits of entailment."""
        raw = [
            reader.logits(batch)[0] for batch in self.batches(reader.tokenizer, [texts], reader.max_length)
        ]
        outputs = self.collect(raw, None, reader.labels)
        (found,) = predictions(outputs, self.hypotheses.candidates, "single_label_classification")
        return found
