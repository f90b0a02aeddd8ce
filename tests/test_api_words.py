"""The library speaks of its own arguments: no flag, no command that would do what a function does."""

import ast
import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

import edgepress
from compress.distill.config import DistillOptions
from compress.finetune.config import FinetuneConfig
from compress.pretrain.config import PretrainOptions
from compress.prune.config import PruneOptions
from compress.qat.config import QatOptions
from compress.quantize.config import QuantizeConfig
from compress.sparsify.config import SparsifyOptions
from compress.trim_vocab.config import TrimVocabOptions
from device_bench.compare.figures import Margins
from edgepress.core.library_words import RENAMED, in_library_words
from export.command.config import FormatsConfig
from export.mlprogram.config import CoreMlConfig
from export.onnx import OnnxConfig
from export.tflite.config import LiteRtConfig

ROOT = Path(__file__).parents[1]
OPTIONS = (
    *(DistillOptions, FinetuneConfig, PretrainOptions, PruneOptions, QatOptions, QuantizeConfig),
    *(SparsifyOptions, TrimVocabOptions, FormatsConfig, OnnxConfig, CoreMlConfig, LiteRtConfig, Margins),
)
# Where the texts are that reach whoever calls the library; those of phones, charts and recipes do not.
PACKAGES = ("edgepress/core", "edgepress/api", "export/core", "export/command", "export/validation")
FOLDERS = (
    *(f"compress/{name}" for name in ("distill", "distillation", "finetune", "prune", "qat", "quantize")),
    *(f"compress/{name}" for name in ("pretrain", "sparsify", "trim_vocab", "training")),
)
FILES = ("compress/step.py", "compress/compression.py", "device_bench/compare/figures.py")
COMMANDS_ALONE = {
    "edgepress/core/console.py": "what --debug shows of a command",
    "edgepress/core/command_line.py": "flags as they are typed",
    "edgepress/core/flags.py": "paths of a command",
    "edgepress/core/verbs.py": "verbs as they are typed",
    "edgepress/core/sources.py": "flags of pip",
    "compress/distill/pretraining.py": "a stage that the library refuses",
    "export/command/run.py": "a command",
    "edgepress/core/errors.py": "names of flags and their ranges",
}
SAYING = ("Error", "warn", "warn_once", "step", "step_once")


def modules() -> list[Path]:
    folders = [path for name in (*PACKAGES, *FOLDERS) for path in (ROOT / name).rglob("*.py")]
    single = [ROOT / name for name in FILES] + [*(ROOT / "export").glob("*.py")]
    found = [path for path in (*folders, *single) if path.name not in ("config.py", "__main__.py")]
    return sorted(path for path in found if path.relative_to(ROOT).as_posix() not in COMMANDS_ALONE)


def said(path: Path) -> Iterator[str]:
    """What a module's errors, warnings and steps say; what is filled in later stands there as x1."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func).endswith(SAYING):
            yield from (text for part in (*node.args, *node.keywords) for text in _texts(part))
    for node in tree.body:  # hints that several errors share
        if isinstance(node, ast.Assign):
            yield from _texts(node.value)


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _texts(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.JoinedStr):
        parts = [own.value if isinstance(own, ast.Constant) else "x1" for own in node.values]
        yield "".join(map(str, parts))
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    for child in ast.iter_child_nodes(node):
        yield from _texts(child)


TEXTS = [(path, text) for path in modules() for text in said(path)]


def arguments() -> set[str]:
    """Names of all that the library's functions take."""
    functions = [getattr(edgepress, name) for name in edgepress.__all__]
    taken = {
        name for own in functions if inspect.isfunction(own) for name in inspect.signature(own).parameters
    }
    taken |= {field.name for kind in OPTIONS for field in dataclasses.fields(kind)}
    return taken | set(inspect.signature(edgepress.Model.evaluate).parameters)


