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
from coremltools.converters.mil.mil import Builder


@register_torch_op(override=True)  # type: ignore[untyped-decorator]
def new_ones(context: Any, node: Any) -> None:
    """`tensor.new_ones(size, dtype)`."""
    _filled(context, node, 1)


@register_torch_op(override=True)  # type: ignore[untyped-decorator]
def new_zeros(context: Any, node: Any) -> None:
    """`tensor.new_zeros(size, dtype)`."""
    _filled(context, node, 0)


def _filled(context: Any, node: Any, value: int) -> None:
    """A tensor of one value, of the type that is named or else that of the tensor it is called on."""
    tensor, size, kind, *_ = [*_get_inputs(context, node), None]
    if kind is None:
        number = np.float32(value) if tensor.is_tensor_or_scalar_of(dtype="fp32") else np.int32(value)
    else:
        number = NUM_TO_NUMPY_DTYPE[int(kind.val)](value)
    if isinstance(size, list):
        size = Builder.concat(values=size, axis=0) if size else None
    scalar = size is None or size.shape == (0,)
    filled = (
        Builder.const(val=number, name=node.name)
        if scalar
        else Builder.fill(shape=size, value=number, name=node.name)
    )
    context.add(filled)
