"""Recipes whose axes name flags, whose rows are means over an axis, and whose steps may be left out."""

import json
from dataclasses import replace
from statistics import fmean

import pytest
import yaml

from compress.recipe.results import table
from compress.recipe.results.expectations import expectations
from compress.recipe.results.lines import RecipeResult, TableLine, task_of
from compress.recipe.run.plan import Run, plan
from compress.recipe.run.steps import Bench, RunLedger
from compress.recipe.schema.spec import load
from compress.recipe.schema.verbs import verbs
from edgepress.core.files import sha256

pytestmark = pytest.mark.timeout(900)

AXES = """
title: An experiment over an axis
source: nobody, "Nothing", Table 1
settings:
  lengths: {short: {epochs: 1}, long: {epochs: 4, learning-rate: 2e-3}}
  model: MODEL
  extra: null
  seeds: [0, 1]
steps:
  cnn:
    verb: finetune
    over: {length: "${settings.lengths}", seed: "${settings.seeds}"}
    flags: {model: cnn, task: verdicts, vocabulary: 150, seed: "${each.seed}"}
  small:
    verb: quantize
    over: {length: cnn, seed: cnn}
    flags: {model: "${steps.cnn}"}
  other:
    verb: finetune
    when: ${settings.extra}
    flags: {model: "${settings.model}", task: "${settings.extra}"}
table:
  short: {of: cnn, title: few epochs, only: {length: short}}
  each: {of: cnn, title: "epochs: ${each.length}", over: short}
  mean:
    of: cnn
    title: mean over epochs
    average: length
    published: {score: 0.6, gain: -1, time_ratio: 0.5}
  other: {of: other, title: another model}
measure: {sequence_length: 8, time_budget: 0.3}
expect:
  - each.score > 0 in 1
  - other.retention over short > 0.9
"""


def written(folder, text=AXES, **changes):
    """The recipe with some of its parts changed: steps__small__over is `over` of the step `small`."""
    path = folder / "axes.yaml"
    content = yaml.safe_load(text)
    for place, value in changes.items():
        *parents, last = place.split("__")
        part = content
        for parent in parents:
            part = part[parent]
        part[last] = value
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def loaded(folder, *said, **changes):
    return load(written(folder, **changes), False, said)


# What it writes


@pytest.fixture(scope="module")
def experiment(cli, tmp_path_factory, data_root):
    """The recipe as it runs without its quantized step; its results."""
    folder = tmp_path_factory.mktemp("axes")
    content = yaml.safe_load(AXES)
    del content["steps"]["small"]
    recipe = written(folder, yaml.safe_dump(content, sort_keys=False))
    where = ("--output", folder / "out", "--results", folder / "results")
    done = cli("compress.recipe", recipe, "--data", data_root, *where)
    assert done.code == 0, done.err
    return folder


@pytest.mark.slow
def test_a_mean_is_that_of_its_lines_seed_by_seed(experiment):
    rows = [json.loads(line) for line in (experiment / "results" / "rows.jsonl").read_text().splitlines()]
    assert [row["title"] for row in rows] == [
        "few epochs",
        "epochs: short",
        "epochs: long",
        "mean over epochs",
    ]
    fixed, short, long, mean = rows
    assert (fixed["each"], long["each"], mean["each"]) == ({}, {"length": "long"}, {})
    assert fixed["scores"] == short["scores"]
    assert mean["scores"] == pytest.approx(
        [fmean(both) for both in zip(*(short["scores"], long["scores"]), strict=True)]
    )
    assert (mean["metric"], mean["average"], mean["history"]) == ("score", "length", [])
    assert mean["size_bytes"] == short["size_bytes"]
    assert mean["above_published"]["value"] == pytest.approx(100 * (fmean(mean["scores"]) - 0.6))
    assert long["gain"]["value"] == pytest.approx(100 * (fmean(long["scores"]) - fmean(fixed["scores"])))
    # Nothing else is a mean over the same axis.
    assert mean["retention"] is mean["gain"] is None
    assert long["step_scores"][""]["accuracy"] == pytest.approx(fmean(long["trained_scores"]))


