"""Command lines that are wrong: one line that says what, one that says what to do, in every command."""

import dataclasses
import importlib
import io
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import get_type_hints

import pytest

from edgepress.core import command_line
from edgepress.core.console import Command
from edgepress.core.errors import EdgepressError
from edgepress.core.option_values import SIGNED, accepts, flag_of, require_numbers, takes

ROOT = Path(__file__).parents[1]
PACKAGES = ("compress", "export", "device_bench")


def commands() -> list[type[Command]]:
    """The options of every command that has a module to be run as."""
    found = []
    for path in sorted(file for package in PACKAGES for file in (ROOT / package).rglob("config.py")):
        if (path.parent / "__main__.py").exists():
            module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
            own = [kind for kind in vars(module).values() if _is_command(kind, module.__name__)]
            found += [kind for kind in own if not any(kind in other.__mro__[1:] for other in own)]
    return found


def _is_command(kind: object, module: str) -> bool:
    return isinstance(kind, type) and issubclass(kind, Command) and kind.__module__ == module


COMMANDS = commands()
QUANTIZE = next(kind for kind in COMMANDS if kind.__name__ == "QuantizeConfig")
COMPARE = next(kind for kind in COMMANDS if kind.__name__ == "CompareConfig")


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch):
    def run(kind: type[Command], *words: object) -> Command:
        monkeypatch.setattr(sys, "argv", ["x", *map(str, words)])
        return command_line.parse(kind, "python -m x")

    return run


@pytest.fixture
def refused(parse):
    def run(kind: type[Command], *words: object) -> tuple[str, str]:
        with pytest.raises(EdgepressError) as raised:
            parse(kind, *words)
        assert raised.value.exit_code == 2
        for said in (str(raised.value), raised.value.hint):
            assert said
            assert "\n" not in said
            assert not set(said) & set("╭│╰─")
        return str(raised.value), raised.value.hint

    return run


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (("--max-drop", "abc"), "--max-drop takes a number, not 'abc'", "--help says what it takes"),
        (("--max_drop=abc",), "--max-drop takes a number, not 'abc'", "--help"),
        (("--max-drop",), "--max-drop takes a number, and has none", "--help"),
        (("--max-drop", ""), "--max-drop: an empty text", "give --max-drop a value"),
        (("--max-drop=",), "--max-drop: an empty text", "give --max-drop a value"),
        (("--max-drop", "nan"), "--max-drop is out of range: it is 0 or more", "--help"),
        (("--max-drop", "inf"), "--max-drop is out of range: it is 0 or more", "--help"),
        (("--time-budget", "inf"), "--time-budget is out of range: inf is no finite number", "--help"),
        (("--threads", -1), "--threads is out of range: -1 is below 0", "--help"),
        (("--eval-samples", "1.5"), "--eval-samples takes a whole number, not '1.5'", "--help"),
        (("--max-length", "a"), "--max-length takes a whole number, not 'a'", "--help"),
        (("--sequence-lengths", "8", "b"), "--sequence-lengths takes whole numbers, not 'b'", "--help"),
        (("--minimize", "x"), "--minimize takes one of latency, size, not 'x'", "--help"),
        (("--cpu", "x"), "--cpu takes one of avx2, avx512, avx512_vnni, arm64, not 'x'", "--help"),
        (("--max-dorp", "1"), "unknown flag --max-dorp", "did you mean --max-drop?"),
        (("--xyzzy",), "unknown flag --xyzzy", "python -m x --help lists all flags"),
        (("my", "model"), "'my, model' belongs to no flag", "a text with blanks stands in quotes"),
        (("--task", ""), "--task: an empty text", "give --task a value"),
    ],
)
def test_each_fault_is_named(refused, words, said, hint):
    found = refused(QUANTIZE, "--model", "minilm", *words)
    assert found[0] == said
    assert hint in found[1]


