"""The house's own rules: import direction, lint, format, types."""

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


def test_no_class_name_stands_for_two_things():
    places: dict[str, list[str]] = {}
    for package in ("edgepress", "compress", "device_bench", "export", "benchmarks", "tools"):
        for path in (ROOT / package).rglob("*.py"):
            for name in re.findall(r"^class (\w+)", path.read_text(encoding="utf-8"), re.M):
                places.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