@pytest.mark.slow
def test_the_page_leaves_out_what_has_no_setting_and_tells_each_epoch(experiment):
    page = (experiment / "results" / "README.md").read_text()
    assert "another model" not in page
    assert "other.retention" not in page
    assert "60.00 %, -1.00, 0.50 of the time" in page
    by_epoch = page.partition("## By epoch")[2].splitlines()
    assert len([line for line in by_epoch if line.startswith("| epochs: long | ")]) >= 4


# Steps that may be left out


def test_a_step_without_setting_is_left_out_with_its_rows_and_what_they_reach(tmp_path):
    without, whole = loaded(tmp_path), loaded(tmp_path, "extra=verdicts")
    assert {run.step for run in plan(without, tmp_path)} == {"cnn", "small"}
    assert list(without.rows) == ["short", "each", "mean"]
    assert [own.row for own in expectations(without)] == ["each"]
    assert {run.step for run in plan(whole, tmp_path)} == {"cnn", "small", "other"}
    assert [own.row for own in expectations(whole)] == ["each", "other"]


# Axes


def test_an_axis_may_name_flags_and_choose_among_outputs(tmp_path):
    runs = {run.name: run for run in plan(loaded(tmp_path), tmp_path)}
    assert list(runs)[:3] == ["cnn-short-seed0", "cnn-short-seed1", "cnn-long-seed0"]
    long = runs["cnn-long-seed1"].flags
    assert (long["epochs"], long["learning_rate"], long["vocabulary"], long["seed"]) == (4.0, 2e-3, 150, 1)
    assert "learning_rate" not in runs["cnn-short-seed1"].flags
    assert runs["small-long-seed1"].flags == {"model": str(tmp_path / "cnn-long-seed1")}


def test_an_axis_that_names_flags_may_be_listed_by_another_step(tmp_path):
    recipe = loaded(tmp_path, steps__small__over={"length": ["long"]})
    small = [run for run in plan(recipe, tmp_path) if run.step == "small"]
    assert [run.uses for run in small] == [("cnn-long-seed0",)]


def test_a_row_of_some_values_takes_what_is_run(tmp_path):
    few = loaded(tmp_path, "lengths={short: {epochs: 1}}", table__each__only={"length": ["short", "long"]})
    assert few.rows["each"].only == {"length": ["short"]}
    assert few.rows["each"].shown({"length": "short", "seed": 0}) == {"length": "short"}
    assert few.rows["short"].shown({"length": "short", "seed": 0}) == {}


