"""A student made of some of its teacher's layers (Sanh et al. 2019, sections 3 and 4).

A BERT becomes a DistilBERT, without token types and pooler, or, where its token embeddings are to be
narrower than its layers, an ELECTRA. One with relative positions, which these two do not have, and every
other architecture stays what it is.
"""

import copy
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING as CLASSIFIERS
from transformers import (
    BertForMaskedLM,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertForQuestionAnswering,
    DistilBertForSequenceClassification,
    DistilBertForTokenClassification,
    ElectraConfig,
    ElectraForMaskedLM,
    ElectraForQuestionAnswering,
    ElectraForSequenceClassification,
    ElectraForTokenClassification,
    PretrainedConfig,
    PreTrainedModel,
)

from compress.distill.config import SCRATCH
from edgepress.core.architectures.depth import LAYER, keep_layers
from edgepress.core.architectures.head import HEAD
from edgepress.core.architectures.pruned import SHAPES
from edgepress.core.architectures.widths import EMBEDDING, set_widths
from edgepress.core.checkpoint import listed
from edgepress.core.errors import EdgepressError, first_line

DISTILBERT: dict[type[PreTrainedModel], type[PreTrainedModel]] = {
    BertForSequenceClassification: DistilBertForSequenceClassification,
    BertForMaskedLM: DistilBertForMaskedLM,
    BertForQuestionAnswering: DistilBertForQuestionAnswering,
    BertForTokenClassification: DistilBertForTokenClassification,
}
# The same encoder, whose embeddings may have a width of their own.
ELECTRA: dict[type[PreTrainedModel], type[PreTrainedModel]] = {
    BertForSequenceClassification: ElectraForSequenceClassification,
    BertForMaskedLM: ElectraForMaskedLM,
    BertForQuestionAnswering: ElectraForQuestionAnswering,
    BertForTokenClassification: ElectraForTokenClassification,
}
NO_WIDTHS: Mapping[str, int] = MappingProxyType({})
BERT = "bert."
# BERT's names of modules -> DistilBERT's, in this order.
RENAMED = {
    "bert.embeddings.": "distilbert.embeddings.",
    "bert.encoder.": "distilbert.transformer.",
    ".attention.self.query.": ".attention.q_lin.",
    ".attention.self.key.": ".attention.k_lin.",
    ".attention.self.value.": ".attention.v_lin.",
    ".attention.output.dense.": ".attention.out_lin.",
    ".attention.output.LayerNorm.": ".sa_layer_norm.",
    ".intermediate.dense.": ".ffn.lin1.",
    ".output.dense.": ".ffn.lin2.",
    ".output.LayerNorm.": ".output_layer_norm.",
    "cls.predictions.transform.dense.": "vocab_transform.",
    "cls.predictions.transform.LayerNorm.": "vocab_layer_norm.",
    "cls.predictions.decoder.": "vocab_projector.",
}
FIRST_TYPE = "bert.embeddings.token_type_embeddings.weight"
POSITIONS = "bert.embeddings.position_embeddings.weight"


