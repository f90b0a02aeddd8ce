"""Text as the Trainer takes it."""

from dataclasses import dataclass

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from compress.training.config import TrainingFlags
from edgepress.splits import Examples, load_split
from edgepress.tasks import Task


@dataclass(frozen=True)
class TrainingText:
    """What a model learns from, and what it is scored on meanwhile."""

    train: Examples
    evaluation: Examples


def load_text(config: TrainingFlags, task: Task) -> TrainingText:
    """The task's train and evaluation splits, as far as the flags ask for them.

    Raises:
        EdgepressError: no source has a split, or its rows are not what the task needs.
    """
    training = load_split(task, "train", config.data)
    if config.train_samples is not None:
        training = training.sample(config.train_samples, config.seed)
    evaluation = load_split(task, task.evaluation_split, config.data)
    return TrainingText(training, evaluation.sample(config.eval_samples, config.seed))


def encode_examples(tokenizer: PreTrainedTokenizerBase, examples: Examples, max_length: int) -> Dataset:
    """The model's inputs and `labels`, a row a text, not padded."""
    columns = [list(column) for column in zip(*examples.texts, strict=True)]
    encoded = tokenizer(*columns, truncation=True, max_length=max_length)
    return Dataset.from_dict({**encoded, "labels": examples.labels})