def literals() -> dict[str, set[str]]:
    """Option -> the words that it may have."""
    found: dict[str, set[str]] = {}
    for kind in OPTIONS:
        for name, hint in get_type_hints(kind).items():
            found.setdefault(name, set()).update(_words(hint))
    return found


def _words(hint: Any) -> Iterator[str]:
    if get_origin(hint) is Literal:
        yield from (own for own in get_args(hint) if isinstance(own, str))
    else:
        for part in get_args(hint):
            yield from _words(part)


def test_there_is_much_to_read():
    flags = [text for _, text in TEXTS if re.search(r"(?<![\w-])--[a-z]", text)]
    assert len(flags) > 100


def test_no_text_names_a_flag_in_the_library():
    for path, text in TEXTS:
        found = in_library_words(text)
        assert not re.search(r"(?<![\w-])--[a-z]", found), (path, found)


def test_each_flag_that_a_text_names_is_an_argument_of_the_library():
    known, texts = arguments(), ((path, flag) for path, text in TEXTS for flag in flags_of(text))
    unknown = {(path.name, flag) for path, flag in texts if flag not in known | RENAMED.keys()}
    assert {flag for _, flag in unknown} <= {"x"}, unknown  # x1: a flag that is filled in


def flags_of(text: str) -> list[str]:
    return [flag.replace("-", "_") for flag in re.findall(r"(?<![\w-])--([a-z][a-z-]*)", text)]


def test_a_value_behind_a_flag_is_given_to_it():
    choices = literals()
    for path, text in TEXTS:
        for flag, word in re.findall(r"(?<![\w-])--([a-z][a-z-]*) ([a-z][\w-]*)", text):
            name = flag.replace("-", "_")
            if word in choices.get(name, ()):
                said = in_library_words(text)
                assert f"{name}={word!r}" in said, f"{path}: {text}: library_words.VALUES lacks '{word}'"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("allow more with --max-drop", "allow more with max_drop"),
        ("--max-length N compares shorter ones", "max_length=N compares shorter ones"),
        ("--max-length 1 has no room", "max_length=1 has no room"),
        ("leave --head new away", "leave head='new' away"),
        ("--head newer", "head newer"),
        (
            "name it: --text-columns COLUMN, or COLUMN COLUMN",
            "name it: text_columns=COLUMN, or COLUMN COLUMN",
        ),
        ("--text-columns A_TEXT B_TEXT --label-column S", "text_columns=[A_TEXT, B_TEXT] label_column='S'"),
        ("--label-map 0=O 1=B-PER ...", "label_map={'0': 'O', '1': 'B-PER', ...}"),
        ("--label-map neg=negative", "label_map={'neg': 'negative'}"),
        ("add --overwrite, or name another --output", "add overwrite=True, or name another folder"),
        (
            "python -m compress.finetune --model a/b --task TASK trains one",
            "edgepress.finetune(model='a/b', task=TASK) trains one",
        ),
        (
            "leave --weights away: compress.finetune trains it",
            "leave weights away: edgepress.finetune trains it",
        ),
        ("python -m compress.distill distills it", "python -m compress.distill distills it"),
        ("fields of compress.quantize.config", "fields of compress.quantize.config"),
        ("a--b and -x and ---y", "a--b and -x and ---y"),
    ],
)
def test_words(text, expected):
    assert in_library_words(text) == expected


@pytest.fixture(scope="module")
def model(model_folder, data_root):
    return edgepress.load(model_folder, task="verdicts", data=data_root)


