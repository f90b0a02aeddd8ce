"""`compress.recipe` as a user types it: the files it writes, its quick form, where it stops."""

import json
import re
import shutil

import pytest
from tiny_recipe import RECIPES, written

from device_bench import records
from edgepress.core.artifact import read_manifest

# A step is a process of its own, which imports torch: a busy machine takes its time.
pytestmark = pytest.mark.timeout(900)


def test_progress_names_each_step(experiment):
    _, (out, err) = experiment
    for line in (
        "[1/3] teacher: finetune",
        "[2/3] student (seed 0): distill",
        "[3/3] student (seed 1): distill",
    ):
        assert line in err
    assert "A tiny experiment" in out


def test_rows_hold_every_figure(experiment, data_root, bare_encoder):
    folder, _ = experiment
    rows = [json.loads(line) for line in (folder / "results" / "rows.jsonl").read_text().splitlines()]
    assert [row["row"] for row in rows] == ["teacher", "baseline", "student"]
    teacher, baseline, student = rows
    assert teacher["score"]["low"] < teacher["score"]["value"] <= teacher["score"]["high"]
    assert student["seeds"] == [0, 1]
    steps = [read_manifest(folder / "out" / f"student-seed{seed}").steps[-1] for seed in (0, 1)]
    assert baseline["scores"] == [step.metrics["baseline"]["accuracy"] for step in steps]
    assert baseline["latency_ms"] is baseline["file"] is None
    own = [step.metrics["accuracy"] - step.metrics["baseline"]["accuracy"] for step in steps]
    assert student["gain"]["value"] == pytest.approx(100 * sum(own) / 2)
    assert student["gain_over"] == "baseline"
    assert student["above_published"]["value"] == pytest.approx(100 * (student["score"]["value"] - 0.5))
    assert student["published"] == {"score": 0.5, "parameters": 0.75e6}
    validation = data_root / "verdicts" / "validation.jsonl"
    assert student["scored_rows"] == len(validation.read_text().splitlines())
    assert teacher["config"][0]["model"] == bare_encoder.name
    assert student["config"][0]["teacher"] == ["teacher"]
    assert student["environment"]["cpu"]
    assert student["speed_up"]["low"] < student["speed_up"]["value"] < student["speed_up"]["high"]


def test_records_page_and_pictures(experiment):
    folder, _ = experiment
    results = folder / "results"
    pictures = {f"{name}-light.png" for name in ("size-latency", "accuracy-latency", "epochs", "confusion")}
    texts = {"README.md", "rows.jsonl", "measurements.jsonl.xz", "recipe.json"}
    assert {path.name for path in results.iterdir()} == pictures | texts
    assert all((results / name).read_bytes().startswith(b"\x89PNG") for name in pictures)
    found = records.read(results / "measurements.jsonl.xz")
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
    assert [verdict["holds"] for verdict in summary["expectations"]] == [True, True]


@pytest.mark.slow
def test_a_machine_that_only_trains_exports_and_times_nothing(cli, experiment, copied, data_root):
    folder, _ = experiment
    recipe, rows = (
        copied / "tiny.yaml",
        "  eager: {of: teacher, file: eager, title: eager}\n  small: {of: small}\n",
    )
    flags = "{model: '${steps.teacher}', scheme: int8-dynamic, time-budget: 0.0}"
    small = f"  small: {{verb: quantize, flags: {flags}}}\n"
    text = recipe.read_text().replace("table:\n", f"{small}table:\n").replace("measure:", f"{rows}measure:")
    recipe.write_text(text)
    for file in (copied / "new" / "out").glob("*-onnx"):
        shutil.rmtree(file)
    where = ("--output", copied / "new" / "out", "--results", copied / "trained")
    done = cli("compress.recipe", recipe, "--data", data_root, *where, "--train-only")
    assert done.code == 0, done.err
    assert done.err.count("nothing changed, not run again") == 3
    assert not list((copied / "new" / "out").glob("*-onnx"))
    rows = [json.loads(line) for line in (copied / "trained" / "rows.jsonl").read_text().splitlines()]
    full = [json.loads(line) for line in (folder / "results" / "rows.jsonl").read_text().splitlines()]
    assert [row["row"] for row in rows] == ["teacher", "baseline", "student"]
    for row, deployed in zip(rows, full, strict=True):
        assert row["scores"] == deployed["trained_scores"]
        assert row["seconds_by_seed"] == deployed["seconds_by_seed"]
        assert row["latency_ms"] is row["file"] is None
    assert rows[2]["gain"]["value"] == pytest.approx(full[2]["gain"]["value"])
    summary = json.loads((copied / "trained" / "recipe.json").read_text())
    assert [verdict["expected"] for verdict in summary["expectations"]] == ["teacher.score >= 0.6"]
    assert summary["command"].endswith("--train-only")
    assert "not timed" in (copied / "trained" / "README.md").read_text()


@pytest.mark.slow
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


@pytest.fixture(scope="session")
def side_by_side(tmp_path_factory):
    """Where the quick forms write, so that what one made of the same inputs as another is made once."""
    return tmp_path_factory.mktemp("quick")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_right_as_far_as_can_be_said_before_it_runs(cli, recipe):
    for form in ((), ("--quick",)):
        found = cli("compress.recipe", recipe, *form, "--check")
        assert found.code == 0, found.err


@pytest.mark.long  # recipes of tiny models, and shrink's own, run as slow ones
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_quick_form_of_a_recipe(cli, recipe, side_by_side):
    output = side_by_side / recipe.stem
    done = cli("compress.recipe", recipe, "--quick", "--output", output)
    assert done.code == 0, done.err
    assert (output / "results" / "rows.jsonl").stat().st_size > 0


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
