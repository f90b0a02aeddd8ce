"""Loading of config, classifier and tokenizer from a folder, as transformers keeps them."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import (
    TOKENIZER_MAPPING,
    AutoConfig,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from edgepress.core import sources
from edgepress.core.architectures.pruned import model_type
from edgepress.core.console import step
from edgepress.core.errors import EdgepressError, first_line
from edgepress.core.foreign_code import refuse_foreign_code
from edgepress.core.heads import EMBEDDING, TEXT_CLASSIFIER, Head
from edgepress.core.inputs import (
    encode_texts,
    fit_inputs,
    fit_padding,
    longest_input,
    require_token_types,
)
from edgepress.core.models import MINILM_MIRROR, ModelSource
from edgepress.core.sentence_folder import RECORD, PoolingMode, find_pooling
from edgepress.core.tasks import ProblemType
from edgepress.core.tasks.kinds import kind_of
from edgepress.core.weights import Drops, build, build_empty, head_of, load_weights, said_head

# The problem types that transformers' configs know.
# Encoders for which transformers has a language model from left to right alone.
BIDIRECTIONAL = ("xlnet",)
TOKENIZER = "tokenizer.json"
# What transformers' tokenizers need beside itself: the name in the package index -> the module.
TOKENIZER_LIBRARIES = {
    "sentencepiece": "sentencepiece",
    "protobuf": "google.protobuf",
    "tiktoken": "tiktoken",
    "sacremoses": "sacremoses",
    "fugashi": "fugashi",
    "ipadic": "ipadic",
    "unidic_lite": "unidic_lite",
    "sudachipy": "sudachipy",
    "rhoknp": "rhoknp",
    "rjieba": "rjieba",
    "emoji": "emoji",
    "ftfy": "ftfy",
}


def load_config(source: ModelSource) -> PretrainedConfig:
    """The model's transformers config, as its folder or the zoo has it."""
    if source.folder is None:
        assert source.spec is not None
        return AutoConfig.for_model(source.spec.architecture, **source.spec.config)
    refuse_foreign_code(source.folder)
    try:
        config = AutoConfig.from_pretrained(source.folder, trust_remote_code=False)
    except Exception as error:  # whatever a wrong value trips over
        raise EdgepressError(f"{source.folder}: unreadable config.json: {first_line(error)}") from error
    _refuse_quantized(source.folder, config)
    _refuse_decoder(source.folder, config)
    return config


def _refuse_decoder(folder: Path, config: PretrainedConfig) -> None:
    """Raise for a model whose tokens do not all see each other: it has a decoder, or is one."""
    kind = config.model_type
    generates = kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if getattr(config, "is_encoder_decoder", False) or (generates and kind not in BIDIRECTIONAL):
        raise EdgepressError(
            f"{folder} is a {kind}, which has a decoder; only encoders are taken (BERT, RoBERTa, ...)",
            "docs/architectures.md lists those that are tested",
        )


def _refuse_quantized(folder: Path, config: PretrainedConfig) -> None:
    settings = getattr(config, "quantization_config", None)
    if settings is not None:
        method = settings.get("quant_method") if isinstance(settings, dict) else None
        raise EdgepressError(
            f"{folder}: its weights are quantized already ({method or 'quantization_config'} in config.json)",
            "name the folder of the model before it was quantized",
        )


def load_model(
    source: ModelSource,
    labels: tuple[str, ...] | None,
    problem_type: ProblemType | None,
    seed: int,
    new_head: bool = False,
    drops_others: bool = False,
    pooling: PoolingMode | None = None,
) -> tuple[PreTrainedModel, bool]:
    """The model in fp32, and whether its head was trained.

    A zoo name asks for an encoder: whatever head its folder has is dropped for a random one.

    Args:
        source: from `find_model`.
        labels: names of the classes; None keeps those of the model's own config.
        problem_type: what it is for; None keeps the config's, and its head.
        seed: for whatever weights have to be drawn at random.
        new_head: draw the classifier's weights at random, whichever the folder has.
        drops_others: whether a head of another kind may be dropped for a random one, as training does.
        pooling: of a model that gives vectors of texts; None: as its folder says.

    Raises:
        EdgepressError: the weights are not those of the config, the folder has another head, the labels do
            not fit a trained one, or nothing says how token states are pooled.
    """
    config = load_config(source)
    own_labels = tuple(label for _, label in sorted((config.id2label or {}).items()))
    if labels is not None:
        _set_labels(config, labels, problem_type)
    asked = None if problem_type is None else kind_of(problem_type).head
    wanted = head_of(config, asked or (TEXT_CLASSIFIER if source.spec else None), source.folder)
    _set_pooling(config, wanted, source, pooling, may_choose=drops_others or source.folder is None)
    kind = model_type(config, wanted)
    if source.folder is None:
        torch.manual_seed(seed)
        return build(kind, config).eval(), False
    drops: Drops = "all" if new_head else "others" if drops_others or source.spec is not None else "none"
    model, head_trained = load_weights(source, config, kind, wanted, drops, seed)
    if labels is not None and head_trained and wanted.labelled:
        check_labels(own_labels, labels, source.name)
    return model.eval(), head_trained


