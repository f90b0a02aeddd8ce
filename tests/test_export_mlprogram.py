"""The interpreter of ML Programs: every operation next to torch, and whole networks through conversion."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from edgepress.core.errors import EdgepressError
from export.mlprogram.package import load_spec, quiet
from export.mlprogram.program import OPERATIONS, Program

pytest.importorskip("coremltools", reason="the extra 'coreml' is not installed")


with quiet():
    import coremltools
    from coremltools.converters.mil import Builder as mb  # noqa: N813 - its documentation's name


ROWS, TIME, WIDTH = 2, 6, 4


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> Iterator[None]:
    """coremltools collects garbage with each conversion: spare it all that torch and transformers loaded."""
    gc.freeze()
    yield
    gc.unfreeze()


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


X = draw(ROWS, TIME, WIDTH)


POSITIVE = np.abs(X) + np.float32(0.1)


MATRIX, BIAS = draw(5, WIDTH, seed=1), draw(5, seed=2)


OTHER = draw(ROWS, TIME, WIDTH, seed=3)


FILTERS = draw(6, TIME, 3, seed=4)


LINES = np.array([2, 0, 1, -1], dtype=np.int32)


def interpret(path: Path, build: Callable[[Any], Any], x: np.ndarray, target: str = "iOS16") -> np.ndarray:
    """Save a program of one operation, and run what was saved."""
    with quiet():

        def body(x: Any) -> Any:
            return mb.identity(x=mb.cast(x=build(x), dtype="fp32"), name="logits")

        deployment = coremltools.target[target]
        program = mb.program(input_specs=[mb.TensorSpec(shape=x.shape)], opset_version=deployment)(body)
        package = coremltools.convert(
            program,
            convert_to="mlprogram",
            minimum_deployment_target=deployment,
            compute_precision=coremltools.precision.FLOAT32,
            pass_pipeline=coremltools.PassPipeline.EMPTY,
            skip_model_load=True,
        )
        package.save(str(path))
    spec = load_spec(path)
    name = spec.description.input[0].name
    return Program(path, spec, ("logits",))({name: x})[0]


def ints(x: Any) -> Any:
    return mb.cast(x=x, dtype="int32")


# MIL's operation -> (its use, the same in torch, the input).
CASES: dict[str, tuple[Callable[[Any], Any], Callable[[torch.Tensor], Any], np.ndarray]] = {
    "abs": (lambda x: mb.abs(x=x), torch.abs, X),
    "ceil": (lambda x: mb.ceil(x=x), torch.ceil, X),
    "cos": (lambda x: mb.cos(x=x), torch.cos, X),
    "erf": (lambda x: mb.erf(x=x), torch.erf, X),
    "exp": (lambda x: mb.exp(x=x), torch.exp, X),
    "floor": (lambda x: mb.floor(x=x), torch.floor, X),
    "identity": (lambda x: mb.identity(x=x), torch.clone, X),
    "relu": (lambda x: mb.relu(x=x), torch.relu, X),
    "round": (lambda x: mb.round(x=x), torch.round, X),
    "sigmoid": (lambda x: mb.sigmoid(x=x), torch.sigmoid, X),
    "sign": (lambda x: mb.sign(x=x), torch.sign, X),
    "silu": (lambda x: mb.silu(x=x), functional.silu, X),
    "sin": (lambda x: mb.sin(x=x), torch.sin, X),
    "softplus": (lambda x: mb.softplus(x=x), functional.softplus, X),
    "sqrt": (lambda x: mb.sqrt(x=x), torch.sqrt, POSITIVE),
    "square": (lambda x: mb.square(x=x), torch.square, X),
    "tanh": (lambda x: mb.tanh(x=x), torch.tanh, X),
    "log": (lambda x: mb.log(x=x), torch.log, POSITIVE),
    "rsqrt": (lambda x: mb.rsqrt(x=x), torch.rsqrt, POSITIVE),
    "inverse": (lambda x: mb.inverse(x=x, epsilon=0.0), torch.reciprocal, POSITIVE),
    "gelu": (lambda x: mb.gelu(x=x, mode="EXACT"), functional.gelu, X),
    "gelu tanh": (
        lambda x: mb.gelu(x=x, mode="TANH_APPROXIMATION"),
        lambda x: functional.gelu(x, approximate="tanh"),
        X,
    ),
    "gelu sigmoid": (
        lambda x: mb.gelu(x=x, mode="SIGMOID_APPROXIMATION"),
        lambda x: x * torch.sigmoid(1.702 * x),
        X,
    ),
    "leaky_relu": (lambda x: mb.leaky_relu(x=x, alpha=0.1), lambda x: functional.leaky_relu(x, 0.1), X),
    "elu": (lambda x: mb.elu(x=x, alpha=0.7), lambda x: functional.elu(x, 0.7), X),
    "clip": (lambda x: mb.clip(x=x, alpha=-0.5, beta=0.7), lambda x: x.clip(-0.5, 0.7), X),
    "cast": (ints, lambda x: x.int(), 3 * X),
    "add": (lambda x: mb.add(x=x, y=OTHER), lambda x: x + torch.tensor(OTHER), X),
    "sub": (lambda x: mb.sub(x=x, y=OTHER), lambda x: x - torch.tensor(OTHER), X),
    "mul": (lambda x: mb.mul(x=x, y=OTHER), lambda x: x * torch.tensor(OTHER), X),
    "real_div": (lambda x: mb.real_div(x=x, y=POSITIVE), lambda x: x / torch.tensor(POSITIVE), X),
    "real_div of integers": (
        lambda x: mb.real_div(x=ints(x), y=np.int32(3)),
        lambda x: (x.int() / 3).int(),
        9 * POSITIVE,
    ),
    "floor_div": (lambda x: mb.floor_div(x=x, y=POSITIVE), lambda x: x // torch.tensor(POSITIVE), X),
    "mod": (lambda x: mb.mod(x=x, y=POSITIVE), lambda x: x % torch.tensor(POSITIVE), X),
    "pow": (lambda x: mb.pow(x=x, y=np.float32(1.5)), lambda x: x**1.5, POSITIVE),
    "maximum": (lambda x: mb.maximum(x=x, y=OTHER), lambda x: x.maximum(torch.tensor(OTHER)), X),
    "minimum": (lambda x: mb.minimum(x=x, y=OTHER), lambda x: x.minimum(torch.tensor(OTHER)), X),
    "equal": (lambda x: mb.equal(x=mb.sign(x=x), y=np.float32(1)), lambda x: x.sign() == 1, X),
    "not_equal": (lambda x: mb.not_equal(x=mb.sign(x=x), y=np.float32(1)), lambda x: x.sign() != 1, X),
    "greater": (lambda x: mb.greater(x=x, y=OTHER), lambda x: x > torch.tensor(OTHER), X),
    "greater_equal": (lambda x: mb.greater_equal(x=x, y=OTHER), lambda x: x >= torch.tensor(OTHER), X),
    "less": (lambda x: mb.less(x=x, y=OTHER), lambda x: x < torch.tensor(OTHER), X),
    "less_equal": (lambda x: mb.less_equal(x=x, y=OTHER), lambda x: x <= torch.tensor(OTHER), X),
    "logical_not": (lambda x: mb.logical_not(x=mb.less(x=x, y=OTHER)), lambda x: x >= torch.tensor(OTHER), X),
    "logical_and": (
        lambda x: mb.logical_and(x=mb.less(x=x, y=OTHER), y=mb.less(x=x, y=np.float32(0))),
        lambda x: (x < torch.tensor(OTHER)) & (x < 0),
        X,
    ),
    "logical_or": (
        lambda x: mb.logical_or(x=mb.less(x=x, y=OTHER), y=mb.less(x=x, y=np.float32(0))),
        lambda x: (x < torch.tensor(OTHER)) | (x < 0),
        X,
    ),
    "logical_xor": (
        lambda x: mb.logical_xor(x=mb.less(x=x, y=OTHER), y=mb.less(x=x, y=np.float32(0))),
        lambda x: (x < torch.tensor(OTHER)) ^ (x < 0),
        X,
    ),
    "select": (
        lambda x: mb.select(cond=mb.less(x=x, y=OTHER), a=x, b=OTHER),
        lambda x: torch.where(x < torch.tensor(OTHER), x, torch.tensor(OTHER)),
        X,
    ),
    "concat": (
        lambda x: mb.concat(values=[x, OTHER], axis=1),
        lambda x: torch.cat([x, torch.tensor(OTHER)], 1),
        X,
    ),
    "concat interleaved": (
        lambda x: mb.concat(values=[x, OTHER], axis=1, interleave=True),
        lambda x: torch.stack([x, torch.tensor(OTHER)], 2).flatten(1, 2),
        X,
    ),
    "stack": (
        lambda x: mb.stack(values=[x, OTHER], axis=1),
        lambda x: torch.stack([x, torch.tensor(OTHER)], 1),
        X,
    ),
    "split": (lambda x: mb.split(x=x, num_splits=3, axis=1)[1], lambda x: x.chunk(3, 1)[1], X),
    "split in sizes": (
        lambda x: mb.split(x=x, split_sizes=[1, 3, 2], axis=1)[2],
        lambda x: x.split([1, 3, 2], 1)[2],
        X,
    ),
    "reshape": (lambda x: mb.reshape(x=x, shape=[0, 3, -1]), lambda x: x.reshape(2, 3, -1), X),
    "transpose": (lambda x: mb.transpose(x=x, perm=[1, 0, -1]), lambda x: x.permute(1, 0, 2), X),
    "expand_dims": (lambda x: mb.expand_dims(x=x, axes=[1, -1]), lambda x: x[:, None, ..., None], X),
    "squeeze": (lambda x: mb.squeeze(x=x, axes=[1]), lambda x: x.squeeze(1), X[:, :1]),
    "slice_by_index": (
        lambda x: mb.slice_by_index(
            x=x, begin=[1, 0, -1], end=[0, 5, 0], stride=[1, 2, -1], end_mask=[True, False, True]
        ),
        lambda x: x[1:, 0:5:2].flip(-1),
        X,
    ),
    "slice_by_index squeezed": (
        lambda x: mb.slice_by_index(
            x=x,
            begin=[0, 2, 1],
            end=[0, 0, 3],
            begin_mask=[True, False, False],
            end_mask=[True, False, False],
            squeeze_mask=[False, True, False],
        ),
        lambda x: x[:, 2, 1:3],
        X,
    ),
    "slice_by_size": (
        lambda x: mb.slice_by_size(x=x, begin=[0, 1, 2], size=[2, 3, -1]),
        lambda x: x[:, 1:4, 2:],
        X,
    ),
    "gather": (lambda x: mb.gather(x=x, indices=LINES, axis=1), lambda x: x[:, LINES], X),
    "gather in batches": (
        lambda x: mb.gather(x=x, indices=np.array([[0, 5], [3, 2]], dtype=np.int32), axis=1, batch_dims=1),
        lambda x: torch.stack([x[0, [0, 5]], x[1, [3, 2]]]),
        X,
    ),
    "gather_nd": (
        lambda x: mb.gather_nd(x=x, indices=np.array([[[0, 1], [1, 3]]], dtype=np.int32)),
        lambda x: x[np.array([[0, 1]]), np.array([[1, 3]])],
        X,
    ),
    "gather_nd in batches": (
        lambda x: mb.gather_nd(x=x, indices=np.array([[[0], [2]], [[3], [1]]], dtype=np.int32), batch_dims=1),
        lambda x: torch.stack([x[0, [0, 2]], x[1, [3, 1]]]),
        X[:2],
    ),
    "gather_along_axis": (
        lambda x: mb.gather_along_axis(x=x, indices=np.argsort(X, axis=1).astype(np.int32), axis=1),
        lambda x: x.sort(dim=1).values,
        X,
    ),
    "shape": (lambda x: mb.shape(x=x), lambda x: torch.tensor(x.shape), X),
    "tile": (lambda x: mb.tile(x=x, reps=[1, 2, 3]), lambda x: x.repeat(1, 2, 3), X),
    "fill": (
        lambda x: mb.fill(shape=mb.shape(x=x), value=2.5),
        lambda x: torch.full(x.shape, 2.5),
        X,
    ),
    "fill_like": (
        lambda x: mb.fill_like(ref_tensor=x, value=2.5),
        lambda x: torch.full_like(x, 2.5),
        X,
    ),
    "range_1d": (
        lambda x: mb.range_1d(start=0, end=mb.gather(x=mb.shape(x=x), indices=1), step=2),
        lambda x: torch.arange(0, x.shape[1], 2),
        X,
    ),
    "cumsum": (lambda x: mb.cumsum(x=x, axis=1), lambda x: x.cumsum(1), X),
    "cumsum reversed": (
        lambda x: mb.cumsum(x=x, axis=1, reverse=True, exclusive=True),
        lambda x: x.flip(1).cumsum(1).flip(1) - x,
        X,
    ),
    "reverse": (lambda x: mb.reverse(x=x, axes=[1]), lambda x: x.flip(1), X),
    "pad": (
        lambda x: mb.pad(x=x, pad=[1, 2, 0, 3], constant_val=0.5),
        lambda x: functional.pad(x, (0, 3, 1, 2), value=0.5),
        X,
    ),
    "pad reflected": (
        lambda x: mb.pad(x=x, pad=[1, 2], mode="reflect"),
        lambda x: functional.pad(x, (1, 2), mode="reflect"),
        X,
    ),
    "pad replicated": (
        lambda x: mb.pad(x=x, pad=[1, 2], mode="replicate"),
        lambda x: functional.pad(x, (1, 2), mode="replicate"),
        X,
    ),
    "reduce_argmax": (lambda x: mb.reduce_argmax(x=x, axis=1), lambda x: x.argmax(1), X),
    "reduce_argmin": (
        lambda x: mb.reduce_argmin(x=x, axis=1, keep_dims=True),
        lambda x: x.argmin(1, True),
        X,
    ),
    "reduce_l2_norm": (lambda x: mb.reduce_l2_norm(x=x, axes=[-1]), lambda x: x.norm(dim=-1), X),
    "reduce_max": (lambda x: mb.reduce_max(x=x, axes=[1]), lambda x: x.amax(1), X),
    "reduce_mean": (
        lambda x: mb.reduce_mean(x=x, axes=[0, 2], keep_dims=True),
        lambda x: x.mean((0, 2), True),
        X,
    ),
    "reduce_min": (lambda x: mb.reduce_min(x=x, axes=[1]), lambda x: x.amin(1), X),
    "reduce_prod": (lambda x: mb.reduce_prod(x=x, axes=[1]), lambda x: x.prod(1), X),
    "reduce_sum": (lambda x: mb.reduce_sum(x=x), torch.sum, X),
    "linear": (
        lambda x: mb.linear(x=x, weight=MATRIX, bias=BIAS),
        lambda x: functional.linear(x, torch.tensor(MATRIX), torch.tensor(BIAS)),
        X,
    ),
    "matmul": (
        lambda x: mb.matmul(x=x, y=OTHER, transpose_y=True),
        lambda x: x @ torch.tensor(OTHER).mT,
        X,
    ),
    "matmul transposed": (
        lambda x: mb.matmul(x=x, y=OTHER, transpose_x=True),
        lambda x: x.mT @ torch.tensor(OTHER),
        X,
    ),
    "einsum": (
        lambda x: mb.einsum(values=(x, OTHER.transpose(2, 1, 0)), equation="chw,whr->chr"),
        lambda x: torch.einsum("chw,whr->chr", x, torch.tensor(OTHER).permute(2, 1, 0)),
        X,
    ),
    "softmax": (lambda x: mb.softmax(x=x, axis=1), lambda x: x.softmax(1), X),
    "layer_norm": (
        lambda x: mb.layer_norm(x=x, axes=[-1], gamma=BIAS[:WIDTH], beta=MATRIX[0], epsilon=1e-3),
        lambda x: functional.layer_norm(
            x, (WIDTH,), torch.tensor(BIAS[:WIDTH]), torch.tensor(MATRIX[0]), 1e-3
        ),
        X,
    ),
    "batch_norm": (
        lambda x: mb.batch_norm(x=x, mean=OTHER[0, :, 0], variance=POSITIVE[0, :, 0], gamma=OTHER[0, :, 1]),
        lambda x: functional.batch_norm(
            x, torch.tensor(OTHER[0, :, 0]), torch.tensor(POSITIVE[0, :, 0]), torch.tensor(OTHER[0, :, 1])
        ),
        X,
    ),
    "conv": (
        lambda x: mb.conv(
            x=x, weight=FILTERS, bias=FILTERS[:, 0, 0], pad_type="custom", pad=[1, 2], strides=[2]
        ),
        lambda x: functional.conv1d(
            functional.pad(x, (1, 2)), torch.tensor(FILTERS), torch.tensor(FILTERS[:, 0, 0]), stride=2
        ),
        X,
    ),
    "conv same": (
        lambda x: mb.conv(x=x, weight=FILTERS, pad_type="same"),
        lambda x: functional.conv1d(x, torch.tensor(FILTERS), padding="same"),
        X,
    ),
    "conv in groups": (
        lambda x: mb.conv(x=x, weight=FILTERS[:, :3], pad_type="valid", groups=2),
        lambda x: functional.conv1d(x, torch.tensor(FILTERS[:, :3]), groups=2),
        X,
    ),
    "conv in two dimensions": (
        lambda x: mb.conv(x=mb.expand_dims(x=x, axes=[1]), weight=FILTERS[:, None, :2], pad_type="valid"),
        lambda x: functional.conv2d(x[:, None], torch.tensor(FILTERS[:, None, :2])),
        X,
    ),
    "max_pool": (
        lambda x: mb.max_pool(x=x, kernel_sizes=[2], strides=[2], pad_type="custom", pad=[1, 1]),
        lambda x: functional.max_pool1d(x, 2, 2, padding=1),
        X,
    ),
    "avg_pool": (
        lambda x: mb.avg_pool(x=x, kernel_sizes=[2], strides=[2], pad_type="custom", pad=[1, 1]),
        lambda x: functional.avg_pool1d(x, 2, 2, padding=1),
        X,
    ),
    "avg_pool without padding": (
        lambda x: mb.avg_pool(
            x=x, kernel_sizes=[2], pad_type="custom", pad=[1, 1], exclude_padding_from_average=True
        ),
        lambda x: functional.avg_pool1d(x, 2, 1, padding=1, count_include_pad=False),
        X,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_operation_agrees_with_torch(case: str, tmp_path: Path) -> None:
    build, reference, x = CASES[case]
    ours = interpret(tmp_path / "one.mlpackage", build, x)
    theirs = reference(torch.from_numpy(x)).float().numpy()
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("masked", [None, "bool", "float"])
def test_attention_of_ios_18(masked: str | None, tmp_path: Path) -> None:
    kept = np.array([True, True, False, True, False, True])
    mask = {None: None, "bool": kept, "float": np.where(kept, 0, -2).astype(np.float32)}[masked]
    given = {} if mask is None else {"attn_mask": np.broadcast_to(mask, (TIME, TIME)).copy()}

    def build(x: Any) -> Any:
        return mb.scaled_dot_product_attention(query=x, key=OTHER, value=OTHER, **given)

    ours = interpret(tmp_path / "one.mlpackage", build, X, "iOS18")
    x, other = torch.from_numpy(X), torch.from_numpy(OTHER)
    theirs = functional.scaled_dot_product_attention(
        x, other, other, **{name: torch.from_numpy(value) for name, value in given.items()}
    )
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)


def test_every_operation_is_tested() -> None:
    elsewhere = {"lstm", "scaled_dot_product_attention"}
    assert {case.split()[0] for case in CASES} == set(OPERATIONS) - elsewhere


def test_unknown_operation_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgepressError, match="does not know MIL's operation atan"):
        interpret(tmp_path / "one.mlpackage", lambda x: mb.atan(x=x), X)


def test_what_the_output_does_not_hang_on_is_not_run(tmp_path: Path) -> None:
    def build(x: Any) -> Any:
        mb.atan(x=x)
        return mb.tanh(x=x)

    np.testing.assert_allclose(interpret(tmp_path / "one.mlpackage", build, X), np.tanh(X), atol=1e-6)


def test_halves_are_rounded_and_overflow(tmp_path: Path) -> None:
    def build(x: Any) -> Any:
        half = mb.cast(x=x, dtype="fp16")
        return mb.mul(x=half, y=np.float16(2))

    x = np.array([1 + 2**-12, 40000.0], dtype=np.float32)
    assert interpret(tmp_path / "one.mlpackage", build, x).tolist() == [2.0, np.inf]
