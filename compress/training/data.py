"""Text as the Trainer takes it, and vocabularies of models that are trained from scratch."""

from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from datasets import Dataset, concatenate_datasets
from transformers import PreTrainedTokenizerBase

from compress.training.config import TrainingOptions
from edgepress.core import console
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import OpenedModel, open_model
from edgepress.core.near_duplicates import letters_key, letters_of
from edgepress.core.splits import Examples, load_split
from edgepress.core.tasks import Task
from edgepress.core.tasks.kinds import kind_of
from edgepress.core.vocabulary import train_tokenizer

HELD_OUT = "held out of train"
"""What tables and manifests call rows of the train split that choices are made on."""
LEARNED = 0.05
"""Share of the texts that are judged on from which a warning says that they are learned, too; published sets
reach 0.015."""
ENCODED_ROWS = 20_000
"""Most texts that a tokenizer reads at once."""


@dataclass(frozen=True)
class TrainingText:
    """Texts that a model learns from, and those that it is scored on."""

    train: Examples
    evaluation: Examples
    selection: Examples | None = None
    """Texts that choices are made on; None: those that the model is judged on."""
    transfer: Examples | None = None
    """Texts that nobody labelled; None: there are none."""
    selected_from: str = ""
    """Name of what `selection` is from: a split, or `HELD_OUT`."""

    @property
    def learned(self) -> list[tuple[str, ...]]:
        """Texts that are learned, with labels and without."""
        return [*self.train.texts, *(self.transfer.texts if self.transfer else ())]

    @property
    def watched(self) -> Examples:
        """Texts that learning curves and thresholds are computed on."""
        return self.evaluation if self.selection is None else self.selection


def load_text(config: TrainingOptions, task: Task, transfer: Examples | None = None) -> TrainingText:
    """The task's train, evaluation and selection splits, as far as the flags ask for them.

    Args:
        config: the flags.
        task: what is learned.
        transfer: texts without labels that are learned beside the train split, or instead of it.

    Raises:
        EdgepressError: no source has a split, or its rows are not what the task needs.
    """
    kind = kind_of(task.problem_type)
    evaluation, selection = (
        load_split(task, split).sample(config.eval_samples, config.seed) if split else None
        for split in (task.evaluation_split, task.selection_split)
    )
    assert evaluation is not None
    if transfer is not None and kind.without_labels:
        training = Examples([], transfer.labels[:0])
    else:
        training = load_split(task, "train")
        _warn_of_learned_texts(task, training, evaluation)
        if config.hold_out is not None:
            held_out, training = training.split(config.hold_out)
            selection = held_out.sample(config.eval_samples)
        training = kind.to_learn(task, training)
    _check_choices(config, task, training, selection)
    if config.train_samples is not None:
        training = training.sample(config.train_samples, config.seed)
    selected_from = str(task.selection_split) if config.hold_out is None else HELD_OUT
    return TrainingText(training, evaluation, selection, transfer, selected_from if selection else "")


def _warn_of_learned_texts(task: Task, training: Examples, evaluation: Examples) -> None:
    """Say where texts that a model is judged on stand in the train split as well."""
    if task.evaluation_split == "train":  # the metric's name says so
        return
    learned = {letters_key(letters_of(row)) for row in training.texts}
    known = sum(letters_key(letters_of(row)) in learned for row in evaluation.texts)
    if known >= LEARNED * len(evaluation):
        console.warn_once(
            f"{known:,} of {len(evaluation):,} texts of {task.name}/{task.evaluation_split} stand in the "
            "train split as well: the score flatters"
        )


def _check_choices(
    config: TrainingOptions, task: Task, training: Examples, selection: Examples | None
) -> None:
    """Raise where choices would be made on a split that is reported, or nothing is left to learn from."""
    if config.hold_out is not None and not len(training):
        raise EdgepressError(f"--hold-out {config.hold_out:g} leaves no text to learn from", "name less")
    if config.patience is not None and selection is None:
        raise EdgepressError(
            f"--patience would end the training by {task.name}/{task.evaluation_split}, which is reported",
            "--hold-out 0.05 holds a part of the train split out for it",
        )


def encode_examples(
    tokenizer: PreTrainedTokenizerBase, task: Task, examples: Examples, max_length: int
) -> Dataset:
    """The model's inputs and `labels`, a row a text, not padded, as the task's kind has them.

    Raises:
        EdgepressError: no text, or a text's word, has room in `max_length` tokens.
    """
    kind = kind_of(task.problem_type)
    special = tokenizer.num_special_tokens_to_add(pair=(kind.texts_a_row or task.texts_a_row) > 1)
    if max_length <= special:
        raise EdgepressError(
            f"--max-length {max_length} has no room for a text beside {special} special tokens",
            f"name {special + 1} or more",
        )
    # A tokenizer's own objects take a hundred times what the ids do.
    whole = replace(examples, labels=kind.learned_labels(examples.labels))
    parts = (kind.encode(tokenizer, task, part, max_length) for part in whole.parts(ENCODED_ROWS))
    return concatenate_datasets([Dataset.from_dict(part) for part in parts])


def open_untrained(
    name: str, task: Task, data: Path | None, seed: int, vocabulary: int, text: TrainingText
) -> OpenedModel:
    """A model that is trained from scratch, with a vocabulary from the texts that it learns or BERT's."""
    own = None
    if vocabulary:
        own = train_tokenizer(chain.from_iterable(text.learned), vocabulary)
    opened = open_model(name, "random", task, data, seed, own)
    beside = " and the texts without labels" if text.transfer else ""
    origin = f"built from the train split{beside}" if own else "BERT's"
    console.step(f"vocabulary: {len(opened.tokenizer)} entries, {origin}")
    return opened
