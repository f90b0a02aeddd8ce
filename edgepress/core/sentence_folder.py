"""Pooling of token states to one vector a text, as sentence-transformers' folders say it.

    modules.json                      Transformer, Pooling, and Normalize where vectors have length 1
    1_Pooling/config.json             which tokens are pooled
    sentence_bert_config.json         the length that texts are cut to [tokens]
    config_sentence_transformers.json prompts, and how vectors are compared

Reimers and Gurevych 2019, "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from edgepress.core.errors import EdgepressError
from edgepress.core.files import to_json

PoolingMode = Literal["mean", "cls", "last"]

RECORD = "edgepress_embedding"
"""Key of a config.json under which the pooling of a model stands."""
GIVES_VECTORS = "gives_vectors"
"""Attribute of the classes of models that give vectors."""
MODULES = "modules.json"
POOLING_FOLDER = "1_Pooling"
LENGTHS_FILE = "sentence_bert_config.json"
FACTS_FILE = "config_sentence_transformers.json"
MARKS = (MODULES, POOLING_FOLDER)
"""What shows that a folder is one of sentence-transformers."""
TAKEN = ("Transformer", "Pooling", "Normalize")
"""Modules that are taken, by the last part of their types' names, in this order."""
TYPE = "sentence_transformers.models"
FLAGS: dict[PoolingMode, str] = {
    "mean": "pooling_mode_mean_tokens",
    "cls": "pooling_mode_cls_token",
    "last": "pooling_mode_lasttoken",
}
FLAG_PREFIX = "pooling_mode_"
# Newer folders name the mode in one word.
ONE_WORD = "pooling_mode"
WORDS = {"mean": "mean", "cls": "cls", "lasttoken": "last"}
OTHER_FOLDER = "save it there with sentence-transformers, or name another --model"


@dataclass(frozen=True)
class Pooling:
    """How the token states of a text become its vector."""

    mode: PoolingMode = "mean"
    normalize: bool = True
    """Whether vectors are scaled to length 1."""
    max_length: int | None = None
    """Length that texts are cut to [tokens]; None: as many as the model reads."""

    @property
    def recorded(self) -> dict[str, Any]:
        """The value of `RECORD` in a config."""
        return asdict(self)

    @classmethod
    def of(cls, record: Any) -> Pooling:
        """Read from a config.

        Raises:
            EdgepressError: the record is none.
        """
        known = record if isinstance(record, Mapping) else {}
        length = known.get("max_length")
        if known.get("mode") not in get_args(PoolingMode) or not (length is None or _is_length(length)):
            raise EdgepressError(f"{RECORD} in config.json is not right: {record}", "make the artifact again")
        return cls(known["mode"], bool(known.get("normalize")), length)

    def differs(self, other: Pooling) -> bool:
        """Whether the two give other vectors."""
        return (self.mode, self.normalize) != (other.mode, other.normalize)

    def __str__(self) -> str:
        return f"{self.mode} of the tokens{', length 1' if self.normalize else ''}"


def is_sentence_folder(folder: Path) -> bool:
    """Whether a folder is one of sentence-transformers."""
    return any((folder / mark).exists() for mark in MARKS)


def find_pooling(
    folder: Path | None, recorded: Any, asked: PoolingMode | None, may_choose: bool, name: str
) -> tuple[Pooling, bool]:
    """The pooling of a model, and whether it was chosen here.

    Args:
        folder: of the model; None for random weights.
        recorded: what its config says under `RECORD`; None where it says nothing.
        asked: by the user.
        may_choose: whether the usual one is taken where nobody says anything: a model that is trained now
            learns it.
        name: of the model, for messages.

    Raises:
        EdgepressError: the folder has a module that is not taken, two of these say different things, or
            nobody says anything.
    """
    own = None if recorded is None else Pooling.of(recorded)
    said = None if folder is None or not (folder / MODULES).exists() else read_pooling(folder)
    if own is not None and said is not None and own.differs(said):
        raise EdgepressError(
            f"{folder}: {MODULES} says {said}, and {RECORD} in config.json {own}", "make the artifact again"
        )
    known = said or own
    if known is not None:
        if asked not in (None, known.mode):
            raise EdgepressError(
                f"--pooling {asked} contradicts {folder or name}, whose vectors are the {known}",
                "leave --pooling away",
            )
        return known, False
    if asked is None and not may_choose:
        raise EdgepressError(
            f"{name}: nothing says how its token states become one vector, and another way than in its "
            "training ranks wrong",
            "--pooling mean, cls or last",
        )
    return Pooling(asked or "mean"), asked is None


