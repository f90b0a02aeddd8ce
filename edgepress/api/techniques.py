"""Every technique that makes one model of another, as a function."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, TypeVar

from compress.distill.config import DistillOptions
from compress.distill.pipeline import distill as distill_classifier
from compress.distill.teachers import Teachers
from compress.finetune.config import FinetuneConfig
from compress.finetune.pipeline import finetune as train_classifier
from compress.finetune.pipeline import open_for_training
from compress.pretrain.config import PretrainOptions
from compress.pretrain.pipeline import pretrain as train_masked_lm
from compress.prune.config import PruneOptions
from compress.prune.pipeline import prune as cut
from compress.qat.config import QatOptions
from compress.qat.pipeline import qat as train_rounded
from compress.sparsify.config import SparsifyOptions
from compress.sparsify.pipeline import sparsify as set_to_zero
from compress.step import StepResult, refuse_quantized, refuse_untrained
from compress.training.checkpoints import TechniqueRun
from compress.training.config import StepFlags, TrainingOptions
from compress.trim_vocab.config import TrimVocabOptions
from compress.trim_vocab.pipeline import trim_vocab as drop_tokens
from edgepress.api.data import data_folder
from edgepress.api.model import Model, require_model
from edgepress.api.options import make_options
from edgepress.core.console import Listener, errors_in_library_words, reporting
from edgepress.core.corpus import load_corpus
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import OpenedModel, check_kind
from edgepress.core.masked_lm import open_masked_lm

OptionsT = TypeVar("OptionsT", bound=TrainingOptions)


def finetune(
    model: str | Path,
    task: Any,
    *,
    data: str | Path | None = None,
    checkpoints: str | Path | None = None,
    progress: Listener | None = None,
    **options: Any,
) -> Model:
    """Train a classifier on a task, from a pretrained encoder or from scratch.

    Args:
        model: zoo name, Hub id, or local folder.
        task: zoo task, data folder, `datasets.DatasetDict`, or a mapping of splits to pandas frames.
        data: the data root, where the zoo's tasks are looked for.
        checkpoints: a folder where an interrupted training goes on; None: nowhere.
        progress: called with each step in words.
        options: fields of `compress.finetune.config.FinetuneConfig`, such as `epochs`, `head`.

    Raises:
        EdgepressError: an option is wrong, or there is no such model or task.
    """
    root = None if data is None else Path(data)
    with _working(checkpoints, progress) as run:
        own = {"model": str(model), "task": data_folder(task), "data": root}
        config = _options(FinetuneConfig, options, own, without=StepFlags)
        opened, text = open_for_training(config)
        return _model(train_classifier(opened, text, config, run))


def pretrain(
    model: str | Path,
    corpus: str | Path,
    *,
    data: str | Path | None = None,
    checkpoints: str | Path | None = None,
    progress: Listener | None = None,
    **options: Any,
) -> Model:
    """Train an encoder as a masked language model, on any text.

    Args:
        model: zoo name with pretrained weights, Hub id, or local folder.
        corpus: SET/SPLIT below the data root, of a zoo task or the Hub; or a file with a text a line.
        data: the data root.
        checkpoints: a folder where an interrupted training goes on; None: nowhere.
        progress: called with each step in words.
        options: fields of `compress.pretrain.config.PretrainOptions`.

    Raises:
        EdgepressError: an option is wrong, or there is no such model or corpus.
    """
    own = _options(PretrainOptions, options, {"corpus": str(corpus)})
    with _working(checkpoints, progress) as run:
        texts = load_corpus(str(corpus), None if data is None else Path(data))
        return _model(train_masked_lm(open_masked_lm(str(model), own.seed), texts, own, run))


def distill(
    teacher: Model | Sequence[Model],
    student: str | Path = "half",
    *,
    checkpoints: str | Path | None = None,
    progress: Listener | None = None,
    **options: Any,
) -> Model:
    """Train a small student to answer as a classifier does.

    Args:
        teacher: a trained classifier with a task; or several with the same labels, which are averaged.
        student: `half` of its layers; `narrow` ones; `static`, its tokens alone; a zoo model that is trained
            from scratch; or the folder or Hub id of an encoder.
        checkpoints: a folder where an interrupted training goes on; None: nowhere.
        progress: called with each step in words.
        options: fields of `compress.distill.config.DistillOptions`, such as `epochs`, `layers`.

    Raises:
        EdgepressError: an option is wrong, the teacher is not trained, or the student cannot learn from it.
    """
    own = _options(DistillOptions, options, {"student": str(student)})
    if own.stage != "task":
        raise EdgepressError(
            "a masked language model is no classifier", "python -m compress.distill distills it"
        )
    with _working(checkpoints, progress) as run:
        models = teacher if isinstance(teacher, Sequence) and not isinstance(teacher, str) else [teacher]
        for each in models:
            require_model(each)
        return _model(distill_classifier(Teachers.of(own, [each.copied() for each in models]), own, run))


def prune(
    model: Model,
    *,
    heads: float | Sequence[float] = 0.0,
    ffn: float | Sequence[float] = 0.0,
    hidden: float = 0.0,
    layers: float = 0.0,
    checkpoints: str | Path | None = None,
    progress: Listener | None = None,
    **options: Any,
) -> Model:
    """Cut attention heads, feed-forward units, hidden width or whole layers out of a classifier.

    Args:
        model: a classifier.
        heads: share of each layer's heads, 0 to below 1; or one a layer.
        ffn: share of the units between the two feed-forward matrices; or one a layer.
        hidden: share of the width that runs through all layers.
        layers: share of whole layers.
        checkpoints: a folder where an interrupted training goes on; None: nowhere.
        progress: called with each step in words.
        options: further fields of `compress.prune.config.PruneOptions`, such as `importance`, `epochs`.

    Raises:
        EdgepressError: an option is wrong, or the model has no such parts.
    """
    shares = {"heads": heads, "ffn": ffn, "hidden": hidden, "layers": layers}
    own = _options(PruneOptions, options, shares)
    return _compress(cut, model, own, checkpoints, progress)


def sparsify(
    model: Model,
    *,
    checkpoints: str | Path | None = None,
    progress: Listener | None = None,
    **options: Any,
) -> Model:
    """Set weights of a classifier's matrices to zero.

    Args:
        model: a classifier.
        checkpoints: a folder where an interrupted training goes on; None: nowhere.
        progress: called with each step in words.
        options: fields of `compress.sparsify.config.SparsifyOptions`, such as `sparsity`, `epochs`.

    Raises:
        EdgepressError: an option is wrong.
    """
    return _compress(set_to_zero, model, _options(SparsifyOptions, options), checkpoints, progress)


def qat(
    model: Model,
    *,
    checkpoints: str | Path | None = None,
    progress: Listener | None = None,
    **options: Any,
) -> Model:
    """Train a classifier with int8's rounding in the way, before it is quantized.

    Args:
        model: a trained classifier with a task.
        checkpoints: a folder where an interrupted training goes on; None: nowhere.
        progress: called with each step in words.
        options: fields of `compress.qat.config.QatOptions`, such as `max_drop`, `epochs`.

    Raises:
        EdgepressError: an option is wrong, or nobody said what the model was trained for.
    """
    return _compress(train_rounded, model, _options(QatOptions, options), checkpoints, progress)


def trim_vocab(
    model: Model,
    *,
    checkpoints: str | Path | None = None,
    progress: Listener | None = None,
    **options: Any,
) -> Model:
    """Drop the tokens that a corpus never needs, and their rows of the embedding table.

    Args:
        model: a classifier.
        checkpoints: a folder where an interrupted training goes on; None: nowhere.
        progress: called with each step in words.
        options: fields of `compress.trim_vocab.config.TrimVocabOptions`, such as `corpus`, `size`, `epochs`.

    Raises:
        EdgepressError: an option is wrong, or the tokenizer cannot be trimmed.
    """
    return _compress(drop_tokens, model, _options(TrimVocabOptions, options), checkpoints, progress)


def _compress(
    technique: Callable[[OpenedModel, OptionsT, TechniqueRun], StepResult],
    model: Model,
    options: OptionsT,
    checkpoints: str | Path | None,
    progress: Listener | None,
) -> Model:
    with _working(checkpoints, progress) as run:
        require_model(model)
        check_kind(model.opened)
        refuse_untrained(model.opened)
        refuse_quantized(model.opened)
        return _model(technique(model.copied(), options, run))


@contextmanager
def _working(checkpoints: str | Path | None, progress: Listener | None) -> Iterator[TechniqueRun]:
    """Say nothing on the screen, and keep checkpoints where the user says, or nowhere."""
    with TemporaryDirectory(prefix="edgepress-") as folder, reporting(progress):
        place = Path(folder) / "checkpoints" if checkpoints is None else Path(checkpoints)
        with TechniqueRun(place) as run:
            yield run
            run.clear()


def _options(
    kind: type[OptionsT],
    values: dict[str, Any],
    own: Mapping[str, Any] = MappingProxyType({}),
    without: type | None = None,
) -> OptionsT:
    """Checked options, as `make_options` makes them.

    Raises:
        EdgepressError: there is no such option, it would have no effect, or a value is out of range.
    """
    with errors_in_library_words():
        options = make_options(kind, values, own, without)
        options.check()
    return options


def _model(result: StepResult) -> Model:
    return Model(result.opened, result)
