"""Opening what the user named: a model with its tokenizer and its task, ready for a technique."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

import numpy as np
from safetensors import SafetensorError
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from edgepress.core import console
from edgepress.core.architectures.base import SmallClassifier
from edgepress.core.architectures.pruned import record_shapes
from edgepress.core.artifact import (
    Artifact,
    Manifest,
    ModelRecord,
    Step,
    is_artifact,
    open_artifact,
    open_to_run,
)
from edgepress.core.artifact_task import named_task, recorded_type, trained_head
from edgepress.core.console import warn
from edgepress.core.errors import EdgepressError, first_line
from edgepress.core.files import sha256
from edgepress.core.heads import EMBEDDING, head_of_class
from edgepress.core.inputs import longest_input
from edgepress.core.metrics import THRESHOLDS, set_thresholds
from edgepress.core.models import (
    FINE_TUNING,
    FROM_SCRATCH,
    MODELS,
    ModelSource,
    ModelSpec,
    Schedule,
    Weights,
    find_model,
)
from edgepress.core.pretrained import describe_model, keep_whole, load_model, load_tokenizer
from edgepress.core.process import quiet_transformers
from edgepress.core.sentence_folder import RECORD, Pooling, write_folder
from edgepress.core.split_files import MODEL_CONFIG
from edgepress.core.tasks import DEFAULT_TASK, TASKS, ProblemType, Task, TaskOptions
from edgepress.core.tasks.kind import TaskKind
from edgepress.core.tasks.kinds import kind_of, problem_of_head
from edgepress.core.tasks.task import SINGLE, VALUES, ZERO_SHOT

if TYPE_CHECKING:
    from edgepress.core.hypotheses import Hypotheses
    from edgepress.core.prediction import Reader

# Techniques whose `max_length` is of the texts that a classifier learned from, and was scored on.
TRAININGS = ("finetune", "distill", "prune", "sparsify", "qat", "trim_vocab")


@dataclass(frozen=True)
class OpenedModel:
    """A model in memory, and everything known about it."""

    source: ModelSource
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    head_trained: bool
    task: Task | None
    """What it is to be scored on; None where nobody said."""
    artifact: Artifact | None
    data: Path | None = None
    """The data root; None: EDGEPRESS_DATA."""
    applied: tuple[Step, ...] = ()
    """What was done to it since it was opened."""
    remade: ModelRecord | None = None
    """What it is since then."""
    most: int | None = None
    """Longest input that is asked for [tokens]; None: as long as the model takes."""
    hypotheses: Hypotheses | None = None
    """How a model of entailment is asked about classes that no data have; None: as its task says, if so."""

    @property
    def scored(self) -> bool:
        """Whether accuracy means something: a trained head, on a known task."""
        return self.head_trained and self.task is not None

    @property
    def on_foreign_texts(self) -> bool:
        """Whether it is a trained classifier of which nobody says the task: it is compared on other texts."""
        return self.head_trained and self.task is None

    @property
    def text_task(self) -> Task:
        """Task that real sentences are taken from: the model's, or the embedded default."""
        return self.task or replace(TASKS[DEFAULT_TASK], root=self.data)

    @property
    def problem_type(self) -> ProblemType:
        """Problem type that the logits are of: the task's, else that of the model's own config."""
        if self.task is not None:
            return self.task.problem_type
        if self.hypotheses is not None:
            return ZERO_SHOT
        if (recorded := recorded_type(self.artifact)) is not None:
            return recorded
        if (told := problem_of_head(head_of_class(self.model))) is not None:
            return told
        own = self.model.config.problem_type
        if own in get_args(ProblemType):
            return cast("ProblemType", own)
        return VALUES if self.model.config.num_labels == 1 else SINGLE

    @property
    def kind(self) -> TaskKind:
        """Kind of task that the model is for."""
        return kind_of(self.problem_type).asking(self.task.hypotheses if self.task else self.hypotheses)

    @property
    def reads_pairs(self) -> bool:
        """Whether it reads two texts at once."""
        return self.kind.pairs or self.texts_a_row > 1

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of its head's labels, in the order of the logits; none where outputs have no names."""
        if not self.kind.named:
            return ()
        return tuple(label for _, label in sorted((self.model.config.id2label or {}).items()))

    def reader(self, run: Callable[[Mapping[str, np.ndarray]], np.ndarray]) -> Reader:
        """Return a reader that treats texts as this model does, with `run` in place of the model."""
        from edgepress.core.prediction import Reader

        return Reader(run, self.tokenizer, self.labels, self.text_length, self.thresholds)

    @property
    def thresholds(self) -> list[float] | None:
        """Thresholds of its decisions: the probability from which each label is given; or by how much the
        score of no answer has to be the higher one. None: one half, and never.
        """
        own = getattr(self.model.config, THRESHOLDS, None)
        return own if own is not None or self.task is None else self.kind.thresholds(self.task)

    @property
    def license(self) -> str | None:
        """The weights' license, where it is known."""
        return self.spec.license if self.spec else None

    @property
    def language(self) -> str | list[str] | None:
        """Language of the training texts, where the zoo or the card of the model's folder says so."""
        from edgepress.core.model_card import card_language

        said = card_language(self.source.folder) if self.source.folder else None
        return said or (self.spec.language if self.spec else None)

    @property
    def spec(self) -> ModelSpec | None:
        """Zoo entry of the model that it comes from; None where it is none of the zoo.

        The Hub id has to be the same, for a folder may have a zoo model's name.
        """
        record = self.record()
        spec = MODELS.get(record.name)
        return spec if spec and spec.hub_id == record.hub_id else None

    @property
    def schedule(self) -> Schedule:
        """Default epochs and learning rate of its training."""
        return FROM_SCRATCH if isinstance(self.model, SmallClassifier) else FINE_TUNING

    @property
    def texts_a_row(self) -> int:
        """Number of texts that it reads at once: 2 where it reads pairs."""
        return self.kind.texts_a_row or self.text_task.texts_a_row

    @property
    def longest(self) -> int:
        """The longest input [tokens]: that the model takes, or less where less is asked for."""
        own = longest_input(self.model, self.tokenizer)
        return min(own, self.most or own)

    @property
    def text_length(self) -> int:
        """Length that texts are cut to [tokens]: as in the model's training, if that is known."""
        return min(self.recorded_length or self.longest, self.longest)

    @property
    def recorded_length(self) -> int | None:
        """The length that the texts of its last training were cut to [tokens]; None where nobody says."""
        own = [step.config for step in self.steps if step.technique in TRAININGS]
        lengths = [config.get("max_length") for config in own if config.get("stage") != "pretrain"]
        return next((each for each in reversed(lengths) if isinstance(each, int) and each > 0), None)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Steps that made the model, oldest first."""
        before = self.artifact.manifest.steps if self.artifact else ()
        return (*before, *self.applied)

    def after(self, step: Step, trained: bool) -> OpenedModel:
        """The model as one more step made it.

        Args:
            step: what was done.
            trained: whether its weights come out of a training now.
        """
        config, task_trained = self.model.config, self.task is not None or self.kind.unlabelled
        record = replace(
            self.record(), architecture=config.model_type, parameters=self.model.num_parameters()
        )
        if trained:
            record = replace(record, weights="trained", head_trained=task_trained)
        head_trained = self.head_trained or (trained and task_trained)
        return replace(self, applied=(*self.applied, step), remade=record, head_trained=head_trained)

    @property
    def parent(self) -> str | None:
        """SHA-256 of its manifest, where it is an artifact."""
        return sha256(self.artifact.manifest_path) if self.artifact else None

    def manifest(self, name: str, seed: int) -> Manifest:
        """The manifest of an artifact with this model as it is now."""
        task = self.task.name if self.task else None
        data = self.task.understood if self.task else None
        return Manifest(name, self.record(), task, seed, self.steps, self.parent, data=data)

    def facts(self, precision: str) -> dict[str, str]:
        """Return the metadata of a file of the model, for formats that have a place for them."""
        record = self.record()
        known = {
            "model": record.name,
            "architecture": record.architecture,
            "weights": record.weights if record.head_trained else f"{record.weights}, classifier random",
            "precision": precision,
            "task": self.task.name if self.task else None,
            "problem_type": self.problem_type,
            "labels": json.dumps(list(self.labels)) if self.labels else None,
            "license": self.license,
            "base_model": record.hub_id,
            "revision": record.revision,
            "edgepress": version("edgepress"),
        }
        return {name: value for name, value in known.items() if value is not None}

    def record(self) -> ModelRecord:
        """Return the model's entry in a manifest."""
        spec = self.source.spec
        if self.remade is not None:
            return self.remade
        if self.artifact is not None:
            return self.artifact.manifest.model
        return ModelRecord(
            name=self.source.short_name,
            architecture=self.model.config.model_type,
            parameters=self.model.num_parameters(),
            weights=self.source.origin,
            head_trained=self.head_trained,
            hub_id=spec.hub_id if spec else (self.source.name if self.source.origin == "hub" else None),
            revision=self.source.revision,
        )


