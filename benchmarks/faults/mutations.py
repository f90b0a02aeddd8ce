"""Damage to a file: bytes flipped, keys dropped, types changed, sizes made huge, cut, emptied, repeated."""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

CONFIG, TOKENIZER, TOKENIZER_CONFIG = "config.json", "tokenizer.json", "tokenizer_config.json"
MANIFEST, RECORDS, RECIPE = "manifest.json", "records.jsonl", "recipe.yaml"
# How many of a hundred files are of each kind.
FILES = {CONFIG: 24, TOKENIZER: 14, TOKENIZER_CONFIG: 10, MANIFEST: 18, RECORDS: 18, RECIPE: 16}

UNDAMAGED = "none"
HUGE = 10**11
DEPTH = 3000
"""Beyond what Python's own parser recurses to."""
# At each level of a file a walk goes on below with this chance.
DEEPER = 0.55


@dataclass(frozen=True)
class Job:
    """One file to damage, and how."""

    number: int
    file: str
    mutation: str
    seed: str
    """Seed of everything that is drawn."""


def plan(count: int, seed: int) -> list[Job]:
    """Files and kinds of damage, and one file of each kind undamaged: were that refused, the rest would show
    nothing.

    Each kind of damage meets each kind of file as counts allow.
    """
    rng = random.Random(f"mutations {seed}")
    files = rng.choices(list(FILES), weights=list(FILES.values()), k=count)
    kinds = [
        name
        for _ in range(count // len(MUTATIONS) + 1)
        for name in rng.sample(list(MUTATIONS), len(MUTATIONS))
    ]
    whole = [(file, UNDAMAGED) for file in FILES] if count else []
    jobs = [*zip(files, kinds, strict=False), *whole]
    return [Job(number, file, kind, f"{seed} {number}") for number, (file, kind) in enumerate(jobs)]


def mutate(content: bytes, job: Job) -> bytes:
    """The file's content, damaged as the job says."""
    if job.mutation == UNDAMAGED:
        return content
    rng = random.Random(job.seed)
    mutation = MUTATIONS[job.mutation]
    if job.mutation in RAW:
        return mutation(content, rng)
    return _within(content, job, rng, mutation)


def _within(content: bytes, job: Job, rng: random.Random, mutation: Callable[..., Any]) -> bytes:
    """Damage to the parsed file; of JSON lines, to one of them."""
    text = content.decode()
    if job.file == RECIPE:
        return _dump_yaml(mutation(yaml.safe_load(text), rng))
    if job.file == RECORDS:
        lines = text.splitlines()
        row = rng.randrange(len(lines))
        lines[row] = _dump_json(mutation(json.loads(lines[row]), rng))
        return ("\n".join(lines) + "\n").encode()
    return _dump_json(mutation(json.loads(text), rng)).encode()


class _Text(str):
    """Text of a file that no writer would write."""

    __slots__ = ()


def _dump_json(value: Any) -> str:
    return value if isinstance(value, _Text) else json.dumps(value)


def _dump_yaml(value: Any) -> bytes:
    # JSON is YAML, so that text made for the one reads in the other.
    return (value if isinstance(value, _Text) else yaml.safe_dump(value, sort_keys=False)).encode()


def _place(root: Any, rng: random.Random) -> tuple[Any, Any]:
    """A container somewhere in the file, and one of its keys or indices."""
    container = root
    while True:
        key = rng.choice(list(container) if isinstance(container, dict) else range(len(container)))
        below = container[key]
        if not isinstance(below, dict | list) or not below or rng.random() > DEEPER:
            return container, key
        container = below


def _changed(change: Callable[[Any, random.Random], Any]) -> Callable[[Any, random.Random], Any]:
    """A mutation that puts another value in the place of one."""

    def mutation(root: Any, rng: random.Random) -> Any:
        container, key = _place(root, rng)
        container[key] = change(container[key], rng)
        return root

    return mutation


def _numbers(root: Any, change: Callable[[Any, random.Random], Any], rng: random.Random) -> Any:
    """The file with one of its numbers changed; with another value changed where it has none."""
    places = list(_number_places(root))
    container, key = rng.choice(places) if places else _place(root, rng)
    container[key] = change(container[key], rng)
    return root


def _number_places(container: Any) -> Iterator[tuple[Any, Any]]:
    for key, value in container.items() if isinstance(container, dict) else enumerate(container):
        if isinstance(value, dict | list):
            yield from _number_places(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield container, key


def _drop(root: Any, rng: random.Random) -> Any:
    container, key = _place(root, rng)
    del container[key]
    return root


OTHERS: tuple[Any, ...] = (None, True, 7, -1, 0.5, "", "word", [], {}, [1, "a"], {"a": 1})


def _other_type(value: Any, rng: random.Random) -> Any:
    return rng.choice([other for other in OTHERS if type(other) is not type(value)])


def _huge(root: Any, rng: random.Random) -> Any:
    return _numbers(root, lambda _, rng: rng.choice((HUGE, 10**30, 2**31, 1e300)), rng)


def _negative(root: Any, rng: random.Random) -> Any:
    return _numbers(root, lambda _, rng: rng.choice((-1, -HUGE, 0)), rng)


def _to_text(root: Any, rng: random.Random) -> Any:
    return _numbers(root, lambda value, _: str(value), rng)


def _to_nan(root: Any, rng: random.Random) -> Any:
    return _numbers(root, lambda _, rng: rng.choice((float("nan"), float("inf"))), rng)


def _nested(root: Any, rng: random.Random) -> Any:
    """A value far below thousands of lists, written by hand: no writer recurses so deep."""
    container, key = _place(root, rng)
    container[key] = "@"
    return _Text(json.dumps(root).replace('"@"', "[" * DEPTH + "]" * DEPTH, 1))


def _twice(root: Any, rng: random.Random) -> Any:
    """One of the outermost keys stands twice, with another value the second time."""
    key = rng.choice(list(root))
    again = json.dumps({key: _other_type(root[key], rng)})
    return _Text(f"{json.dumps(root)[:-1]}, {again[1:]}")


def _flipped(content: bytes, rng: random.Random) -> bytes:
    found = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def _emptied(_: bytes, rng: random.Random) -> bytes:
    return rng.choice((b"", b"\n", b"{}", b"[]", b"null", b"7"))


def _binary(content: bytes, rng: random.Random) -> bytes:
    return rng.choice((rng.randbytes(500), b"\x00" * 100, b"\xff\xfe", b"\xef\xbb\xbf" + content))


RAW: Mapping[str, Callable[[bytes, random.Random], bytes]] = {
    "bytes flipped": _flipped,
    "cut": _cut,
    "emptied": _emptied,
    "binary": _binary,
}
MUTATIONS: Mapping[str, Callable[[Any, random.Random], Any]] = {
    **RAW,
    "key dropped": _drop,
    "type changed": _changed(_other_type),
    "made huge": _huge,
    "made negative": _negative,
    "number to text": _to_text,
    "NaN": _to_nan,
    "nested": _nested,
    "key twice": _twice,
}