def describe_model(source: ModelSource, pooling: PoolingMode | None = None) -> PreTrainedModel:
    """The model of a folder as its config.json describes it, without values: its weights need not be there.

    Args:
        source: with a folder.
        pooling: of a model that gives vectors of texts; None: as its folder says.

    Raises:
        EdgepressError: the config is none, or does not say what its head is.
    """
    assert source.folder is not None
    config = load_config(source)
    head = said_head(config, source.folder)
    _set_pooling(config, head, source, pooling, may_choose=False)
    return build_empty(model_type(config, head), config, source.folder).eval()


def _set_pooling(
    config: PretrainedConfig, head: Head, source: ModelSource, asked: PoolingMode | None, may_choose: bool
) -> None:
    """Write the pooling of a model that gives vectors into its config; of others it has none."""
    from edgepress.core import matryoshka

    recorded = getattr(config, RECORD, None)
    if head is EMBEDDING:
        pooling, chosen = find_pooling(source.folder, recorded, asked, may_choose, source.name)
        setattr(config, RECORD, pooling.recorded)
        matryoshka.record_dimensions(config)
        if chosen and source.folder is not None:
            step(f"{source.name} says nothing of its pooling: {pooling}; --pooling takes another")
    else:
        for name in (RECORD, matryoshka.RECORD):
            if hasattr(config, name):
                delattr(config, name)


def _set_labels(config: PretrainedConfig, labels: tuple[str, ...], problem_type: ProblemType | None) -> None:
    if labels:
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: index for index, label in enumerate(labels)}
    config.problem_type = kind_of(problem_type).config_type if problem_type else None  # type: ignore[assignment]


def check_labels(own: tuple[str, ...], wanted: tuple[str, ...], name: str) -> None:
    """Raise if a trained head's labels are not those that its data were mapped to."""
    if own != wanted:
        raise EdgepressError(
            f"the labels do not fit the head of {name}: it has {list(own)}, the task {list(wanted)}",
            'let config.json name its class: "architectures": ["...ForSequenceClassification"]',
        )


def load_tokenizer(
    source: ModelSource, model: PreTrainedModel, own: PreTrainedTokenizerBase | None = None
) -> PreTrainedTokenizerBase:
    """The model's tokenizer; for random weights `own` or BERT's (from MiniLM's mirror).

    With BERT's vocabulary, size, latency and agreement of a model with random weights can be measured on
    real sentences; its embedding table is made to fit (ALBERT's has 522 rows less). The tokenizer
    gives what `model` takes afterwards (`edgepress.core.inputs`).

    Raises:
        EdgepressError: the tokenizer's files are unreadable, or it gives ids that the model does not have.
    """
    tokenizer = own or _read_tokenizer(source.folder or sources.from_index(MINILM_MIRROR), model.config)
    ids = max(tokenizer.get_vocab().values(), default=0) + 1
    if source.folder is None and own is None:  # it is BERT's, and so is its longest input
        tokenizer.model_max_length = longest_input(model)
    if source.folder is None and (own or ids > model.config.vocab_size):
        model.resize_token_embeddings(ids, mean_resizing=False)
    rows = getattr(model.config, "vocab_size", ids)  # a model of characters has no table of them
    if ids > rows:
        raise EdgepressError(
            f"{source.folder}: its tokenizer has ids up to {ids - 1}, its embedding table {rows} rows",
            "the tokenizer is another model's: save the model's own there",
        )
    fit_inputs(tokenizer, model)
    fit_padding(tokenizer, model)
    require_token_types(tokenizer, model, source.name)
    return tokenizer


