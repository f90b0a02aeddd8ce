"""What somebody who uses the app sees: its own bytecode on a JVM, everything but the views."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import SENTENCES
from phone_stand_in import STATE
from transformers import AutoTokenizer

from edgepress.core.artifact import open_artifact
from export.core.registry import open_runner

pytest_plugins = ["android_app"]
pytestmark = [pytest.mark.android, pytest.mark.timeout(1800)]

GOOD, BAD = SENTENCES[0][0], SENTENCES[4][0]
HARD = {
    "long": "the film moves and surprises. " * 4000,
    "emoji": "🙂👩‍👩‍👧 the film 🎬",
    "mixed": "the film — фильм, 映画, فيلم, चलचित्र\u0000\ufffd",
}


@pytest.fixture
def use(app, tmp_path, apk_assets):
    """Use the app with these assets; texts are kept as files."""
    for name in ("battery", "thermalservice"):
        (tmp_path / name).write_text(STATE[name])

    def run(*actions, assets=apk_assets):
        return app.use(tmp_path, assets, tmp_path / "storage", *actions)

    return run


@pytest.fixture
def text(tmp_path):
    """The action on a text."""

    def write(action, content):
        path = tmp_path / f"{abs(hash(content))}.txt"
        path.write_text(content, encoding="utf-8")
        return f"{action}:{path}"

    return write


@pytest.fixture
def spoilt(apk_assets, tmp_path):
    """A copy of the assets, and the folder of the first model in it."""
    assets = Path(shutil.copytree(apk_assets, tmp_path / "spoilt"))
    index = json.loads((assets / "models/index.json").read_text())
    return assets, assets / "models" / index["models"][0]["folder"]


def probabilities(artifact, precision, content):
    rows = AutoTokenizer.from_pretrained(artifact)(content, truncation=True)
    with open_runner(open_artifact(artifact).file(precision)) as runner:
        logits = runner({name: np.array([values], np.int64) for name, values in rows.items()})[0]
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def test_classes_are_those_of_python_and_models_can_be_switched(use, text, small_artifact):
    start, good, chosen, bad = use(text("classify", GOOD), "choose:small int8", text("classify", BAD))
    assert start["models"] == {"small fp32": None, "small int8": None}
    assert good["chosen"] == "small fp32"
    assert list(good["scores"].values()) == pytest.approx(
        probabilities(small_artifact, "fp32", GOOD), abs=1e-5
    )
    assert (chosen["chosen"], "scores" in chosen) == ("small int8", False)
    expected = probabilities(small_artifact, "int8", BAD)
    assert list(bad["scores"].values()) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("kind", HARD)
def test_hard_texts_are_classified(use, text, small_artifact, kind):
    content = HARD[kind]
    seen = use(text("classify", content))[-1]
    expected = probabilities(small_artifact, "fp32", content)
    assert list(seen["scores"].values()) == pytest.approx(expected, abs=1e-5)
    assert seen["truncated"] == (kind == "long")


def test_an_empty_text_is_a_message(use, text):
    seen = use(text("classify", " \n"))[-1]
    assert seen["notice"].startswith("empty_text")
    assert "scores" not in seen


def test_no_models_are_no_crash(use, tmp_path, text):
    (tmp_path / "nothing").mkdir()
    start, after = use(text("classify", GOOD), assets=tmp_path / "nothing")
    assert (start["models"], start["chosen"], start["notice"]) == ({}, None, None)
    assert "scores" not in after


def truncate(folder):
    path = folder / "model.onnx"
    path.write_bytes(path.read_bytes()[:1000])


def leave_out(folder):
    (folder / "tokenizer.json").unlink()


@pytest.mark.parametrize(("spoil", "said"), [(truncate, "truncated"), (leave_out, "missing")])
def test_a_damaged_model_is_named_and_the_other_one_works(use, text, spoilt, spoil, said):
    assets, folder = spoilt
    spoil(folder)
    start, after = use(text("classify", GOOD), assets=assets)
    assert said in start["models"]["small fp32"]
    assert start["models"]["small int8"] is None
    assert after["chosen"] == "small int8"
    assert after["scores"]


def test_a_damaged_list_is_a_message(use, spoilt):
    assets, _ = spoilt
    (assets / "models/index.json").write_text('{"schema_version": 1, "models": [3]}')
    assert "damaged" in use(assets=assets)[0]["notice"]


def test_models_are_copied_once_and_old_ones_go(use, apk_assets, spoilt, tmp_path):
    use()
    first = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "storage").iterdir()}
    use()
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "storage").iterdir()} == first
    assets, _ = spoilt
    index = json.loads((assets / "models/index.json").read_text())
    index["models"] = index["models"][1:]
    (assets / "models/index.json").write_text(json.dumps(index))
    use(assets=assets)
    assert [path.name for path in (tmp_path / "storage").iterdir()] == [index["models"][0]["folder"]]


def test_an_app_without_native_library_says_so(use, app, android_tools, text, tmp_path, apk_assets):
    use()
    bare = replace(app, jars=app.jars.replace(str(android_tools.ort_jvm_natives), str(tmp_path)))
    seen = bare.use(tmp_path, apk_assets, tmp_path / "storage", text("classify", GOOD))[-1]
    assert "holds no ONNX Runtime for this phone" in seen["notice"]


def test_a_benchmark_measures_all_models_in_turn(use, text):
    report = json.loads(use(text("benchmark", GOOD))[-1]["report"])
    launches = report["launches"]
    assert [one["model"] for one in launches] == 3 * ["small fp32", "small int8"]
    for one in launches:
        assert len(one["samples_ms"]) >= 20
        assert min(one["samples_ms"]) > 0
        assert one["size_bytes"] > 0
    assert report["device"]["phone"] == "Edgepress Stand-in"
    assert GOOD not in json.dumps(report)


def test_a_benchmark_can_be_stopped(use, text):
    seen = use(text("stopped benchmark", GOOD), text("classify", GOOD))
    assert (seen[1]["report"], seen[1]["notice"]) == (None, None)
    assert seen[2]["scores"]
