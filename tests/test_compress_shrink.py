"""`shrink`: its plan, who keeps the limits, and the whole of it on a small classifier."""

import json
from pathlib import Path

import pytest
import yaml
from test_own_split import COLUMNS, tickets

from compress.recipe.results.lines import Estimate
from compress.recipe.run.deploy import is_scored
from compress.recipe.run.steps import RunLedger
from compress.shrink.chain import WHOLE
from compress.shrink.config import ShrinkConfig
from compress.shrink.estimate import Pace, minutes_left
from compress.shrink.verdict import Candidate, chosen, closest, sentence


def candidate(name, drop, milliseconds, size_mb, reach=0.5):
    return Candidate(
        name,
        name,
        Path(name) / "model.onnx",
        Path(name),
        1000,
        Estimate(drop, drop - reach, drop + reach),
        Estimate(milliseconds, milliseconds, milliseconds),
        size_mb,
        Estimate(20 / milliseconds),
    )


MODEL = candidate(WHOLE, 0.0, 20.0, 90.0, reach=0.0)
FOUND = [
    MODEL,
    candidate("int8", 0.1, 8.0, 23.0),
    candidate("half", 1.5, 4.0, 12.0),
    candidate("cut", 4.0, 5.0, 8.0),
]


def test_what_is_left_is_estimated_by_what_steps_took():
    planned = {"model": 10.0, "int8": 10.0, "student": 60.0}
    assert minutes_left(planned, {}, 60.0) == pytest.approx(140 / 60)
    assert minutes_left(planned, {"model": 30.0}, 60.0) == pytest.approx((3 * 70 + 60) / 60)
    assert minutes_left(planned, dict.fromkeys(planned, 30.0), 60.0) == pytest.approx(1.0)


def test_files_that_are_scored_are_timed_again_only():
    pace = Pace(forward=0.1, training=0.3, launch=1.0)
    timed = pace.last_seconds(4, 0, 100, 20.0)
    assert timed == pytest.approx(4 * (25 + 20))
    assert pace.last_seconds(4, 3, 100, 20.0) == pytest.approx(timed + 3 * 100 * 0.1)


def test_a_scored_file_has_a_note(tmp_path):
    ledger = RunLedger(tmp_path / "ledger")
    ledger.note("int8", {"inputs": {}})
    assert not is_scored(ledger, "int8")
    ledger.note("int8-model_quantized.onnx-score", {"inputs": {}})
    assert is_scored(ledger, "int8")
    assert not is_scored(ledger, "trimmed")


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"max_drop": 1.0}, "int8"),
        ({"max_drop": 2.0}, "half"),
        ({"max_drop": 5.0}, "cut"),
        ({"max_drop": 5.0, "minimize": "latency"}, "half"),
        ({"max_drop": 0.0}, WHOLE),
        ({"max_drop": 2.0, "max_ms": 3.0}, None),
        ({"max_drop": 1.0, "max_size_mb": 20.0}, None),
    ],
)
def test_smallest_or_fastest_within_the_limits(limits, expected):
    best = chosen(FOUND, ShrinkConfig(model="m", **limits))
    assert (best.name if best else None) == expected


def test_each_file_says_which_limit_it_breaks():
    limits = ShrinkConfig(model="m", max_drop=1.0, max_ms=4.5, max_size_mb=10.0)
    said = closest(FOUND, limits)
    assert said == (
        "int8: takes 8 ms, has 23 MB; half: loses 1.50 points [1.0, 2.0], has 12 MB; "
        "cut: loses 4.00 points [3.5, 4.5], takes 5 ms"
    )


def test_verdict_names_figures_and_texts():
    limits = ShrinkConfig(model="m", max_drop=2.0)
    assert sentence(FOUND[2], MODEL, limits, 16) == (
        "half: the smallest file that loses at most 2 points: 12 MB (of 90), 4 ms at 16 tokens, "
        "5.0x as fast, loses 1.50 points [1.0, 2.0] on 1,000 texts"
    )


@pytest.mark.parametrize(("reach", "needed"), [(0.4, None), (2.0, 16_000)])
def test_a_loss_that_the_texts_cannot_resolve_says_how_many_would(reach, needed):
    assert candidate("half", 1.5, 4.0, 12.0, reach).texts_needed(2.0) == needed


@pytest.fixture(scope="module")
def trained(tmp_path_factory, bare_encoder, cli):
    """A classifier of a table that was split by itself."""
    folder = tmp_path_factory.mktemp("shrunk")
    flags = ("--epochs", 15, "--learning-rate", 1e-3, "--batch-size", 8, "--output", folder / "teams")
    done = cli("compress.finetune", "--model", bare_encoder, "--task", tickets(folder), *COLUMNS, *flags)
    assert done.code == 0, done.err
    return folder / "teams"


QUICK = ("--epochs", 2, "--time-budget", 0.3, "--sequence-length", 8)


