"""A tiny recipe, and what it left: shared by the tests of recipes."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from filelock import FileLock

SAID = "said.json"
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
    """The command as a process of its own: for what stops it."""
    return [sys.executable, "-m", "compress.recipe", *map(str, args)]


@pytest.fixture(scope="session")
def experiment(cli, tmp_path_factory, bare_encoder, data_root, worker_id):
    """The tiny recipe run as a whole; its YAML, outputs, results and what it printed.

    Made once for all processes of a test run.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "experiment"
    with FileLock(f"{folder}.lock"):
        if not (folder / SAID).exists():
            run_tiny(cli, folder, bare_encoder, data_root)
    return folder, json.loads((folder / SAID).read_text())


def run_tiny(cli, folder, model, data):
    """Run the tiny recipe into a folder, and note there what it said."""
    folder.mkdir(exist_ok=True)
    recipe = written(folder, model)
    where = ("--output", folder / "out", "--results", folder / "results")
    done = cli("compress.recipe", recipe, "--data", data, *where)
    assert done.code == 0, done.err
    (folder / SAID).write_text(json.dumps([done.out, done.err]))


@pytest.fixture
def copied(experiment, tmp_path):
    """The experiment's recipe and outputs in a folder of their own: nothing in them says where they lie."""
    folder, _ = experiment
    shutil.copytree(folder / "out", tmp_path / "new" / "out")
    shutil.copy(folder / "tiny.yaml", tmp_path)
    return tmp_path
