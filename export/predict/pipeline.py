"""The command as a pipeline: find the file, open it with its tokenizer, predict, show."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgepress.core import console
from edgepress.core.artifact import FileRecord, Manifest, is_artifact, read_manifest
from edgepress.core.environment import environment
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import OpenedModel, check_kind, open_model, open_to_predict
from edgepress.core.matryoshka import require_dimensions
from edgepress.core.prediction import AnyPrediction, Reader
from edgepress.core.tables import ScreenTable
from edgepress.core.tasks import MOST_TEXTS, TaskOptions
from edgepress.core.tasks.kind import TaskKind
from edgepress.core.tasks.recorded import recorded_text_columns
from export.core.eager import EagerRunner
from export.core.registry import format_of, formats, open_runner, size_bytes
from export.core.runner import Runner
from export.predict.config import PredictConfig
from export.predict.texts import InputTexts, read_texts

SHOWN_CHARACTERS = 60
PLACES = ("*.onnx", "onnx/*.onnx")
"""Places of the ONNX files in a folder that no manifest lists, as the Hub has them."""


@dataclass(frozen=True)
class Answer:
    """Answer of the model to one text, or pair of texts."""

    texts: InputTexts
    prediction: AnyPrediction
    milliseconds: float
    """Milliseconds of tokenization, one run, and reading its answer."""


def run(config: PredictConfig) -> list[Answer]:
    """Answer the texts that the flags name.

    Raises:
        EdgepressError: no such model, no runtime that opens the file, or no texts (exit code 2).
    """
    folder = config.folder
    manifest = read_manifest(folder) if is_artifact(folder) else None
    file = _preferred(folder, manifest) if folder == config.model else config.model
    columns = config.text_columns or (() if config.labels else tuple(recorded_text_columns(manifest)))
    if columns:  # before a model is opened, which takes seconds
        asked = read_texts(config, columns)
    options = TaskOptions(
        null_threshold=config.null_threshold,
        candidates=config.labels,
        hypothesis_template=config.hypothesis_template,
        entailment_label=config.entailment_label,
    )
    opened = _open(folder, file, options)
    require_dimensions(opened, config.dimensions)
    if not columns:
        columns = opened.kind.text_columns
        asked = read_texts(config, columns)
    _require_as_many(opened.kind, asked.rows)
    check_kind(opened)
    if not opened.head_trained:
        raise EdgepressError(
            f"{folder}: its classifier is not trained, and its answers would mean nothing",
            "compress.finetune trains it",
        )
    with _runner(opened, file, config.threads) as runner:
        shown = file or f"{folder} in torch"
        console.step(f"{shown}, {runner.runtime}; texts are cut to {opened.text_length} tokens")
        if len(columns) == MOST_TEXTS:
            console.step(f"it reads pairs: {' and '.join(columns)} are one input")
        if unread := opened.kind.unread_texts(opened.tokenizer, asked.rows, opened.text_length):
            console.warn(unread)
        width = opened.kind.width(opened.model.config)
        reader = replace(opened.reader(runner), dimensions=config.dimensions, words=asked.words, width=width)
        answers = _answers(opened, reader, asked.rows)
    _show(answers, columns, config.json, opened.kind.heading)
    return answers


def _open(folder: Path, file: Path | None, options: TaskOptions) -> OpenedModel:
    """The model without its weights where a file is run, which is all that has to be there besides."""
    if file is None:
        return open_model(str(folder), without_task=True, options=options)
    return open_to_predict(folder, format_of(file).parts(file), options)


def _require_as_many(kind: TaskKind, rows: Sequence[InputTexts]) -> None:
    """Raise for rows of another number of texts than a kind reads."""
    wanted = kind.texts_a_row
    if wanted and any(len(row) != wanted for row in rows):
        raise EdgepressError(
            f"a row has {len(rows[0])} texts, and the model reads {wanted} at once",
            f"name {wanted} of --text-columns",
        )


def _runner(opened: OpenedModel, file: Path | None, threads: int) -> Runner:
    """What runs a file, or the model itself where there is none."""
    return EagerRunner(opened.model) if file is None else open_runner(file, threads or environment().cores)


def _preferred(folder: Path, manifest: Manifest | None) -> Path | None:
    """The file that quantizing named to ship, else the smallest ONNX file, else the smallest that a runtime
    here opens; None: the folder has none.

    Only files that were compared with the model take token ids; some may not have been copied.
    """
    if manifest is None:
        found = (path for place in PLACES for path in folder.glob(place)) if _runs_here("onnx") else ()
        return min(found, key=size_bytes, default=None)
    records = [record for record in manifest.files if record.parity]
    runnable = [own for own in records if _runs_here(own.format) and (folder / own.path).exists()]
    steps = manifest.steps
    chosen = steps[-1].metrics.get("chosen") if steps else None

    def rank(record: FileRecord) -> tuple[bool, bool, int]:
        return record.path != chosen, record.format != "onnx", record.size_bytes

    best = min(runnable, key=rank, default=None)
    return folder / best.path if best else None


def _runs_here(name: str) -> bool:
    own = formats().get(name)
    return own is not None and own.runs_here


def _answers(opened: OpenedModel, reader: Reader, rows: Sequence[InputTexts]) -> list[Answer]:
    opened.kind.answer(reader, rows[0])  # the first run is slower than others
    found, times = [], []
    for row in rows:
        start = time.perf_counter()
        prediction = opened.kind.answer(reader, row)
        times.append(1000 * (time.perf_counter() - start))
        found.append(prediction)
    whole = opened.kind.answered(found, rows)
    answers = [Answer(*each) for each in zip(rows, whole, times, strict=True)]
    return [answers[row] for row in opened.kind.shown_order(whole, rows)]


def _show(answers: Sequence[Answer], columns: Sequence[str], as_json: bool, heading: str) -> None:
    if as_json:
        for answer in answers:
            console.line(json.dumps(_object(answer), ensure_ascii=False))
        return
    rows = [
        (
            _cut(" | ".join(answer.texts)),
            answer.prediction.words,
            _percent(answer.prediction.probability),
            f"{answer.milliseconds:.1f}",
        )
        for answer in answers
    ]
    text = " | ".join(columns) if len(columns) == MOST_TEXTS else "text"
    ScreenTable("", (text, heading, "probability", "ms"), rows, words=(0, 1)).show()


def _object(answer: Answer) -> dict[str, object]:
    text = answer.texts[0] if len(answer.texts) == 1 else list(answer.texts)
    return {"text": text, **answer.prediction.recorded, "milliseconds": round(answer.milliseconds, 3)}


def _percent(share: float | None) -> str:
    """Percentage with one decimal; empty for a value, and where nothing is found."""
    return "" if share is None else f"{100 * share:.1f} %"


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= SHOWN_CHARACTERS else f"{flat[: SHOWN_CHARACTERS - 1]}…"
