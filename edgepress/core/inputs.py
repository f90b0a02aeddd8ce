"""Inputs that a model takes, and their longest length: the one place that decides both.

A model's forward names what it can take, its config whether it tells token types apart, and its tokenizer
what it is given: a model that never saw token types in training is exported without them. What the
tokenizer withholds stands in the model's config under `INPUTS`, so that whoever has only the model knows.
"""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from logging import ERROR, getLogger
from typing import Any

from torch import nn
from transformers import BatchEncoding, PreTrainedModel, PreTrainedTokenizerBase

from edgepress.core.errors import EdgepressError

# Of a model that does not say how many positions it has [tokens].
USUAL_LENGTH = 512
TOKEN_TYPES = "token_type_ids"
# Loggers of slow tokenizers, in transformers 4 and 5.
CUTTING = ("transformers.tokenization_utils_base", "transformers.tokenization_python")
NAMES = ("input_ids", "attention_mask", TOKEN_TYPES)
INPUTS = "edgepress_inputs"
POSITIONS = "position_embeddings"
# Tokens that padding can be, where a tokenizer has none of its own: the attention mask hides it.
PADDING = ("[PAD]", "<pad>", "<PAD>")


def input_names(model: PreTrainedModel) -> tuple[str, ...]:
    """Names of the model's inputs, in the order `input_ids, attention_mask, token_type_ids`."""
    given = getattr(model.config, INPUTS, NAMES)
    return tuple(name for name in _taken(model) if name in given)


def _taken(model: PreTrainedModel) -> tuple[str, ...]:
    """Return the inputs that make a difference: a table of one token type gives all tokens the same."""
    forward = inspect.signature(model.forward).parameters
    one_type = getattr(model.config, "type_vocab_size", None) in (0, 1)
    return tuple(name for name in NAMES if name in forward and not (one_type and name == TOKEN_TYPES))


def fit_inputs(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> None:
    """Let the tokenizer give what the model takes, and let the model be given what the tokenizer has.

    An attention mask is always given where the model takes one: without it padding would be read.
    """
    taken = _taken(model)
    given = {*tokenizer.model_input_names, "attention_mask"}
    names = [name for name in taken if name in given]
    tokenizer.model_input_names = names
    if hasattr(model.config, INPUTS):
        delattr(model.config, INPUTS)
    if len(names) < len(taken):
        setattr(model.config, INPUTS, names)


def longest_input(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None = None) -> int:
    """The longest input [tokens]: as many as there are positions, and as the tokenizer allows.

    Positions of RoBERTa's family begin behind the padding id, which their table then records. A model that
    names no number of positions takes the usual 512.

    Args:
        model: with its table of positions, if it has one.
        tokenizer: cuts at `model_max_length`, where that is known.
    """
    limits = [getattr(model.config, "max_position_embeddings", None)]
    limits += [_rows_for_text(table) for name, table in model.named_modules() if _is_positions(name, table)]
    own = [limit for limit in limits if limit is not None and limit > 0]  # XLNet's -1: no limit
    allowed = 0 if tokenizer is None else tokenizer.model_max_length
    return int(min([*(own or [USUAL_LENGTH]), *([allowed] if allowed > 0 else [])]))


def require_length(asked: int | None, longest: int) -> None:
    """Raise for a length that a model has no positions for.

    Raises:
        EdgepressError: more is asked for than the longest input.
    """
    if (asked or 0) > longest:
        raise EdgepressError(
            f"a sequence length of {asked} is beyond the model's {longest} positions",
            f"name a length of 1 to {longest}",
        )


def _is_positions(name: str, module: nn.Module) -> bool:
    return name.rpartition(".")[2] == POSITIONS and hasattr(module, "weight")


def rows_before_text(model: nn.Module) -> int:
    """Number of rows of the table of positions that no text takes: RoBERTa's begin behind the padding id."""
    tables = (table for name, table in model.named_modules() if _is_positions(name, table))
    return max(map(_rows_before, tables), default=0)


def _rows_before(table: Any) -> int:
    padding = getattr(table, "padding_idx", None)
    return 0 if padding is None else int(padding) + 1


def _rows_for_text(table: Any) -> int:
    return int(table.weight.shape[0]) - _rows_before(table)


def fit_padding(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> None:
    """Give a tokenizer without a padding token one: texts of a batch are padded to one length.

    Raises:
        EdgepressError: neither the config nor the vocabulary has one, or the model's positions need one.
    """
    embeddings = [module for module in model.modules() if hasattr(module, POSITIONS)]
    if any(getattr(module, "padding_idx", 0) is None for module in embeddings):
        raise EdgepressError(
            f"config.json has no pad_token_id, and positions of a {model.config.model_type} begin behind it",
            f'write "pad_token_id": {tokenizer.pad_token_id} into its config.json',
        )
    if tokenizer.pad_token_id is not None:
        return
    ids = tokenizer.get_vocab()
    own = model.config.pad_token_id
    known = [token for token, number in ids.items() if number == own]
    usual = [token for token in (*PADDING, tokenizer.unk_token, tokenizer.sep_token) if token in ids]
    if not known + usual:
        raise EdgepressError(
            f"the tokenizer of a {model.config.model_type} has no padding token",
            'give it one in tokenizer_config.json: "pad_token"',
        )
    tokenizer.pad_token = (known + usual)[0]


def require_token_types(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, name: str) -> None:
    """Raise where a tokenizer gives token types that the model's table does not have.

    Args:
        name: what the two are called, for the message.

    Raises:
        EdgepressError: the largest token type of a pair of texts is beyond the table.
    """
    rows = getattr(model.config, "type_vocab_size", None)
    if rows is None or TOKEN_TYPES not in input_names(model):
        return
    largest = max(tokenizer("a", "a").get(TOKEN_TYPES, [0]))
    if largest >= rows:
        raise EdgepressError(
            f"{name}: its tokenizer gives token types up to {largest}, the model has {rows}",
            "the tokenizer is another model's: save the model's own there",
        )


def encode_texts(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], longest: int
) -> BatchEncoding:
    """The inputs of texts, or of pairs of texts, cut to `longest` tokens and not padded."""
    columns = [list(column) for column in zip(*texts, strict=True)]
    with _quiet_cuts():
        return tokenizer(*columns, truncation=True, max_length=longest)


def count_longer(tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], longest: int) -> int:
    """Number of texts, or pairs of texts, that have more than `longest` tokens."""
    ids = encode_texts(tokenizer, texts, longest + 1)["input_ids"]
    return sum(len(own) > longest for own in ids)


@contextmanager
def _quiet_cuts() -> Iterator[None]:
    """Keep slow tokenizers from saying of each pair that they cut that the rest of it is not kept."""
    levels = {logger: logger.level for logger in map(getLogger, CUTTING)}
    for logger in levels:
        logger.setLevel(ERROR)
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
