"""The flags of `export.predict`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import tyro

from edgepress.core.console import Command
from edgepress.core.errors import EdgepressError
from edgepress.core.flags import EntailmentLabel, Template
from edgepress.core.models import CONFIG
from edgepress.core.option_values import FROM_0, Ranges


@dataclass(frozen=True, kw_only=True)
class PredictConfig(Command):
    """Give the labels of texts, the named entities in them, or the answers to questions about them, by a
    model's folder or one of its files in any format.

    edgepress predict outputs/minilm-movie_reviews-int8 --text "a film to remember"

    edgepress predict outputs/x/onnx/model.onnx --file reviews.csv --json > predictions.jsonl

    cat reviews.txt | edgepress predict outputs/x -

    edgepress predict outputs/minilm-mnli --text "the team won at last" --labels sports politics

    A file takes its tokenizer, config.json and, if there, manifest.json beside it: no weights.
    A folder is run by the file that quantize named to ship, else by its smallest ONNX file, else by the
    smallest in its manifest that a runtime here opens, else in torch.
    Milliseconds are of one run after a first one, with tokenization: device_bench measures properly.
    """

    model: tyro.conf.Positional[Path]
    """Folder of a model, or a file of it: .onnx, .pt, .pt2, .pte, .xml, .mlpackage."""
    stdin: tyro.conf.Positional[Literal["-"] | None] = None
    """- reads texts from standard input, one a line."""
    text: tuple[str, ...] = ()
    """Texts; for a model of pairs, such as title and body, two for each: --text TITLE BODY is one input; of a
    question and its context --text QUESTION CONTEXT."""
    file: Path | None = None
    """File of texts: one a line (pairs with a tab), or .csv, .tsv, .jsonl, .parquet with the text columns."""
    text_columns: tuple[str, ...] = ()
    """Column of the text in --file, or two for pairs. Default: as the model was trained, else by name."""
    null_threshold: float | None = None
    """Least lead of the score of no answer to a question over that of the best one, for none to be given.
    Default: the model's."""
    labels: tuple[str, ...] = ()
    """Classes that a model of entailment is asked about (zero-shot); the text is given the likeliest."""
    hypothesis_template: Template = None
    entailment_label: EntailmentLabel = None
    dimensions: int | None = None
    """Width that the vector of a text is cut to, and scaled to length 1 again. Default: the whole one."""
    threads: int = 0
    """Threads to run with; 0: one for each core."""
    json: bool = False
    """Print a JSON object for each text, with the probability of every label, or the places of entities and
    answers."""

    RANGES: ClassVar[Ranges] = {"threads": FROM_0}

    @property
    def folder(self) -> Path:
        """The model's folder: itself, or where the config beside or above a file is.

        Raises:
            EdgepressError: there is none.
        """
        path = self.model
        if not path.exists():
            raise EdgepressError(f"no such model: {path}", "name a model's folder, or a file of one")
        if path.is_dir() and (path / CONFIG).is_file():
            return path
        found = next((each for each in path.absolute().parents[:2] if (each / CONFIG).is_file()), None)
        if found is None:
            raise EdgepressError(
                f"{path} has no {CONFIG} in it, beside it or above it",
                "keep the file with its config.json and tokenizer: the names of its labels are there",
            )
        return found

    def check_paths(self) -> None:
        """Raise for a model or file that is not there, or for texts from two places."""
        _ = self.folder
        if sum([bool(self.text), self.file is not None, self.stdin is not None]) > 1:
            raise EdgepressError("--text, --file and - exclude each other", "name one of them")
        if self.file is not None and not self.file.is_file():
            raise EdgepressError(f"no such file: {self.file}", "--file takes a file of texts")
