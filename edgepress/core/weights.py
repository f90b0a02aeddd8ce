"""A folder's weights in a model: each of its tensors from the file, and each tensor of the file in it.

What transformers would draw at random, leave in the file or never mention is found before anything is
loaded, by comparing the model without values with the names and shapes in the file. Only a head may be
new, where the caller asks for one.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import PretrainedConfig, PreTrainedModel

from edgepress.core import console
from edgepress.core.architectures.pruned import SHAPES
from edgepress.core.checkpoint import Checkpoint, listed, read_checkpoint, rewriting
from edgepress.core.errors import EdgepressError, first_line
from edgepress.core.heads import (
    EMBEDDING,
    ENCODER,
    MASKED_LM,
    OTHER_CONFIG,
    PRETRAINING,
    QUESTION_ANSWERING,
    TEXT_CLASSIFIER,
    TOKEN_CLASSIFIER,
    FoundHead,
    Head,
    find_head,
    head_tensors,
    is_pooler,
    refuse_depth,
    tied_names,
)
from edgepress.core.models import ModelSource
from edgepress.core.process import quiet_transformers
from edgepress.core.sentence_folder import RECORD, is_sentence_folder

Drops = Literal["none", "others", "all"]
# transformers' own renamings of tensors of models that came from TensorFlow.
RENAMED = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
MOST_LAYERS = 1000
"""More layers than any encoder has: building them would take long."""
# Heads that a folder is opened with where its config names them and nobody says what for.
SAVED = (QUESTION_ANSWERING, TOKEN_CLASSIFIER, MASKED_LM)
NEW_HEAD = "python -m compress.finetune --model {folder} --task TASK trains a new head on its encoder"


@dataclass(frozen=True)
class TensorComparison:
    """Differences between the tensors of a file and of a model."""

    missing: frozenset[str]
    """Names in the model that nothing in the file has."""
    unused: frozenset[str]
    """Names in the file that nothing in the model has."""
    reshaped: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]
    """Name in the model -> its shape in the file and in the model."""


def build(kind: Any, config: PretrainedConfig) -> PreTrainedModel:
    """A model of this class with random weights; `kind` is one of transformers' auto classes or a class.

    Raises:
        EdgepressError: the config's values are no model's.
    """
    try:
        return kind.from_config(config) if hasattr(kind, "from_config") else kind(config)
    except EdgepressError:
        raise
    except Exception as error:  # whatever a wrong value trips over
        raise EdgepressError(f"config.json describes no {config.model_type}: {first_line(error)}") from error


def build_empty(kind: Any, config: PretrainedConfig, folder: Path) -> PreTrainedModel:
    """A model of this class without values: for whoever asks what it is, and runs a file of it.

    Raises:
        EdgepressError: the config's values are no model's.
    """
    layers = getattr(config, "num_hidden_layers", 0)
    if not isinstance(layers, int) or layers > MOST_LAYERS:
        raise EdgepressError(f"{folder}: config.json says {layers} layers", OTHER_CONFIG)
    with torch.device("meta"):
        return build(kind, config)


def load_weights(
    source: ModelSource, config: PretrainedConfig, kind: Any, wanted: Head, drops: Drops, seed: int
) -> tuple[PreTrainedModel, bool]:
    """A model with a folder's weights, and whether its head is the folder's too.

    Args:
        source: with a folder.
        config: its config.
        kind: what builds the model: one of transformers' auto classes, or a class.
        wanted: the head of that class.
        drops: which heads may be dropped for a random one: none; others than the wanted one, and a wanted one
            that is not whole; all. An encoder without a head gets a random one in any case, and it is said.
        seed: for a new head.

    Raises:
        EdgepressError: the weights are unreadable, are not those that the config describes, or their head
            is another.
    """
    assert source.folder is not None
    checkpoint = read_checkpoint(source.folder)
    refuse_depth(config, checkpoint)
    with torch.device("meta"):
        empty = build(kind, config)
    _refuse_prefix(empty, checkpoint)
    found = find_head(config, checkpoint)
    compared = compare(empty, checkpoint)
    if _is_kept(compared, found, wanted, drops, empty):
        _require_whole(source.folder, empty, compared, found)
        dropped = _beside(found, wanted, compared)
    else:
        _refuse_other_head(source, found, wanted, drops)
        dropped = found.tensors
        compared = compare(empty, checkpoint, dropped)
        _require_encoder(source.folder, empty, compared)
        _say_new(source, compared, found)
    _refuse_other_values(empty, checkpoint, dropped)
    # Without what is dropped: a head of the same shape would else be taken for the model's.
    kept = checkpoint.load(checkpoint.tensors.keys() - set(dropped)) if dropped else None
    model = _load(type(empty), source.folder, config, compared.missing, kept, seed)
    _refuse_other_buffers(model, checkpoint)
    return model, not compared.missing


def _is_kept(
    compared: TensorComparison, found: FoundHead, wanted: Head, drops: Drops, model: PreTrainedModel
) -> bool:
    """Whether the file's head is to be the model's."""
    if drops == "all":
        return False
    beside = (wanted, found.head) in ((MASKED_LM, PRETRAINING), (EMBEDDING, ENCODER))
    if beside and not compared.missing:
        return True
    broken = drops == "others" and _only_head_differs(model, compared, found)
    return found.head is wanted and not broken


def _beside(found: FoundHead, wanted: Head, compared: TensorComparison) -> tuple[str, ...]:
    """The tensors of another head that was trained beside the wanted one (next sentences)."""
    return () if found.head is wanted else tuple(sorted(compared.unused & {*found.tensors}))


def _refuse_other_head(source: ModelSource, found: FoundHead, wanted: Head, drops: Drops) -> None:
    if drops == "none" and found.head is not ENCODER:
        raise EdgepressError(
            f"{source.name} is {found}, not {wanted.name}", NEW_HEAD.format(folder=source.name)
        )


def _only_head_differs(model: PreTrainedModel, compared: TensorComparison, found: FoundHead) -> bool:
    """Whether a head of the wanted kind has too few tensors or too many, on a whole encoder."""
    head = {*head_tensors(model.config, model.state_dict()), *found.tensors}
    names = compared.missing | _unused(model, compared, found)
    return bool(names) and not compared.reshaped and all(name in head or is_pooler(name) for name in names)


def compare(model: PreTrainedModel, checkpoint: Checkpoint, dropped: Iterable[str] = ()) -> TensorComparison:
    """Compare the names and shapes in a file with those of a model, without the names in `dropped`."""
    own = model.state_dict()
    names = _in_model(model, set(checkpoint.tensors) - set(dropped))
    buffers = {name for name, _ in model.named_buffers()}
    missing = own.keys() - names.values()
    for tied in tied_names(model):
        if tied & set(names.values()):
            missing -= tied
    return TensorComparison(
        frozenset(missing),
        frozenset(name for name, target in names.items() if target not in own.keys() | buffers),
        {
            target: (checkpoint.tensors[name].shape, tuple(own[target].shape))
            for name, target in names.items()
            if target in own and checkpoint.tensors[name].shape != tuple(own[target].shape)
        },
    )


def _in_model(model: PreTrainedModel, names: Iterable[str]) -> dict[str, str]:
    """Name in the file -> the name that transformers looks for in the model.

    The names of an encoder that was saved without a head have no prefix.
    """
    names, prefix = list(names), model.base_model_prefix
    inside = bool(prefix) and hasattr(model, prefix)
    bare = inside and not any(name.startswith(prefix) for name in names)
    found = {}
    for name in names:
        old = next((old for old in RENAMED if name.endswith(old)), None)
        new = name if old is None else name.replace(old, RENAMED[old])
        # An encoder that is the model itself has no prefix, whatever head its weights were saved with.
        found[name] = f"{prefix}.{new}" if bare else new if inside else new.removeprefix(f"{prefix}.")
    return found


def _refuse_prefix(model: PreTrainedModel, checkpoint: Checkpoint) -> None:
    """Raise where the names fit but for something in front of them, as wrappers of modules put it there.

    Raises:
        EdgepressError: nearly all names have it, or none is one of the model's.
    """
    base = f"{model.base_model_prefix}."
    known = {name for own in model.state_dict() for name in (own, own.removeprefix(base))}
    names = {name.replace(old, new) for name in checkpoint.tensors for old, new in RENAMED.items()}
    names = {*checkpoint.tensors, *names}
    # Only of an encoder that is the model itself: ModernBERT's own names begin as a wrapper's might.
    bare = set() if hasattr(model, model.base_model_prefix) else {name.removeprefix(base) for name in names}
    if (names | bare) & known:
        return
    prefixes = Counter(prefix for name in checkpoint.tensors if (prefix := _prefix(name, known)) is not None)
    prefix, count = (prefixes.most_common(1) or [("", 0)])[0]
    if not count:
        raise EdgepressError(
            f"{checkpoint.folder}: its weights are not those of a {model.config.model_type} model: "
            f"they hold {listed(checkpoint.tensors)}",
            OTHER_CONFIG,
        )
    change = f"d = {{k.removeprefix({prefix!r}): v for k, v in d.items()}}; "
    raise EdgepressError(
        f"{checkpoint.folder}: the names of its weights begin with '{prefix}', which a wrapper put there "
        f"({count} of {len(checkpoint.tensors)})",
        f"take it off: {rewriting(checkpoint.files, change)}",
    )


def _prefix(name: str, known: set[str]) -> str | None:
    """What stands before the longest end of a name that the model knows."""
    parts = name.split(".")
    ends = (".".join(parts[at:]) for at in range(1, len(parts)))
    end = next((end for end in ends if end in known), None)
    return None if end is None else name.removesuffix(end)


def _require_whole(
    folder: Path, model: PreTrainedModel, compared: TensorComparison, found: FoundHead
) -> None:
    """Raise unless each tensor of model and file is in the other."""
    _refuse_shapes(folder, model, compared)
    _refuse_missing(folder, model, compared.missing)
    _refuse_unused(folder, model, _unused(model, compared, found))


def _unused(model: PreTrainedModel, compared: TensorComparison, found: FoundHead) -> set[str]:
    """What of the file the model does not have and should, but for a second head of pre-training.

    A pooler that the class never reads may lie in the file: old versions of transformers saved one.
    """
    has_pooler = any(is_pooler(name) for name, _ in model.named_modules())
    second = {*found.tensors} if found.head is PRETRAINING else set()
    poolers = set() if has_pooler else {name for name in compared.unused if is_pooler(name)}
    return set(compared.unused) - second - poolers


def _require_encoder(folder: Path, model: PreTrainedModel, compared: TensorComparison) -> None:
    """Raise unless the whole encoder is in the file, and nothing else but a pooler."""
    head = set(head_tensors(model.config, model.state_dict()))
    poolers = {name for name in model.state_dict() if is_pooler(name)} - head
    new = head | (poolers if poolers <= compared.missing else set())
    _refuse_shapes(folder, model, compared)
    _refuse_missing(folder, model, compared.missing - new)
    _refuse_unused(folder, model, {name for name in compared.unused if not is_pooler(name)})


def _refuse_shapes(folder: Path, model: PreTrainedModel, compared: TensorComparison) -> None:
    if not compared.reshaped:
        return
    name = min(compared.reshaped)
    theirs, own = compared.reshaped[name]
    more = f" (and {len(compared.reshaped) - 1} more)" if len(compared.reshaped) > 1 else ""
    if compared.reshaped.keys() <= set(head_tensors(model.config, model.state_dict())):
        raise EdgepressError(
            f"{folder}: the labels do not fit the model's head: {name}{more} has the shape {theirs}, "
            f"and {own} by the labels of config.json or of the task",
            "name the --task that the model was trained for",
        )
    recorded = hasattr(model.config, SHAPES)
    raise EdgepressError(
        f"{folder}: {name}{more} has the shape {theirs}, and {own} by config.json"
        + (f"'s {SHAPES}" if recorded else ""),
        "make the artifact again" if recorded else OTHER_CONFIG,
    )


def _refuse_missing(folder: Path, model: PreTrainedModel, missing: Iterable[str]) -> None:
    if missing := set(missing):
        if len(missing) > len(model.state_dict()) / 2:
            kind = model.config.model_type
            raise EdgepressError(f"{folder}: its weights are not those of a {kind} model", OTHER_CONFIG)
        head = missing <= set(head_tensors(model.config, model.state_dict())) | {*filter(is_pooler, missing)}
        raise EdgepressError(
            f"{folder}: its weights lack {listed(missing)}, which the {type(model).__name__} "
            "that config.json describes has",
            NEW_HEAD.format(folder=folder) if head else OTHER_CONFIG,
        )


def _refuse_unused(folder: Path, model: PreTrainedModel, unused: Iterable[str]) -> None:
    """Raise for tensors that the class does not have; of those that it declares superfluous, say so."""
    patterns: list[str] = model._keys_to_ignore_on_load_unexpected or []  # type: ignore[assignment]
    declared = {name for name in unused if any(re.search(pattern, name) for pattern in patterns)}
    if declared:
        console.warn(f"{folder}: its {type(model).__name__} does not use {listed(declared)}")
    if rest := set(unused) - declared:
        head = rest <= set(head_tensors(model.config, rest | model.state_dict().keys()))
        raise EdgepressError(
            f"{folder}: its weights hold {listed(rest)}, which the {type(model).__name__} that config.json "
            "describes does not have",
            NEW_HEAD.format(folder=folder) if head else OTHER_CONFIG,
        )


def _say_new(source: ModelSource, compared: TensorComparison, found: FoundHead) -> None:
    """What is dropped and what is random, in one line."""
    random = f"random: {listed(compared.missing)}; " if compared.missing else ""
    random += "all else is the folder's"
    if found.head is ENCODER:
        console.step(f"{source.name}: {random}")
    else:
        console.step(f"{source.name} is {found}: its head is dropped; {random}")


def _refuse_other_values(model: PreTrainedModel, checkpoint: Checkpoint, dropped: Iterable[str]) -> None:
    """Raise for values that would be lost without a word: whole numbers, own position ids, untied weights."""
    names = _in_model(model, set(checkpoint.tensors) - set(dropped))
    own = model.state_dict()
    whole = {
        name
        for name, target in names.items()
        if target in own and own[target].is_floating_point() and not checkpoint.tensors[name].floating
    }
    if whole:
        raise EdgepressError(
            f"{checkpoint.folder}: {listed(whole)} holds whole numbers, as quantized weights do",
            "name the folder of the model before it was quantized",
        )
    _refuse_untied(model, checkpoint, names)


def _refuse_other_buffers(model: PreTrainedModel, checkpoint: Checkpoint) -> None:
    """Raise where position ids, which transformers counts itself, are others in the file."""
    buffers, own = dict(model.named_buffers()), model.state_dict()
    targets = _in_model(model, checkpoint.tensors)
    names = {name: target for name, target in targets.items() if target in buffers and target not in own}
    for name, value in checkpoint.load(names).items():
        theirs, ours = value.flatten(), buffers[names[name]].flatten()
        if not torch.equal(theirs[: len(ours)], ours[: len(theirs)].to(theirs.dtype)):
            raise EdgepressError(
                f"{checkpoint.folder}: {name} is not what a {type(model).__name__} counts itself",
                "save the model again with the transformers of today",
            )


def _refuse_untied(model: PreTrainedModel, checkpoint: Checkpoint, names: Mapping[str, str]) -> None:
    for tied in tied_names(model):
        several = sorted(name for name, target in names.items() if target in tied)
        if len(several) < 2:  # noqa: PLR2004
            continue
        values = list(checkpoint.load(several).values())
        if not all(torch.equal(values[0], other) for other in values[1:]):
            raise EdgepressError(
                f"{checkpoint.folder}: {listed(several)} differ, and by config.json they are one",
                'write "tie_word_embeddings": false into its config.json',
            )


def _load(
    kind: Any,
    folder: Path,
    config: PretrainedConfig,
    missing: Iterable[str],
    values: Mapping[str, torch.Tensor] | None,
    seed: int,
) -> PreTrainedModel:
    torch.manual_seed(seed)
    try:
        with quiet_transformers():  # what it would say was said
            model, info = kind.from_pretrained(
                folder if values is None else None,
                config=config,
                state_dict=values,
                output_loading_info=True,
            )
    except Exception as error:  # of safetensors, torch and transformers, each with their own
        raise EdgepressError(f"{folder}: unreadable weights: {first_line(error)}") from error
    random = {*info["missing_keys"], *info["mismatched_keys"]} - set(missing)
    if random:  # where the comparison above and transformers do not agree
        raise EdgepressError(f"{folder}: transformers did not load {listed(map(str, random))}")
    if model.dtype != torch.float32:  # transformers 5 keeps the file's type
        kept = str(model.dtype).removeprefix("torch.")
        console.warn(f"{folder}: its weights are in {kept}; the model is opened in float32")
        model.float()
    return model


def head_of(config: PretrainedConfig, wanted: Head | None, folder: Path | None = None) -> Head:
    """The head that a model is opened with: the wanted one, or where nobody says as it was saved."""
    if wanted is not None:
        return wanted
    if hasattr(config, RECORD) or (folder is not None and is_sentence_folder(folder)):
        return EMBEDDING
    saved = (config.architectures or [""])[0]
    return next((head for head in SAVED if saved.endswith(head.endings)), TEXT_CLASSIFIER)


def said_head(config: PretrainedConfig, folder: Path) -> Head:
    """The head of a folder whose weights are not looked at, as its config names it.

    Raises:
        EdgepressError: the config does not say.
    """
    head, name = head_of(config, None, folder), (config.architectures or [""])[0]
    alone = ENCODER.model_class(config) is None  # a classifier that is no encoder with a head
    if head is TEXT_CLASSIFIER and not alone and not name.endswith(head.endings):
        raise EdgepressError(
            f"{folder}: config.json does not say what its files give (architectures: {name or 'none'})",
            'write the class of the model there: "architectures": ["...ForSequenceClassification"]',
        )
    return head
