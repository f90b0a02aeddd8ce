"""Core ML: the ML Program package that iOS and macOS run.

`python -m export.coreml --model MODEL` writes it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from export.core.config import ExportConfig, derive
from export.core.format import Format
from export.core.runner import Runner
from export.mlprogram.config import CoreMlConfig, check

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from export.core.scheme import Scheme


class CoreMlFormat(Format):
    """Core ML packages, run by Core ML on macOS and by an interpreter elsewhere."""

    name = "coreml"
    title = "Core ML"
    file = "coreml/model.mlpackage"
    precision = "fp16"
    config = CoreMlConfig
    modules = ("coremltools",)
    extra = "coreml"
    snippet = """
import coremltools  # on macOS; in an app, Xcode makes a class of the package

model = coremltools.models.MLModel(str(folder / {file}))
found = model.predict({{name: inputs[name].astype("int32") for name in {names}}})
outputs = [found[name] for name in {outputs}]
"""

    def write(self, model: PreTrainedModel, target: Path, config: ExportConfig) -> None:
        from export.mlprogram.convert import write

        write(model, target, config, "fp16")

    def open(self, path: Path, threads: int) -> Runner:  # noqa: ARG002 - neither runtime takes a number
        from export.mlprogram.runner import CoreMlRunner

        return CoreMlRunner(path)

    def schemes(self) -> Mapping[str, Scheme]:
        from export.mlprogram.schemes import SCHEMES

        return SCHEMES

    def describe(self, path: Path, facts: Mapping[str, str]) -> None:
        from export.mlprogram.package import describe

        describe(path, facts)

    @property
    def timed(self) -> bool:
        return sys.platform == "darwin"

    def check(self, config: ExportConfig) -> None:
        check(derive(CoreMlConfig, config))


FORMAT = CoreMlFormat()

if __name__ == "__main__":
    from export.command.run import run_format

    run_format(FORMAT.name)