def _read_tokenizer(folder: Path, config: PretrainedConfig) -> PreTrainedTokenizerBase:
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises nothing narrower
        raise _no_tokenizer(folder, config, error) from error
    if len(tokenizer) <= len(tokenizer.all_special_tokens) and _lacking(folder, config):
        raise _no_tokenizer(folder, config, None)  # transformers 5 opens one without words where files lack
    _refuse_another_vocabulary(folder, tokenizer)
    if not isinstance(tokenizer.model_max_length, int | float):
        raise EdgepressError(
            f"{folder}: tokenizer_config.json: model_max_length is {tokenizer.model_max_length!r}, no number",
            "write how many tokens the model takes",
        )
    keep_whole(tokenizer)  # some repositories ship padding and truncation inside tokenizer.json
    return tokenizer


def _refuse_another_vocabulary(folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise where vocab.txt, which other runtimes read, gives a word piece another id than tokenizer.json."""
    path = folder / "vocab.txt"
    if not (path.is_file() and (folder / TOKENIZER).is_file() and tokenizer.is_fast):
        return
    if type(tokenizer.backend_tokenizer.model).__name__ != "WordPiece":
        return
    vocabulary = tokenizer.get_vocab()
    for line, token in enumerate(path.read_text(encoding="utf-8", errors="replace").split("\n")):
        own = vocabulary.get(token.rstrip("\r"))
        if token.rstrip("\r") and own != line:
            raise EdgepressError(
                f"{folder}: vocab.txt and tokenizer.json disagree: {token!a} is {line} in the first, "
                f"{'no token' if own is None else own} in the second",
                "keep the file that the model was trained with, and remove the other one",
            )


def _no_tokenizer(folder: Path, config: PretrainedConfig, error: Exception | None) -> EdgepressError:
    """What to say where transformers opens none: a library or a file is missing, or it is damaged."""
    if unknown := _unknown_class(folder):
        return EdgepressError(
            f"{folder}: tokenizer_config.json names a {unknown}, which transformers does not have",
            "save it there with tokenizer.save_pretrained",
        )
    text = str(error or "")
    named = {name for name in TOKENIZER_LIBRARIES if re.search(rf"\b{name}\b", text, re.IGNORECASE)}
    missing = sorted(name for name in named if find_spec(TOKENIZER_LIBRARIES[name]) is None)
    if missing:
        return EdgepressError(
            f"{folder}: its tokenizer needs {', '.join(missing)}", f"pip install {' '.join(missing)}"
        )
    lacking = _lacking(folder, config)
    if lacking:
        names = ", no ".join([TOKENIZER, *lacking])
        return EdgepressError(
            f"{folder} has no tokenizer that transformers opens: no {names}",
            "save it there with tokenizer.save_pretrained",
        )
    return EdgepressError(f"{folder}: unreadable tokenizer: {first_line(error) if error else 'no words'}")


def _unknown_class(folder: Path) -> str:
    """The class that tokenizer_config.json names, where transformers has none of that name; else empty."""
    try:
        content = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        name = content["tokenizer_class"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return name if isinstance(name, str) and not hasattr(transformers, name) else ""


def _lacking(folder: Path, config: PretrainedConfig) -> list[str]:
    """The files that the architecture's tokenizer is made from and the folder does not have."""
    found = TOKENIZER_MAPPING.get(type(config), None)  # a slow and a fast one, or in transformers 5 the one
    kinds = found if isinstance(found, tuple) else (found,)
    kind = next((own for own in kinds if own is not None), None)
    names = getattr(kind, "vocab_files_names", {}).values()
    files = sorted({*names} - {"tokenizer.json"})
    return (
        []
        if (folder / "tokenizer.json").is_file()
        else [name for name in files if not (folder / name).is_file()]
    )


def keep_whole(tokenizer: PreTrainedTokenizerBase) -> None:
    """Let it neither pad nor cut by itself: both are the caller's."""
    if tokenizer.is_fast:
        tokenizer.backend_tokenizer.no_padding()
        tokenizer.backend_tokenizer.no_truncation()


def encode(
    tokenizer: PreTrainedTokenizerBase, texts: list[tuple[str, ...]], longest: int
) -> list[dict[str, np.ndarray]]:
    """Encode each text as a batch of size 1 without padding: int64 arrays of shape (1, length)."""
    encoded = encode_texts(tokenizer, texts, longest)
    return [
        {key: np.asarray([ids[row]], dtype=np.int64) for key, ids in encoded.items()}
        for row in range(len(texts))
    ]
