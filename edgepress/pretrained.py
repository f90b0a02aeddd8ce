"""Into memory: what transformers keeps in a folder, as config, classifier and tokenizer."""

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForQuestionAnswering,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from edgepress import sources
from edgepress.architectures.head import reset_head
from edgepress.architectures.pruned import SHAPES, classifier_type
from edgepress.errors import EdgepressError, first_line
from edgepress.foreign_code import refuse_foreign_code
from edgepress.models import MINILM_MIRROR, ModelSource

LONGEST_INPUT = 512
ANSWERS = "question_answering"


def load_config(source: ModelSource) -> PretrainedConfig:
    """The model's transformers config, as its folder or the zoo has it."""
    if source.folder is None:
        assert source.spec is not None
        return AutoConfig.for_model(source.spec.architecture, **source.spec.config)
    refuse_foreign_code(source.folder)
    try:
        return AutoConfig.from_pretrained(source.folder, trust_remote_code=False)
    except (OSError, ValueError, TypeError) as error:
        raise EdgepressError(f"{source.folder}: unreadable config.json: {first_line(error)}") from error


def load_model(
    source: ModelSource,
    labels: tuple[str, ...] | None,
    problem_type: str | None,
    seed: int,
    new_head: bool = False,
) -> tuple[PreTrainedModel, bool]:
    """The classifier in fp32, and whether its head was trained.

    Args:
        source: from `find_model`.
        labels: names of the classes; None keeps those of the model's own config.
        problem_type: transformers' problem type; None keeps the config's.
        seed: for whatever weights have to be drawn at random.
        new_head: draw the classifier's weights at random, whichever the folder has.

    Raises:
        EdgepressError: the weights are truncated or altered, or the labels do not fit a trained head.
    """
    config = load_config(source)
    own_labels = tuple(label for _, label in sorted((config.id2label or {}).items()))
    if labels is not None:
        _set_labels(config, labels, problem_type)
    torch.manual_seed(seed)
    if source.folder is None:
        return _kind(config, problem_type).from_config(config).eval(), False
    model, missing, mismatched = read_weights(_kind(config, problem_type), source.folder, config)
    if new_head:
        reset_head(model, seed)
        prefix = f"{model.base_model_prefix}."
        mismatched = [key for key in mismatched if key.startswith(prefix)]
    _refuse_foreign_shapes(source.folder, config, mismatched)
    if labels is not None and not missing and not new_head:
        check_labels(own_labels, labels, source.name)
    return model.eval(), not missing and not new_head


def _kind(config: PretrainedConfig, problem_type: str | None) -> Any:
    """What loads a model: for the task, or where there is none for what it was saved as."""
    saved = (config.architectures or [""])[0].endswith("ForQuestionAnswering")
    if problem_type == ANSWERS or (problem_type is None and saved):
        return AutoModelForQuestionAnswering
    return classifier_type(config)


def _set_labels(config: PretrainedConfig, labels: tuple[str, ...], problem_type: str | None) -> None:
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    config.problem_type = None if problem_type == ANSWERS else problem_type  # transformers knows three


def read_weights(
    kind: Any, folder: Path, config: PretrainedConfig
) -> tuple[PreTrainedModel, list[str], list[str]]:
    """A model of this class, the names of weights that the folder lacks, and of those in other shapes.

    Raises:
        EdgepressError: the weights are truncated or altered, or another architecture's.
    """
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # our own warning about an untrained head is clearer than its list
    try:
        model, info = kind.from_pretrained(
            folder,
            config=config,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            trust_remote_code=False,
            weights_only=True,
        )
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise EdgepressError(f"{folder}: unreadable weights: {first_line(error)}") from error
    finally:
        logging.set_verbosity(verbosity)
    if len(info["missing_keys"]) > len(model.state_dict()) / 2:
        raise EdgepressError(f"{folder}: its weights are not those of a {config.model_type} model")
    return model, info["missing_keys"], info["mismatched_keys"]


