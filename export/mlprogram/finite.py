"""A pass of coremltools: constants that half precision cannot hold become large finite ones.

Attention masks add the lowest number of single precision, which half precision rounds to -inf; a mask
that multiplies it with 0 is then NaN, and so are all logits. As large as this hides a token just as well:
exp(-30000) is 0 next to any score.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from coremltools.converters.mil.mil import Builder
from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass
from coremltools.converters.mil.mil.passes.helper import block_context_manager
from coremltools.converters.mil.mil.passes.pass_registry import register_pass

PASS = "edgepress::finite_constants"
LARGEST_HALF = 65504
LARGE = np.float32(3e4)


@register_pass(namespace="edgepress")
class finite_constants(AbstractGraphPass):  # type: ignore[misc]  # noqa: N801 - this names the pass
    """Replace infinite constants, and those beyond half precision, by ±30,000."""

    def apply(self, prog: Any) -> None:
        for function in prog.functions.values():
            _replace(function)


@block_context_manager  # type: ignore[untyped-decorator]
def _replace(block: Any) -> None:
    for operation in list(block.operations):
        for inner in operation.blocks:
            _replace(inner)
        if operation.op_type != "const" or not _too_large(operation.outputs[0].val):
            continue
        value = operation.outputs[0].val
        finite = Builder.const(
            val=np.clip(value, -LARGE, LARGE).astype(value.dtype),
            before_op=operation,
            name=operation.name + "_finite",
        )
        block.replace_uses_of_var_after_op(operation, operation.outputs[0], finite)
        block.remove_ops([operation])


def _too_large(value: Any) -> bool:
    kind = getattr(value, "dtype", None)
    return (
        kind is not None and np.issubdtype(kind, np.floating) and bool((np.abs(value) > LARGEST_HALF).any())
    )