def chosen_layers(count: int, layers: str | Sequence[int], depth: int | None) -> list[int]:
    """Numbers of the teacher's layers that a student begins with.

    Args:
        count: how many the teacher has.
        layers: `alternate` (evenly from the first on: one out of two at half depth), `first`, `last`, or
            numbers of layers.
        depth: how many are wanted; None takes half.

    Raises:
        EdgepressError: the teacher has no such layers, or not so many.
    """
    wanted = depth or max(1, count // 2)
    if wanted > count:
        raise EdgepressError(f"--depth {wanted}: the teacher has {count} layers", "name fewer")
    named = {
        "alternate": [index * count // wanted for index in range(wanted)],
        "first": list(range(wanted)),
        "last": list(range(count - wanted, count)),
    }
    return named[layers] if isinstance(layers, str) else _numbers(layers, count, depth)


def teachers_layers(teacher: PretrainedConfig, layers: str | Sequence[int], depth: int | None) -> list[int]:
    """Numbers of the layers that a student begins with, of a teacher of this config.

    Raises:
        EdgepressError: it has no layers, or not these.
    """
    count = getattr(teacher, "num_hidden_layers", None)
    if count is None:
        raise EdgepressError(
            f"a {teacher.model_type} has no layers that a student could have some of",
            f"name another --student: {', '.join(SCRATCH)}",
        )
    return chosen_layers(count, layers, depth)


def _numbers(layers: Sequence[int], count: int, depth: int | None) -> list[int]:
    if not layers or not all(0 <= layer < count for layer in layers):
        raise EdgepressError(
            f"--layers {' '.join(map(str, layers))}: the teacher's layers are 0 to {count - 1}",
            "alternate, first, last, or numbers: 0 2 4",
        )
    if depth is not None and depth != len(layers):
        raise EdgepressError(f"--layers names {len(layers)} layers, --depth {depth}", "leave --depth away")
    return list(layers)


def slice_layers(
    teacher: PreTrainedModel, layers: list[int], seed: int, factorized: bool = False
) -> PreTrainedModel:
    """A model with these layers of the teacher, and its embeddings; its head too, where it fits.

    Args:
        teacher: has the layers.
        layers: their numbers, in the order in which they stand afterwards.
        seed: of weights that are not the teacher's: the head's, where that does not fit.
        factorized: whether its config has to have an embedding size; it is the hidden size here.

    Raises:
        EdgepressError: the teacher was pruned to other shapes in each layer, a tensor of the student's
            encoder would be random, or no config of its kind has an embedding size.
    """
    widths = {EMBEDDING: teacher.config.hidden_size} if factorized else NO_WIDTHS
    student = random_student(teacher, layers, seed, widths)
    weights = _kept(teacher.state_dict(), layers)
    if isinstance(student.config, DistilBertConfig) and _stock(teacher) in DISTILBERT:
        weights = _as_distilbert(weights, pooled=_stock(teacher) is BertForSequenceClassification)
    if type(student) in ELECTRA.values() and _stock(teacher) in ELECTRA:
        inside = [name for name in weights if name.startswith(BERT)]
        weights = {f"{student.base_model_prefix}.{name.removeprefix(BERT)}": weights[name] for name in inside}
    shapes = {name: value.shape for name, value in student.state_dict().items()}
    fitting = {name: value for name, value in weights.items() if shapes.get(name) == value.shape}
    # An encoder that is the model itself has no prefix: all of it has to come from the teacher.
    prefix = "" if student.base_model is student else f"{student.base_model_prefix}."
    random = {name for name in shapes.keys() - fitting.keys() if name.startswith(prefix)}
    if random:
        raise EdgepressError(
            f"the teacher gives a {student.config.model_type} of fewer layers no {listed(random)}",
            "--init random begins with new weights",
        )
    student.load_state_dict(fitting, strict=False)
    return student


def random_student(
    teacher: PreTrainedModel, layers: Sequence[int], seed: int, widths: Mapping[str, int] = NO_WIDTHS
) -> PreTrainedModel:
    """The same shape with random weights, in as many layers as are named, of their kinds.

    Args:
        teacher: says what the shape is.
        layers: numbers of its layers.
        seed: of all weights.
        widths: those that are others, as `set_widths` takes them.

    Raises:
        EdgepressError: the teacher was pruned to other shapes in each layer, no config of its kind has an
            embedding size, or its architecture cannot have these widths.
    """
    if hasattr(teacher.config, SHAPES):
        raise EdgepressError(
            "the teacher's layers differ in shape: a part of them is no model that a config describes",
            "distil first, prune then",
        )
    own, config = _stock(teacher), copy.deepcopy(teacher.config)
    keep_layers(config, layers)
    if hasattr(config, HEAD):
        delattr(config, HEAD)
    if EMBEDDING in widths and not hasattr(config, EMBEDDING):
        own, config = _with_embedding_size(teacher, config)
    elif _becomes_distilbert(teacher):
        own, config = DISTILBERT[own], _distilbert_config(config)
    set_widths(config, widths)
    torch.manual_seed(seed)
    try:
        return own(config).eval()
    except (ValueError, RuntimeError) as error:  # what each architecture asks of its widths
        if not widths:
            raise
        raise EdgepressError(
            f"a {config.model_type} cannot have these widths: {first_line(error)}", "name others"
        ) from error


def _stock(teacher: PreTrainedModel) -> type[PreTrainedModel]:
    """The model's stock class, also where another head was put on it."""
    known: Any = CLASSIFIERS
    return known[type(teacher.config)] if hasattr(teacher.config, HEAD) else type(teacher)


def _becomes_distilbert(teacher: PreTrainedModel) -> bool:
    """Whether it is a BERT with its positions in a table, which is all that a DistilBERT knows."""
    absolute = getattr(teacher.config, "position_embedding_type", "absolute") == "absolute"
    return _stock(teacher) in DISTILBERT and absolute


def _with_embedding_size(
    teacher: PreTrainedModel, config: PretrainedConfig
) -> tuple[type[PreTrainedModel], PretrainedConfig]:
    """Class and config of the same encoder with embeddings of their own width."""
    own = _stock(teacher)
    if own not in ELECTRA or not _becomes_distilbert(teacher):
        raise EdgepressError(
            f"--embedding-size: token embeddings of a {config.model_type} are as wide as its layers",
            "leave it away; compress.trim_vocab makes the table smaller",
        )
    same = {
        name: value
        for name, value in config.to_diff_dict().items()
        if name not in ("model_type", "architectures", "transformers_version")
    }
    return ELECTRA[own], ElectraConfig(**{**_sizes(config), **same, "embedding_size": config.hidden_size})


def _sizes(bert: PretrainedConfig) -> dict[str, Any]:
    """What a BERT's and an ELECTRA's config call the same, and have other defaults for."""
    names = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    return {name: getattr(bert, name) for name in names}


def _distilbert_config(bert: PretrainedConfig) -> DistilBertConfig:
    return DistilBertConfig(
        vocab_size=bert.vocab_size,
        max_position_embeddings=bert.max_position_embeddings,
        n_layers=bert.num_hidden_layers,
        n_heads=bert.num_attention_heads,
        dim=bert.hidden_size,
        hidden_dim=bert.intermediate_size,
        dropout=bert.hidden_dropout_prob,
        attention_dropout=bert.attention_probs_dropout_prob,
        activation=bert.hidden_act,
        initializer_range=bert.initializer_range,
        pad_token_id=bert.pad_token_id,
        id2label=bert.id2label,
        label2id=bert.label2id,
        problem_type=bert.problem_type,
    )


def _kept(weights: Mapping[str, Any], layers: list[int]) -> dict[str, Any]:
    """The weights outside all layers, and those of `layers` under their new numbers."""
    kept = {name: value for name, value in weights.items() if LAYER.search(name) is None}
    for new, old in enumerate(layers):
        own = {name: value for name, value in weights.items() if _number(name) == old}
        kept |= {LAYER.sub(rf"\1.{new}.", name, count=1): value for name, value in own.items()}
    return kept


def _number(name: str) -> int | None:
    """Number of the layer that a weight belongs to."""
    found = LAYER.search(name)
    return int(found[2]) if found else None


def _as_distilbert(weights: Mapping[str, Any], pooled: bool) -> dict[str, Any]:
    """Rename the weights as DistilBERT does; a classifier that reads a pooler stays behind.

    The first token type, which all single texts have, goes into the positions.
    """
    moved = {POSITIONS: weights[POSITIONS] + weights[FIRST_TYPE][0]}
    renamed = {}
    for name, value in {**weights, **moved}.items():
        if pooled and name.startswith("classifier."):
            continue  # BERT's reads the pooler, which DistilBERT does not have
        for old, new in RENAMED.items():
            name = name.replace(old, new)  # noqa: PLW2901
        renamed[name] = value
    return renamed
