"""Code in a model's folder, which is never run."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgepress.core.console import warn_once
from edgepress.core.errors import EdgepressError

CONFIGS = ("config.json", "tokenizer_config.json", "modules.json")
INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
SHOWN = 3


def refuse_foreign_code(folder: Path) -> None:
    """Raise if the folder's model is defined by code that comes with it; warn that other code is not run.

    Weights that were made with a class of their own give another answer in the class of the same name in
    transformers, without a word. Paths of a sharded checkpoint that lead out of the folder are refused too.

    Raises:
        EdgepressError: the model or its tokenizer needs code, or a shard lies outside.
    """
    for name in CONFIGS:
        for needed in _code(_json(folder / name)):
            raise EdgepressError(
                f"{folder}: {name} names code of its own ({needed}), which is never run",
                "where transformers' own class reads these weights as well, delete that entry from a copy",
            )
    for name in INDEXES:
        for shard in _shards(_json(folder / name)):
            if Path(shard).name != shard:
                raise EdgepressError(
                    f"{folder}: {name} names a file outside of it: {shard}", "put it in there"
                )
    files = sorted(path.name for path in folder.glob("*.py"))
    if files:
        more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
        warn_once(f"{folder.name}: the code in it is not run ({', '.join(files[:SHOWN])}{more})")


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None  # whoever reads the file says what is wrong with it


def _code(content: Any) -> Iterator[str]:
    """Names of classes, modules and kernels that are not transformers' own."""
    if isinstance(content, list):  # modules.json of sentence-transformers
        kinds = [str(entry.get("type", "")) for entry in content if isinstance(entry, dict)]
        yield from (kind for kind in kinds if kind and not kind.startswith("sentence_transformers."))
    if not isinstance(content, dict):
        return
    if content.get("auto_map"):
        yield _first(content["auto_map"])
    for key in ("_attn_implementation", "attn_implementation"):
        if "/" in str(content.get(key, "")):  # a kernel of the Hub, which transformers would fetch
            yield str(content[key])


def _first(value: Any) -> str:
    """The first class that an `auto_map` names."""
    while isinstance(value, dict | list) and value:
        value = next(iter(value.values() if isinstance(value, dict) else value))
    return str(value)


def _shards(content: Any) -> set[str]:
    weights = content.get("weight_map") if isinstance(content, dict) else None
    return {str(shard) for shard in weights.values()} if isinstance(weights, dict) else set()
