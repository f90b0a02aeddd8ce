"""A student made of some of its teacher's layers (Sanh et al. 2019, sections 3 and 4).

A BERT becomes a DistilBERT, without token types and pooler; one with relative positions, which a DistilBERT
does not have, and every other architecture stays what it is.
"""

import copy
from collections.abc import Mapping, Sequence
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
    PretrainedConfig,
    PreTrainedModel,
)

from edgepress.core.architectures.depth import LAYER, keep_layers
from edgepress.core.architectures.head import HEAD
from edgepress.core.architectures.pruned import SHAPES
from edgepress.core.checkpoint import listed
from edgepress.core.errors import EdgepressError

DISTILBERT: dict[type[PreTrainedModel], type[PreTrainedModel]] = {
    BertForSequenceClassification: DistilBertForSequenceClassification,
    BertForMaskedLM: DistilBertForMaskedLM,
    BertForQuestionAnswering: DistilBertForQuestionAnswering,
    BertForTokenClassification: DistilBertForTokenClassification,
}
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


def _numbers(layers: Sequence[int], count: int, depth: int | None) -> list[int]:
    if not layers or not all(0 <= layer < count for layer in layers):
        raise EdgepressError(
            f"--layers {' '.join(map(str, layers))}: the teacher's layers are 0 to {count - 1}",
            "alternate, first, last, or numbers: 0 2 4",
        )
    if depth is not None and depth != len(layers):
        raise EdgepressError(f"--layers names {len(layers)} layers, --depth {depth}", "leave --depth away")
    return list(layers)


def slice_layers(teacher: PreTrainedModel, layers: list[int], seed: int) -> PreTrainedModel:
    """A model with these layers of the teacher, and its embeddings; its head too, where it fits.

    Raises:
        EdgepressError: the teacher was pruned to other shapes in each layer, or a tensor of the student's
            encoder would be random.
    """
    student = random_student(teacher, layers, seed)
    weights = _kept(teacher.state_dict(), layers)
    if _becomes_distilbert(teacher):
        weights = _as_distilbert(weights, pooled=_stock(teacher) is BertForSequenceClassification)
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


def random_student(teacher: PreTrainedModel, layers: Sequence[int], seed: int) -> PreTrainedModel:
    """The same shape with random weights, in as many layers as are named, of their kinds.

    Raises:
        EdgepressError: the teacher was pruned to other shapes in each layer.
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
    if _becomes_distilbert(teacher):
        own, config = DISTILBERT[own], _distilbert_config(config)
    torch.manual_seed(seed)
    return own(config).eval()


def _stock(teacher: PreTrainedModel) -> type[PreTrainedModel]:
    """The model's stock class, also where another head was put on it."""
    known: Any = CLASSIFIERS
    return known[type(teacher.config)] if hasattr(teacher.config, HEAD) else type(teacher)


def _becomes_distilbert(teacher: PreTrainedModel) -> bool:
    """Whether it is a BERT with its positions in a table, which is all that a DistilBERT knows."""
    absolute = getattr(teacher.config, "position_embedding_type", "absolute") == "absolute"
    return _stock(teacher) in DISTILBERT and absolute


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
