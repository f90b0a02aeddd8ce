"""The files of a data folder: which of them is which split."""

import re
from collections.abc import Sequence
from pathlib import Path

from edgepress.core.errors import EdgepressError

# What `edgepress.core.rows` reads.
TABLES = (".parquet", ".csv", ".tsv", ".jsonl", ".json")
SPLITS = ("train", "validation", "test")
# Names that people give a split, in lower case.
ALIASES = {
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "eval": "validation",
    "evaluation": "validation",
    "testing": "test",
}
# How the Hub stores a split in several files.
SHARD = re.compile(r"(?P<split>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})")

# By which a folder is a model's.
MODEL_CONFIG, PICKLED = "config.json", "pytorch_model*.bin"


def split_name(name: str) -> str:
    """The split that a file's or a flag's name means: `val`, `Dev` and `validation` are one."""
    return ALIASES.get(name.lower(), name.lower() if name.lower() in SPLITS else name)


def find_splits(folder: Path, preferred: Sequence[str] = ()) -> dict[str, list[Path]]:
    """The files of each split in a folder: of train, validation and test, and of every other name.

    Args:
        folder: holds `train.csv`, `dev.csv`, ..., or the Hub's shards, also in a folder `data` of its own.
        preferred: names of files, with or without their ending, that are taken where two could be a split.

    Raises:
        EdgepressError: two files could be the same split, or a shard is missing.
    """
    found: dict[str, dict[str, list[Path]]] = {}
    for path in sorted(_tables(folder)):
        shard = SHARD.fullmatch(path.stem)
        stem = shard["split"] if shard else path.stem
        named = f"{stem}-?{path.suffix}" if shard else path.name
        found.setdefault(split_name(stem), {}).setdefault(named, []).append(path)
    return {split: _only(folder, split, files, preferred) for split, files in found.items()}


def _tables(folder: Path) -> list[Path]:
    if ((folder / MODEL_CONFIG).is_file() and any(folder.glob("*.safetensors"))) or any(folder.glob(PICKLED)):
        raise EdgepressError(f"{folder} is a model, not a data folder", "name the folder of the texts")
    nested = folder / "data"
    own = _files(folder)
    return own or (_files(nested) if nested.is_dir() else [])


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix.lower() in TABLES and path.is_file()]


def _only(folder: Path, split: str, files: dict[str, list[Path]], preferred: Sequence[str]) -> list[Path]:
    if len(files) > 1:
        files = {name: paths for name, paths in files.items() if _is_any(name, preferred)} or files
    if len(files) > 1:
        first, second, *_ = files
        named = f", or name what to score on: --split {Path(first).stem}"
        alike = Path(first).stem == Path(second).stem  # the flag would name both
        raise EdgepressError(
            f"{folder} has {first} and {second}: both could be the {split} split",
            f"move one of them out of the folder{'' if split == 'train' or alike else named}",
        )
    (paths,) = files.values()
    shard = SHARD.fullmatch(paths[0].stem)
    if shard and len(paths) != int(shard["count"]):
        raise EdgepressError(
            f"{folder}: {len(paths)} of {int(shard['count'])} files of the {split} split are there",
            "fetch the others",
        )
    return paths


def _is_any(name: str, preferred: Sequence[str]) -> bool:
    return name in preferred or Path(name).stem in preferred
