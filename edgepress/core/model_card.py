"""The model card (README.md) of an artifact, with the metadata that the Hub reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import EvalResult, ModelCardData
from huggingface_hub.repocard import metadata_load

from edgepress.core.artifact import CARD, ModelRecord
from edgepress.core.tables import as_text
from edgepress.core.tasks import Task

FILL_MASK = "fill-mask"
UNTRAINED = """> **Not for use.** {what} Size and latency are real; its answers are not.
"""


@dataclass(frozen=True)
class Card:
    """Content of a model card."""

    name: str
    record: ModelRecord
    task: Task | None
    relation: str
    """finetune or quantized: what was done to the base model."""
    license: str | None
    scores: Mapping[str, float]
    """File -> the task's metric, 0..1; empty where nothing was scored."""
    body: str
    """Markdown below the heading."""
    language: str | list[str] | None = None
    """Language of the training texts, as codes of the Hub; None where nobody says."""
    pipeline: str = "text-classification"
    """Name of its pipeline in transformers: "text-classification", "token-classification", "fill-mask"."""
    library: str = "transformers"
    """Name of the library that opens the folder, as the Hub knows it."""

    def text(self) -> str:
        """The card, YAML metadata first."""
        title = as_text(" ".join(self.name.split()))
        return f"---\n{self._metadata().to_yaml()}\n---\n\n# {title}\n\n{self._notice()}\n{self.body}"

    def _notice(self) -> str:
        if self.record.weights == "random":
            return UNTRAINED.format(what="This model has random weights.")
        if not self.record.head_trained and self.pipeline != FILL_MASK:
            return UNTRAINED.format(what="This model's classifier has random weights.")
        return ""

    def _metadata(self) -> ModelCardData:
        return ModelCardData(
            language=self.language,
            license=self.license,
            library_name=self.library,
            pipeline_tag=self.pipeline,
            tags=["edgepress", self.record.architecture],
            datasets=[self.task.hub_id] if self.task and self.task.hub_id else None,
            metrics=[self.task.metric] if self.task and self.scores else None,
            base_model=self.record.hub_id,
            base_model_relation=self.relation if self.record.hub_id else None,
            model_name=self.name,
            eval_results=self._results(),
        )

    def _results(self) -> list[EvalResult] | None:
        if self.task is None or not self.scores:
            return None
        return [
            EvalResult(
                task_type=self.pipeline,
                dataset_type=self.task.hub_id or self.task.name,
                dataset_name=self.task.name,
                dataset_split=self.task.evaluation_split,
                metric_type=self.task.metric,
                metric_name=f"{self.task.metric} ({name})",
                metric_value=round(score, 4),
            )
            for name, score in self.scores.items()
        ]


def card_language(folder: Path) -> str | list[str] | None:
    """Read the language of the texts from the metadata of a folder's card; None where it is not given."""
    path = folder / CARD
    try:
        said = (metadata_load(path) or {}).get("language") if path.is_file() else None
    except Exception:  # a card is prose: YAML that cannot be read says nothing
        return None
    codes = said if isinstance(said, list) else [said]
    return said if said and all(isinstance(code, str) for code in codes) else None
