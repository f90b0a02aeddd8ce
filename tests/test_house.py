"""The house's own rules: import direction, lint, format, types."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RULES = {
    "imports run downwards": ["-c", "from importlinter.cli import lint_imports_command as c; c()"],
    "ruff": ["-m", "ruff", "check", "."],
    "format": ["-m", "ruff", "format", "--check", "."],
    "types": ["-m", "mypy"],
}


@pytest.mark.parametrize(
    "rule", [pytest.param(rule, marks=pytest.mark.slow if rule == "types" else ()) for rule in RULES]
)
def test_rule(rule):
    done = subprocess.run(
        [sys.executable, *RULES[rule]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


PACKAGES = ("edgepress", "compress", "device_bench", "export", "benchmarks", "tools")


def modules():
    """(path below the repository, its syntax) of every module."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            own = path.relative_to(ROOT)
            if any(part.startswith(".") for part in own.parts):  # the tools that the app's build fetched
                continue
            yield str(own), ast.parse(path.read_text(encoding="utf-8"))


def named_types(tree):
    """Names of a module's classes, and of its type aliases, which begin as a class does."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, value = node.targets[0].id, ast.unparse(node.value)
            if re.match("[A-Z][a-z]", name) and not value.startswith("TypeVar("):
                yield name


def test_no_type_name_stands_for_two_things():
    places: dict[str, list[str]] = {}
    for path, tree in modules():
        for name in named_types(tree):
            places.setdefault(name, []).append(path)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


# They begin what hangs on a thing that is not said: "Of a manifest.", "Where it is.", "Its name."
HANGING = {
    *("After", "At", "Before", "Below", "Beside", "Between", "By", "For", "From", "In", "Into", "Of", "On"),
    *("Over", "To", "Under", "Until", "Where", "With", "Without"),
    *("It", "Its", "That", "Their", "These", "They", "This", "Those"),
}
FEWEST_WORDS = 4


def docstrings(tree):
    """(line, text) of each docstring: of modules, classes, functions, and names in modules and classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for before, text in zip([None, *node.body], node.body, strict=False):
                documented = before is None or isinstance(before, ast.Assign | ast.AnnAssign)
                if documented and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                    yield text.lineno, text.value.value


def test_docstrings_name_what_they_are_of():
    hanging = [
        f"{path}:{line}: {text}"
        for path, tree in modules()
        for line, text in docstrings(tree)
        if isinstance(text, str)
        if len(text.split()) < FEWEST_WORDS or text.split()[0].strip(",.:;") in HANGING
    ]
    assert hanging == []


def source_of(module):
    """File of one of our modules; None where the name is of something in one, or of another library."""
    path = ROOT / Path(*module.split("."))
    found = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return found if found.is_file() else None


def imported(nodes):
    """Names that a module imports as it is imported: not in functions, for types, or as the command."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        elif isinstance(node, ast.If) and re.search("TYPE_CHECKING|__main__", ast.unparse(node.test)):
            yield from imported(node.orelse)
        elif not isinstance(node, ast.FunctionDef):
            yield from imported(ast.iter_child_nodes(node))


def behind(module):
    """Our modules that are imported with one, itself among them, and the packages that they lie in."""
    found, left = {}, [module]
    while left:
        name = left.pop()
        source = source_of(name)
        if name in found or source is None or name.split(".")[0] not in PACKAGES:
            continue
        found[name] = source
        left += [name.rpartition(".")[0], *imported(ast.parse(source.read_text(encoding="utf-8")).body)]
    return found


# What somebody reads who follows the command; kinds of task, formats and timing come when they are used.
MOST_BEHIND_QUANTIZE = 70


def test_few_modules_stand_behind_quantize():
    found = {**behind("compress.quantize.__main__"), **behind("compress.quantize.pipeline")}
    files = [name for name, source in found.items() if source.name != "__init__.py"]
    assert len(files) <= MOST_BEHIND_QUANTIZE, sorted(files)


def test_no_shared_fixture_hides_another():
    """Of two with one name, a test gets the one whose module comes last, and nothing says so."""
    places: dict[str, list[str]] = {}
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            fixture = any("fixture" in ast.unparse(own) for own in getattr(node, "decorator_list", ()))
            if isinstance(node, ast.FunctionDef) and fixture and not path.name.startswith("test_"):
                places.setdefault(node.name, []).append(path.name)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
