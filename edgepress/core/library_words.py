"""What commands say, in the words of the library: keywords in place of flags, calls in place of commands."""

from __future__ import annotations

import re

from edgepress.core.errors import HELP_SAYS

PHRASES = {HELP_SAYS: "its docstring says what it takes"}
RENAMED = {
    "output": "folder",
    "overwrite": "overwrite=True",
    "debug": "its traceback",
    "restart": "removing the folder of checkpoints",
}
"""Flags that the library has no keyword for, and what it has for them."""
VERBS = ("finetune", "pretrain", "distill", "prune", "sparsify", "qat", "trim_vocab", "quantize")
"""Commands that are functions of the library under the same name."""
VALUES = (
    *("new", "mlp", "random", "pretrained", "half", "embedding", "regression", "train", "task", "pretrain"),
    *("minmax", "size", "latency", "gmean", "id", "mean", "multi_label_classification", "zero-shot", "best"),
    "auto",
)
"""Words that are values where they stand behind a flag; others go on with the sentence."""
PLACEHOLDERS = r"[A-Z][A-Z_]*\b(?: [A-Z][A-Z_]*\b)*(?: \.\.\.)?"
VALUE = rf"(?:-?\d[\w.]*|'[^']*'|{PLACEHOLDERS}|(?:{'|'.join(VALUES)})(?![\w-]))"
COMMAND = re.compile(rf"python -m compress\.(?P<verb>{'|'.join(VERBS)})\b(?P<flags>(?: --[a-z-]+ \S+)+)")
MODULE = re.compile(rf"(?<![\w.])(?<!-m )compress\.(?P<verb>{'|'.join(VERBS)})\b(?![\w.]*\w)")
MAPPING = re.compile(r"--label-map(?P<pairs>(?: [^\s=]+=[^\s=;,]+)+)(?P<more> \.\.\.)?")
FLAG = re.compile(rf"(?<![\w-])--(?P<name>[a-z][a-z-]*)(?: (?P<value>{VALUE}))?")
# What `edgepress.api` keeps data and models of objects in.
PASSING_FOLDER = re.compile(r"[^\s'\"]*/edgepress-[\w-]+/([0-9a-f]{12}/)?")


def in_library_words(text: str) -> str:
    """The text with options as keywords (`--max-drop 2` is `max_drop=2`), commands as calls, and without
    passing folders.
    """
    for said, meant in PHRASES.items():
        text = text.replace(said, meant)
    text = COMMAND.sub(_call, text)
    text = MAPPING.sub(_mapping, text)
    text = MODULE.sub(r"edgepress.\g<verb>", text)
    text = FLAG.sub(_keyword, text)
    return PASSING_FOLDER.sub("", text)


def _call(command: re.Match[str]) -> str:
    words = command["flags"].split()
    pairs = zip(words[::2], words[1::2], strict=True)
    given = [f"{_name(flag[2:])}={_value(value)}" for flag, value in pairs]
    return f"edgepress.{command['verb']}({', '.join(given)})"


def _mapping(labels: re.Match[str]) -> str:
    pairs = [pair.split("=", 1) for pair in labels["pairs"].split()]
    given = [f"{data!r}: {model!r}" for data, model in pairs]
    return f"label_map={{{', '.join([*given, *(['...'] if labels['more'] else [])])}}}"


def _keyword(flag: re.Match[str]) -> str:
    name = RENAMED.get(flag["name"], _name(flag["name"]))
    if flag["value"] is None:
        return name
    return f"{name} {flag['value']}" if flag["name"] in RENAMED else f"{name}={_value(flag['value'])}"


def _name(flag: str) -> str:
    return flag.replace("-", "_")


def _value(text: str) -> str:
    """A value as it is written in a call: names of placeholders and numbers as they are, texts in quotes."""
    names = text.split()
    if len(names) > 1 and re.fullmatch(PLACEHOLDERS, text):
        return f"[{', '.join(names)}]"
    plain = re.fullmatch(r"-?\d[\w.]*|[A-Z][A-Z_]+|N|'.*'", text)
    return text if plain else repr(text)