def _refuse_foreign_shapes(folder: Path, config: PretrainedConfig, mismatched: Iterable[str]) -> None:
    for key in mismatched:
        if hasattr(config, SHAPES):
            raise EdgepressError(
                f"{folder}: {key} has another shape than config.json's {SHAPES} says",
                "make the artifact again",
            )
        raise EdgepressError(
            f"{folder}: {key} has another shape than the task needs: the labels do not fit the model's head",
            "name the --task that the model was trained for",
        )


def check_labels(own: tuple[str, ...], wanted: tuple[str, ...], name: str) -> None:
    """Raise if a trained head's labels are not those that its data were mapped to."""
    if own != wanted:
        raise EdgepressError(
            f"the labels do not fit the head of {name}: it has {list(own)}, the task {list(wanted)}",
            'let config.json name its class: "architectures": ["...ForSequenceClassification"]',
        )


def load_tokenizer(
    source: ModelSource, model: PreTrainedModel, own: PreTrainedTokenizerBase | None = None
) -> PreTrainedTokenizerBase:
    """The model's tokenizer; for random weights `own` or BERT's (from MiniLM's mirror).

    With BERT's vocabulary, size, latency and agreement of a model with random weights can be measured on
    real sentences; its embedding table is made to fit (ALBERT's has 522 rows less). The tokenizer's
    outputs are narrowed to what `model` takes (DistilBERT and RoBERTa have no token types).

    Raises:
        EdgepressError: the tokenizer's files are unreadable, or it gives ids that the model does not have.
    """
    tokenizer = own or _read_tokenizer(source.folder or sources.from_index(MINILM_MIRROR))
    ids = max(tokenizer.get_vocab().values()) + 1
    if source.folder is None and (own or ids > model.config.vocab_size):
        model.resize_token_embeddings(ids, mean_resizing=False)
    if ids > model.config.vocab_size:
        raise EdgepressError(
            f"{source.folder}: its tokenizer has ids up to {ids - 1}, "
            f"its embedding table {model.config.vocab_size} rows",
            "the tokenizer is another model's: save the model's own there",
        )
    narrow(tokenizer, model)
    return tokenizer


def narrow(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> None:
    """Let the tokenizer give out nothing that `model` does not take."""
    taken = inspect.signature(model.forward).parameters
    tokenizer.model_input_names = [name for name in tokenizer.model_input_names if name in taken]


def _read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises nothing narrower
        raise EdgepressError(f"{folder}: unreadable tokenizer: {first_line(error)}") from error
    keep_whole(tokenizer)  # some repositories ship padding and truncation inside tokenizer.json
    return tokenizer


def keep_whole(tokenizer: PreTrainedTokenizerBase) -> None:
    """Let it neither pad nor cut by itself: both are the caller's."""
    if tokenizer.is_fast:
        tokenizer.backend_tokenizer.no_padding()
        tokenizer.backend_tokenizer.no_truncation()


def max_length(config: PretrainedConfig) -> int:
    """The longest input in tokens; positions of RoBERTa's family begin behind the padding id."""
    positions = int(getattr(config, "max_position_embeddings", LONGEST_INPUT))
    offset = (config.pad_token_id or 0) + 1 if config.model_type in ("roberta", "mpnet") else 0
    return min(positions - offset, LONGEST_INPUT)


def encode(
    tokenizer: PreTrainedTokenizerBase, texts: list[tuple[str, ...]], longest: int
) -> list[dict[str, np.ndarray]]:
    """One batch of size 1 a text, not padded: arrays of shape (1, length), int64."""
    columns = [list(column) for column in zip(*texts, strict=True)]
    encoded = tokenizer(*columns, truncation=True, max_length=longest)
    return [
        {key: np.asarray([ids[row]], dtype=np.int64) for key, ids in encoded.items()}
        for row in range(len(texts))
    ]
