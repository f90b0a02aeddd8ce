"""Text as the Trainer takes it, and vocabularies of models that are trained from scratch."""

from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from compress.training.config import TrainingOptions
from edgepress.core import console
from edgepress.core.corpus import Corpus
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import OpenedModel, open_model
from edgepress.core.splits import Examples, load_split
from edgepress.core.tasks import Task
from edgepress.core.tasks.kinds import kind_of
from edgepress.core.vocabulary import train_tokenizer


@dataclass(frozen=True)
class TrainingText:
    """Texts that a model learns from, and those that it is scored on."""

    train: Examples
    evaluation: Examples
    selection: Examples | None = None
    """Texts that choices are made on; None: those that the model is judged on."""

    @property
    def watched(self) -> Examples:
        """Texts that learning curves and thresholds are computed on."""
        return self.evaluation if self.selection is None else self.selection


def load_text(config: TrainingOptions, task: Task, unlabelled: Corpus | None = None) -> TrainingText:
    """The task's train, evaluation and selection splits, as far as the flags ask for them.

    Args:
        config: the flags.
        task: what is learned.
        unlabelled: texts to learn from instead of the train split.

    Raises:
        EdgepressError: no source has a split, or its rows are not what the task needs.
    """
    training = _to_learn(task, unlabelled)
    if config.train_samples is not None:
        training = training.sample(config.train_samples, config.seed)
    splits = task.evaluation_split, task.selection_split
    evaluation, selection = (
        load_split(task, split).sample(config.eval_samples, config.seed) if split else None
        for split in splits
    )
    assert evaluation is not None
    return TrainingText(training, evaluation, selection)


def _to_learn(task: Task, unlabelled: Corpus | None) -> Examples:
    """The texts of the train split, or those of a corpus without their labels."""
    kind = kind_of(task.problem_type)
    if unlabelled is None:
        return kind.to_learn(task, load_split(task, "train"))
    examples = kind.of_corpus(unlabelled.texts)
    if examples is None:
        raise EdgepressError(
            f"--corpus belongs to --stage pretrain: a {task.problem_type} is learned from labelled texts",
            "leave --corpus away, or add --stage pretrain",
        )
    if not len(examples):
        raise EdgepressError(f"{unlabelled.name} has no sentence of a few words", "name another --corpus")
    return examples


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
    return Dataset.from_dict(kind.encode(tokenizer, task, examples, max_length))


def open_untrained(
    name: str, task: Task, data: Path | None, seed: int, vocabulary: int, text: TrainingText
) -> OpenedModel:
    """A model that is trained from scratch, with a vocabulary from the train split or BERT's."""
    own = None
    if vocabulary:
        own = train_tokenizer(chain.from_iterable(text.train.texts), vocabulary)
    opened = open_model(name, "random", task, data, seed, own)
    origin = "built from the train split" if own else "BERT's"
    console.step(f"vocabulary: {len(opened.tokenizer)} entries, {origin}")
    return opened
