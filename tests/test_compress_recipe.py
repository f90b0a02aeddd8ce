"""`compress.recipe` as a user types it: wrong YAML, resuming, statistics, the files it writes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from conftest import interruptible

from compress.recipe import code
from compress.recipe.ledger import LOCK, Ledger, at_work, changed
from compress.recipe.node import parse
from compress.recipe.plan import plan
from compress.recipe.spec import load
from compress.recipe.statistics import gain, mean, retention
from compress.recipe.steps import LEDGER, Bench
from compress.recipe.verbs import command_line, verbs
from device_bench import records
from edgepress.artifact import read_manifest
from edgepress.errors import EdgepressError

# A step is a process of its own, which imports torch: a busy machine takes its time.
pytestmark = pytest.mark.timeout(900)

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
  plain: {of: student.plain, title: cnn alone}
  student: {of: student, title: cnn distilled, over: plain, published: {score: 0.5, parameters: 0.75e6}}
measure: {sequence_length: 8, budget: 0.3}
reach:
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


@pytest.fixture(scope="module")
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


# What it writes


def test_progress_names_each_step(experiment):
    _, done = experiment
    for line in (
        "[1/3] teacher: finetune",
        "[2/3] student (seed 0): distill",
        "[3/3] student (seed 1): distill",
    ):
        assert line in done.stderr
    assert "A tiny experiment" in done.stdout


def test_rows_hold_every_figure(experiment, data_root):
    folder, _ = experiment
    rows = [json.loads(line) for line in (folder / "results" / "rows.jsonl").read_text().splitlines()]
    assert [row["row"] for row in rows] == ["teacher", "plain", "student"]
    teacher, plain, student = rows
    assert teacher["score"]["low"] is None
    assert student["seeds"] == [0, 1]
    steps = [read_manifest(folder / "out" / f"student-seed{seed}").steps[-1] for seed in (0, 1)]
    assert plain["scores"] == [step.metrics["plain"]["accuracy"] for step in steps]
    assert plain["latency_ms"] is plain["file"] is None
    own = [step.metrics["accuracy"] - step.metrics["plain"]["accuracy"] for step in steps]
    assert student["gain"]["value"] == pytest.approx(100 * sum(own) / 2)
    assert student["gain_over"] == "plain"
    assert student["above_published"]["value"] == pytest.approx(100 * (student["score"]["value"] - 0.5))
    assert student["published"] == {"score": 0.5, "parameters": 0.75e6}
    validation = data_root / "verdicts" / "validation.jsonl"
    assert student["scored_rows"] == len(validation.read_text().splitlines())
    assert student["config"][0]["teacher"] == "teacher"
    assert student["environment"]["cpu"]
    assert student["speed_up"]["low"] < student["speed_up"]["value"] < student["speed_up"]["high"]


def test_records_page_and_pictures(experiment):
    folder, _ = experiment
    results = folder / "results"
    pictures = {f"{name}-light.png" for name in ("size-latency", "accuracy-latency", "epochs", "confusion")}
    texts = {"README.md", "rows.jsonl", "measurements.jsonl", "recipe.json"}
    assert {path.name for path in results.iterdir()} == pictures | texts
    assert all((results / name).read_bytes().startswith(b"\x89PNG") for name in pictures)
    found = records.read(results / "measurements.jsonl")
    assert [record.name for record in found] == ["small BERT", "cnn distilled"]
    assert len({record.run for record in found}) == 1
    assert {record.sequence_length for record in found} == {8}
    page = (results / "README.md").read_text()
    for part in ("| cnn alone |", "teacher.score >= 0.6", "holds", "93.00 %", "![epochs](epochs-light.png)"):
        assert part in page
    texts = page.partition("## Some texts: cnn distilled")[2]
    assert "| text | label | teacher | student |" in texts
    assert re.search(
        r"\| (positive|negative) \| (positive|negative) \d+ % \| (positive|negative) \d+ % \|", texts
    )
    summary = json.loads((results / "recipe.json").read_text())
    assert summary["settings"]["seeds"] == [0, 1]
    assert set(summary["step_seconds"]) >= {"teacher", "student-seed0", "student-seed1", "teacher-onnx"}
    assert [verdict["holds"] for verdict in summary["reach"]] == [True, True]


def test_what_is_not_reached_fails_and_is_written(cli, copied, data_root):
    recipe = copied / "tiny.yaml"
    recipe.write_text(recipe.read_text().replace("student.size_ratio > 1", "student.size_ratio > 1000"))
    where = ("--output", copied / "new" / "out", "--results", copied / "results")
    result = cli("compress.recipe", recipe, "--data", data_root, *where)
    assert result.code == 1
    assert "not reached: student.size_ratio > 1000" in result.error
    assert result.err.count("nothing changed, not run again") == 6  # three steps, three exports
    assert "FAILS" in (copied / "results" / "README.md").read_text()


@pytest.mark.slow
def test_quick_run(cli, tmp_path, bare_encoder, data_root):
    output = tmp_path / "out"
    recipe = written(tmp_path, bare_encoder)
    result = cli("compress.recipe", recipe, "--quick", "--data", data_root, "--output", output)
    assert result.code == 0, result.err
    assert "not judged" in result.err
    assert "Its figures mean nothing" in (output / "results" / "README.md").read_text()
    rows = (output / "results" / "rows.jsonl").read_text().splitlines()
    assert [json.loads(row)["seeds"] for row in rows] == [[None], [0], [0]]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_quick_form_of_a_recipe(recipe, tmp_path):
    done = subprocess.run(
        command(recipe, "--quick", "--output", tmp_path / "out"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "out" / "results" / "rows.jsonl").stat().st_size > 0


WORSE = """
  worse:
    verb: finetune
    flags: {model: "${steps.teacher}", task: verdicts, epochs: 20, learning-rate: 0.5}
  never:
    verb: finetune
    flags: {model: "${steps.worse}", task: verdicts, epochs: 1}"""


@pytest.mark.slow
def test_max_drop_stops_before_the_step_that_loses_it(cli, copied, data_root):
    recipe = copied / "tiny.yaml"
    text = recipe.read_text().replace("\ntable:\n", WORSE + "\ntable:\n")
    recipe.write_text(
        text.replace("measure:", "  worse: {of: worse, title: ruined}\n  never: {of: never}\nmeasure:")
    )
    where = ("--output", copied / "new" / "out", "--results", copied / "results")
    result = cli("compress.recipe", recipe, "--data", data_root, *where, "--max-drop", 10)
    assert result.code == 1, result.err
    assert "stopped before worse: finetune" in result.error
    assert not (copied / "new" / "out" / "never").exists()
    page = (copied / "results" / "README.md").read_text()
    assert "cnn distilled" in page
    assert "ruined" not in page


def test_results_do_not_replace_something_else(cli, experiment, tmp_path):
    folder, _ = experiment
    (tmp_path / "mine.txt").write_text("precious")
    result = cli("compress.recipe", folder / "tiny.yaml", "--results", tmp_path, "--check")
    assert result.code == 2
    assert "something else than a recipe's results" in result.error


# Resuming


@pytest.fixture
def bench(copied, data_root):
    """Does runs on the copied outputs, with data that may be changed."""
    data = shutil.copytree(data_root, copied / "data")
    output = copied / "new" / "out"
    with at_work(output) as mark:
        yield Bench(Ledger(output / LEDGER), mark, data, False, {})


def teacher_of(bench, copied, *said):
    return plan(load(copied / "tiny.yaml", False, said), copied / "new" / "out")[0]


def why(bench, run):
    """Why the run would be done again; None if it would not."""
    return bench._why(run, bench._inputs(run))


def test_nothing_changed_wherever_it_lies(bench, copied):
    assert why(bench, teacher_of(bench, copied)) is None


def test_a_changed_flag_is_named(bench, copied):
    assert why(bench, teacher_of(bench, copied, "epochs=21")) == "flags.epochs changed"


def test_changed_data_is_named(bench, copied):
    with (copied / "data" / "verdicts" / "train.jsonl").open("a") as stream:
        stream.write('{"text": "one more", "label": "negative"}\n')
    assert why(bench, teacher_of(bench, copied)) == "data.verdicts changed"


def test_changed_code_may_be_ignored(bench, copied, monkeypatch):
    monkeypatch.setattr("compress.recipe.steps.code_digest", lambda _: "another")
    run = teacher_of(bench, copied)
    assert why(bench, run) == "code changed"
    assert why(Bench(bench.ledger, bench.mark, bench.data, True, {}), run) is None


def test_a_damaged_artifact_is_made_again(bench, copied):
    with (copied / "new" / "out" / "teacher" / "model.safetensors").open("ab") as stream:
        stream.write(b"x")
    assert "truncated or altered" in str(why(bench, teacher_of(bench, copied)))


def test_what_lies_behind_a_changed_step_is_run_again(bench, copied):
    runs = plan(load(copied / "tiny.yaml", False, ()), copied / "new" / "out")
    bench.runs.update({run.name: run for run in runs})
    assert why(bench, runs[1]) is None
    manifest = copied / "new" / "out" / "teacher" / "manifest.json"
    manifest.write_text(manifest.read_text() + "\n")
    assert why(bench, runs[0]) == "another command wrote its folder"
    assert why(bench, runs[1]) == "uses.teacher changed"


def test_what_another_recipe_made_of_the_same_is_copied(bench, copied, capsys):
    run = plan(load(copied / "tiny.yaml", False, ()), copied / "new" / "second")[0]
    mark = bench.mark
    other = Bench(Ledger(copied / "new" / "second" / LEDGER), mark, bench.data, False, {})
    other.do(run, "[1/1]")
    assert "copied from" in capsys.readouterr().err
    assert why(other, run) is None


def wait_until(holds, process):
    while process.poll() is None and not holds():
        time.sleep(0.05)
    assert process.poll() is None, "it ended before it was to be stopped"


def start(copied, data_root, log):
    """A run whose student takes long; it speaks into a file, since an orphan would keep a pipe open."""
    where = ("--output", copied / "new" / "out", "--results", copied / "results")
    typed = command(copied / "tiny.yaml", "--data", data_root, "--set", "student_epochs=1000", *where)
    return subprocess.Popen(typed, stderr=log.open("w"), stdout=subprocess.DEVNULL, preexec_fn=interruptible)


@pytest.mark.slow
def test_killed_then_interrupted_it_goes_on_where_it_was(copied, data_root):
    output, log = copied / "new" / "out", copied / "log"
    checkpoints = ".student-seed0.training/*/checkpoint-*/trainer_state.json"
    process = start(copied, data_root, log)
    wait_until(lambda: list(output.glob(checkpoints)), process)
    process.kill()
    process.wait()

    # Its step has outlived it and still writes.
    noted = {int(mark.name.partition("-")[0]) for mark in (output / LOCK).iterdir()}
    orphans = noted - {process.pid}
    try:
        refused = start(copied, data_root, log)
        assert refused.wait(60) == 2
        assert "is still going on" in log.read_text()
    finally:
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)

    again = start(copied, data_root, log)
    wait_until(lambda: "resuming from step" in log.read_text(), again)
    again.send_signal(signal.SIGINT)
    assert again.wait(60) == 130
    said = log.read_text()
    assert "[1/3] teacher: finetune: nothing changed, not run again" in said
    assert "student (seed 0): distill (again: flags.epochs changed)" in said
    assert not list((output / LOCK).iterdir())
    assert not (copied / "results").exists()
    assert list(output.glob(checkpoints))


def test_a_step_that_fails_gives_its_exit_code(copied, data_root):
    recipe = copied / "tiny.yaml"
    recipe.write_text(recipe.read_text().replace("vocabulary: 150", "vocabulary: 150\n      temperature: -1"))
    typed = command(recipe, "--data", data_root, "--output", copied / "new" / "out")
    done = subprocess.run(typed, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--temperature -1" in done.stderr
    assert "2 to 4 are usual" in done.stderr
    assert "student (seed 0): distill failed (exit code 2)" in done.stderr


# What is wrong in a YAML

WRONG = [
    ("verb: distill", "verb: distil", "steps.student.verb: unknown verb 'distil'", "mean 'distill'"),
    (
        "vocabulary: 150",
        "vocabulery: 150",
        "unknown flag of distill 'vocabulery'",
        "mean 'vocabulary'",
    ),
    ("vocabulary: 150", "vocabulary: many", "flags.vocabulary: 'many' is not a whole number", None),
    ("vocabulary: 150", "vocabulary: 1.5", "flags.vocabulary: 1.5 is not a whole number", None),
    ("vocabulary: 150", "response: kll", "flags.response: unknown value 'kll'", "mean 'kl'"),
    ("vocabulary: 150", "output: x", "flags.output: 'output' is the recipe's own", None),
    ("      teacher: ${steps.teacher}\n", "", "steps.student.flags: distill needs 'teacher'", None),
    (
        "${steps.teacher}",
        "${steps.teach}",
        "flags.teacher: unknown earlier step 'teach'",
        "mean 'teacher'",
    ),
    ("${steps.teacher}", "${steps.student}", "unknown earlier step 'student'", None),
    (
        "${steps.teacher}",
        "${step.teacher}",
        "flags.teacher: ${step.teacher} refers to nothing",
        "${steps.NAME}",
    ),
    ("${steps.teacher}", "${steps.teacher", "${steps.teacher refers to nothing", None),
    ("seed: ${each.seed}", "seed: ${each.sed}", "flags.seed: unknown axis 'sed'", "mean 'seed'"),
    ("      seed: ${each.seed}\n", "", "steps.student.over: no flag refers to ${each.seed}", None),
    (
        "${settings.rate}",
        "${settings.rat}",
        "flags.learning-rate: unknown setting 'rat'",
        "mean 'rate'",
    ),
    ("${settings.rate}", "1e-3", "settings.rate: no step refers to this setting", None),
    (
        "quick: {epochs: 1.0,",
        "quick: {epoch: 1.0,",
        "quick: unknown setting 'epoch'",
        "mean 'epochs'",
    ),
    ("quick: {epochs: 1.0,", "quick: {epochs: few,", "quick.epochs: 'few' is not a number", None),
    ("over: {seed:", "over: {seed: 3, sed:", "over.seed: 3 is no list", None),
    ("of: student.plain", "of: studnet", "table.plain.of: unknown step 'studnet'", "mean 'student'"),
    ("over: plain", "over: plane", "table.student.over: unknown row 'plane'", "mean 'plain'"),
    ("title: cnn alone", "titel: cnn", "table.plain: unknown key 'titel'", "mean 'title'"),
    ("title: cnn alone", "title: small BERT", "another row is called 'small BERT'", None),
    ("{score: 0.5, p", "{skore: 0.5, p", "published: unknown key 'skore'", "mean 'score'"),
    ("{score: 0.5, p", "{score: {cnm: 1}, p", "published.score: none of these is a value of an axis", None),
    (
        "measure: {sequence_length: 8",
        "measure: {sequence_length: 0",
        "measure.sequence_length: 0 is no",
        None,
    ),
    ("budget: 0.3", "budget: 0", "measure.budget: a budget is above 0 s", None),
    ("teacher.score >= 0.6", "teacher.scor >= 0.6", "reach.0: unknown figure 'scor'", "mean 'score'"),
    ("teacher.score >= 0.6", "teach.score >= 0.6", "reach.0: unknown row 'teach'", "mean 'teacher'"),
    ("teacher.score >= 0.6", "teacher.score = 0.6", "'teacher.score = 0.6' is no expectation", "ROW.FIGURE"),
    ("teacher.score >= 0.6", "teacher.score over plain > 1", "score compares with nothing", "retention"),
    ("pictures: [size-latency", "pictures: [size-latncy", "pictures.0: unknown picture", "'size-latency'"),
    ("title: A tiny", "titel: A tiny", "unknown key 'titel'", "mean 'title'"),
    ("\ntitle: A tiny experiment", "", "'title' is missing", None),
    (
        "steps:\n",
        "steps:\n  results: {verb: finetune}\n",
        "'results' is where a quick run's results go",
        None,
    ),
    ("steps:\n", "steps:\n  1a: {verb: finetune}\n", "'1a' is no name", None),
    ("  rate: 1e-3\n", "  rate: 1e-3\n  rate: 2\n", "'rate' stands twice", None),
    ("seeds: [0, 1]\n", "seeds: [0, 1\n", "no YAML", "mend"),
]


@pytest.mark.parametrize(("right", "wrong", "message", "hint"), WRONG)
def test_what_is_wrong_is_one_line_before_anything_runs(cli, tmp_path, right, wrong, message, hint):
    assert right in TINY
    recipe = written(tmp_path, "nowhere", TINY.replace(right, wrong, 1))
    result = cli("compress.recipe", recipe, "--output", tmp_path / "out", "--results", tmp_path / "results")
    assert result.code == 2, result.err
    assert str(recipe) in result.error
    assert message in result.error
    assert hint is None or hint in result.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        ("epoch=3", "--set epoch=3: unknown setting 'epoch'", "did you mean 'epochs'"),
        ("epochs=many", "--set epochs=many: 'many' is not a number", ""),
        ("seeds=0,x", "--set seeds=0,x: 'x' is not a whole number", ""),
        ("epochs", "--set epochs: no value", "NAME=VALUE"),
    ],
)
def test_wrong_set(cli, tmp_path, said, message, hint):
    result = cli("compress.recipe", written(tmp_path, "nowhere"), "--set", said, "--check")
    assert result.code == 2
    assert message in result.error
    assert hint in result.err


def test_no_such_recipe(cli, tmp_path):
    written(tmp_path, "nowhere")
    result = cli("compress.recipe", tmp_path / "tinny.yaml")
    assert result.code == 2
    assert "did you mean" in result.err


def test_data_and_drop_are_checked_first(cli, tmp_path):
    recipe = written(tmp_path, "nowhere")
    assert "no such data folder" in cli("compress.recipe", recipe, "--data", tmp_path / "no").error
    assert "--max-drop is out of range" in cli("compress.recipe", recipe, "--max-drop", -1).error


# Settings, steps and what is typed for them


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
@pytest.mark.parametrize("quick", [(), ("--quick",)], ids=["full", "quick"])
def test_recipes_are_right(cli, recipe, quick):
    result = cli("compress.recipe", recipe, *quick, "--check")
    assert result.code == 0, result.err
    assert "finetune" in result.out


def test_settings_are_typed(tmp_path):
    recipe = load(written(tmp_path, "m"), False, ("epochs=3", "seeds=4,5,6", "model=1"))
    assert recipe.settings["epochs"] == 3.0
    assert isinstance(recipe.settings["epochs"], float)
    assert recipe.settings["seeds"] == [4, 5, 6]
    assert recipe.settings["model"] == "1"
    assert recipe.settings["rate"] == 1e-3
    assert load(recipe.file, True, ("seeds=7",)).settings["seeds"] == [7]


def test_a_matrix_is_every_combination_and_takes_its_own(tmp_path):
    text = yaml.safe_load(TINY.replace("MODEL", "m"))
    text["steps"]["student"]["over"] = {"kind": ["cnn", "bilstm"], "seed": "${settings.seeds}"}
    text["steps"]["student"]["flags"]["student"] = "${each.kind}"
    text["steps"]["small"] = {
        "verb": "quantize",
        "over": {"seed": [1]},
        "flags": {"model": "${steps.student}", "seed": "${each.seed}"},
    }
    recipe = load(written(tmp_path, "m", yaml.safe_dump(text, sort_keys=False)), False, ())
    runs = plan(recipe, tmp_path)
    names = [f"student-{kind}-seed{seed}" for kind in ("cnn", "bilstm") for seed in (0, 1)]
    assert [run.name for run in runs] == ["teacher", *names, "small-seed1"]
    assert runs[-1].uses == ("student-cnn-seed1",)
    assert runs[-1].flags["model"] == str(tmp_path / "student-cnn-seed1")
    assert runs[2].flags["student"] == "cnn"


def test_verbs_are_found_by_being_there():
    assert {"finetune", "distill", "quantize", "export", "export.onnx"} <= set(verbs())
    assert not {"recipe", "training"} & set(verbs())


def test_flags_are_typed_as_tyro_takes_them():
    flags = {"student": "cnn", "baseline": False, "epochs": 2.0, "depth": None}
    assert command_line(verbs()["distill"], flags) == ["--student", "cnn", "--no-baseline", "--epochs", "2.0"]
    lengths = {"sequence_lengths": (8, 16), "avx2": True, "arm64": False}
    typed = command_line(verbs()["quantize"], lengths)
    assert typed == ["--sequence-lengths", "8", "16", "--avx2"]


def test_numbers_of_yaml():
    assert parse("[3e-5, 1e6, 2.5, 7, 1e, e5]") == [3e-5, 1e6, 2.5, 7, "1e", "e5"]


def test_what_changed_is_named_by_its_place():
    assert changed({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}, "d": 4}) == ["b.c", "d"]


# The code that matters


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """A suite of three modules: compress.cut imports edgepress.deep; edgepress.other is nobody's."""
    for name, text in {
        "compress/__init__.py": "",
        "compress/cut.py": 'from edgepress import deep\n\ndef f():\n    """Why."""\n    return deep.g()\n',
        "edgepress/__init__.py": "",
        "edgepress/deep.py": "def g():\n    return 1\n",
        "edgepress/other.py": "x = 1\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(code, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "old", "new", "matters"),
    [
        ("edgepress/deep.py", "return 1", "return 2", True),
        ("edgepress/other.py", "x = 1", "x = 2", False),
        ("compress/cut.py", "Why.", "Because.", False),
        ("compress/cut.py", "\ndef", "\n\n# a comment\ndef", False),
        ("compress/cut.py", "deep.g()", "deep.g() + 1", True),
    ],
)
def test_only_code_that_a_verb_runs_counts(suite, file, old, new, matters):
    digest = code.code_digest.__wrapped__
    before = digest("compress.cut")
    path = suite / file
    path.write_text(path.read_text().replace(old, new))
    assert (digest("compress.cut") != before) is matters


