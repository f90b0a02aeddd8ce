"""The demo app's APK: built without Gradle, verified, and refused where something is wrong with it."""

import io
import re
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tools.offline_apk.build import Build
from tools.offline_apk.classfile import lowered
from tools.offline_apk.elf import Library
from tools.offline_apk.errors import BuildError
from tools.offline_apk.fetch import ORT_HASHES, ORT_LIBRARIES, ORT_VERSION, checked_file
from tools.offline_apk.project import Project
from tools.offline_apk.tools import run
from tools.offline_apk.verify import read_apk, verify, wrong_files, wrong_library

pytest_plugins = ["android_app"]
ROOT = Path(__file__).parents[1]
PROJECT = Project(ROOT / "android_demo")
pytestmark = [pytest.mark.android, pytest.mark.timeout(1800)]


def test_the_apk_is_what_it_has_to_be(android_tools, apk):
    found = verify(PROJECT, android_tools, apk)
    assert found.permissions == []
    assert found.abis == {"arm64-v8a"}
    assert found.own_bytes < 25_000_000
    assert found.manifest.one("instrumentation")["name"] == ".Bench"
    assert found.manifest.one("uses-sdk") == {"minSdkVersion": "26", "targetSdkVersion": "36"}


def test_nothing_in_it_reaches_for_the_network(apk):
    with zipfile.ZipFile(apk) as content:
        dex = content.read("classes.dex")
    for name in (b"Ljava/net/HttpURLConnection;", b"Ljava/net/Socket;", b"Landroid/webkit/WebView;"):
        assert name not in dex


def test_models_are_in_it_as_they_are(apk, apk_assets):
    with zipfile.ZipFile(apk) as content:
        packed = {
            name: content.read(name) for name in content.namelist() if name.startswith("assets/models/")
        }
        kinds = {entry.compress_type for entry in content.infolist() if entry.filename.endswith(".onnx")}
    there = {
        f"assets/{path.relative_to(apk_assets).as_posix()}": path.read_bytes()
        for path in apk_assets.rglob("*")
        if path.is_file()
    }
    assert packed == there
    assert kinds == {zipfile.ZIP_STORED}