def open_model(
    name: str,
    weights: Weights = "auto",
    task: str | Task | None = None,
    data: Path | None = None,
    seed: int = 0,
    tokenizer: PreTrainedTokenizerBase | None = None,
    options: TaskOptions | None = None,
    new_head: bool = False,
    drops_others: bool = False,
    without_task: bool = False,
) -> OpenedModel:
    """Resolve, verify and load a model with its tokenizer and task.

    A trained classifier's own labels are kept, and the task's data are mapped to them.

    Args:
        name: zoo name, Hub id or local folder (an artifact is verified first).
        weights: where its bytes may come from.
        task: zoo task or data folder; or one that was found before, whose labels the model has to have; None
            takes the artifact's own.
        data: the data root.
        seed: for random weights.
        tokenizer: for a model that is trained from scratch, instead of BERT's.
        options: what the user says of the task's data.
        new_head: give the model a new classifier with the task's labels, whatever head it has.
        drops_others: whether a head of another kind may be dropped for a random one, as training does.
        without_task: leave the artifact's own task away: nothing is scored, and its data need not be here.

    Raises:
        EdgepressError: as `find_model`, `open_artifact`, `find_task` and `load_model`.
    """
    source, artifact = _find(name, weights)
    head = None if new_head else trained_head(source, artifact, drops_others)
    found = None if without_task else named_task(task, artifact, data, options, head)
    labels, problem = _asked_for(source, found, options)
    pooling = options.pooling if options else None
    model, head_trained = load_model(source, labels, problem, seed, new_head, drops_others, pooling)
    if artifact is not None:  # its folder holds a whole head also where that is random
        head_trained = head_trained and artifact.manifest.model.head_trained
    tokenizer = load_tokenizer(source, model, tokenizer)
    _cut_as_recorded(model, tokenizer)
    if source.origin == "random":
        _warn_of_random_weights(source)
    if found is not None and found is not task and (found.folder is not None or found.matched_by):
        from edgepress.core.task_discovery import describe

        console.step_once(describe(found))
    return _asked(OpenedModel(source, model, tokenizer, head_trained, found, artifact, data), options)