USES_OTHER = {"verb": "quantize", "flags": {"model": "${steps.other}"}}


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("steps__another", USES_OTHER, "steps.another.flags.model: other is left out"),
        ("table__each__over", "other", "table.each.over: other is left out with its step"),
        ("table__each__over", "mean", "table.each.over: mean is not averaged alike"),
        ("table__mean__average", "size", "table.mean.average: unknown axis of cnn 'size'"),
        ("table__mean__average", "seed", "table.mean.average: unknown axis of cnn 'seed'"),
        ("table__short__only", {"size": 1}, "table.short.only.size: unknown axis of cnn 'size'"),
        ("table__short__only", {"length": "none"}, "only.length: none of these is a value of length"),
        ("steps__small__over", {"length": "other"}, "over.length: unknown earlier step with the axis length"),
        ("steps__small__over", {"length": ["middle"]}, "cnn is not made for length middle"),
        ("steps__small__over", {"kind": ["a"]}, "steps.small.over: no flag refers to ${each.kind}"),
        ("settings__lengths", {"short": {"epoch": 1}}, "over.length.short.epoch: unknown flag of finetune"),
        ("settings__lengths", {"short": 3}, "over.length.short: 3 is no mapping"),
        ("settings__lengths", {}, "over.length: {} is no list of values"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(cli, tmp_path, place, value, message):
    result = cli("compress.recipe", written(tmp_path, **{place: value}), "--check")
    assert result.code == 2, result.err
    assert message in result.error


# Data


def test_a_split_of_a_corpus_is_data(tmp_path, data_root):
    bench = Bench(RunLedger(tmp_path), tmp_path / "mark", data_root, False, {})
    file = data_root / "verdicts" / "train.jsonl"
    assert bench.digests(["verdicts/train", "verdicts/none", "half"]) == {"verdicts/train": sha256(file)}


# All scores, epoch by epoch


def line(tmp_path, *facts, name="each"):
    recipe = loaded(tmp_path)
    runs = {
        seed: Run(f"{name}{seed}", "cnn", verbs()["finetune"], {}, {}, tmp_path, ())
        for seed in range(len(facts))
    }
    own = TableLine(
        recipe.rows[name], {"length": "long"}, runs, {}, "accuracy", "verdicts", {}, (), (), facts
    )
    return own, lambda *lines: RecipeResult(recipe, (own, *lines))


def entry(step, epoch, loss, seconds, **evaluation):
    return {"step": step, "epoch": epoch, "loss": loss, "seconds": seconds, **evaluation}


def test_an_epoch_is_the_mean_of_its_losses_and_what_its_end_says(tmp_path):
    history = [
        entry(2, 0.5, 3.0, 4.0),
        entry(4, 1.0, 1.0, 8.0, eval_loss=0.5, eval_seconds=0.25, accuracy=0.75),
        entry(5, 1.25, 4.0, 10.0, eval_loss=9.0, eval_seconds=9.0, accuracy=0.1),
        entry(8, 2.0, 0.0, 15.5, eval_loss=0.25, eval_seconds=0.5, accuracy=0.5),
    ]
    _, result = line(tmp_path, {"history": history, "accuracy": 0.5})
    assert table.by_epoch(result()).splitlines()[-2:] == [
        "| epochs: long | 1 | 2.0000 | 0.5000 | 75.00 % | 8.0 | 0.2 |",
        "| epochs: long | 2 | 1.0000 | 0.2500 | 50.00 % | 7.5 | 0.5 |",
    ]


def test_the_task_of_a_line_is_what_its_model_recorded(answer_model, tmp_path):
    own, _ = line(tmp_path, {})
    asked = {0: replace(own.runs[0], output=answer_model)}
    found = task_of(replace(own, runs=asked, task="asked"))
    assert (found.problem_type, found.labels) == ("question_answering", ("start", "end"))
    assert found.text_columns == ("question", "context")


def test_an_older_history_has_no_times_and_a_masked_one_no_score(tmp_path):
    _, result = line(tmp_path, {"history": [{"step": 1, "epoch": 1.0, "loss": 2.0, "eval_loss": 1.0}]})
    assert table.by_epoch(result()).endswith("| epochs: long | 1 | 2.0000 | 1.0000 | - | - | - |\n")


def test_all_scores_are_means_over_seeds_at_each_place_of_thresholds(tmp_path):
    seeds = [
        {
            "f1_micro": one,
            "f1_macro": 0.5,
            "thresholds": {"0.5": {"values": {}, "f1_micro": one, "f1_macro": 0.25}},
        }
        for one in (0.5, 0.75)
    ]
    _, result = line(tmp_path, *seeds)
    assert table.all_scores(result()).splitlines()[2:] == [
        "|  | f1_macro | f1_micro |",
        "| --- | --- | --- |",
        "| epochs: long | 50.00 % | 62.50 % |",
        "| epochs: long, thresholds: 0.5 | 25.00 % | 62.50 % |",
    ]


def test_a_single_metric_needs_no_table_and_two_files_of_a_step_one_line(tmp_path):
    own, result = line(tmp_path, {"accuracy": 0.5})
    assert table.all_scores(result()) == ""
    both, result = line(tmp_path, {"accuracy": 0.5, "f1_macro": 0.5})
    assert table.all_scores(result(both, own)).count("50.00 % | 50.00 %") == 1
