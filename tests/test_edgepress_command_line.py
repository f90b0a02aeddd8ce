"""Command lines that are wrong: one line that says what, one that says what to do, in every command."""

import dataclasses
import importlib
import io
import math
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import get_type_hints

import pytest

from edgepress.core import command_line
from edgepress.core.console import Command
from edgepress.core.errors import EdgepressError
from edgepress.core.option_values import RANGES, Range, accepts, flag_of, range_of, require_numbers, takes
from export.core.registry import formats

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
EVERY_COMMAND = list(dict.fromkeys([*COMMANDS, *(own.config for own in formats().values())]))
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
        (("--max-drop", "nan"), "--max-drop is out of range: it is 0 or more, and finite, not nan", "--help"),
        (("--max-drop", "inf"), "--max-drop is out of range: it is 0 or more, and finite, not inf", "--help"),
        (("--time-budget", -1), "--time-budget is out of range: it is 0 or more, not -1", "--help"),
        (("--threads", 0), "--threads is out of range: it is 1 or more, not 0", "--help"),
        (("--smooth-quant", 1.5), "--smooth-quant is out of range: it is 0 to 1, not 1.5", "--help"),
        (("--seed", -1), "--seed is out of range: it is 0 to 4294967295, not -1", "--help"),
        (("--opset", 99), "--opset is out of range: it is 14 to 20, not 99", "--help"),
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


def outside(kind: type[Command], name: str) -> list[float]:
    """Numbers just outside of an option's range."""
    known = range_of(kind, name)
    low = known.low if known.above else known.low - 1
    high = known.high if known.below else known.high + 1
    return [end for end in (low, high) if math.isfinite(end)]


@pytest.mark.parametrize("kind", EVERY_COMMAND, ids=lambda kind: kind.__name__)
def test_no_command_takes_a_number_that_is_none(kind):
    for name in numbers(kind):
        assert name in RANGES, "it has a range of its own"
        said = f"^{flag_of(name)} is out of range: it is {range_of(kind, name).text}"
        for value in (float("nan"), float("inf"), -float("inf")):
            with pytest.raises(EdgepressError, match=f"({said}, and finite, not|^{flag_of(name)} takes )"):
                require_numbers(kind, {name: value})
        for value in outside(kind, name):
            whole = int(value) if value == int(value) else value
            with pytest.raises(EdgepressError, match=f"{said}, not {whole}$"):
                require_numbers(kind, {name: whole})
        require_numbers(kind, {name: None})


@pytest.mark.parametrize("kind", EVERY_COMMAND, ids=lambda kind: kind.__name__)
def test_what_every_command_has_by_itself_is_in_range(kind):
    given = {entry.name: entry.default for entry in dataclasses.fields(kind)}
    require_numbers(kind, {name: given[name] for name in numbers(kind)})


@pytest.mark.parametrize(
    ("known", "words", "inside", "out"),
    [
        (Range(), "0 or more", (0, 1e9), (-1e-9, math.nan, math.inf)),
        (Range(1), "1 or more", (1, 5), (0, 0.5)),
        (Range(above=True), "above 0", (1e-9,), (0, -1)),
        (Range(0, 1), "0 to 1", (0, 1), (-0.1, 1.1)),
        (Range(0, 1, below=True), "0 to below 1", (0, 0.99), (1, -0.1)),
        (Range(0, 1, above=True), "above 0 to 1", (0.1, 1), (0,)),
        (Range(0, 1, above=True, below=True), "above 0 and below 1", (0.5,), (0, 1)),
        (Range(-math.inf), "any number", (-5, 5), (-math.inf, math.nan)),
    ],
)
def test_a_range_and_its_words(known, words, inside, out):
    assert known.text == words
    assert all(map(known.holds, inside))
    assert not any(map(known.holds, out))


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("RunConfig", ("--sequence-lengths",), "--sequence-lengths takes whole numbers, and has none"),
        ("RunConfig", ("--batch-sizes", 0), "--batch-sizes is out of range: it is 1 or more, not 0"),
        ("RunConfig", ("--passes", -1), "--passes is out of range: it is 0 or more, not -1"),
        ("ClaimsConfig", ("--passes", 0), "--passes is out of range: it is 1 or more, not 0"),
        ("FinetuneConfig", ("--epochs", 0), "--epochs is out of range: it is above 0, not 0"),
        ("PruneConfig", ("--epochs", -1), "--epochs is out of range: it is 0 or more, not -1"),
        ("PruneConfig", ("--heads", 0.5, 1), "--heads is out of range: it is 0 to below 1, not 1"),
        ("DistillConfig", ("--heads", 0), "--heads is out of range: it is 1 or more, not 0"),
        ("DistillConfig", ("--hidden-size", 0), "--hidden-size is out of range: it is 1 or more, not 0"),
        ("PredictConfig", ("--threads", -1), "--threads is out of range: it is 0 or more, not -1"),
    ],
)
def test_a_range_is_that_of_the_command(refused, name, words, said):
    kind = next(own for own in COMMANDS if own.__name__ == name)
    assert refused(kind, *needed(kind), *words)[0] == said


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
