"""ONNX: the file that ONNX Runtime, optimum and transformers.js run.

`python -m export.onnx --model MODEL` writes it.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgepress.core.errors import EdgepressError, first_line
from edgepress.core.option_values import RANGES
from edgepress.core.outputs import as_one, file_outputs
from edgepress.core.process import silence_telemetry
from export.core.config import ExportConfig
from export.core.format import Format
from export.core.runner import Batch, Runner
from export.core.shapes import Shapes

if TYPE_CHECKING:  # the process that measures a file needs neither torch nor transformers
    import numpy as np
    from transformers import PreTrainedModel

    from edgepress.core.loading import OpenedModel
    from export.core.scheme import Scheme
    from export.onnx_graph.exporting import Route

# LayerNormalization came with 17, and every ONNX Runtime for Android since 1.12 opens it.
DEFAULT_OPSET = 17
SUPPORTED_OPSETS = range(int(RANGES["opset"].low), int(RANGES["opset"].high) + 1)


@dataclass(frozen=True, kw_only=True)
class OnnxConfig(ExportConfig):
    """Write a model as ONNX, and compare the file with the model before it is kept.

    python -m export.onnx --model outputs/minilm-movie_reviews --scheme fp32 int8
    """

    opset: int = DEFAULT_OPSET
    """ONNX opset; 17 is the highest that every ONNX Runtime for Android since 1.12 opens."""
    token_states: bool = False
    """Also give the states of tokens, last_hidden_state (batch, sequence, width), of a model that gives
    vectors: transformers.js, optimum and sentence-transformers pool them by themselves."""
    with_tokenizer: bool = False
    """Also write a file that takes strings and gives probabilities or vectors (WordPiece, BPE, Unigram)."""


def scheme_names() -> list[str]:
    """Names of the quantization schemes, by their modules: importing them takes seconds."""
    schemes = Path(__file__).parent / "onnx_graph" / "schemes"
    return [entry.name.replace("_", "-") for entry in pkgutil.iter_modules([str(schemes)])]


class OnnxFormat(Format):
    """ONNX files, run by ONNX Runtime's CPU provider."""

    name = "onnx"
    title = "ONNX"
    file = "onnx/model.onnx"
    config = OnnxConfig
    runtime = ("onnxruntime",)
    snippet = """
from onnxruntime import InferenceSession

session = InferenceSession(folder / {file})
outputs = session.run({outputs}, {{name: inputs[name].astype("int64") for name in {names}}})
"""

    def write(self, model: PreTrainedModel, target: Path, config: ExportConfig) -> Mapping[str, object]:
        own = config if isinstance(config, OnnxConfig) else OnnxConfig(model=config.model)
        with _with_states(model, own.token_states):
            route = export(model, target, own.opset)
        fix_shapes(target, config.shapes)
        return route.recorded

    def open(self, path: Path, threads: int) -> Runner:
        return OnnxRunner(path, threads)

    def schemes(self) -> Mapping[str, Scheme]:
        from export.onnx_graph.schemes import SCHEMES

        return SCHEMES

    def layers(self, path: Path) -> tuple[str, ...]:
        import onnx

        from export.onnx_graph.layers import weight_layers

        return tuple(weight_layers(onnx.load(str(path)).graph))

    def coverage(self, path: Path) -> str:
        from export.onnx_graph.layers import coverage

        return str(coverage(path))

    def describe(self, path: Path, facts: Mapping[str, str]) -> None:
        """Write the facts into the file's `metadata_props`."""
        import onnx

        model = onnx.load(str(path))
        onnx.helper.set_model_props(model, dict(facts))
        onnx.save(model, str(path))

    def companion(self, path: Path, opened: OpenedModel, config: ExportConfig) -> Path | None:
        """The file with the tokenizer in it."""
        if not (isinstance(config, OnnxConfig) and config.with_tokenizer):
            return None
        from export.onnx_graph.text.model import add_tokenizer

        config_type = opened.kind.in_graph
        if config_type is None:
            raise EdgepressError(
                f"--with-tokenizer is for models that label texts or words, or give vectors; "
                f"{opened.source.name} is for {opened.kind.pipeline}",
                "leave it away: tokenizer.json lies beside the file",
            )
        target = path.with_name(f"{path.stem}_with_tokenizer.onnx")
        labels = (opened.model.config.id2label if opened.kind.head.labelled else None) or {}
        add_tokenizer(
            path,
            target,
            opened.tokenizer,
            opened.longest,
            config_type,
            labels=tuple(label for _, label in sorted(labels.items())),
            pair=opened.reads_pairs,
            per_token=opened.kind.per_token,
        )
        return target

    def check(self, config: ExportConfig) -> None:
        if not isinstance(config, OnnxConfig):
            return
        check_opset(config.opset)
        if config.with_tokenizer:
            from export.onnx_graph.text.model import require_extensions

            require_extensions()
            if config.batch_size or config.sequence_length:
                raise EdgepressError(
                    "a file with its tokenizer takes texts of any length, and any number of them",
                    "--with-tokenizer goes without --batch-size and --sequence-length",
                )


