"""Results of an export: table, card and manifest."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgepress.core import console
from edgepress.core.artifact import Draft, Step
from edgepress.core.environment import environment
from edgepress.core.evaluation import EVALUATION_SET, EvaluationSet
from edgepress.core.inputs import input_names
from edgepress.core.intervals import Bounds, score_text
from edgepress.core.loading import OpenedModel
from edgepress.core.memory import peak_note
from edgepress.core.model_card import Card
from edgepress.core.outputs import output_names
from edgepress.core.tables import ScreenTable, markdown_table
from export.command.checks import ExportRequest
from export.command.session import Written
from export.core.config import ExportConfig
from export.core.format import Format
from export.core.scheme import CPU_TARGETS, this_cpu
from export.validation.validator import FileVerdict, FurtherScore

MISSING = "-"


@dataclass(frozen=True)
class Exported:
    """Everything that a run found out."""

    config: ExportConfig
    request: ExportRequest
    opened: OpenedModel
    parent_score: float | None
    parent_bounds: Bounds | None
    evaluation_set: EvaluationSet
    """What scores are of."""
    files: Sequence[Written]
    parent_also: Mapping[str, FurtherScore] = field(default_factory=dict)
    """What the model is judged by besides, in torch."""
    recommendations: tuple[()] = ()
    """None: nothing is timed, and none chosen."""

    @property
    def also(self) -> list[str]:
        """Lines on what files are judged by besides."""
        return list(also_lines(self.opened, self.parent_also, self.files))

    @property
    def kept(self) -> Sequence[Written]:
        """The files that are in the artifact."""
        return self.files

    @property
    def preferred(self) -> Written:
        """The file that stands for the others: the last."""
        return self.files[-1]

    @property
    def longest(self) -> int:
        """Longest input that files were compared on [tokens]."""
        return self.config.shapes.longest or self.opened.longest

    @property
    def remade(self) -> OpenedModel:
        """The model, with the export as its last step."""
        return replace(self.opened, applied=(*self.opened.applied, _step(self)))

    def write(self, draft: Draft, target: Path) -> None:
        """Write manifest and card of an artifact at `target`."""
        write(self, draft, target)

    @property
    def headings(self) -> list[str]:
        metric = self.opened.text_task.metric
        agreement = agreement_heading(self.opened)
        return ["file", "scheme", "MB", "largest difference", "mean", agreement, metric]

    @property
    def rows(self) -> list[list[str]]:
        """The table's cells: the model in torch, then its files."""
        parameters = f"torch, {self.opened.model.num_parameters() / 1e6:.1f} M parameters"
        score = score_text(self.parent_score, self.parent_bounds)
        parent = [parameters, "fp32", MISSING, MISSING, MISSING, MISSING, score]
        return [parent, *(_cells(file) for file in self.files)]


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


def agreement_heading(opened: OpenedModel) -> str:
    """The heading of agreement, with the texts that it is of where they are not the model's own."""
    agreed = opened.kind.agreed
    return f"{agreed} on {opened.text_task.name}" if opened.on_foreign_texts else agreed


def judged_on(opened: OpenedModel, texts: EvaluationSet, files: Sequence[Written]) -> str:
    """Return the sentence that says which texts the scores and the agreement of files are of."""
    rows = max(file.verdict.parity.rows for file in files)
    what = f"Judged on {texts}; scores with their 95 % intervals."
    if opened.on_foreign_texts:
        what = f"Compared on {texts}: nobody says what the model was trained on, and nothing is scored."
    if opened.kind.texts_together:
        texts_read = max(file.verdict.parity.agreed_rows for file in files)
        agreed = opened.kind.agreed.capitalize()
        return f"{what} {agreed}: of {texts_read:,} different texts, each among the others."
    return (
        f"{what} Agreement with the model in torch is of {rows:,} rows: these texts, one by one, and "
        f"{rows - texts.texts:,} rows cut from them, in batches of up to 8."
    )


