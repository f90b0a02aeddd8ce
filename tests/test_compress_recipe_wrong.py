"""What is wrong in a recipe is one line before anything runs; what is right is typed."""

import re

import pytest
import yaml
from tiny_recipe import RECIPES, TINY, written

from compress.recipe.run.plan import plan
from compress.recipe.run.steps import changed
from compress.recipe.schema.located import parse
from compress.recipe.schema.spec import load
from compress.recipe.schema.verbs import command_line, verbs
from edgepress.core.errors import EdgepressError

WRONG = [
    ("verb: distill", "verb: distil", "steps.student.verb: unknown verb 'distil'", "mean 'distill'"),
    ("verb: distill", "verb: shrink", "steps.student.verb: shrink makes no artifact", "name one that does: "),
    ("verb: distill", "verb: recipe", "steps.student.verb: recipe makes no artifact", "distill"),
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
    ("of: student.baseline", "of: studnet", "table.baseline.of: unknown step 'studnet'", "mean 'student'"),
    ("over: baseline", "over: baselin", "table.student.over: unknown row 'baselin'", "mean 'baseline'"),
    ("title: cnn alone", "titel: cnn", "table.baseline: unknown key 'titel'", "mean 'title'"),
    ("title: cnn alone", "title: small BERT", "another row is called 'small BERT'", None),
    ("{score: 0.5, p", "{skore: 0.5, p", "published: unknown key 'skore'", "mean 'score'"),
    ("{score: 0.5, p", "{score: {cnm: 1}, p", "published.score: none of these is a value of an axis", None),
    (
        "measure: {sequence_length: 8",
        "measure: {sequence_length: 0",
        "measure.sequence_length: 0 is no",
        None,
    ),
    ("time_budget: 0.3", "time_budget: 0", "measure.time_budget: it is above 0 s", None),
    ("teacher.score >= 0.6", "teacher.scor >= 0.6", "expect.0: unknown figure 'scor'", "mean 'score'"),
    ("teacher.score >= 0.6", "teach.score >= 0.6", "expect.0: unknown row 'teach'", "mean 'teacher'"),
    ("teacher.score >= 0.6", "teacher.score = 0.6", "'teacher.score = 0.6' is no expectation", "ROW.FIGURE"),
    ("teacher.score >= 0.6", "teacher.score over baseline > 1", "score compares with nothing", "retention"),
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
        ("seeds=[0, x]", "--set seeds=[0, x]: 'x' is not a whole number", ""),
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


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
@pytest.mark.parametrize("quick", [(), ("--quick",)], ids=["full", "quick"])
def test_recipes_are_right(cli, recipe, quick):
    result = cli("compress.recipe", recipe, *quick, "--check")
    assert result.code == 0, result.err
    assert re.search(r"^ +1  \w+: (finetune|pretrain|export)$", result.out, re.M)


def test_settings_are_typed(tmp_path):
    recipe = load(written(tmp_path, "m"), False, ("epochs=3", "seeds=[4, 5, 6]", "model=1"))
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
    assert not {"recipe", "shrink", "training"} & set(verbs())


def test_flags_are_typed_as_tyro_takes_them():
    flags = {"student": "cnn", "train_baseline": False, "epochs": 2.0, "depth": None}
    assert command_line(verbs()["distill"], flags) == [
        "--student",
        "cnn",
        "--no-train-baseline",
        "--epochs",
        "2.0",
    ]
    lengths = {"sequence_lengths": (8, 16), "cpu": "avx2", "overwrite": False}
    typed = command_line(verbs()["quantize"], lengths)
    assert typed == ["--sequence-lengths", "8", "16", "--cpu", "avx2"]


def test_numbers_of_yaml():
    assert parse("[3e-5, 1e6, 2.5, 7, 1e, e5]") == [3e-5, 1e6, 2.5, 7, "1e", "e5"]


def test_what_changed_is_named_by_its_place():
    assert changed({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}, "d": 4}) == ["b.c", "d"]


def test_a_recipe_nested_too_deep_is_refused(tmp_path):
    path = tmp_path / "deep.yaml"
    path.write_text("title: " + "[" * 3000 + "]" * 3000)
    with pytest.raises(EdgepressError, match=r"deep.yaml: no YAML: nested too deep"):
        load(path, False, ())


def test_a_recipe_on_a_base_keeps_what_it_does_not_say(tmp_path):
    """Settings one by one, everything else by key; a key without a value is taken away."""
    written(tmp_path, "minilm")
    own = tmp_path / "own.yaml"
    own.write_text(
        "base: tiny.yaml\ntitle: Mine\nsettings: {rate: 2e-3}\nquick: {rate: 3e-3}\nexpect: null\n"
    )
    base, found, short = load(tmp_path / "tiny.yaml", False, ()), load(own, False, ()), load(own, True, ())
    assert (found.name, found.title, found.expectations) == ("own", "Mine", ())
    assert {**base.settings, "rate": 2e-3} == found.settings
    assert (short.settings["rate"], short.settings["epochs"]) == (3e-3, 1.0)
    assert [run.name for run in plan(found, tmp_path)] == [run.name for run in plan(base, tmp_path)]


@pytest.mark.parametrize(
    ("base", "said"), [("own.yaml", "base: it has a base itself"), ("no.yaml", "unknown recipe")]
)
def test_a_base_that_is_none_is_refused(tmp_path, base, said):
    (tmp_path / "own.yaml").write_text(f"base: {base}\ntitle: Mine\n")
    with pytest.raises(EdgepressError, match=said):
        load(tmp_path / "own.yaml", False, ())
