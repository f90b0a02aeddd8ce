"""What an export leaves behind and shows: table, card, manifest."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgepress.core import console
from edgepress.core.artifact import Draft, Step
from edgepress.core.card import Card
from edgepress.core.evaluation import EVALUATION_SET, EvaluationSet
from edgepress.core.loading import OpenedModel
from edgepress.core.tables import ScreenTable, markdown_table
from export.base.config import ExportConfig
from export.command.checks import Order
from export.command.session import Written

MISSING = "-"


@dataclass(frozen=True)
class Outcome:
    """Everything that a run found out."""

    config: ExportConfig
    order: Order
    opened: OpenedModel
    parent_score: float | None
    evaluation_set: EvaluationSet
    """What scores are of."""
    written: Sequence[Written]

    @property
    def headings(self) -> list[str]:
        metric = self.opened.text_task.metric
        return ["file", "precision", "MB", "largest difference", "mean", "agreement", metric]

    @property
    def rows(self) -> list[list[str]]:
        """The table's cells: the model in torch, then its files."""
        parameters = f"torch, {self.opened.model.num_parameters() / 1e6:.1f} M parameters"
        parent = [parameters, "fp32", MISSING, MISSING, MISSING, MISSING, _percent(self.parent_score)]
        return [parent, *(_cells(file) for file in self.written)]


def _cells(file: Written) -> list[str]:
    found = file.verdict.parity
    return [
        f"{file.path.parent.name}/{file.path.name}",
        file.name,
        f"{file.size_bytes / 1e6:.1f}",
        f"{found.max_abs:.1e}",
        f"{found.mean_abs:.1e}",
        _percent(found.agreement),
        _percent(file.verdict.score),
    ]


def _percent(share: float | None) -> str:
    return MISSING if share is None else f"{100 * share:.2f} %"


def show(outcome: Outcome) -> None:
    """The table."""
    title = f"{outcome.opened.source.short_name}: each file beside the model"
    ScreenTable(title, outcome.headings, outcome.rows, words=(0, 1)).show()
    console.line(f"Judged on {outcome.evaluation_set}.")


CARD_BODY = """{table}
Differences are those of logits from torch's, over {rows} rows: {judged_on}, one by one, and batches of up to
8 rows and {longest} tokens, padded and not.

{usage}
"""


def _card(outcome: Outcome) -> str:
    opened, name, written = outcome.opened, outcome.order.output.name, outcome.written
    usages = {file.format.name: file.format.usage(name, file.path.name) for file in written}
    body = CARD_BODY.format(
        table=markdown_table(outcome.headings, outcome.rows),
        rows=max(file.verdict.parity.rows for file in written),
        judged_on=outcome.evaluation_set,
        longest=outcome.config.shapes.longest or opened.longest,
        usage="\n".join(usages.values()),
    )
    scores = {
        file.path.name: file.verdict.score for file in outcome.written if file.verdict.score is not None
    }
    said = (opened.license, scores, body, opened.language)
    return Card(name, opened.record(), opened.task, "quantized", *said).text()


def write(outcome: Outcome, draft: Draft) -> None:
    """Manifest and card."""
    (draft.folder / "README.md").write_text(_card(outcome), encoding="utf-8")
    name, seed = outcome.order.output.name, outcome.config.seed
    made = replace(outcome.opened, applied=(*outcome.opened.applied, _step(outcome)))
    draft.manifest = made.manifest(name, seed)


def _step(outcome: Outcome) -> Step:
    config = {part.format.name: part.config.recorded() for part in outcome.order.parts}
    files = [
        {"file": file.path.name, "score": file.verdict.score, "seconds": round(file.seconds, 2)}
        for file in outcome.written
    ]
    seconds = sum(file.seconds for file in outcome.written)
    metrics = {
        "parent_score": outcome.parent_score,
        EVALUATION_SET: outcome.evaluation_set.recorded(),
        "files": files,
    }
    return Step("export", config, seconds, metrics)
