"""The offline build's tools, unpacked: what is no file within its folder is refused."""

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tools.offline_apk import fetch
from tools.offline_apk.build import STUBS
from tools.offline_apk.errors import BuildError, ToolMissingError

ROOT = Path(__file__).parents[1]
JAR = "package/lib/kotlin-compiler.jar"


def packed(target: Path, *members: tarfile.TarInfo) -> Path:
    """A package of npm with one jar and these members."""
    with tarfile.open(target, "w:gz") as content:
        for member in (tarfile.TarInfo(JAR), *members):
            member.size = 3 if member.isreg() else 0
            content.addfile(member, io.BytesIO(b"abc"))
    return target


def member(name: str, kind: bytes = tarfile.REGTYPE, leads_to: str = "") -> tarfile.TarInfo:
    own = tarfile.TarInfo(name)
    own.type, own.linkname = kind, leads_to
    return own


def everything(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def test_a_package_is_unpacked(tmp_path):
    loose = member("package/bin/kotlinc")
    loose.mode = 0o6777
    (tmp_path / "stage").mkdir()
    fetch.unpack(packed(tmp_path / "some.tgz", loose), tmp_path / "stage")
    assert everything(tmp_path / "stage") == ["package/bin/kotlinc", JAR]
    assert (tmp_path / "stage" / JAR).read_bytes() == b"abc"
    assert (tmp_path / "stage/package/bin/kotlinc").stat().st_mode & 0o7022 == 0


@pytest.mark.parametrize(
    "own",
    [
        member("../outside"),
        member("package/../../outside"),
        member("package/link", tarfile.SYMTYPE, "../../outside"),
        member("package/link", tarfile.SYMTYPE, "/etc"),
        member("package/link", tarfile.LNKTYPE, "../outside"),
        member("package/device", tarfile.CHRTYPE),
    ],
    ids=lambda own: f"{own.name}-{own.type.decode()}-{own.linkname}",
)
def test_what_leads_out_of_its_folder_is_refused(tmp_path, own):
    (tmp_path / "stage").mkdir()
    (tmp_path / "outside").write_text("as it was")
    package = packed(tmp_path / "some.tgz", own)
    with pytest.raises(BuildError, match=r"^some\.tgz is not unpacked: ") as refused:
        fetch.unpack(package, tmp_path / "stage")
    assert "\n" not in str(refused.value)
    assert (tmp_path / "outside").read_text() == "as it was"
    assert everything(tmp_path) == ["outside", "some.tgz", f"stage/{JAR}"]


def test_what_is_no_archive_is_refused(tmp_path):
    for content in (b"", b"no archive", packed(tmp_path / "whole.tgz").read_bytes()[:40]):
        (tmp_path / "some.tgz").write_bytes(content)
        with pytest.raises(BuildError, match="is not unpacked"):
            fetch.unpack(tmp_path / "some.tgz", tmp_path)


def test_a_python_that_cannot_tell_is_refused(tmp_path, monkeypatch):
    monkeypatch.delattr(tarfile, "data_filter")
    with pytest.raises(ToolMissingError, match=r"Python 3\.10\.12"):
        fetch.unpack(packed(tmp_path / "some.tgz"), tmp_path)


def test_the_compiler_comes_from_such_a_package(tmp_path, monkeypatch):
    def npm(*command: str, cwd: Path) -> str:
        assert command[:2] == ("npm", "pack")
        return packed(cwd / "kotlin-compiler-2.tgz").name + "\n"

    monkeypatch.setattr(fetch, "_run", npm)
    fetch.fetch_kotlin(tmp_path)
    assert everything(tmp_path) == [JAR]


def test_the_stubs_are_beside_the_build():
    assert [path.name for path in STUBS.rglob("*.java")] == ["PowerManager.java"]


def test_what_is_missing_says_how_to_have_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError, match="debootstrap is not installed: apt install debootstrap"):
        fetch.fetch_debian(tmp_path)


def test_processes_that_fetch_at_once_bring_each_piece_once(tmp_path):
    """The second to ask waits for the first, and finds what that one brought."""
    child = f"""
import time
from pathlib import Path
from tools.offline_apk import fetch

def bring(stage):
    time.sleep(0.5)
    (stage / "file").write_text("whole")
    with Path({str(tmp_path / "brought")!r}).open("a") as log:
        log.write(stage.name.partition(".")[0] + " ")

fetch.PIECES = dict.fromkeys(("debian", "kotlin"), bring)
fetch.fetch(Path({str(tmp_path / "tools")!r}))
"""
    both = [subprocess.Popen([sys.executable, "-c", child], cwd=ROOT) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert (tmp_path / "brought").read_text().split() == ["debian", "kotlin"]
    assert everything(tmp_path / "tools") == [".lock", "debian/file", "kotlin/file"]