@pytest.mark.parametrize(
    ("wrong", "says", "hint"),
    [
        (
            lambda model, _: edgepress.quantize(model, max_drop="abc"),
            "max_drop takes a number, not 'abc'",
            "",
        ),
        (lambda model, _: edgepress.quantize(model, max_drop=float("nan")), "max_drop is out of range", ""),
        (lambda model, _: edgepress.quantize(model, eval_samples=-1), "eval_samples is out of range", ""),
        (lambda model, _: edgepress.quantize(model, scheme=["auto", "int8"]), "scheme", "name it alone"),
        (lambda model, _: edgepress.export(model, "onnx", atol=-1), "atol is out of range", ""),
        (lambda model, _: edgepress.prune(model, ffn=0.5, epochs="x"), "epochs takes a number", ""),
        (
            lambda *_: edgepress.compare([], [], threshold=5),
            "threshold=5 is a share",
            "threshold=0.05 is 5 %",
        ),
        (lambda model, folder: model.save(folder), "exists", "add overwrite=True, or name another folder"),
        (lambda model, _: edgepress.prune(model, importance="tailor"), "not 'tailor'", "mean 'taylor'?"),
        (lambda model, _: edgepress.quantize(model, minimize="sise"), "latency, size", "mean 'size'?"),
        (lambda model, _: edgepress.distill(model, layers="fist"), "not 'fist'", "did you mean 'first'?"),
        (lambda model, _: edgepress.distill(model, student="hafl"), "student 'hafl'", "mean 'half'?"),
        (
            lambda model, _: edgepress.distill(model, student="nothing"),
            "unknown student 'nothing'",
            "known: half, narrow, static, bilstm, ",
        ),
        (lambda model, _: model.evaluate("nowhere"), "no split 'nowhere'", "it has train, validation"),
        (lambda model, _: model.evaluate("vaildation"), "no split", "did you mean 'validation'?"),
        (lambda _, folder: edgepress.load(folder), "", ""),
        (lambda _, folder: edgepress.load(folder / "no.csv"), "no.csv", "model takes a zoo name"),
        (lambda *_: edgepress.finetune("minilm", "nothing_here"), "unknown task", "task=FILE.csv"),
        (lambda *_: edgepress.distill(None), "None is no model", "edgepress.load"),
        (lambda model, _: edgepress.distill([model, 3]), "3 is no model", "edgepress.load"),
        (lambda *_: edgepress.prune("outputs/x", ffn=0.5), "'outputs/x' is no model", "edgepress.load"),
        (lambda *_: edgepress.quantize(None), "None is no model", "edgepress.load"),
        (lambda *_: edgepress.evaluate("outputs/x"), "'outputs/x' is no model", "edgepress.load"),
        (lambda model, _: model.evaluate(samples=-1), "nothing to score", "1 or more"),
        (lambda model, _: model.evaluate(max_length=0), "max_length=0: there is nothing", "1 or more"),
        (lambda *_: edgepress.benchmark([], lengths=16), "no model to time", "edgepress.load"),
        (lambda model, _: edgepress.benchmark(model, lengths=0), "above 0", "lengths=(16, 128)"),
        (lambda model, _: edgepress.compare(model, 3), "takes records", "edgepress.benchmark"),
    ],
)
def test_errors_speak_of_arguments(model, tmp_path, wrong, says, hint):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "note.txt").write_text("mine")
    with pytest.raises(edgepress.EdgepressError) as raised:
        wrong(model, tmp_path / "old")
    own = str(raised.value), raised.value.hint
    assert says in own[0]
    assert hint in own[1]
    assert not re.search(r"(?<![\w-])--[a-z]", " ".join(own))


def test_an_existing_file_to_ship_is_not_replaced(model, tmp_path):
    made = edgepress.export(model, "onnx", eval_samples=4)
    (tmp_path / "out").mkdir()
    with pytest.raises(edgepress.EdgepressError, match="exists") as raised:
        made.save(tmp_path / "out")
    assert raised.value.hint == "add overwrite=True, or name another folder"


def test_comparing_prints_nothing(capfd):
    with pytest.raises(edgepress.EdgepressError) as raised:
        edgepress.compare([], [], ratios=True)
    assert raised.value.hint
    assert capfd.readouterr() == ("", "")


def test_modules_that_are_commands_alone_are_there():
    for name in COMMANDS_ALONE:
        importlib.import_module(name.removesuffix(".py").replace("/", "."))