def read_pooling(folder: Path) -> Pooling:
    """The pooling that a folder of sentence-transformers has.

    Raises:
        EdgepressError: it has a module that is not taken, or a file of it is unreadable.
    """
    modules = _modules(folder)
    content = _read(folder / modules["Pooling"] / "config.json")
    lengths = _read(folder / LENGTHS_FILE, needed=False)
    facts = _read(folder / FACTS_FILE, needed=False)
    if prompt := facts.get("default_prompt_name"):
        raise EdgepressError(
            f"{folder}: {FACTS_FILE} puts the prompt '{prompt}' before each text, which no file does",
            f"write it into the texts, and null for default_prompt_name in {FACTS_FILE}",
        )
    if lengths.get("do_lower_case"):
        raise EdgepressError(
            f"{folder}: {LENGTHS_FILE} lowers the case of texts before they are tokenized",
            'let the tokenizer do it: "do_lower_case" in tokenizer_config.json',
        )
    length = lengths.get("max_seq_length")
    if not (length is None or _is_length(length)):
        raise EdgepressError(f"{folder}: {LENGTHS_FILE}: max_seq_length is {length!r}", "write a number")
    return Pooling(_mode(folder, content), "Normalize" in modules, length)


def _is_length(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _modules(folder: Path) -> dict[str, str]:
    """Module -> its folder below the model's.

    Raises:
        EdgepressError: a module is not taken, or they stand in another order.
    """
    content = _read(folder / MODULES, kind=list)
    try:
        found = {str(own["type"]).rpartition(".")[2]: str(own.get("path") or "") for own in content}
    except (TypeError, KeyError, AttributeError) as error:
        raise EdgepressError(f"{folder}: {MODULES} is no list of modules", OTHER_FOLDER) from error
    if other := [name for name in found if name not in TAKEN]:
        raise EdgepressError(
            f"{folder}: {MODULES} names the module {other[0]}; {', '.join(TAKEN)} are taken", OTHER_FOLDER
        )
    if tuple(found) not in (TAKEN[:2], TAKEN) or len(found) < len(content):
        raise EdgepressError(
            f"{folder}: {MODULES} has the modules {', '.join(found) or 'none'}, and not {', '.join(TAKEN)}",
            OTHER_FOLDER,
        )
    if found["Transformer"] not in ("", "."):
        raise EdgepressError(
            f"{folder}: the transformer lies in {found['Transformer']}, and not in the folder itself",
            OTHER_FOLDER,
        )
    return found


def _mode(folder: Path, content: Mapping[str, Any]) -> PoolingMode:
    """The one mode that a pooling's config turns on."""
    word = content.get(ONE_WORD)
    flags = [name for name, on in content.items() if name.startswith(FLAG_PREFIX) and on is True]
    named = [str(own) for own in word] if isinstance(word, list) else [word] if word else flags
    known = {**WORDS, **{flag: mode for mode, flag in FLAGS.items()}}
    if len(named) != 1 or named[0] not in known:
        said = " and ".join(own.removeprefix(FLAG_PREFIX) for own in named) or "nothing"
        raise EdgepressError(
            f"{folder}: its vectors are pooled by {said}; mean, cls or last are taken", OTHER_FOLDER
        )
    return cast("PoolingMode", known[named[0]])


def _read(path: Path, kind: type = dict, needed: bool = True) -> Any:
    """A JSON file of this kind; empty where it is not there and not needed."""
    if not needed and not path.is_file():
        return kind()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise EdgepressError(f"{path}: unreadable: {error}", OTHER_FOLDER) from error
    if not isinstance(content, kind):
        raise EdgepressError(f"{path} is not what sentence-transformers writes", OTHER_FOLDER)
    return content


def write_folder(folder: Path, pooling: Pooling, width: int, max_length: int) -> None:
    """Write what sentence-transformers needs beside a model's own files.

    Args:
        folder: with config.json, weights and tokenizer.
        pooling: of the model.
        width: of its vectors.
        max_length: that texts are cut to [tokens].
    """
    names = TAKEN if pooling.normalize else TAKEN[:2]
    paths = dict(zip(TAKEN, ("", POOLING_FOLDER, "2_Normalize"), strict=True))
    modules = [
        {"idx": number, "name": str(number), "path": paths[name], "type": f"{TYPE}.{name}"}
        for number, name in enumerate(names)
    ]
    flags = {flag: mode == pooling.mode for mode, flag in FLAGS.items()}
    _write(folder / MODULES, modules)
    _write(folder / POOLING_FOLDER / "config.json", {"word_embedding_dimension": width, **flags})
    _write(folder / LENGTHS_FILE, {"max_seq_length": max_length, "do_lower_case": False})
    known: dict[str, Any] = {
        "__version__": {},
        "prompts": {},
        "default_prompt_name": None,
        "similarity_fn_name": "cosine",
    }
    _write(folder / FACTS_FILE, known)


def _write(path: Path, content: Mapping[str, Any] | Iterable[Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(to_json(content, indent=2) + "\n", encoding="utf-8")
