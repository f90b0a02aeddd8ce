"""A tiny recipe, and what it left: shared by the tests of recipes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.yaml"))
TINY = """
title: A tiny experiment
source: nobody, "Nothing", Table 1
settings:
  model: MODEL
  epochs: 20.0
  student_epochs: 10.0
  rate: 1e-3
  seeds: [0, 1]
quick: {epochs: 1.0, student_epochs: 1.0, seeds: [0]}
steps:
  teacher:
    verb: finetune
    flags:
      model: ${settings.model}
      task: verdicts
      epochs: ${settings.epochs}
      learning-rate: ${settings.rate}
  student:
    verb: distill
    over: {seed: "${settings.seeds}"}
    flags:
      teacher: ${steps.teacher}
      student: cnn
      vocabulary: 150
      epochs: ${settings.student_epochs}
      seed: ${each.seed}
table:
  teacher: {of: teacher, title: small BERT, published: {score: 0.93}}
  baseline: {of: student.baseline, title: cnn alone}
  student: {of: student, title: cnn distilled, over: baseline, published: {score: 0.5, parameters: 0.75e6}}
measure: {sequence_length: 8, time_budget: 0.3}
expect:
  - teacher.score >= 0.6
  - student.size_ratio > 1
pictures: [size-latency, accuracy-latency, epochs, confusion, samples]
"""


def written(folder, model, text=TINY):
    path = folder / "tiny.yaml"
    path.write_text(text.replace("MODEL", str(model)), encoding="utf-8")
    return path


def command(*args):
    return [sys.executable, "-m", "compress.recipe", *map(str, args)]


@pytest.fixture(scope="session")
def experiment(tmp_path_factory, bare_encoder, data_root):
    """The tiny recipe run as a whole; its YAML, outputs, results and what it printed."""
    folder = tmp_path_factory.mktemp("experiment")
    recipe = written(folder, bare_encoder)
    typed = command(recipe, "--data", data_root, "--output", folder / "out", "--results", folder / "results")
    done = subprocess.run(typed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, done


@pytest.fixture
def copied(experiment, tmp_path):
    """The experiment's recipe and outputs in a folder of their own: nothing in them says where they lie."""
    folder, _ = experiment
    shutil.copytree(folder / "out", tmp_path / "new" / "out")
    shutil.copy(folder / "tiny.yaml", tmp_path)
    return tmp_path