def open_to_predict(folder: Path, parts: Sequence[Path], options: TaskOptions) -> OpenedModel:
    """Open what running a file of a model takes: its config and tokenizer, and its manifest if it has one.

    The model has no values, and its weights need not be there: the file is run in its place.

    Args:
        folder: with config.json.
        parts: all that makes up the file.
        options: what the user says.

    Raises:
        EdgepressError: as `open_to_run`, `describe_model` and `load_tokenizer`.
    """
    artifact = open_to_run(folder, parts) if is_artifact(folder) else None
    source = ModelSource(str(folder), "trained" if artifact else "local", folder)
    model = describe_model(source, options.pooling)
    tokenizer = load_tokenizer(source, model)
    _cut_as_recorded(model, tokenizer)
    trained = artifact is None or artifact.manifest.model.head_trained
    return _asked(OpenedModel(source, model, tokenizer, trained, None, artifact), options)


def _asked(opened: OpenedModel, options: TaskOptions | None) -> OpenedModel:
    """The model with what the user says of its answers.

    Raises:
        EdgepressError: that is of models of another kind.
    """
    options = options or TaskOptions()
    if opened.task is None:
        opened = replace(opened, hypotheses=_hypotheses(opened, options))
    opened = _with_null_threshold(opened, options.null_threshold)
    if options.pooling is not None and head_of_class(opened.model) is not EMBEDDING:
        raise EdgepressError(
            f"--pooling {options.pooling}: {opened.source.name} is for {opened.kind.pipeline}",
            "it is of models that give vectors: --problem-type embedding",
        )
    return opened