def test_the_runtime_is_one_of_the_exporters_and_the_one_that_is_tested():
    own = re.search(r'^    "(onnxruntime>=.*?)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert Version(PROJECT.version("onnxruntime")) in Requirement(own[1]).specifier
    assert PROJECT.version("onnxruntime") == ORT_VERSION


def test_a_phone_gets_a_whole_runtime(apk):
    with zipfile.ZipFile(apk) as content:
        names = {name for name in content.namelist() if name.startswith("lib/")}
        libraries = {name.split("/")[-1]: content.read(name) for name in names}
    assert names == {f"lib/arm64-v8a/{name}" for name in ORT_LIBRARIES}
    runtime, jni = (libraries[name] for name in ORT_LIBRARIES)
    assert f"VERS_{ORT_VERSION}\0".encode() in runtime
    assert f"VERS_{ORT_VERSION}\0".encode() in jni  # made for that very release
    assert "libonnxruntime.so" in Library(jni).needed
    for mark in (b"OneCollector", b"ORT_DISABLE_TELEMETRY"):  # from 1.29 on
        assert mark not in runtime


def test_a_library_that_no_phone_could_load_is_refused(android_tools, apk, tmp_path):
    """The very layer for a computer in the place of the phone's, and none at all."""
    with zipfile.ZipFile(android_tools.ort_jvm_natives) as content:
        linux = content.read("ai/onnxruntime/native/linux-x64/libonnxruntime.so")
    said = "\n".join(wrong_library("lib/arm64-v8a/libonnxruntime.so", linux, set()))
    assert "is no library for arm64-v8a" in said
    assert "libstdc++.so.6" in said
    assert "pages of 16384 bytes" in said
    assert list(wrong_library("a.so", b"none", set())) == ["a.so is no library for arm64-v8a"]
    bare = tmp_path / "bare.apk"
    with zipfile.ZipFile(apk) as source, zipfile.ZipFile(bare, "w") as target:
        for name in source.namelist():
            if not name.endswith("4j_jni.so"):
                target.writestr(name, source.read(name))
    said = "\n".join(wrong_files(PROJECT, read_apk(android_tools, bare)))
    assert "libonnxruntime4j_jni.so is missing: no model could be run" in said


NESTED = """class Outer {
    private int count;
    private int next() { return ++count; }
    private static long shared() { return 9L; }
    interface Asked { int ask(); }
    static class Inner { private Inner() {} int of(Outer outer) { return outer.next() + outer.count; } }
    Asked asked() { Inner inner = new Inner(); return () -> inner.of(this) + (int) shared(); }
}
"""


def test_newer_classes_are_lowered(tmp_path):
    """Calling what is private to another class would be an error on Android, told when it is called."""
    (tmp_path / "Outer.java").write_text(NESTED)
    run("javac", "--release", "17", "-d", tmp_path / "new", tmp_path / "Outer.java")
    (tmp_path / "old").mkdir()
    for path in (tmp_path / "new").iterdir():
        content = lowered(path.read_bytes())
        assert content[6:8] == bytes([0, 55])
        assert lowered(content) == content
        (tmp_path / "old" / path.name).write_bytes(content)
    names = ("Outer", "Outer$Inner", "Outer$Asked")
    seen = run("javap", "-p", "-cp", tmp_path / "old", *names)
    assert "private" in run("javap", "-p", "-cp", tmp_path / "new", *names)
    assert "private" not in seen
    assert "  final int next();" in seen
    assert "  Outer$Inner();" in seen  # no constructor is final
    assert "  static long shared();" in seen


def test_another_package_than_was_looked_at_is_refused(tmp_path):
    other = io.BytesIO()
    with tarfile.open(fileobj=other, mode="w:gz") as content:
        for name in ORT_HASHES:
            content.addfile(tarfile.TarInfo(f"package/{name}"), io.BytesIO())
    other.seek(0)
    with tarfile.open(fileobj=other) as content, pytest.raises(BuildError, match="another Plugins/Android"):
        checked_file(content, next(iter(ORT_HASHES)))


def test_gradle_names_what_the_catalog_has():
    catalog = (PROJECT.folder / "gradle/libs.versions.toml").read_text()
    scripts = "".join(path.read_text() for path in PROJECT.folder.glob("**/*.gradle.kts"))
    sections = dict(re.findall(r"^\[(\w+)\]\n(.*?)(?=^\[|\Z)", catalog, re.MULTILINE | re.DOTALL))
    used = set(re.findall(r"\blibs\.(?:(versions|plugins)\.)?([\w.]+?)(?=\)|\.get\()", scripts))
    assert used
    for section, name in used:
        own = sections[section or "libraries"]
        assert re.search(rf"^{name.replace('.', '-')} = ", own, re.MULTILINE), name
    for version in re.findall(r'version.ref = "(\w+)"', catalog):
        assert PROJECT.version(version)


@pytest.fixture
def variant(android_tools, apk, tmp_path):
    """The APK again, from altered sources but of the same classes."""

    def make(alter):
        folder = tmp_path / "project"
        leave_out = shutil.ignore_patterns(".tools", ".build", "assets")
        shutil.copytree(PROJECT.folder, folder, ignore=leave_out)
        alter(folder / "app/src/main/AndroidManifest.xml")
        (tmp_path / "work").mkdir()
        made = Build(Project(folder), android_tools, tmp_path / "work")
        (tmp_path / "work/classes.dex").write_bytes(zipfile.ZipFile(apk).read("classes.dex"))
        made.package(made.resources(None), tmp_path / "work/classes.dex", tmp_path / "variant.apk")
        return tmp_path / "variant.apk"

    return make


def replace(old, new):
    def alter(manifest):
        text = manifest.read_text()
        assert old in text
        manifest.write_text(text.replace(old, new))

    return alter


INTERNET = '<uses-permission android:name="android.permission.INTERNET" />\n    <application\n'
MISTAKES = {
    "asks for permissions": replace("<application\n", INTERNET),
    "no instrumentation of itself": replace('targetPackage="org.edgepress.demo"', 'targetPackage="a.b"'),
    "class org.edgepress.demo.Missing is missing": replace(".MainActivity", ".Missing"),
    "can be debugged": replace("android:supportsRtl", 'android:debuggable="true" android:supportsRtl'),
}


@pytest.mark.parametrize("said", MISTAKES)
def test_a_wrong_apk_is_refused(android_tools, variant, said):
    with pytest.raises(BuildError, match=re.escape(said)):
        verify(PROJECT, android_tools, variant(MISTAKES[said]))


def test_an_altered_apk_is_refused(android_tools, apk, tmp_path):
    altered = tmp_path / "altered.apk"
    content = bytearray(apk.read_bytes())
    content[len(content) // 2] ^= 1
    altered.write_bytes(content)
    with pytest.raises(BuildError):
        verify(PROJECT, android_tools, altered)


def test_a_mistake_in_the_sources_is_named(android_tools, tmp_path):
    shutil.copytree(PROJECT.folder / "app", tmp_path / "project/app", ignore=shutil.ignore_patterns("assets"))
    shutil.copytree(PROJECT.folder / "gradle", tmp_path / "project/gradle")
    layout = tmp_path / "project/app/src/main/res/layout/main.xml"
    layout.write_text(layout.read_text().replace("@dimen/gap", "@dimen/no_such_gap"))
    with pytest.raises(BuildError, match="no_such_gap"):
        Build(Project(tmp_path / "project"), android_tools, tmp_path).resources(None)