@pytest.mark.parametrize(
    ("kind", "words", "said"),
    [
        (QUANTIZE, (), "--model is missing"),
        (COMPARE, (), "BEFORE and AFTER are missing"),
        (COMPARE, ("a.jsonl",), "AFTER is missing"),
        (COMPARE, ("a.jsonl", "b.jsonl", "c.jsonl"), "'c.jsonl' belongs to no flag"),
        (COMPARE, ("a.jsonl", ""), "an argument: an empty text"),
    ],
)
def test_what_is_missing_or_too_much_is_named(refused, kind, words, said):
    assert refused(kind, *words)[0] == said


def test_a_narrow_screen_changes_nothing(refused, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    for words, said in (
        (("--calibration-samples", "abc"), "--calibration-samples takes a whole number, not 'abc'"),
        (("extra",), "'extra' belongs to no flag"),
        (("--max-dorp", 1), "unknown flag --max-dorp"),
    ):
        assert refused(QUANTIZE, "--model", "minilm", *words)[0] == said


def needed(kind: type[Command]) -> list[str]:
    """Words that fill what a command cannot do without."""
    words: list[str] = []
    for entry in dataclasses.fields(kind):
        if entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING:
            words += [flag_of(entry.name), "x"] if "Positional" not in str(entry.type) else ["x"]
    return words


def numbers(kind: type[Command]) -> list[str]:
    """Names of the options that take numbers alone."""
    hints = get_type_hints(kind)
    return [name for name, hint in hints.items() if takes(hint).endswith(("number", "numbers"))]


@pytest.mark.parametrize("kind", COMMANDS, ids=lambda kind: kind.__name__)
def test_no_command_takes_a_number_that_is_none(kind):
    for name in numbers(kind):
        for value in (float("nan"), float("inf"), -float("inf"), *([] if name in SIGNED else [-1])):
            with pytest.raises(EdgepressError, match=f"^{flag_of(name)} (is out of range|takes )"):
                require_numbers(kind, {name: value})
        require_numbers(kind, {name: None})


@pytest.mark.parametrize("kind", COMMANDS, ids=lambda kind: kind.__name__)
def test_no_command_shows_a_box(refused, kind):
    own = needed(kind)
    assert refused(kind, *own, "--xyzzy")[0] == "unknown flag --xyzzy"
    assert "an empty text" in refused(kind, *own, "")[0]
    names = numbers(kind)
    if names:
        found = refused(kind, *own, flag_of(names[0]), "abc")[0]
        assert found.startswith(f"{flag_of(names[0])} takes ")
        assert found.endswith(", not 'abc'")


def test_help_is_still_printed(parse):
    printed = io.StringIO()
    with pytest.raises(SystemExit) as stop, redirect_stdout(printed):
        parse(QUANTIZE, "--help")
    assert not stop.value.code
    assert "--max-drop" in printed.getvalue()


def test_a_number_below_0_is_one_where_that_is_meant(parse):
    assert parse(QUANTIZE, "--model", "minilm", "--null-threshold", -0.5).null_threshold == -0.5


def test_wrong_types_of_the_library_are_named():
    with pytest.raises(EdgepressError, match="--max-drop takes a number, not 'abc'"):
        require_numbers(QUANTIZE, {"max_drop": "abc"})
    with pytest.raises(EdgepressError, match=r"--eval-samples takes a whole number, not 1\.5"):
        require_numbers(QUANTIZE, {"eval_samples": 1.5})
    with pytest.raises(EdgepressError, match="--max-drop takes a number, not True"):
        require_numbers(QUANTIZE, {"max_drop": True})


@pytest.mark.parametrize(
    ("hint", "said", "right", "wrong"),
    [
        (float | None, "a number", "1e-3", "x"),
        (tuple[int, ...], "whole numbers", "3", "3.5"),
        (float | tuple[float, ...], "numbers", "3", "x"),
        (Path, "a value", None, None),
    ],
)
def test_what_an_option_takes_in_words(hint, said, right, wrong):
    assert takes(hint) == said
    if right is not None:
        assert (accepts(hint, right), accepts(hint, wrong)) == (True, False)
