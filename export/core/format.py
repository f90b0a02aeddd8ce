"""Format: one way to write a model down, and everything a command needs to know of it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from edgepress.core.errors import EdgepressError
from edgepress.core.outputs import LOGITS
from export.core.config import ExportConfig
from export.core.runner import Runner

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from edgepress.core.loading import OpenedModel
    from edgepress.core.tasks.kind import TaskKind
    from export.core.scheme import Scheme


USAGE = """
import json
from pathlib import Path

from transformers import AutoTokenizer

folder = Path({folder})
folder = folder if folder.is_dir() else Path()  # from inside it as well
if not (folder / "config.json").is_file():
    raise SystemExit("run this where outputs is, or in the model's folder, or name that in the line above")
{labels}inputs = dict(AutoTokenizer.from_pretrained(folder)({texts}, return_tensors="np"))

{own}

{show}
""".strip()
LABELS = 'labels = json.loads((folder / "config.json").read_text(encoding="utf-8"))["id2label"]\n'
ONE = "logits = outputs[0][0]"
STACKED = """
import numpy

logits = numpy.stack(outputs, -1)[0]  # of start and end, of each token
""".strip()


class Format(ABC):
    """A format is a module of `export` with a subclass of this and an instance of it named `FORMAT`.

    The module is imported to list the formats, so what is heavy in it is imported inside its methods.
    """

    name: ClassVar[str]
    """What `--formats` and `--format` call it: the module's name."""
    title: ClassVar[str]
    """What prose calls it: "Core ML"."""
    file: ClassVar[str]
    """Path of the unquantized file below an artifact's folder: "onnx/model.onnx"."""
    precision: ClassVar[str] = "fp32"
    """Precision of the file that `write` writes."""
    config: ClassVar[type[ExportConfig]] = ExportConfig
    """The flags of its command."""
    modules: ClassVar[tuple[str, ...]] = ()
    """Modules that it cannot do without, and `extra`: the extra of this distribution that installs them."""
    extra: ClassVar[str] = ""
    runtime_modules: ClassVar[tuple[str, ...]] = ()
    """Modules that opening its files takes, and `runtime_extra`: the extra that installs no more than them;
    none: the same as `modules`."""
    runtime_extra: ClassVar[str] = ""
    rejected: ClassVar[Mapping[str, str]] = {}
    """Schemes that other formats have, and what was measured that speaks against them in this one."""

    runtime: ClassVar[tuple[str, ...]] = ()
    """Packages, as pip calls them, that running its files takes; none where the system brings its runtime."""

    snippet: ClassVar[str] = ""
    """Code for the model card that makes `outputs`, a list of arrays, of `inputs`, arrays (1, tokens);
    `{file}` is the file's path below `folder`, `{names}` the model's inputs and `{outputs}` its outputs in
    order, and `{parts}` iterates over `found`, which is no tuple where there is one output."""

    @abstractmethod
    def write(
        self, model: PreTrainedModel, target: Path, config: ExportConfig
    ) -> Mapping[str, object] | None:
        """Write `model` (in torch, fp32, eval mode) to `target`; its folder exists.

        Inputs are those of the architecture in the order `input_ids, attention_mask[, token_type_ids]`,
        the output is `logits` (batch, labels), or (batch, sequence, labels) where tokens have
        labels, or the outputs are `start_logits` and `end_logits` (batch, sequence), or the output is
        `sentence_embedding` (batch, width).

        Returns:
            what a manifest keeps of how it was written; None where there is one way only.

        Raises:
            EdgepressError: the format cannot hold this model or these shapes.
        """

    @abstractmethod
    def open(self, path: Path, threads: int) -> Runner:
        """The runner for a file of this format."""

    def schemes(self) -> Mapping[str, Scheme]:
        """The format's quantization schemes by name; the first of a precision is its default."""
        return {}

    def scheme(self, name: str) -> Scheme | None:
        """The scheme of this name, or the first of this precision; None for what `write` writes by itself.

        Raises:
            EdgepressError: the format has no such scheme and no such precision.
        """
        if name == self.precision:
            return None
        own = self.schemes()
        found = own.get(name) or next((each for each in own.values() if each.precision == name), None)
        if name in self.rejected:
            raise EdgepressError(f"{self.title} has no {name}: {self.rejected[name]}", self._known)
        if found is None:
            raise EdgepressError(f"{self.title} has no {name}", self._known)
        return found

    @property
    def _known(self) -> str:
        own = self.schemes()
        precisions = dict.fromkeys([self.precision, *(each.precision for each in own.values())])
        return f"known: {', '.join(dict.fromkeys([*precisions, *own]))}"

    def usage(
        self,
        folder: str,
        file: str,
        names: Sequence[str],
        texts: Sequence[str],
        kind: TaskKind,
        outputs: Sequence[str] = LOGITS,
    ) -> str:
        """A program that asks the file about a text and prints what it says, as Markdown.

        It runs where the command was typed, and from inside the folder.

        Args:
            folder: of the artifact, as it was typed.
            file: path of the file below it.
            names: of the model's inputs, in their order.
            texts: what it is asked about: a text, or two where the model reads them at once.
            kind: of its task.
            outputs: the file's, in their order.
        """
        if not self.snippet:
            return ""
        # Inside the quotes of a Python text, whatever the folder is called.
        folder, file = (json.dumps(text, ensure_ascii=False) for text in (folder, file))
        asked = ", ".join(map(json.dumps, texts))
        several = len(outputs) > 1
        show = f"{STACKED if several else ONE}\n{kind.program}"
        code = USAGE.format(
            folder=folder, texts=asked, labels=LABELS if kind.named else "", own="{own}", show=show
        )
        code = code if kind.named else code.removeprefix("import json\n")
        known = {"names": json.dumps(list(names)), "outputs": json.dumps(list(outputs))}
        own = self.snippet.format(file=file, parts="found" if several else "[found]", **known).strip()
        return f"```python\n{code.replace('{own}', own)}\n```\n"

    def parts(self, path: Path) -> tuple[Path, ...]:
        """Everything on disk that makes up the file at `path`."""
        return (path,)

    def fitted(self, config: ExportConfig, opened: OpenedModel) -> ExportConfig:  # noqa: ARG002
        """The flags, with what they leave open chosen for the model and its task."""
        return config

    def describe(self, path: Path, facts: Mapping[str, str]) -> None:  # noqa: B027
        """Write what is known about the model into the file itself, where the format has a place for it."""

    def companion(self, path: Path, opened: OpenedModel, config: ExportConfig) -> Path | None:  # noqa: ARG002
        """Write a second file beside one that passed parity, if the flags ask for it; its path.

        Raises:
            EdgepressError: it cannot be made of this model.
            ExpectationError: it does not do what it should.
        """
        return None

    def layers(self, path: Path) -> Sequence[str]:  # noqa: ARG002
        """Names of the layers of an unquantized file that `Options.keep_float` takes.

        None where the format cannot say, or where quantizing layer by layer takes too long to rank them.
        """
        return ()

    def coverage(self, path: Path) -> str:  # noqa: ARG002
        """Count the quantized matrix multiplications, "38/50"; "-" where the format cannot say."""
        return "-"

    def check(self, config: ExportConfig) -> None:  # noqa: B027
        """Raise for flags that this format cannot follow, before a model is opened."""

    @property
    def timed(self) -> bool:
        """Whether the runtime that opens its files on this machine is the one that users have."""
        return True

    @property
    def suffix(self) -> str:
        """The ending of its files."""
        return Path(self.file).suffix

    @property
    def quantizes(self) -> bool:
        """Whether it has schemes; asking for them imports its libraries."""
        return type(self).schemes is not Format.schemes

    @property
    def runs_here(self) -> bool:
        """Whether its runtime is installed, and is the one that users have."""
        return self.timed and not self._missing(to_run=True)

    def require_modules(self, to_run: bool = False) -> None:
        """Raise if what it needs is not installed.

        Args:
            to_run: whether it only opens files, which some formats do with less.

        Raises:
            EdgepressError: names the extra that installs it.
        """
        if missing := self._missing(to_run):
            extra = self.runtime_extra if to_run and self.runtime_extra else self.extra
            raise EdgepressError(
                f"{self.title} needs {missing[0]}, which is not installed",
                f"pip install 'edgepress[{extra}]'",
            )

    def _missing(self, to_run: bool) -> list[str]:
        wanted = self.runtime_modules if to_run and self.runtime_modules else self.modules
        return [module for module in wanted if find_spec(module) is None]
