"""Results of an export: table, card and manifest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepress.core import console
from edgepress.core.artifact import Draft, Step
from edgepress.core.environment import environment
from edgepress.core.inputs import input_names
from edgepress.core.intervals import score_text
from edgepress.core.loading import OpenedModel
from edgepress.core.memory import peak_note
from edgepress.core.outputs import output_names
from edgepress.core.tables import ScreenTable, markdown_table
from export.command.session import ParentScores, Written
from export.core.config import ExportConfig
from export.core.scheme import CPU_TARGETS, this_cpu

if TYPE_CHECKING:
    from export.command.checks import ExportRequest

MISSING = "-"
CARD_BODY = """{table}
{judged_on} Differences are those of logits from torch's over the same rows, of up to {longest} tokens, padded
and not.
{notes}
{usage}
"""


@dataclass(frozen=True)
class ComparedFiles(ABC):
    """Files of a model, each compared with it, and what becomes of them in their folder."""

    opened: OpenedModel
    parent: ParentScores
    seed: int

    @property
    @abstractmethod
    def files(self) -> Sequence[Written]:
        """All that were compared."""

    @property
    def kept(self) -> Sequence[Written]:
        """The files that are in the artifact."""
        return self.files

    @property
    def preferred(self) -> Written:
        """The file that stands for the others: the last."""
        return self.files[-1]

    @property
    def advice(self) -> Sequence[str]:
        """Sentences that say which file to ship; none where none was looked for."""
        return ()

    @property
    @abstractmethod
    def step(self) -> Step:
        """What was done, for the manifest."""

    @abstractmethod
    def card(self, target: Path) -> str:
        """The text of README.md in the folder `target`."""

    @property
    def also(self) -> Iterator[str]:
        """A line for each further metric, and each width of vectors: the model's, then that of each file."""
        words = {metric: said for said, metric in self.opened.kind.also.items()}
        names = [file.name for file in self.files]
        if len({*names}) < len(names):  # one scheme in several formats
            names = [f"{file.path.parent.name}/{file.path.name}" for file in self.files]
        for metric, own in self.parent.also.items():
            words_of = (file.verdict.also[metric].words for file in self.files)
            values = [f"{said} {name}" for said, name in zip(words_of, names, strict=True)]
            yield f"{words.get(metric, metric)}: {own.words} in torch, {', '.join(values)}"

    @property
    def metric(self) -> str:
        """Name of the metric that files are scored by."""
        return self.opened.text_task.metric

    @property
    def agreement(self) -> str:
        """Heading of agreement, with the texts that it is of where they are not the model's own."""
        agreed = self.opened.kind.agreed
        return f"{agreed} on {self.opened.text_task.name}" if self.opened.on_foreign_texts else agreed

    @property
    def judged_on(self) -> str:
        """Sentence that says which texts the scores and the agreement of files are of."""
        opened, texts = self.opened, self.parent.evaluation_set
        rows = max(file.verdict.parity.rows for file in self.files)
        what = f"Judged on {texts}; scores with their 95 % intervals."
        if opened.on_foreign_texts:
            what = f"Compared on {texts}: nobody says what the model was trained on, and nothing is scored."
        if opened.kind.texts_together:
            texts_read = max(file.verdict.parity.agreed_rows for file in self.files)
            agreed = opened.kind.agreed.capitalize()
            return f"{what} {agreed}: of {texts_read:,} different texts, each among the others."
        return (
            f"{what} Agreement with the model in torch is of {rows:,} rows: these texts, one by one, and "
            f"{rows - texts.texts:,} rows cut from them, in batches of up to 8."
        )

    @property
    def remade(self) -> OpenedModel:
        """The model, with what was done as its last step."""
        return replace(self.opened, applied=(*self.opened.applied, self.step))

    def write(self, draft: Draft, target: Path) -> None:
        """Write manifest and card of an artifact at `target`."""
        (draft.folder / "README.md").write_text(self.card(target), encoding="utf-8")
        draft.manifest = self.remade.manifest(target.name, self.seed)

    def usage(self, file: Written, target: Path) -> str:
        """The card's program for a file of an artifact at `target`."""
        opened = self.opened
        below = f"{file.path.parent.name}/{file.path.name}"
        texts = opened.kind.card_texts(opened.tokenizer, opened.texts_a_row)
        names, outputs = input_names(opened.model), output_names(opened.model)
        return file.format.usage(target.as_posix(), below, names, texts, opened.kind, outputs)

    def card_of(self, target: Path, scores: Mapping[str, float], body: str) -> str:
        """The card of a quantized or exported model, around a text of its own."""
        from edgepress.core.model_card import Card

        opened = self.opened
        said = (opened.license, scores, body, opened.language)
        kinds = (opened.kind.pipeline, opened.kind.library)
        return Card(target.name, opened.record(), opened.task, "quantized", *said, *kinds).text()