def also_lines(
    opened: OpenedModel, parent: Mapping[str, FurtherScore], files: Sequence[Written]
) -> Iterator[str]:
    """Yield a line for each metric that files are judged by besides: the model's, then that of each file."""
    words = {metric: said for said, metric in opened.kind.also.items()}
    for metric, own in parent.items():
        values = [f"{file.verdict.also[metric].words} {file.name}" for file in files]
        yield f"{words[metric]}: {own.words} in torch, {', '.join(values)}"


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
    console.line(judged_on(exported.opened, exported.evaluation_set, exported.files))
    for line in exported.also:
        console.line(line)
    if said := peak_note(exported.longest):
        console.line(said)
    for note in cpu_notes(exported.files):
        console.warn(note)


CARD_BODY = """{table}
{judged_on} Differences are those of logits from torch's over the same rows, of up to {longest} tokens, padded
and not.
{notes}
{usage}
"""


def _card(exported: Exported, target: Path) -> str:
    opened, written = exported.opened, exported.files
    usages = {file.format.name: usage(file.format, target, file.path, opened) for file in written}
    body = CARD_BODY.format(
        table=markdown_table(exported.headings, exported.rows),
        judged_on=judged_on(opened, exported.evaluation_set, written),
        longest=exported.longest,
        notes="".join(f"\n{note}.\n" for note in (*exported.also, *cpu_notes(written))),
        usage="\n".join(usages.values()),
    )
    scores = {file.path.name: file.verdict.score for file in exported.files if file.verdict.score is not None}
    said = (opened.license, scores, body, opened.language)
    pipeline = opened.kind.pipeline
    kinds = (pipeline, opened.kind.library)
    return Card(target.name, opened.record(), opened.task, "quantized", *said, *kinds).text()


def usage(own: Format, target: Path, file: Path, opened: OpenedModel) -> str:
    """The card's program for a file of an artifact at `target`."""
    below = f"{file.parent.name}/{file.name}"
    texts = opened.kind.card_texts(opened.tokenizer, opened.texts_a_row)
    names, outputs = input_names(opened.model), output_names(opened.model)
    return own.usage(target.as_posix(), below, names, texts, opened.kind, outputs)


def write(exported: Exported, draft: Draft, target: Path) -> None:
    """Manifest and card of an artifact at `target`."""
    (draft.folder / "README.md").write_text(_card(exported, target), encoding="utf-8")
    seed = exported.config.seed
    draft.manifest = exported.remade.manifest(target.name, seed)


def intervals(verdict: FileVerdict) -> dict[str, list[float]]:
    """The 95 % intervals of a file's score and of what it loses, as a manifest keeps them."""
    known = {"interval": verdict.bounds, "loss_interval": verdict.loss}
    return {name: bounds.recorded for name, bounds in known.items() if bounds is not None}


def also(verdict: FileVerdict) -> dict[str, dict[str, float | None]]:
    """What a file is judged by besides, as a manifest keeps it."""
    return {"also": {name: own.value for name, own in verdict.also.items()}} if verdict.also else {}


def _step(exported: Exported) -> Step:
    config = {part.format.name: part.config.recorded() for part in exported.request.parts}
    files = [
        {
            "file": file.path.name,
            **({"cpus": list(file.cpus)} if file.cpus else {}),
            **file.how,
            "score": file.verdict.score,
            **intervals(file.verdict),
            **also(file.verdict),
            **(
                {"recalls": own} if (own := {each.label: each.recall for each in file.verdict.labels}) else {}
            ),
            "seconds": round(file.seconds, 2),
        }
        for file in exported.files
    ]
    seconds = sum(file.seconds for file in exported.files)
    metrics = {
        "parent_score": exported.parent_score,
        "parent_interval": exported.parent_bounds.recorded if exported.parent_bounds else None,
        EVALUATION_SET: exported.evaluation_set.recorded(),
        "files": files,
    }
    return Step("export", config, seconds, metrics)
