"""Folders that appear whole or not at all, whatever stops the run that writes them."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgepress.core.errors import EdgepressError
from edgepress.core.files import restore, sha256, staged_folder, writable_folder

WRITE_AND_DIE = """
import os, pathlib, sys
from edgepress.core.files import staged_folder
target, when = pathlib.Path(sys.argv[1]), sys.argv[2]
rename = pathlib.Path.rename
def rename_once(self, to):
    rename(self, to)
    os._exit(9)
if when == "between-renames":
    pathlib.Path.rename = rename_once
with staged_folder(target, overwrite=True) as stage:
    (stage / "new.txt").write_text("new")
    if when == "in-block":
        os._exit(9)
"""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A finished folder with one file, the only thing in its parent."""
    folder = tmp_path / "parent" / "out"
    folder.mkdir(parents=True)
    (folder / "old.txt").write_text("old")
    return folder


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def beside(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def write(target: Path, overwrite: bool = False) -> None:
    with staged_folder(target, overwrite) as stage:
        (stage / "new.txt").write_text("new")


def write_half(target: Path, error: type[BaseException]) -> None:
    with staged_folder(target, overwrite=True) as stage:
        (stage / "half.txt").write_text("half")
        raise error


def killed_run(target: Path, when: str) -> None:
    done = subprocess.run([sys.executable, "-c", WRITE_AND_DIE, str(target), when], check=False)
    assert done.returncode == 9


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_sha256_of_a_file_larger_than_one_block(tmp_path: Path) -> None:
    data = os.urandom((1 << 20) + 17)
    (tmp_path / "file").write_bytes(data)
    assert sha256(tmp_path / "file") == hashlib.sha256(data).hexdigest()


def test_folder_appears_with_its_missing_parents(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "out"
    write(target)
    assert content(target) == {"new.txt": "new"}
    assert beside(target) == ["out"]


def test_target_does_not_exist_before_the_block_ends(tmp_path: Path) -> None:
    with staged_folder(tmp_path / "out", overwrite=False) as stage:
        (stage / "new.txt").write_text("new")
        assert not (tmp_path / "out").exists()
    assert content(tmp_path / "out") == {"new.txt": "new"}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_failed_block_leaves_the_old_folder(target: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        write_half(target, error)
    assert content(target) == {"old.txt": "old"}
    assert beside(target) == ["out"]


def test_existing_folder_is_refused(target: Path) -> None:
    with pytest.raises(EdgepressError, match="exists") as refused:
        write(target)
    assert "--overwrite" in refused.value.hint
    assert content(target) == {"old.txt": "old"}
    assert beside(target) == ["out"]


def write_late(target: Path) -> None:
    with staged_folder(target, overwrite=False) as stage:
        (stage / "new.txt").write_text("late")
        target.mkdir()  # as another process does
        (target / "new.txt").write_text("new")


def test_two_that_write_to_one_place_both_keep_what_they_made(tmp_path: Path) -> None:
    target = tmp_path / "out"
    (tmp_path / "out-2").mkdir()
    with pytest.raises(EdgepressError, match="another command wrote") as refused:
        write_late(target)
    assert str(tmp_path / "out-3") in str(refused.value)
    assert (content(target), content(tmp_path / "out-3")) == ({"new.txt": "new"}, {"new.txt": "late"})
    assert beside(target) == ["out", "out-2", "out-3"]


def test_overwrite_replaces_the_whole_folder(target: Path) -> None:
    write(target, overwrite=True)
    assert content(target) == {"new.txt": "new"}
    assert beside(target) == ["out"]


def test_restore_after_a_kill_between_the_renames(target: Path) -> None:
    killed_run(target, "between-renames")
    assert not target.exists()
    restore(target)
    assert content(target) == {"old.txt": "old"}


@pytest.mark.parametrize("when", ["in-block", "between-renames"])
def test_next_run_clears_what_a_killed_one_left(target: Path, when: str) -> None:
    killed_run(target, when)
    assert beside(target) != ["out"]
    write(target, overwrite=True)
    assert content(target) == {"new.txt": "new"}
    assert beside(target) == ["out"]


def test_kill_between_the_renames_does_not_lift_the_refusal(target: Path) -> None:
    killed_run(target, "between-renames")
    with pytest.raises(EdgepressError, match="exists"):
        write(target)
    assert content(target) == {"old.txt": "old"}


def test_restore_drops_the_old_folder_where_the_new_one_stands(target: Path) -> None:
    previous = target.with_name(".out.previous")
    previous.mkdir()
    restore(target)
    assert content(target) == {"old.txt": "old"}
    assert beside(target) == ["out"]


def test_restore_without_leftovers_does_nothing(target: Path) -> None:
    restore(target)
    assert content(target) == {"old.txt": "old"}


def test_stage_of_a_dead_process_is_cleared(target: Path) -> None:
    abandoned = target.with_name(f".out.{dead_pid()}.partial")
    abandoned.mkdir()
    write(target, overwrite=True)
    assert beside(target) == ["out"]


def test_stage_of_a_live_process_is_kept(target: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        stage = target.with_name(f".out.{child.pid}.partial")
        stage.mkdir()
        write(target, overwrite=True)
        assert beside(target) == [stage.name, "out"]
        assert child.stdin is not None
        child.stdin.write(b"\n")


def test_stage_of_an_earlier_process_with_our_pid_is_cleared(target: Path) -> None:
    abandoned = target.with_name(f".out.{os.getpid()}.partial")
    abandoned.mkdir()
    (abandoned / "half.txt").write_text("half")
    write(target, overwrite=True)
    assert content(target) == {"new.txt": "new"}


def test_stage_of_another_folder_is_kept(target: Path) -> None:
    other = target.with_name(f".other.{dead_pid()}.partial")
    other.mkdir()
    write(target, overwrite=True)
    assert other.is_dir()


def test_folder_below_a_regular_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(EdgepressError, match="cannot write to") as refused:
        write(tmp_path / "file" / "out")
    assert str(tmp_path / "file") in str(refused.value)
    assert (tmp_path / "file").read_text() == "text"


def test_writable_folder_keeps_what_is_there(target: Path) -> None:
    assert writable_folder(target) == target
    assert content(target) == {"old.txt": "old"}


def test_a_regular_file_is_never_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("a file")
    with pytest.raises(EdgepressError, match="is a file"):
        write(target, overwrite=True)
    assert target.read_text() == "a file"
    assert beside(target) == ["out"]
