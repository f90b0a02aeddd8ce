"""What a training run leaves: an artifact with its step, and one line on the screen."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import Trainer

from compress.training.config import TrainingFlags
from compress.training.history import history, kept_epoch
from compress.training.pictures.draw import pictures
from compress.training.pictures.trained import Trained
from compress.training.trainer import compute_as_written
from device_bench.chart.theme import THEMES
from edgepress import console
from edgepress.artifact import Step, create_artifact
from edgepress.card import Card
from edgepress.loading import OpenedModel, save_model, set_thresholds
from edgepress.tasks import Task

PICTURES = "pictures"
# What stands beside the model itself in the metrics of its step.
BESIDE = {"plain": "without the teacher", "teacher": "teacher"}


def write_trained(
    config: TrainingFlags,
    output: Path,
    opened: OpenedModel,
    task: Task | None,
    step: Step,
    relation: str,
    body: str,
    thresholds: Sequence[float] | None = None,
) -> None:
    """Write the trained model as an artifact.

    Args:
        config: says whether an existing output may be replaced.
        output: its folder.
        opened: the model, and what it was made of.
        task: what its classifier was trained for; None for a masked language model.
        step: how, with the task's metric in its metrics.
        relation: what the model card says it is to the model that it was made of.
        body: what the model card says in words.
        thresholds: from which probability on each label is given; None: one half.
    """
    trained = replace(
        opened.record(),
        weights="trained",
        head_trained=task is not None,
        architecture=opened.model.config.model_type,
        parameters=opened.model.num_parameters(),
    )
    set_thresholds(opened.model, thresholds)
    manifest = replace(opened, task=task).manifest(output.name, config.seed, step)
    with create_artifact(output, config.overwrite) as draft:
        save_model(opened, draft.folder)
        draft.manifest = replace(manifest, model=trained)
        reached = step.metrics[task.metric] if task else None
        scores = {} if reached is None else {"fp32": reached}
        card = Card(
            *(output.name, trained, task, relation, opened.license, scores, body, opened.language),
            pipeline="text-classification" if task else "fill-mask",
        )
        names = _draw(output.name, task, step.metrics, draft.folder)
        (draft.folder / "README.md").write_text(card.text() + _shown(names), encoding="utf-8")
    console.step(f"written: {output}")


def _draw(name: str, task: Task | None, metrics: Mapping[str, Any], folder: Path) -> list[str]:
    """The pictures of a training, of all models that its metrics are of, and their names in `folder`."""
    metric, labels = (task.metric, task.labels) if task else ("", ())
    named = {name: metrics, **{title: metrics[key] for key, title in BESIDE.items() if key in metrics}}
    found = pictures([Trained(title, metric, own, labels) for title, own in named.items()])
    (folder / PICTURES).mkdir()
    for chart in found:
        (folder / PICTURES / f"{chart.name}.png").write_bytes(chart.render(THEMES["light"], "png"))
    return [f"{PICTURES}/{chart.name}.png" for chart in found]


def _shown(names: Sequence[str]) -> str:
    """Markdown."""
    return "".join(f"\n![{Path(name).stem}]({name})\n" for name in names)


def reached(trainer: Trainer, *names: str) -> dict[str, Any]:
    """Metrics after training, by their names, and the way there as `history`.

    In a launch of several processes all of them have to ask: each reads its part of the rows.
    """
    compute_as_written(trainer)
    way = history(trainer)
    found = trainer.evaluate()
    kept = kept_epoch(trainer)
    last = {} if kept else {"history": history(trainer)}  # other weights end no learning curve
    return {**{name: float(found[f"eval_{name}"]) for name in names}, "history": way, **kept, **last}


def answer_scores(metrics: dict[str, Any]) -> str:
    """Scores of answers in words."""
    return f"F1 {100 * metrics['answer_f1']:.2f} %, exact match {100 * metrics['exact_match']:.2f} %"


def percent(task: Task, metrics: dict[str, Any]) -> str:
    """A score in words."""
    value = metrics[task.metric]
    return f"{task.metric} undefined" if value is None else f"{task.metric} {100 * value:.2f} %"
