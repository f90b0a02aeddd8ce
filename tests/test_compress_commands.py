"""The commands' manners: help, the list of verbs, the console script."""

import pkgutil
import re
import subprocess
import sys
from dataclasses import fields
from importlib import import_module
from typing import get_type_hints

import pytest

import compress
import device_bench
import export
from compress.verbs import VERBS, run_as
from edgepress.core.console import Command
from edgepress.core.flags import Overwrite
from edgepress.core.models import MODELS
from edgepress.core.tasks import TASKS
from export.core.registry import formats
from export.onnx_graph.schemes import SCHEMES


def test_verbs_are_listed_with_one_line_each(cli):
    for args in ((), ("--help",)):
        listed = cli("compress", *args)
        assert listed.code == 0
        assert "usage: python -m compress VERB [flags]" in listed.out
        for verb, (_, summary) in VERBS.items():
            assert f"{verb} " in listed.out
            assert summary in listed.out


def test_unknown_verb(cli):
    result = cli("compress", "quantise")
    assert result.code == 2
    assert "did you mean 'quantize'" in result.err


@pytest.mark.parametrize("verb", VERBS)
def test_console_script_and_module_are_the_same(cli, verb):
    ours, modules = cli("compress", verb, "--help").out, cli(VERBS[verb][0], "--help").out
    assert ours.replace(f"python -m compress {verb}", f"python -m {VERBS[verb][0]}") == modules


BENCHES = ("run", "claims", "charts", "report", "compare")


@pytest.fixture
def installed(monkeypatch, capsys):
    """Runs `edgepress` as its script does; gives what it said."""

    def run(*typed):
        monkeypatch.setattr(sys, "argv", ["edgepress", *typed])
        with pytest.raises(SystemExit) as stop:
            run_as("edgepress")
        said = capsys.readouterr()
        return stop.value.code, said.out + said.err

    return run


HINTED = [*VERBS, *(f"bench {own}" for own in BENCHES)]
QUICK = ("finetune", "export", "bench", "bench compare")


@pytest.mark.parametrize(
    "verb", [pytest.param(own, marks=() if own in QUICK else pytest.mark.slow) for own in HINTED]
)
def test_hints_name_what_was_typed(installed, cli, verb):
    words = verb.split()
    if verb == "bench":
        assert "usage: edgepress bench VERB [flags]" in installed(verb)[1]
        return
    code, said = installed(*words, "--xyzzy")
    assert code == 2
    assert f"edgepress {verb} --help lists all flags" in said
    assert "python -m" not in said
    module = " ".join(["compress", *words])
    assert f"python -m {module} --help lists" in cli("compress", *words, "--xyzzy").err
    if len(words) == 1:
        assert f"python -m {VERBS[verb][0]} --help lists" in cli(VERBS[verb][0], "--xyzzy").err
    else:
        assert (
            f"python -m device_bench {words[1]} --help lists" in cli("device_bench", words[1], "--xyzzy").err
        )


@pytest.mark.parametrize("flags", [("--epochs", "abc"), ("--epochs", 0), ("--epochs", -1), ()])
def test_each_kind_of_hint_names_what_was_typed(installed, cli, flags):
    needed = ("--model", "x", "--task", "x") if flags else ()
    said = installed("finetune", *needed, *map(str, flags))[1]
    assert "edgepress finetune --help says what it takes" in said
    assert "python -m compress.finetune --help says" in cli("compress.finetune", *needed, *flags).err


@pytest.mark.parametrize("command", ["compress.quantize", "compress.finetune", "export.onnx"])
def test_help_names_the_whole_zoo(cli, command):
    text = cli(command, "--help").out
    for name in (*MODELS, *TASKS):
        assert name in text


def configs():
    """The flags of every command."""
    for package in (compress, device_bench, export):
        for entry in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if entry.name.endswith(".config"):
                found = vars(import_module(entry.name)).values()
                yield from (own for own in found if isinstance(own, type) and issubclass(own, Command))


@pytest.mark.parametrize(("flag", "meaning"), [("overwrite", Overwrite), ("baseline", str | None)])
def test_a_flag_has_one_meaning_in_every_command(flag, meaning):
    hints = {own: get_type_hints(own, include_extras=True).get(flag) for own in configs()}
    found = {own: hint for own, hint in hints.items() if flag in {field.name for field in fields(own)}}
    assert len(found) > 2
    assert {own: hint for own, hint in found.items() if hint != meaning} == {}


def test_help_names_every_scheme(cli):
    text = cli("compress.quantize", "--help").out
    for name in (*SCHEMES, "auto", "all"):
        assert name in text


@pytest.mark.parametrize("command", ["compress.quantize", "export"])
def test_help_names_every_format_that_the_command_takes(cli, command):
    words = re.findall(r"\w+", cli(command, "--help").out)
    for name, own in formats().items():
        assert (name in words) is (command == "export" or bool(own.schemes()))


def test_verbs_run_without_a_warning():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "compress", "quantize", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("verb", VERBS)
def test_help_imports_nothing_heavy(verb):
    heavy = "{'torch', 'transformers', 'onnx', 'onnxruntime', 'datasets', 'matplotlib', 'sklearn'}"
    program = (
        "import runpy, sys\n"
        f"sys.argv = ['{verb}', '--help']\n"
        "try:\n"
        f"    runpy.run_module('{VERBS[verb][0]}', run_name='__main__')\n"
        "except SystemExit:\n"
        f"    print({heavy} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("set()")
