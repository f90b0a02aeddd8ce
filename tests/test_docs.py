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
from edgepress.core.console import Command

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r'\]\(([^)#\s]+)(?:#[^)]*)?\)|src(?:set)?="([^"]+)"')
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
PYTHON_M = "python -m "
MOST_LINES = 170
BENCH = {
    name: import_module(f"device_bench.{name}.config")
    for name in ("run", "claims", "charts", "report", "compare")
}


def typed():
    """(page, command) for each line of a fenced block that begins with python -m."""
    for page in PAGES:
        for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines() if not language else ():
                if line.startswith(PYTHON_M) and not line.startswith(f"{PYTHON_M}pip"):
                    yield page.name, line.partition("#")[0].strip()


def config_of(words):
    """The flags of a command, and the words behind it."""
    if words[0] == "device_bench":
        module = BENCH[words[1]]
        own = (each for each in vars(module).values() if isinstance(each, type) and issubclass(each, Command))
        return next(each for each in own if each.__module__ == module.__name__), words[2:]
    if words[0] == "export.android":
        return import_module("export.android.config").AndroidConfig, words[1:]
    return commands()[words[0].removeprefix("compress.")].config, words[1:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    found = [one or other for one, other in LINK.findall(page.read_text(encoding="utf-8"))]
    missing = [link for link in found if not link.startswith("http") and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize(("page", "command"), [*typed()])
def test_commands_have_these_flags(page, command):
    words = shlex.split(command.removeprefix(PYTHON_M))
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
