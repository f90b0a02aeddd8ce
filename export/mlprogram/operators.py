"""Operators of torch that coremltools does not convert, or not as torch has them.

transformers 5 begins its attention masks with `new_ones` and `new_zeros` of bool. coremltools 9 has no
conversion of the first, and of the second one that gives floats, which cannot be joined with a mask.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from coremltools.converters.mil import register_torch_op
from coremltools.converters.mil.frontend.torch.ops import _get_inputs
from coremltools.converters.mil.frontend.torch.utils import NUM_TO_NUMPY_DTYPE
from coremltools.converters.mil.mil import Builder, types


@register_torch_op(override=True)  # type: ignore[untyped-decorator]
def new_ones(context: Any, node: Any) -> None:
    """Convert `tensor.new_ones(size, dtype)` to a fill."""
    _filled(context, node, 1)


@register_torch_op(override=True)  # type: ignore[untyped-decorator]
def new_zeros(context: Any, node: Any) -> None:
    """Convert `tensor.new_zeros(size, dtype)` to a fill."""
    _filled(context, node, 0)


def _filled(context: Any, node: Any, value: int) -> None:
    """A tensor of one value, of the type that is named or else that of the tensor it is called on."""
    inputs: list[Any] = _get_inputs(context, node)
    tensor, size, kind = inputs[0], inputs[1], inputs[2] if inputs[2:] else None
    whole = types.is_int(tensor.dtype) if kind is None else False
    number = NUM_TO_NUMPY_DTYPE[int(kind.val)](value) if kind else (np.int32 if whole else np.float32)(value)
    if isinstance(size, list) and size:
        size = Builder.concat(values=size, axis=0)
    if isinstance(size, list) or size.shape == (0,):
        context.add(Builder.const(val=number, name=node.name))
    else:
        context.add(Builder.fill(shape=size, value=number, name=node.name))
