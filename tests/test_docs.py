"""README and docs: every link leads somewhere, every command has these flags, and the snippets run."""

import json
import re
import shlex
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest
import tyro
from transformers import BertConfig, BertForSequenceClassification

import edgepress
from compress.recipe.schema.verbs import commands
from compress.verbs import VERBS
from edgepress.core.console import Command

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r'\]\(([^)#\s]+)(?:#[^)]*)?\)|src(?:set)?="([^"]+)"')
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
PYTHON_M = "python -m "
MOST_LINES = 170
LINE_LENGTH = 120
EDGEPRESS = "edgepress "
BENCH = ("run", "claims", "charts", "report", "compare")
CODE = re.compile(r"`([^`\n]+)`")
FLAG = re.compile(r"(?<![\w-])--(?:no-)?([a-z][\w-]*)")
# Commas between values without blanks: tyro takes that for one value.
COMMA_LIST = re.compile(r"(?:--[\w-]+ )?[\w.]+(?:,[\w.]+)+")
# Flags that every command has, and those of accelerate launch.
OTHERS = {"help", "multi_gpu", "num_processes", "module"}


def typed():
    """(page, command) for each line of a fenced block that begins with python -m or edgepress."""
    for page in PAGES:
        for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines() if not language else ():
                command = line.partition("#")[0].strip()
                if command.startswith(PYTHON_M) and not command.startswith(f"{PYTHON_M}pip"):
                    yield page.name, command.removeprefix(PYTHON_M)
                verb, _, flags = command.removeprefix(EDGEPRESS).partition(" ")
                if command.startswith(EDGEPRESS) and verb in VERBS:
                    yield page.name, f"{VERBS[verb][0]} {flags}"


def config_in(module):
    """The config that a command's package defines."""
    own = vars(import_module(f"{module}.config")).values()
    kinds = (each for each in own if isinstance(each, type) and issubclass(each, Command))
    return next(each for each in kinds if each.__module__ == f"{module}.config")


def config_of(words):
    """The flags of a command, and the words behind it."""
    if words[0] == "device_bench":
        return config_in(f"device_bench.{words[1]}"), words[2:]
    known = {verb.module: verb.config for verb in commands().values()}
    return known.get(words[0]) or config_in(words[0]), words[1:]


def every_flag():
    """Names of the flags of all commands, as they are typed."""
    packages = ("export.predict", "export.android", *(f"device_bench.{name}" for name in BENCH))
    for config in (*(verb.config for verb in commands().values()), *map(config_in, packages)):
        for field in fields(config):
            names = [
                mark.name for mark in getattr(field.type, "__metadata__", ()) if getattr(mark, "name", None)
            ]
            yield (*names, field.name)[0].replace("_", "-")


def wrong_code(text):
    """What stands in backticks and no command takes: unknown flags, and lists with commas."""
    known = {*every_flag(), *OTHERS}
    for code in CODE.findall(FENCE.sub("", text)):
        yield from (f"--{flag}" for flag in FLAG.findall(code) if flag not in known)
        if COMMA_LIST.fullmatch(code):
            yield code


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_flags_in_the_text_are_there(page):
    assert [*wrong_code(page.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    "wrong", ["--heads 0.5,0.25", "0,2,4", "--hedas 0.5", "--commands finetune,quantize"]
)
def test_flags_that_no_command_takes_are_found(wrong):
    assert [*wrong_code(f"as `{wrong}` says")] != []


def test_verbs_are_parsed_as_modules_are():
    first = next(command for page, command in typed() if page == "shrink.md")
    assert first.startswith("compress.shrink --model")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    found = [one or other for one, other in LINK.findall(page.read_text(encoding="utf-8"))]
    missing = [link for link in found if not link.startswith("http") and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize(("page", "command"), [*typed()])
def test_commands_have_these_flags(page, command):
    words = shlex.split(command)
    if words[0].startswith("benchmarks."):
        assert (ROOT / Path(*words[0].split("."))).with_suffix(".py").exists() or (
            ROOT / Path(*words[0].split(".")) / "__main__.py"
        ).exists()
        return
    config, rest = config_of(words)
    parsed = tyro.cli(
        config, args=[word for word in rest if word != "..."], config=(tyro.conf.FlagCreatePairsOff,)
    )
    assert {field.name for field in fields(parsed)} == {field.name for field in fields(config)}


def snippets():
    for page in PAGES:
        for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
            if language == "python":
                yield page.name, block


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_fit_a_screen(page):
    """But for what is no prose: tables, pictures, and what is typed."""
    prose = FENCE.sub("", page.read_text(encoding="utf-8")).splitlines()
    assert [line for line in prose if len(line) > LINE_LENGTH and not line.startswith(("|", "<"))] == []


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.slow
def test_the_snippet_of_the_readme_runs_as_written(tokenizer, data_root, tmp_path, monkeypatch, capsys):
    (block,) = (block for page, block in snippets() if page == "README.md")
    names = {"id2label": {0: "negative", 1: "positive"}, "label2id": {"negative": 0, "positive": 1}}
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    model = BertForSequenceClassification(BertConfig(vocab_size=len(tokenizer), **shape, **names))
    tuned = edgepress.load(model, tokenizer, task="verdicts", data=data_root)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEPRESS_DATA", str(data_root))
    tuned.tokenizer.model_max_length = 512
    tuned.save("outputs/minilm-movie_reviews")
    exec(compile(block, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "accuracy" in printed
    assert "Prediction(label=" in printed
    assert (tmp_path / "outputs" / "small" / "onnx" / "model_quantized.onnx").exists()


def test_the_snippet_of_tasks_runs_as_written(entity_model, entities, tmp_path, monkeypatch, capsys):
    (block,) = (block for page, block in snippets() if page == "tasks.md")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEPRESS_DATA", str(entities.parent))
    Path("outputs").mkdir()
    Path("outputs/minilm-wikiann_en").symlink_to(entity_model)
    exec(
        compile(block.replace("Ada Lovelace was born in London", "the film is dull"), "tasks.md", "exec"), {}
    )
    assert "('the film', 'WORK', 0, 8)" in capsys.readouterr().out


@pytest.mark.parametrize(("page", "block"), [*snippets()])
def test_snippets_name_what_is_there(page, block):
    for name in re.findall(r"edgepress\.(\w+)", block):
        assert name in edgepress.__all__


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_notebook_runs(tmp_path, monkeypatch, capsys):
    notebook = json.loads((ROOT / "docs" / "quickstart.ipynb").read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
    printed = capsys.readouterr().out
    assert "100 texts of at most 64 tokens" in printed
    assert "['finetune', 'distill', 'quantize']" in printed
    assert (tmp_path / "outputs" / "quickstart" / "manifest.json").exists()
