"""What a change of a model leaves: an artifact that says what is left, and the score before and after."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compress.teaching.flags import TeachingFlags
from compress.teaching.lesson import Learned, load_lesson_text
from compress.training.checkpoints import checkpoint_folder
from compress.training.data import TrainingText
from compress.training.identity import run_identity
from compress.training.result import write_trained
from edgepress import console
from edgepress.artifact import Step, create_artifact
from edgepress.card import Card
from edgepress.evaluation import EVALUATION_SET, EvaluationSet
from edgepress.loading import OpenedModel, save_model
from export.base.eager import EagerRunner
from export.check.judge import Judge
from export.check.sentences import evaluation_sentences

BYTES_OF_FP32 = 4


@dataclass(frozen=True)
class State:
    """A model before or after a change."""

    parameters: int
    score: float | None
    """The task's metric, 0..1; None where the model cannot be scored."""
    evaluation_set: EvaluationSet | None
    """What the score is of."""

    @classmethod
    def of(cls, config: TeachingFlags, opened: OpenedModel) -> "State":
        """Of a model as it is, scored in torch on texts of the evaluation split, as training would score it.

        Raises:
            EdgepressError: no source has the split.
        """
        if not opened.scored:
            return cls(opened.model.num_parameters(), None, None)
        length = config.length_for(opened)
        sentences = evaluation_sentences(opened, config.eval_samples, config.seed, max_length=length)
        with EagerRunner(opened.model) as runner:
            score = Judge(runner, sentences).parent_score
        return cls(opened.model.num_parameters(), score, sentences.evaluation_set)

    @classmethod
    def after(cls, config: TeachingFlags, opened: OpenedModel, learned: Learned | None) -> "State":
        """Of a model after a change, and after the training that followed it, if one did."""
        if learned is None:
            return cls.of(config, opened)
        judged = learned.judged
        score = judged.metrics[opened.text_task.metric]
        return cls(opened.model.num_parameters(), score, judged.evaluation_set)

    @property
    def cells(self) -> tuple[str, str, str]:
        """Of a table: parameters, weights in fp32, score."""
        score = "-" if self.score is None else f"{100 * self.score:.2f} %"
        megabytes = self.parameters * BYTES_OF_FP32 / 1e6
        return f"{self.parameters / 1e6:.2f} M", f"{megabytes:.1f}", score

    @property
    def figures(self) -> dict[str, Any]:
        """Of a manifest."""
        own = {EVALUATION_SET: self.evaluation_set.recorded()} if self.evaluation_set else {}
        return {"parameters": self.parameters, "score": self.score, **own}

    @property
    def scored_on(self) -> str:
        """What the score is of, as a sentence; empty where there is none."""
        return f"Scores are of {self.evaluation_set}." if self.evaluation_set else ""

    def show_scored_on(self) -> None:
        """Print it, where there is one."""
        if self.scored_on:
            console.line(self.scored_on)


def headings(opened: OpenedModel) -> tuple[str, str, str]:
    """Over `State.cells`."""
    return "params", "fp32 MB", opened.text_task.metric


@contextmanager
def checkpoints_of(
    config: TeachingFlags, output: Path, opened: OpenedModel, more: Mapping[str, Any] | None = None
) -> Iterator[tuple[Path, TrainingText | None]]:
    """Where the trainings of a change go on after an interruption, and the texts that they are of.

    Where there are none: nowhere, and no texts.

    Args:
        config: the command's flags.
        output: what it will write.
        opened: the model before the change.
        more: further contents that decide what is trained, by name.

    Raises:
        EdgepressError: checkpoints of another run are there; or there are no texts.
    """
    if not config.epochs:
        yield output, None
        return
    text = load_lesson_text(config, opened)
    identity = run_identity(config, opened.text_task, text, more, model=opened)
    with checkpoint_folder(config, output, identity) as folder:
        yield folder, text


def write_learned(
    config: TeachingFlags,
    output: Path,
    opened: OpenedModel,
    step: Step,
    body: str,
    learned: Learned | None,
    checkpoints: Path,
) -> None:
    """Write a model that was changed as an artifact.

    Args:
        config: says whether an existing output may be replaced.
        output: its folder.
        opened: the model, and what it was made of.
        step: how, with `after` as `State.figures` in its metrics.
        body: what the model card says in words.
        learned: what the last training reached; None where there was none.
        checkpoints: of all trainings, that are not needed any more.
    """
    if learned is None:
        write_changed(output, config.overwrite, opened, step, config.seed, body)
    else:
        thresholds = learned.judged.thresholds
        write_trained(config, output, opened, opened.text_task, step, "finetune", body, thresholds)
        shutil.rmtree(checkpoints)


def write_changed(
    output: Path, overwrite: bool, opened: OpenedModel, step: Step, seed: int, body: str
) -> None:
    """Write a model that was changed, and not trained, as an artifact.

    Args:
        output: its folder.
        overwrite: an existing one may be replaced.
        opened: the model after the change, and what it was made of.
        step: how, with `after` as `State.figures` in its metrics.
        seed: of the command.
        body: what the model card says in words.
    """
    record = replace(opened.record(), parameters=opened.model.num_parameters())
    manifest = replace(opened.manifest(output.name, seed, step), model=record)
    score = step.metrics["after"]["score"]
    with create_artifact(output, overwrite) as draft:
        save_model(opened, draft.folder)
        draft.manifest = manifest
        scores = {} if score is None else {"fp32": score}
        said = (opened.license, scores, body, opened.language)
        card = Card(output.name, record, opened.task, "finetune", *said)
        (draft.folder / "README.md").write_text(card.text(), encoding="utf-8")
    console.step(f"written: {output}")
