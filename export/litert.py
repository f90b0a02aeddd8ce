"""LiteRT: the .tflite file that Android's runtime, once called TensorFlow Lite, runs on XNNPACK's kernels.

`python -m export.litert --model MODEL` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from export.core.config import ExportConfig, derive
from export.core.format import Format
from export.core.runner import Runner
from export.tflite.config import LiteRtConfig, best_lengths, check, usual_lengths

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from edgepress.core.loading import OpenedModel
    from export.core.scheme import Scheme


class LiteRtFormat(Format):
    """LiteRT files, run by LiteRT's interpreter on the CPU."""

    name = "litert"
    title = "LiteRT"
    file = "litert/model.tflite"
    config = LiteRtConfig
    modules = ("ai_edge_litert", "litert_torch", "ai_edge_quantizer")
    extra = "litert"
    runtime = ("ai-edge-litert",)
    runtime_modules = ("ai_edge_litert",)
    runtime_extra = "litert-runtime"
    # MiniLM on the 872 validation sentences of SST-2, calibrated on 128 of its training sentences: root mean
    # square of logit differences 0.36 (int8-dynamic: 0.024). With all operators in int8 the mask overflows.
    rejected: ClassVar = {
        "int8-static": "95.6 % agreement where int8-dynamic has 99.1 %, and no faster, on MiniLM and SST-2",
        "int4-weights": "its quantizer leaves blocks of weights alone in float; int4-dynamic has blocks",
    }
    snippet = """
import numpy
from ai_edge_litert.interpreter import Interpreter

model = Interpreter(str(folder / {file}))
tokens = inputs["input_ids"].shape[1]
lengths = [int(name.removeprefix("tokens_")) for name in model.get_signature_list()]
length = min(own for own in lengths if own >= tokens)  # each signature takes one length
padded = {{name: numpy.pad(inputs[name], ((0, 0), (0, length - tokens))) for name in {names}}}
run = model.get_signature_runner(f"tokens_{{length}}")
found = run(**{{name: own.astype("int32") for name, own in padded.items()}})
outputs = [found[name] for name in {outputs}]
outputs = [own[:, :tokens] if own.ndim > 2 or len(outputs) > 1 else own for own in outputs]
"""

    def write(
        self, model: PreTrainedModel, target: Path, config: ExportConfig
    ) -> Mapping[str, object] | None:
        from export.tflite.convert import ROWS, export

        own = derive(LiteRtConfig, config)
        lengths = own.shapes.lengths or own.signatures or usual_lengths(model, own.max_length)
        export(model, target, lengths, own.batch_size or ROWS)
        return {"signatures": list(lengths)}

    def open(self, path: Path, threads: int) -> Runner:
        from export.tflite.runner import LiteRtRunner

        return LiteRtRunner(path, threads)

    def schemes(self) -> Mapping[str, Scheme]:
        from export.tflite.schemes import SCHEMES

        return SCHEMES

    def check(self, config: ExportConfig) -> None:
        check(derive(LiteRtConfig, config))

    def fitted(self, config: ExportConfig, opened: OpenedModel) -> ExportConfig:
        """The flags, with signatures for the lengths of the task's own texts."""
        from edgepress.core.inputs import USUAL_LENGTH
        from export.validation.sentences import evaluation_sentences

        own = derive(LiteRtConfig, config)
        if own.signatures or own.sequence_length:
            return replace(own, signatures=tuple(sorted(set(own.signatures))))
        texts = evaluation_sentences(opened, own.eval_samples, own.seed).batches
        lengths = [batch["input_ids"].shape[1] for batch in texts]
        longest = min(opened.text_length, max(USUAL_LENGTH, *lengths))
        return replace(own, signatures=best_lengths(lengths, longest))

    def describe(self, path: Path, facts: Mapping[str, str]) -> None:
        """Write the facts into the file's metadata, as JSON under the name `edgepress`."""
        from export.tflite.contents import describe

        describe(path, facts)

    def coverage(self, path: Path) -> str:
        from export.tflite.contents import coverage

        return coverage(path)


FORMAT = LiteRtFormat()

if __name__ == "__main__":
    from export.command.run import run_format

    run_format(FORMAT.name)