def test_plan_says_what_will_be_done_and_runs_nothing(cli, trained, tmp_path):
    done = cli("compress.shrink", "--model", trained, *QUICK, "--output", tmp_path / "out", "--check")
    assert done.code == 0, done.err
    for step in ("int8", "trimmed-int8", "student", "student-int8", "pruned-int8"):
        assert step in done.out
    assert "min here" in done.out
    assert " done " not in done.out
    assert " 2 " in next(line for line in done.out.splitlines() if " distill " in line)
    assert "score and time" in done.out
    content = yaml.safe_load((tmp_path / "out" / "shrink.yaml").read_text())
    assert content["steps"]["student"]["flags"]["epochs"] == 2.0
    assert content["measure"]["sequence_length"] == 8
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["shrink.yaml"]
    again = cli("compress.recipe", tmp_path / "out" / "shrink.yaml", "--check")
    assert again.code == 0, again.err


def test_what_a_model_does_not_allow_is_left_out_and_said(cli, data_root, tmp_path):
    flags = ("--vocabulary", 150, "--epochs", 1, "--output", tmp_path / "lstm")
    done = cli("compress.finetune", "--model", "bilstm", "--task", data_root / "verdicts", *flags)
    assert done.code == 0, done.err
    flags = ("--data", data_root, *QUICK, "--check", "--output", tmp_path / "out")
    done = cli("compress.shrink", "--model", tmp_path / "lstm", *flags)
    assert done.code == 0, done.err
    assert "left out: distill: the model has no layers to take half of" in done.err
    assert "left out: prune" in done.err
    steps = yaml.safe_load((tmp_path / "out" / "shrink.yaml").read_text())["steps"]
    assert list(steps) == [WHOLE, "int8", "trimmed", "trimmed-int8"]


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("--max-drop", -1), "--max-drop is out of range: it is 0 or more"),
        (("--max-ms", 0), "--max-ms is out of range: it is above 0"),
        (("--max-size-mb", -3), "--max-size-mb"),
        (("--epochs", 0), "--epochs"),
        (("--sequence-length", 9999), "tokens at most"),
        (("--model", "nowhere/at-all-here"), "nowhere"),
    ],
)
def test_bad_input_is_one_line(cli, trained, tmp_path, flags, reason):
    done = cli("compress.shrink", "--model", trained, "--output", tmp_path / "out", "--check", *flags)
    assert (done.code, reason in done.err) == (2, True), done.err
    assert not (tmp_path / "out").exists()


def test_a_classifier_of_which_nobody_says_the_task_asks_for_it(cli, model_folder, tmp_path):
    done = cli("compress.shrink", "--model", model_folder, "--output", tmp_path / "out")
    assert (done.code, "trained classifier" in done.err) == (2, False), done.err
    assert "does not say what it was trained on" in done.err
    assert "--task FILE.csv --text-columns" in done.err
    assert not (tmp_path / "out").exists()


def test_an_untrained_model_is_refused(cli, bare_encoder, data_root, tmp_path):
    output = tmp_path / "out"
    done = cli(
        "compress.shrink", "--model", bare_encoder, "--task", data_root / "verdicts", "--output", output
    )
    assert (done.code, "compress.finetune" in done.err) == (2, True), done.err
    assert not output.exists()


def test_a_folder_with_something_else_is_kept(cli, trained, tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    done = cli("compress.shrink", "--model", trained, "--output", tmp_path)
    assert (done.code, "holds something else" in done.error) == (2, True)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_names_one_file_and_goes_on_where_it_was(cli, trained, tmp_path):
    output = tmp_path / "out"

    def shrink(*flags):
        return cli("compress.shrink", "--model", trained, *QUICK, "--output", output, *flags)

    done = shrink("--max-drop", 100)
    assert done.code == 0, done.err
    ship = next(line for line in done.out.splitlines() if line.startswith("ship")).split()[-1]
    rows = [json.loads(line) for line in (output / "results" / "rows.jsonl").read_text().splitlines()]
    smallest = min(rows, key=lambda row: row["size_bytes"])
    assert Path(ship).stat().st_size == smallest["size_bytes"]
    assert smallest["gain"]["low"] <= smallest["gain"]["value"] <= smallest["gain"]["high"]
    assert "the smallest file that loses at most 100 points" in (output / "results" / "README.md").read_text()
    planned = shrink("--check")
    assert planned.out.count("done\n") >= len(rows)
    again = shrink("--max-drop", 0, "--max-size-mb", 0.001)
    assert "steps took" not in again.err  # none was to be done
    assert again.err.count("2 classes") <= 1
    assert again.code == 1
    assert again.err.count("nothing changed, not run again") >= len(rows)
    assert "no file keeps the limits" in again.err


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("model", "data", "metric"),
    [("ranking_model", "queries", "map"), ("answer_model", "questions", "answer_f1")],
)
def test_models_of_pairs_are_shrunk_too(cli, request, monkeypatch, tmp_path, model, data, metric):
    folder, root = (request.getfixturevalue(name) for name in (model, data))
    monkeypatch.setenv("EDGEPRESS_DATA", str(root.parent))
    flags = ("--output", tmp_path / "out", "--max-drop", 100, "--epochs", 2, "--time-budget", 0.3)
    done = cli("compress.shrink", "--model", folder, *flags)
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in (tmp_path / "out/results/rows.jsonl").read_text().splitlines()]
    assert {"int8", "student-int8", "pruned-int8"} <= {row["row"] for row in rows}
    assert {row["metric"] for row in rows} == {metric}
    assert all(row["gain"]["low"] <= row["gain"]["value"] <= row["gain"]["high"] for row in rows[1:])
    tried = next(line for line in done.out.splitlines() if line.startswith("try"))
    assert tried.count('"..."') == 2