def _asked_for(
    source: ModelSource, task: Task | None, options: TaskOptions | None
) -> tuple[tuple[str, ...] | None, ProblemType | None]:
    """Labels and problem type that a model is opened for; None: those of its own config.

    A zoo name alone asks for a classifier of the default task.
    """
    if task is not None:
        return task.labels or None, task.problem_type
    asked = options.problem_type if options else None
    if asked in get_args(ProblemType) and not kind_of(cast("ProblemType", asked)).named:
        return None, cast("ProblemType", asked)
    shown = TASKS[DEFAULT_TASK] if source.spec else None
    return (shown.labels, shown.problem_type) if shown else (None, None)


def _cut_as_recorded(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Let a tokenizer cut texts where the folder of an embedding model says so."""
    if head_of_class(model) is EMBEDDING and (length := Pooling.of(getattr(model.config, RECORD)).max_length):
        tokenizer.model_max_length = min(tokenizer.model_max_length, length)


def _find(name: str, weights: Weights) -> tuple[ModelSource, Artifact | None]:
    """A model's source, and its artifact where it is one of this suite."""
    source = find_model(name, weights)
    if source.origin != "local" or source.folder is None or not is_artifact(source.folder):
        return source, None
    return replace(source, origin="trained"), open_artifact(source.folder)


def _hypotheses(opened: OpenedModel, options: TaskOptions) -> Hypotheses | None:
    """How a model without a task is asked; None: it has its own classes."""
    from edgepress.core.hypotheses import asked_hypotheses

    recorded = (opened.artifact.manifest.data or {}).get("hypotheses") if opened.artifact else None
    given = options.candidates, options.hypothesis_template, options.entailment_label
    return asked_hypotheses(opened.labels, recorded, *given)


def _with_null_threshold(opened: OpenedModel, asked: float | None) -> OpenedModel:
    """The model and its task with the threshold that the user says, else with the model's own."""
    kind, task = opened.kind, opened.task
    if asked is not None and not (kind.abstains and np.isfinite(asked)):
        said = f"--null-threshold {asked:g}: {opened.source.name} is for {kind.pipeline}"
        raise EdgepressError(said, "it is a number, of models that answer questions")
    if asked is not None:
        set_thresholds(opened.model, [asked])
    if task is None or task.null_threshold is None or (own := opened.thresholds) is None:
        return opened
    return replace(opened, task=replace(task, null_threshold=own[0]))


def check_kind(opened: OpenedModel) -> None:
    """Say where a head on a pretrained encoder is random; of random weights `open_model` has said it."""
    if not opened.head_trained and opened.source.origin != "random":
        warn(f"{opened.source.name} has no trained classifier: its accuracy is shown as '-'")


def _warn_of_random_weights(source: ModelSource) -> None:
    from_scratch = source.spec is not None and not source.spec.pretrained
    why = "neither the Hub nor a package gave trained ones"
    if from_scratch:
        why = "it has no others until it is trained"
    warn(
        f"RANDOM WEIGHTS for {source.name}: {why}. "
        "Size and latency are real; accuracy cannot be, and is shown as '-'."
    )


def save_model(opened: OpenedModel, folder: Path) -> None:
    """Write weights (safetensors), config and tokenizer as transformers reads them.

    tokenizer.json neither pads nor cuts, whatever the tokenizer was last used for: other loaders would
    do as it says.
    Shapes that a stock config cannot say are recorded in it: such a folder only edgepress opens.

    Raises:
        EdgepressError: the weights cannot be written (the file system is full).
    """
    record_shapes(opened.model)
    try:
        with quiet_transformers():
            opened.model.save_pretrained(folder)
    except SafetensorError as error:
        raise EdgepressError(
            f"cannot write the weights: {first_line(error)}", "name another --output"
        ) from error
    for path in folder.glob("*.safetensors"):  # safetensors lets nobody else read them
        path.chmod((folder / MODEL_CONFIG).stat().st_mode)
    keep_whole(opened.tokenizer)
    opened.tokenizer.save_pretrained(folder)
    if head_of_class(opened.model) is EMBEDDING:
        config = opened.model.config
        write_folder(folder, Pooling.of(getattr(config, RECORD)), config.hidden_size, opened.text_length)
