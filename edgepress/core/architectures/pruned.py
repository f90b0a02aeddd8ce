"""Pruned shapes that a transformers config cannot say: recorded in it, and rebuilt from it.

A cut that is the same in every layer is said by the config itself (`intermediate_size`,
`num_hidden_layers`, ...), and stock loaders read it. Another width or other heads in each layer stand
under `SHAPES` in config.json:

    {"weights": {"bert.encoder.layer.0.intermediate.dense": [96, 64], ...},  as torch stores them
     "heads": {"bert.encoder.layer.0.attention.self": [2], ...}}             those that are left
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.models.mpnet.modeling_mpnet import MPNetSelfAttention

from edgepress.core.architectures.head import HEAD, rebuild_head
from edgepress.core.errors import EdgepressError, first_line
from edgepress.core.heads import MASKED_LM, Head, head_of_class

SHAPES = "edgepress_shapes"
# What attention modules call their number of heads -> the width of all heads together.
HEADS = {"num_attention_heads": "all_head_size", "n_heads": "dim"}
QUERIES = ("query", "q", "q_lin", "query_proj")
KEPT = "kept_heads"


def record_shapes(model: PreTrainedModel) -> None:
    """Write into the model's config what of its shapes the config does not say already.

    Raises:
        EdgepressError: the config describes other layers than the model has (`num_hidden_layers`).
    """
    head = head_of_class(model)
    if head is MASKED_LM:
        return  # never pruned
    kind: Any = head.model_class(model.config)
    with torch.device("meta"):
        stock = kind(model.config)
        _with_head(stock)
    weights = _difference(_weights(model), _weights(stock))
    heads = {name: kept for name, (kept, _) in _difference(_heads(model), _heads(stock)).items()}
    if weights or heads:
        setattr(model.config, SHAPES, {"weights": weights, "heads": heads})
    elif hasattr(model.config, SHAPES):
        delattr(model.config, SHAPES)


def model_type(config: PretrainedConfig, head: Head) -> Any:
    """Return the class whose `from_pretrained` loads a model of this config.

    It is the stock class, or one with the head and the shapes that the config records.

    Raises:
        EdgepressError: transformers has no model of this architecture with such a head.
    """
    record = getattr(config, SHAPES, None)
    stock: Any = head.model_class(config)
    if stock is None:
        raise EdgepressError(
            f"transformers has no {config.model_type} that is {head.name}", "name another --model: minilm"
        )
    if record is None and not hasattr(config, HEAD):
        return stock

    def build(self: PreTrainedModel, config: PretrainedConfig) -> None:
        stock.__init__(self, config)
        _with_head(self)
        if record is not None:
            _rebuild(self, record)

    # transformers goes by the name of a class (its loss) and by its module (its attention kernels).
    return type(stock.__name__, (stock,), {"__init__": build, "__module__": stock.__module__})


def _with_head(stock: PreTrainedModel) -> None:
    if hasattr(stock.config, HEAD):
        rebuild_head(stock, getattr(stock.config, HEAD))


def set_heads(attention: nn.Module, kept: Sequence[int]) -> None:
    """Tell an attention module which of its heads are left, after its projections were cut to them.

    Args:
        attention: the module with the query projection.
        kept: their numbers in the unpruned model, in the order in which they stand in the projections.

    Raises:
        ValueError: the projections' width is no multiple of their number; a layer has to keep a head.
    """
    width = query(attention).out_features
    if not kept or width % len(kept) or min(kept) < 0 or len(set(kept)) < len(kept):
        raise ValueError(f"a width of {width} cannot be the heads {list(kept)}")
    counted, whole = _names(attention)
    size = width // len(kept)
    settings = {counted: len(kept), whole: width, "attention_head_size": size, KEPT: list(kept)}
    if hasattr(attention, "scaling"):  # transformers 5 computes it when the module is made
        settings["scaling"] = size**-0.5
    for name, value in settings.items():
        setattr(attention, name, value)
    if isinstance(attention, MPNetSelfAttention) and not attention._forward_pre_hooks:
        attention.register_forward_pre_hook(_with_kept_biases, with_kwargs=True)


def _with_kept_biases(
    attention: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    # MPNet adds a position bias to each head's scores, from one table for all layers. Its place among the
    # arguments depends on transformers' version.
    bound = inspect.signature(attention.forward).bind(*inputs, **named)
    bound.arguments["position_bias"] = bound.arguments["position_bias"][:, getattr(attention, KEPT)]
    return bound.args, bound.kwargs


def _rebuild(model: PreTrainedModel, record: Mapping[str, Mapping[str, Any]]) -> None:
    try:
        for name, shape in record["weights"].items():
            model.set_submodule(name, _resized(model.get_submodule(name), [int(size) for size in shape]))
        for name, kept in record["heads"].items():
            set_heads(model.get_submodule(name), [int(head) for head in kept])
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise EdgepressError(
            f"{model.config.name_or_path}: {SHAPES} in config.json is not right: {first_line(error)}",
            "make the artifact again",
        ) from error


def _resized(module: nn.Module, shape: list[int]) -> nn.Module:
    if isinstance(module, nn.Linear):
        outputs, inputs = shape
        return nn.Linear(inputs, outputs, bias=module.bias is not None)
    if isinstance(module, nn.Embedding):
        rows, columns = shape
        return nn.Embedding(rows, columns, padding_idx=module.padding_idx)
    if isinstance(module, nn.LayerNorm):
        return nn.LayerNorm(shape, eps=module.eps)
    raise TypeError(f"a {type(module).__name__} has no other shape")


def _difference(own: dict[str, Any], stock: dict[str, Any]) -> dict[str, Any]:
    if own.keys() != stock.keys():
        raise EdgepressError(f"the config does not say the model's layers: {min(own.keys() ^ stock.keys())}")
    return {name: value for name, value in own.items() if value != stock[name]}


def _weights(model: PreTrainedModel) -> dict[str, list[int]]:
    """Shape of the weight of each module that has one."""
    return {
        name.removesuffix(".weight"): list(values.shape)
        for name, values in model.named_parameters(remove_duplicate=False)
        if name.endswith(".weight")
    }


def _heads(model: PreTrainedModel) -> dict[str, tuple[list[int], int]]:
    """The heads that each attention module has, and their size."""
    found = {}
    for name, module in model.named_modules():
        if hasattr(module, "attention_head_size"):
            found[name] = (kept_heads(module), module.attention_head_size)
    return found


def _names(attention: nn.Module) -> tuple[str, str]:
    for names in HEADS.items():
        if hasattr(attention, names[0]):
            return names
    raise AttributeError(f"a {type(attention).__name__} has no heads")


def query(attention: nn.Module) -> nn.Linear:
    """The query projection of an attention module."""
    found = next((getattr(attention, name) for name in QUERIES if hasattr(attention, name)), None)
    if not isinstance(found, nn.Linear):
        raise AttributeError(f"a {type(attention).__name__} has no heads")
    return found


def kept_heads(attention: nn.Module) -> list[int]:
    """The heads that an attention module has, by their numbers in the unpruned model."""
    return list(getattr(attention, KEPT, range(getattr(attention, _names(attention)[0]))))
