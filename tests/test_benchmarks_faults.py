"""The campaign of faults: a small share of it, and what it is built of."""

import json
import lzma
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.faults.interruption import moments, shares
from benchmarks.faults.mutations import FILES, MUTATIONS, UNDAMAGED, Job, mutate, plan
from benchmarks.faults.outcomes import ASIDE, NEW, OLD, Expected, differing, half_written, leftovers, state
from benchmarks.faults.processes import run
from benchmarks.faults.report import CASES
from edgepress.core.artifact import Manifest, ModelRecord, create_artifact
from edgepress.core.files import sha256

MODEL = ModelRecord("tiny", "bert", 1, "local", head_trained=True)


def campaign(output: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    typed = [sys.executable, "-m", "benchmarks.faults", "--output", str(output), *flags]
    return subprocess.run(typed, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])


def cases(output: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in lzma.decompress((output / CASES).read_bytes()).splitlines()]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_thirty_damaged_files_are_opened_or_refused(tmp_path):
    done = campaign(tmp_path / "record", "--commands", "mutations", "--mutations", "30")
    found = cases(tmp_path / "record")
    assert [case for case in found if case["problems"]] == []
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(found) == 30 + len(FILES)


@pytest.mark.long  # kills of each kind have tests of their own
@pytest.mark.timeout(1800)
def test_a_command_killed_and_without_room(tmp_path):
    names = ("--commands", "quantize", "--moments", "1", "--sizes", "1")
    done = campaign(tmp_path / "record", *names)
    assert [case for case in cases(tmp_path / "record") if case["problems"]] == []
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_unknown_command_is_refused(tmp_path):
    done = campaign(tmp_path / "record", "--commands", "finetun")
    assert done.returncode == 2
    assert "did you mean 'finetune'?" in done.stderr
    assert not (tmp_path / "record").exists()


def test_the_same_seed_draws_the_same_cases():
    assert moments("prune", 10, 0) == moments("prune", 10, 0) != moments("prune", 10, 1)
    assert shares("prune", 5, 0) == shares("prune", 5, 0) != shares("prune", 5, 1)
    assert plan(200, 0) == plan(200, 0) != plan(200, 1)


def test_moments_and_sizes_are_spread_over_the_whole():
    found = moments("finetune", 10, 0)
    writing = [moment.share for moment in found if moment.phase == "writing"]
    assert Counter(moment.phase for moment in found) == {"starting": 2, "writing": 8}
    assert [int(share * 8) for share in writing] == list(range(8))
    assert [int(share / 0.98 * 5) for share in shares("finetune", 5, 0)] == list(range(5))


def test_every_kind_of_damage_meets_every_kind_of_file():
    found = {(job.file, job.mutation) for job in plan(2000, 0)}
    assert {(file, mutation) for file in FILES for mutation in (*MUTATIONS, UNDAMAGED)} <= found


JSON_TEXT = b'{"a": 1, "b": {"c": [1, 2]}, "d": "x"}'


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_damage_changes_the_file_and_repeats(mutation):
    jobs = [Job(number, "config.json", mutation, f"0 {number}") for number in range(20)]
    found = [mutate(JSON_TEXT, job) for job in jobs]
    assert found == [mutate(JSON_TEXT, job) for job in jobs]
    assert all(content != JSON_TEXT for content in found)


@pytest.fixture
def work(tmp_path):
    """A working folder with an artifact, and what a command that wrote it would be expected to leave."""
    folder = tmp_path / "work"
    artifact(folder / "out", b"new")
    weights = {"out/model.safetensors": sha256(folder / "out" / "model.safetensors")}
    return folder, Expected("finetune", frozenset({"model.safetensors", "manifest.json"}), weights)


def artifact(target, content, overwrite=False):
    with create_artifact(target, overwrite) as draft:
        (draft.folder / "model.safetensors").write_bytes(content)
        draft.manifest = Manifest("tiny", MODEL, None, seed=0, steps=())


def test_a_whole_new_output_is_new_and_the_one_from_before_is_old(work):
    folder, expected = work
    assert state(expected, folder, "another") == NEW
    assert state(expected, folder, sha256(folder / "out")) == OLD
    assert not [*half_written(expected, folder), *differing(expected, folder), *leftovers(folder, False)]


def test_a_truncated_output_is_neither(work):
    folder, expected = work
    (folder / "out" / "model.safetensors").write_bytes(b"ne")
    assert "truncated or altered" in state(expected, folder, "another")
    assert differing(expected, folder) == ["other bytes: out/model.safetensors"]


def test_an_output_that_lacks_a_file_is_neither(work):
    folder, expected = work
    (folder / "out" / "manifest.json").unlink()
    assert state(expected, folder, "another") == "neither old nor new: no manifest.json"


def test_an_output_that_is_gone_is_lost_unless_it_was_set_aside(work):
    folder, expected = work
    old = sha256(folder / "out")
    (folder / "out").rename(folder / ".out.previous")
    assert state(expected, folder, old) == ASIDE
    assert state(expected, folder, "another") == "the target is gone"
    assert leftovers(folder, failed=True) == ["left: .out.previous"]


def test_what_lies_open_beside_the_target_is_told(work):
    folder, expected = work
    (folder / "model.onnx").touch()
    assert half_written(expected, folder) == ["left: model.onnx"]


def test_checkpoints_may_stay_where_a_command_failed(work):
    folder, _ = work
    (folder / ".out.training").mkdir()
    assert leftovers(folder, failed=True) == []
    assert leftovers(folder, failed=False) == ["left: .out.training"]


def module(tmp_path, monkeypatch, text):
    (tmp_path / "victim.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return ["victim"], tmp_path / "home", tmp_path / "log"


def test_a_traceback_of_a_forked_command_is_seen(tmp_path, monkeypatch):
    ended = run(*module(tmp_path, monkeypatch, "raise RuntimeError('oh')"))
    assert (ended.code, ended.traceback) == (1, True)
    assert ended.raised.endswith("RuntimeError: oh")


def test_a_command_that_hangs_is_ended(tmp_path, monkeypatch):
    ended = run(*module(tmp_path, monkeypatch, "import time\ntime.sleep(60)"), longest_s=0.5)
    assert ended.hung
    assert ended.code == -9


def test_what_a_forked_command_does_to_its_process_stays_there(tmp_path, monkeypatch):
    text = "import os, sys\nos.environ['X'] = '1'\nprint(sys.argv, os.environ['HOME'])\nsys.exit(3)"
    ended = run(*module(tmp_path, monkeypatch, text))
    assert ended.code == 3
    assert str(tmp_path / "home") in ended.screen
    assert "X" not in os.environ