def test_the_suites_own_verbs_reach_their_rooms():
    finetune, quantize = code._closure("compress.finetune"), code._closure("compress.quantize")
    assert {"compress.training.trainer", "edgepress.loading"} <= finetune
    assert not any(name.startswith("device_bench.phone") for name in finetune | quantize)
    assert {"export.onnx", "export.onnx_graph.schemes.int8_static"} <= quantize


# Two at once


def test_two_runs_at_once_are_refused(tmp_path):
    with at_work(tmp_path), pytest.raises(EdgepressError, match="still going on"), at_work(tmp_path):
        pass
    with at_work(tmp_path):
        pass


# Statistics


def test_mean_over_seeds_by_hand():
    found = mean([0.90, 0.92, 0.94])  # s = 0.02, t(0.975, 2) = 4.302653: half = 4.302653 * 0.02 / sqrt(3)
    assert found.value == pytest.approx(0.92)
    assert found.high - found.value == pytest.approx(0.049683, abs=1e-6)
    assert found.value - found.low == pytest.approx(0.049683, abs=1e-6)
    assert (mean([0.9]).low, mean([0.9]).high) == (None, None)


def test_gain_is_paired_by_seed():
    ours, theirs = {0: 0.90, 1: 0.80, 2: 0.95}, {2: 0.94, 1: 0.78, 0: 0.87}
    found = gain(ours, theirs)  # differences 0.03, 0.02, 0.01: s = 0.01, half = 4.302653 * 0.01 / sqrt(3)
    assert found.value == pytest.approx(0.02)
    assert found.low == pytest.approx(0.02 - 0.0248414, abs=1e-6)


def test_gain_over_one_value_and_over_other_seeds():
    over_one = gain({0: 0.9, 1: 0.8}, {None: 0.7})  # 0.2, 0.1: s = 0.0707107, t(0.975, 1) = 12.7062
    assert over_one.value == pytest.approx(0.15)
    assert over_one.high == pytest.approx(0.15 + 12.7062 * 0.0707107 / 2**0.5, abs=1e-4)
    unpaired = gain({0: 0.9, 1: 0.8}, {2: 0.7, 3: 0.6})
    assert unpaired.value == pytest.approx(0.2)
    assert unpaired.low is None


def test_retention():
    found = retention({0: 0.9, 1: 0.81}, {None: 0.9})
    assert found.value == pytest.approx(0.95)
    assert retention({0: 0.1}, {None: -0.1}) is None
