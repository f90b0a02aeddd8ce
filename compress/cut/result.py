"""What a cut leaves: an artifact whose manifest says what is left, and the score before and after."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgepress import console
from edgepress.artifact import Step, create_artifact
from edgepress.card import Card
from edgepress.loading import OpenedModel, save_model
from export.base.eager import EagerRunner
from export.check.judge import Judge
from export.check.sentences import evaluation_sentences

BYTES_OF_FP32 = 4


@dataclass(frozen=True)
class State:
    """A model before or after a cut."""

    parameters: int
    score: float | None
    """The task's metric, 0..1; None where the model cannot be scored."""

    @classmethod
    def of(cls, opened: OpenedModel, eval_samples: int, seed: int, data: Path | None) -> "State":
        """Of a model as it is, scored in torch on texts of the evaluation split.

        Raises:
            EdgepressError: no source has the split.
        """
        score = None
        if opened.scored:
            sentences = evaluation_sentences(opened, eval_samples, seed, data)
            with EagerRunner(opened.model) as runner:
                score = Judge(runner, sentences).parent_score
        return cls(opened.model.num_parameters(), score)

    @property
    def cells(self) -> tuple[str, str, str]:
        """Of a table: parameters, weights in fp32, score."""
        score = "-" if self.score is None else f"{100 * self.score:.2f} %"
        megabytes = self.parameters * BYTES_OF_FP32 / 1e6
        return f"{self.parameters / 1e6:.2f} M", f"{megabytes:.1f}", score

    @property
    def figures(self) -> dict[str, Any]:
        """Of a manifest."""
        return {"parameters": self.parameters, "score": self.score}


def headings(opened: OpenedModel) -> tuple[str, str, str]:
    """Over `State.cells`."""
    return "params", "fp32 MB", opened.text_task.metric


def write_cut(output: Path, overwrite: bool, opened: OpenedModel, step: Step, seed: int, body: str) -> None:
    """Write the cut model as an artifact.

    Args:
        output: its folder.
        overwrite: an existing one may be replaced.
        opened: the model after the cut, and what it was made of.
        step: how, with `after` as `State.figures` in its metrics.
        seed: of the command.
        body: what the model card says in words.
    """
    record = replace(opened.record(), parameters=opened.model.num_parameters())
    manifest = replace(opened.manifest(output.name, seed, step), model=record)
    scores = _scores(step.metrics["after"])
    with create_artifact(output, overwrite) as draft:
        save_model(opened, draft.folder)
        draft.manifest = manifest
        card = Card(output.name, record, opened.task, "finetune", opened.license, scores, body)
        (draft.folder / "README.md").write_text(card.text(), encoding="utf-8")
    console.step(f"written: {output}")


def _scores(after: Mapping[str, Any]) -> dict[str, float]:
    return {} if after["score"] is None else {"fp32": after["score"]}