def _with_states(model: PreTrainedModel, wanted: bool) -> AbstractContextManager[None]:
    """Let a model give the states of tokens too, where that is wanted.

    Raises:
        EdgepressError: it gives no vectors.
    """
    from edgepress.core.embedder import with_states
    from edgepress.core.heads import EMBEDDING, head_of_class

    if wanted and head_of_class(model) is not EMBEDDING:
        raise EdgepressError("--token-states is of models that give vectors", "leave it away")
    return with_states(model) if wanted else nullcontext()


def export(model: PreTrainedModel, target: Path, opset: int = DEFAULT_OPSET) -> Route:
    """Write `model` to `target` with dynamic batch and sequence, and return how.

    Inputs are `input_ids, attention_mask[, token_type_ids]` int64; the outputs are those of
    `edgepress.core.outputs`.

    Raises:
        EdgepressError: no exporter can write the architecture, or the opset is unknown.
    """
    from export.onnx_graph.exporting import write_graph

    check_opset(opset)
    target.parent.mkdir(parents=True, exist_ok=True)
    return write_graph(model, target, opset)


def fix_shapes(path: Path, shapes: Shapes) -> None:
    """Give the file the one batch size and the one sequence length that `shapes` names."""
    sizes = {"batch_size": shapes.batch, "sequence_length": shapes.fixed_length}
    fixed = {name: size for name, size in sizes.items() if size}
    if not fixed:
        return
    import onnx
    from onnxruntime.tools.onnx_model_utils import make_dim_param_fixed

    from export.onnx_graph.graph import keep_norms_apart

    model = onnx.load(str(path))
    for name, size in fixed.items():
        make_dim_param_fixed(model.graph, name, size)
    keep_norms_apart(model)
    onnx.save(model, str(path))


def check_opset(opset: int) -> None:
    """Raise for an opset that the exporter cannot write."""
    if opset not in SUPPORTED_OPSETS:
        low, high = SUPPORTED_OPSETS[0], SUPPORTED_OPSETS[-1]
        raise EdgepressError(f"opset {opset} cannot be written", f"--opset takes {low} to {high}")


# What ONNX Runtime, from 1.22 on, says of files that were cut, or are something else.
DAMAGED = ("INVALID_PROTOBUF", "No graph was found", "does not have a graph")


class OnnxRunner(Runner):
    """An ONNX file in ONNX Runtime's CPU provider."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        silence_telemetry()
        import onnxruntime

        self.runtime = f"onnxruntime {onnxruntime.__version__}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's exception types are private to its extension module
            damaged = any(own in str(error) for own in DAMAGED)
            said = "it is damaged, or no ONNX file" if damaged else first_line(error)
            hint = "copy it anew, or export it again" if damaged else ""
            raise EdgepressError(f"{path}: ONNX Runtime cannot open it: {said}", hint) from error
        self._inputs = {entry.name for entry in self._session.get_inputs()}
        self._outputs = file_outputs({entry.name for entry in self._session.get_outputs()}, str(path))

    def __call__(self, batch: Batch) -> np.ndarray:
        feeds = {name: value for name, value in batch.items() if name in self._inputs}
        return as_one(self._session.run(list(self._outputs), feeds))

    def close(self) -> None:
        """Release the session and its weights."""
        del self._session


FORMAT = OnnxFormat()

if __name__ == "__main__":
    from export.command.run import run_format

    run_format(FORMAT.name)
