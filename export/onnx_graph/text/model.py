"""The second ONNX file: a tokenizer and a model in one, strings in, label probabilities or vectors out.

It runs in ONNX Runtime with onnxruntime-extensions' operators (`open_with_extensions`), in any of
their languages.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper
from tokenizers import Tokenizer

from edgepress.core.errors import EdgepressError
from export.onnx_graph.text import byte_bpe, rows, unigram, wordpiece
from export.onnx_graph.text.marks import ROW_ID, refusal
from export.onnx_graph.text.nodes import EXTENSIONS, PREFIX, Nodes
from export.validation.tokenizer import (
    HARD_PAIRS,
    HARD_SINGLES,
    Encode,
    compare_tokenizers,
    encoder,
    offsets,
)

if TYPE_CHECKING:
    import onnxruntime
    from transformers import PreTrainedTokenizerBase

# How transformers' pipeline reads logits; a regression's logit is the answer itself, and so are vectors.
PROBABILITY: dict[str, str] = {
    "single_label_classification": "Softmax",  # over the last axis
    "multi_label_classification": "Sigmoid",
    "regression": "Identity",
}
# Nodes from texts to their ids, by the tokenizer's model: (nodes, name of the texts, tokenizer) -> name.
MODELS: dict[str, Callable[[Nodes, str, Tokenizer], str]] = {
    "WordPiece": lambda nodes, text, tokenizer: wordpiece.token_ids(nodes, text, wordpiece.read(tokenizer)),
    "BPE": lambda nodes, text, tokenizer: byte_bpe.token_ids(nodes, text, byte_bpe.read(tokenizer)),
    "Unigram": lambda nodes, text, tokenizer: unigram.token_ids(nodes, text, unigram.read(tokenizer)),
}
DOMAINS = {EXTENSIONS: 1, "ai.onnx.ml": 3, "com.microsoft": 1}


def add_tokenizer(
    source: Path,
    target: Path,
    tokenizer: PreTrainedTokenizerBase,
    longest: int,
    config_type: str,
    labels: tuple[str, ...],
    pair: bool = False,
    per_token: bool = False,
) -> None:
    """Write the model of `source` to `target` with its tokenizer before it.

    Inputs are `text` (batch,), and with `pair` also `text_pair` (batch,), strings in UTF-8. Outputs are
    `probabilities` (batch, labels) float32 and `input_ids` (batch, sequence) int64. With `per_token`
    probabilities are (batch, sequence, labels), and a third output, `offsets` (batch, sequence, 2) int64,
    says at which character of its text each token begins, and which is behind its last. Rows are padded to
    the longest, as the tokenizer does it. The names of the labels are in the file's metadata, "labels",
    as a JSON list. A model of vectors has none, and `sentence_embedding` (batch, width) for `probabilities`.

    Args:
        source: an ONNX file with the inputs `input_ids, attention_mask[, token_type_ids]`, of any
            batch size and sequence length.
        target: the file to write.
        tokenizer: the model's tokenizer; its vocabulary is stored in the file.
        longest: the model's longest input [tokens]; longer texts are cut.
        config_type: what the logits mean, as `problem_type` of config.json says it, or embedding.
        labels: their names, in their order.
        pair: whether the model compares two texts.
        per_token: whether it labels tokens, whose places in the text are wanted then.

    Raises:
        EdgepressError: the graph cannot follow the tokenizer's normalizer, words or model, `source` takes
            one shape only, or onnxruntime-extensions is missing.
        ExpectationError: the file gives other ids, or places, than the tokenizer for a hard string.
    """
    require_extensions()
    model = onnx.load(str(source))
    _require_any_shape(source, model)
    nodes = Nodes()
    encoded = _encode(nodes, tokenizer, longest, pair, per_token)
    _put_before(model, nodes, encoded, ("text", "text_pair") if pair else ("text",))
    _put_behind(model, len(labels), config_type, encoded.get("offsets"))
    known = {entry.key: entry.value for entry in model.metadata_props}
    helper.set_model_props(model, {**known, **({"labels": json.dumps(labels)} if labels else {})})
    onnx.save(model, str(target))
    cases = HARD_PAIRS if pair else HARD_SINGLES
    compare_tokenizers(target.name, encoder(tokenizer, longest), _of_file(target, "input_ids"), cases)
    if per_token:
        places = _of_file(target, "offsets")
        compare_tokenizers(f"{target.name}, places", offsets(tokenizer, longest), places, cases)


def _require_any_shape(source: Path, model: ModelProto) -> None:
    axes = [axis for entry in model.graph.input for axis in entry.type.tensor_type.shape.dim]
    if any(axis.HasField("dim_value") for axis in axes):
        raise EdgepressError(
            f"{source.name} takes one shape only, and texts have any length",
            "--with-tokenizer goes without --batch-size and --sequence-length",
        )


def _of_file(path: Path, output: str) -> Encode:
    """An output of the file, flat, of one text or pair: the classifier in it does not run."""
    import onnxruntime

    session = open_with_extensions(path)
    names = [entry.name for entry in session.get_inputs()]
    only_ids = onnxruntime.RunOptions()
    only_ids.only_execute_path_to_fetches = True

    def encode(*texts: str) -> list[int]:
        feeds = {name: np.array([text], dtype=object) for name, text in zip(names, texts, strict=True)}
        ids: list[int] = session.run([output], feeds, only_ids)[0].ravel().tolist()
        return ids

    return encode


def require_extensions() -> None:
    """Raise if onnxruntime-extensions is not installed."""
    if find_spec("onnxruntime_extensions") is None:
        raise EdgepressError(
            "--with-tokenizer needs onnxruntime_extensions, which is not installed",
            "pip install 'edgepress[tokenizer]'",
        )


def open_with_extensions(path: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """A session for a file that `add_tokenizer` wrote."""
    require_extensions()
    import onnxruntime
    import onnxruntime_extensions

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.register_custom_ops_library(onnxruntime_extensions.get_library_path())
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _encode(
    nodes: Nodes, tokenizer: PreTrainedTokenizerBase, longest: int, pair: bool, per_token: bool
) -> dict[str, str]:
    """Nodes from the texts to what the model takes, and to `offsets`: input -> name of the tensor."""
    backend = _backend(tokenizer)
    text = nodes.op("Concat", "text", "text_pair", axis=0) if pair else "text"
    kind = type(backend.model).__name__
    if kind not in MODELS:
        raise refusal(f"its model is {kind}; there is one for {', '.join(MODELS)}")
    form, measured = rows.layout(backend, pair, tokenizer.pad_token_id, longest), None
    if not per_token:
        ids = MODELS[kind](nodes, text, backend)
    elif kind == "WordPiece":
        ids, measured = wordpiece.measured_token_ids(nodes, text, wordpiece.read(backend))
    else:
        raise refusal(f"the places of tokens in a text are known of WordPiece alone; its model is {kind}")
    return rows.rows(nodes, ids, ROW_ID, form, measured)


def _backend(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """A copy of the fast tokenizer that neither pads nor cuts."""
    if not tokenizer.is_fast or (tokenizer.padding_side, tokenizer.truncation_side) != ("right", "right"):
        raise EdgepressError(
            "no ONNX graph for this tokenizer: only for fast ones that pad and cut on the right",
            "export without --with-tokenizer",
        )
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_padding()
    backend.no_truncation()
    return backend


def _put_before(model: ModelProto, nodes: Nodes, encoded: Mapping[str, str], texts: Sequence[str]) -> None:
    """Let the graph take texts, and compute what were its inputs."""
    graph = model.graph
    taken = [entry.name for entry in graph.input]
    named = [helper.make_node("Identity", [encoded[name]], [name], f"{PREFIX}{name}") for name in taken]
    _refill(graph.node, [*nodes.nodes, *named, *graph.node])
    graph.initializer.extend(nodes.constants)
    strings = [helper.make_tensor_value_info(text, TensorProto.STRING, ["batch_size"]) for text in texts]
    _refill(graph.input, strings)
    known = {entry.domain for entry in model.opset_import}
    model.opset_import.extend(
        helper.make_opsetid(domain, version) for domain, version in DOMAINS.items() if domain not in known
    )


def _put_behind(model: ModelProto, labels: int, config_type: str, places: str | None) -> None:
    """Give probabilities instead of logits, where they are logits, and the token ids beside them; of tokens
    their places too.
    """
    graph = model.graph
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch_size", "sequence_length"])
    if config_type not in PROBABILITY:
        first, *others = graph.output
        _refill(graph.output, [first, ids, *others])
        return
    graph.node.append(helper.make_node(PROBABILITY[config_type], ["logits"], ["probabilities"]))
    tokens: list[str | int | None] = ["sequence_length"] if places else []
    shape = ["batch_size", *tokens, labels]
    outputs = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, shape), ids]
    if places:
        graph.node.append(helper.make_node("Identity", [places], ["offsets"]))
        pairs = ["batch_size", *tokens, 2]
        outputs.append(helper.make_tensor_value_info("offsets", TensorProto.INT64, pairs))
    _refill(graph.output, outputs)


def _refill(field, values) -> None:  # type: ignore[no-untyped-def]  # protobuf's repeated fields have no public type
    values = list(values)
    del field[:]
    field.extend(values)