@dataclass(frozen=True)
class Exported(ComparedFiles):
    """Files in formats, as they were asked for."""

    config: ExportConfig
    request: ExportRequest
    written: Sequence[Written]

    @property
    def files(self) -> Sequence[Written]:
        return self.written

    @property
    def longest(self) -> int:
        """Longest input that files were compared on [tokens]."""
        return self.config.shapes.longest or self.opened.longest

    @property
    def headings(self) -> list[str]:
        return ["file", "scheme", "MB", "largest difference", "mean", self.agreement, self.metric]

    @property
    def rows(self) -> list[list[str]]:
        """The table's cells: the model in torch, then its files."""
        parameters = f"torch, {self.opened.model.num_parameters() / 1e6:.1f} M parameters"
        score = score_text(self.parent.score, self.parent.bounds)
        parent = [parameters, "fp32", MISSING, MISSING, MISSING, MISSING, score]
        return [parent, *(_cells(file) for file in self.files)]

    def card(self, target: Path) -> str:
        """The text of README.md in the folder `target`."""
        programs = {file.format.name: self.usage(file, target) for file in self.files}
        body = CARD_BODY.format(
            table=markdown_table(self.headings, self.rows),
            judged_on=self.judged_on,
            longest=self.longest,
            notes="".join(f"\n{note}.\n" for note in (*self.also, *cpu_notes(self.files))),
            usage="\n".join(programs.values()),
        )
        scores = {file.path.name: file.verdict.score for file in self.files if file.verdict.score is not None}
        return self.card_of(target, scores, body)

    @property
    def step(self) -> Step:
        """What was done, for the manifest."""
        config = {part.format.name: part.config.recorded() for part in self.request.parts}
        files = [
            {"file": file.path.name, **file.how, **recorded(file), "seconds": round(file.seconds, 2)}
            for file in self.files
        ]
        seconds = sum(file.seconds for file in self.files)
        return Step("export", config, seconds, {**self.parent.recorded, "files": files})


def _cells(file: Written) -> list[str]:
    found = file.verdict.parity
    return [
        f"{file.path.parent.name}/{file.path.name}",
        file.name,
        f"{file.size_bytes / 1e6:.1f}",
        f"{found.max_abs:.1e}",
        f"{found.mean_abs:.1e}",
        _percent(found.agreement),
        score_text(file.verdict.score, file.verdict.bounds),
    ]


def _percent(share: float | None) -> str:
    return MISSING if share is None else f"{100 * share:.2f} %"


def cpu_notes(files: Sequence[Written]) -> Iterator[str]:
    """Yield a note for each file that is for another CPU than the one it was judged and timed on."""
    here = this_cpu()
    for file in files:
        scheme = file.scheme
        if scheme is None or not file.cpus or here.name in file.cpus:
            continue
        same = scheme.same_file(CPU_TARGETS[file.cpus[0]], here)
        bytes_ = (
            f"the very bytes that this CPU takes ({here.name})" if same else "other bytes than this CPU's"
        )
        yield (
            f"{file.path.name} is for {', '.join(file.cpus)}: {bytes_}; scores and times are of "
            f"{environment().cpu}, and say nothing of the speed on {', '.join(file.cpus)}"
        )


def show(exported: Exported) -> None:
    """Print the table of the files."""
    title = f"{exported.opened.source.short_name}: each file beside the model"
    ScreenTable(title, exported.headings, exported.rows, words=(0, 1)).show()
    console.line(exported.judged_on)
    for line in exported.also:
        console.line(line)
    if said := peak_note(exported.longest):
        console.line(said)
    for note in cpu_notes(exported.files):
        console.warn(note)


def recorded(file: Written) -> dict[str, Any]:
    """What a file is for and what it was found to be, as a manifest keeps it."""
    verdict = file.verdict
    intervals = {"interval": verdict.bounds, "loss_interval": verdict.loss}
    also = {name: own.value for name, own in verdict.also.items()}
    recalls = recalls_of(file)
    return {
        **({"cpus": list(file.cpus)} if file.cpus else {}),
        "score": verdict.score,
        **{name: bounds.recorded for name, bounds in intervals.items() if bounds is not None},
        **({"also": also} if also else {}),
        **({"recalls": recalls} if recalls else {}),
    }


def recalls_of(file: Written) -> dict[str, float | None]:
    """The recall of each label."""
    return {own.label: own.recall for own in file.verdict.labels}
