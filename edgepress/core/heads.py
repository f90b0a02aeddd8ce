"""Detection of a model's head, by the class that its config names or by its tensors."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_MULTIPLE_CHOICE_MAPPING,
    MODEL_FOR_NEXT_SENTENCE_PREDICTION_MAPPING,
    MODEL_FOR_PRETRAINING_MAPPING,
    MODEL_FOR_QUESTION_ANSWERING_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
    MODEL_MAPPING,
    PretrainedConfig,
    PreTrainedModel,
)

from edgepress.core.checkpoint import Checkpoint, Stored, listed
from edgepress.core.errors import EdgepressError
from edgepress.core.sentence_folder import GIVES_VECTORS, MARKS

POOLER = "pooler"
# A model has no more layers than so many a tensor of its file (ALBERT's layers share theirs).
LAYERS_A_TENSOR = 10
OTHER_CONFIG = "config.json is not that of these weights: put the one there that was saved with them"


@dataclass(frozen=True, eq=False)
class Head:
    """Head on an encoder, which decides what the model is for."""

    name: str
    """The head's name with its article, such as "a token classifier"."""
    endings: tuple[str, ...] = ()
    """Endings of the names of transformers' classes with this head."""
    classes: Any = None
    """Config class -> model class, as transformers has them."""
    labelled: bool = False
    """Whether each of its outputs has a name (`id2label`)."""

    def model_class(self, config: PretrainedConfig) -> type[PreTrainedModel] | None:
        """transformers' class of this architecture with this head, where it has one."""
        found = self.classes.get(type(config), None) if self.classes is not None else None
        return found[0] if isinstance(found, tuple) else found


class EmbedderClasses:
    """Config class -> the embedding model of its encoder; used as transformers' own mappings are."""

    def get(self, config: type[PretrainedConfig], default: Any = None) -> Any:
        """The class for this config; `default` where transformers has no encoder for it."""
        found = MODEL_MAPPING.get(config, None)
        encoder: Any = found[0] if isinstance(found, tuple) else found
        if encoder is None:
            return default
        from edgepress.core.embedder import embedder_class

        return embedder_class(encoder)


TEXT_CLASSIFIER = Head(
    "a text classifier",
    ("ForSequenceClassification",),
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    labelled=True,
)
TOKEN_CLASSIFIER = Head(
    "a token classifier",
    ("ForTokenClassification",),
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
    labelled=True,
)
QUESTION_ANSWERING = Head(
    "a model for question answering",
    ("ForQuestionAnswering", "ForQuestionAnsweringSimple"),
    MODEL_FOR_QUESTION_ANSWERING_MAPPING,
)
MASKED_LM = Head("a masked language model", ("ForMaskedLM", "WithLMHeadModel"), MODEL_FOR_MASKED_LM_MAPPING)
PRETRAINING = Head("a pre-trained model with its heads", ("ForPreTraining",), MODEL_FOR_PRETRAINING_MAPPING)
MULTIPLE_CHOICE = Head(
    "a model for multiple choice", ("ForMultipleChoice",), MODEL_FOR_MULTIPLE_CHOICE_MAPPING
)
NEXT_SENTENCE = Head(
    "a model for next-sentence prediction",
    ("ForNextSentencePrediction",),
    MODEL_FOR_NEXT_SENTENCE_PREDICTION_MAPPING,
)
CAUSAL_LM = Head("a generating language model", ("ForCausalLM", "LMHeadModel"), MODEL_FOR_CAUSAL_LM_MAPPING)
ENCODER = Head("an encoder without a head", ("Model",), MODEL_MAPPING)
EMBEDDING = Head("a sentence-transformers model, which gives vectors", classes=EmbedderClasses())
UNKNOWN = Head("a model with a head that transformers does not know")
# In the order in which tensors are compared; a class for pre-training may be the masked language model's.
HEADS = (
    TEXT_CLASSIFIER,
    TOKEN_CLASSIFIER,
    QUESTION_ANSWERING,
    MASKED_LM,
    NEXT_SENTENCE,
    MULTIPLE_CHOICE,
    PRETRAINING,
    CAUSAL_LM,
    ENCODER,
)
OF_TOKENS = (TOKEN_CLASSIFIER, QUESTION_ANSWERING, MASKED_LM)
WITH_TENSORS = HEADS[:-2]  # an encoder that generates has a masked language model's


def head_of_class(model: PreTrainedModel) -> Head:
    """The head of a model in memory, by the name of its class; a class of ours is a text classifier's."""
    if getattr(model, GIVES_VECTORS, False):
        return EMBEDDING
    name = type(model).__name__
    return next((head for head in HEADS if head.endings and name.endswith(head.endings)), TEXT_CLASSIFIER)


def gives_tokens(model: PreTrainedModel) -> bool:
    """Whether its logits are of tokens: (rows, tokens, labels)."""
    return head_of_class(model) in OF_TOKENS


@dataclass(frozen=True)
class FoundHead:
    """The head of a folder."""

    head: Head
    said_by: str
    """What shows it: a class, a file, or tensors."""
    tensors: tuple[str, ...]
    """Names of its tensors in the file, without the encoder's own and its pooler's."""

    def __str__(self) -> str:
        """What the folder is, and what says so."""
        return f"{self.head.name} ({self.said_by})"


def find_head(config: PretrainedConfig, checkpoint: Checkpoint) -> FoundHead:
    """The head of a folder: of its config's `architectures`, or of its tensors where that says none.

    Raises:
        EdgepressError: the tensors are those of two heads, and the config does not say which.
    """
    refuse_depth(config, checkpoint)
    name = (config.architectures or [""])[0]
    named = next((head for head in HEADS if name.endswith(head.endings)), None)
    tensors = head_tensors(config, checkpoint.tensors)
    marks = [mark for mark in MARKS if (checkpoint.folder / mark).exists()]
    if marks and not tensors:  # whatever class its encoder was trained as
        return FoundHead(EMBEDDING, marks[0], ())
    if named is not None and named is not ENCODER:
        return FoundHead(named, name, tensors)
    if ENCODER.model_class(config) is None:
        return FoundHead(TEXT_CLASSIFIER, type(config).__name__, tensors)
    if not tensors:
        return FoundHead(ENCODER, name or "its tensors", ())
    head = _by_tensors(config, checkpoint, tensors)
    return FoundHead(head, f"its tensors: {listed(tensors)}", tensors)


def refuse_depth(config: PretrainedConfig, checkpoint: Checkpoint) -> None:
    """Raise for a number of layers that would take long to build, and that the file cannot have.

    Raises:
        EdgepressError: there are ten times as many as tensors.
    """
    layers = getattr(config, "num_hidden_layers", 0)
    if not isinstance(layers, int) or layers > LAYERS_A_TENSOR * len(checkpoint.tensors):
        raise EdgepressError(
            f"{checkpoint.folder}: config.json says {layers} layers, "
            f"and the weights are {len(checkpoint.tensors)} tensors",
            OTHER_CONFIG,
        )


def head_tensors(config: PretrainedConfig, names: Iterable[str]) -> tuple[str, ...]:
    """The names that are neither the encoder's nor its pooler's, by the names of the encoder's parts."""
    base = ENCODER.model_class(config)
    if base is None:  # a classifier that is no encoder with a head
        return tuple(sorted(name for name in names if name.startswith("classifier.")))
    prefix, names = f"{base.base_model_prefix}.", list(names)
    if any(name.startswith(prefix) for name in names):
        return tuple(sorted(name for name in names if not name.startswith(prefix)))
    parts = {POOLER, *(name for name, _ in _on_meta(base, config).named_children())}
    return tuple(sorted(name for name in names if name.partition(".")[0] not in parts))


def is_pooler(name: str) -> bool:
    """Whether a tensor is of an encoder's pooler, which is part of what heads read."""
    return POOLER in name.split(".")


def tied_names(model: PreTrainedModel) -> list[set[str]]:
    """The names of each tensor that has several."""
    groups: dict[int, set[str]] = defaultdict(set)
    for name, tensor in model.named_parameters(remove_duplicate=False):
        groups[id(tensor)].add(name)
    return [names for names in groups.values() if len(names) > 1]


def _on_meta(kind: Any, config: PretrainedConfig) -> PreTrainedModel:
    with torch.device("meta"):
        return kind(config)


def _by_tensors(config: PretrainedConfig, checkpoint: Checkpoint, tensors: tuple[str, ...]) -> Head:
    pooled = any(is_pooler(name) for name in checkpoint.tensors)
    fitting = {head: kind for head in WITH_TENSORS if (kind := _fits(head, config, tensors, pooled))}
    exact = [head for head, pooler in fitting.items() if pooler == "same"] or list(fitting)
    exact = _by_width(exact, config, checkpoint.tensors)
    if TEXT_CLASSIFIER in exact and len(exact) > 1:
        classes = [str(getattr(head.model_class(config), "__name__", head.name)) for head in exact]
        raise EdgepressError(
            f"{checkpoint.folder}: its tensors ({listed(tensors)}) are those of {' and of '.join(classes)}, "
            "and config.json does not say which it is",
            f'write "architectures": ["{classes[0]}"] into its config.json, or the other',
        )
    return exact[0] if exact else UNKNOWN


def _fits(head: Head, config: PretrainedConfig, tensors: tuple[str, ...], pooled: bool) -> str:
    """Whether a class has just this head's tensors: "same" with its pooler, "" where it has others."""
    kind = head.model_class(config)
    if kind is None:
        return ""
    model = _on_meta(kind, config)
    own = set(head_tensors(config, model.state_dict()))
    tied = set().union(*tied_names(model))  # a file has one name of each, or several
    if not own - tied <= set(tensors) <= own:
        return ""
    has_pooler = any(is_pooler(name) for name in model.state_dict())
    if has_pooler == pooled:
        return "same"
    return "" if has_pooler else "unused"


def _by_width(heads: list[Head], config: PretrainedConfig, tensors: Mapping[str, Stored]) -> list[Head]:
    """Choose between multiple choice and a text classifier with the same names by the classifier's width."""
    if MULTIPLE_CHOICE not in heads:
        return heads
    single = any(
        stored.shape[:1] == (1,) and name.endswith("classifier.weight") for name, stored in tensors.items()
    )
    out = TEXT_CLASSIFIER if single and config.num_labels != 1 else MULTIPLE_CHOICE
    return [head for head in heads if head is not out]
