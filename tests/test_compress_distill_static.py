"""A static student: the teacher's tokens as vectors, its training, its files, and NumPy in its place."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SENTENCES, Result, first_slow, run_command, run_well, skip_without
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from compress.distill.components import principal_axes
from compress.distill.config import DistillOptions
from compress.distill.static import HALVED_AT, static_student, token_table
from compress.distill.token_states import token_states
from edgepress.core.artifact import open_artifact
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import OpenedModel, open_model
from export.core.eager import EagerRunner
from export.core.registry import find_format, open_runner
from export.validation.parity import compare, parity_batches

PAGE = Path(__file__).parents[1] / "docs" / "distill.md"
TEXTS = [(text,) for text, _ in SENTENCES]
# A text of every length, one of them with words that the vocabulary does not have.
SAID = ["the film", "a zebra, dull and far too long", "her script moves and surprises from its first minute"]
QUICK, OTHERS = ("onnx", "torchscript", "openvino"), ("torch_export", "coreml", "executorch", "litert")
HALF_PRECISION = {"coreml": 0.05}


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEPRESS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def teacher(model_folder, data_root) -> OpenedModel:
    return open_model(str(model_folder), task="verdicts", data=data_root)


@pytest.fixture(scope="module")
def flags(model_folder, data_root):
    return ("--teacher", model_folder, "--task", "verdicts", "--data", data_root)


@pytest.fixture(scope="module")
def folder(flags, tmp_path_factory) -> Path:
    """A static student that learned the sentences."""
    output = tmp_path_factory.mktemp("students") / "static"
    learning = ("--epochs", 25, "--learning-rate", 1e-2, "--no-train-baseline")
    run_well("compress.distill", *flags, "--student", "static", *learning, "--output", output)
    return output


def logits(folder: Path, texts: list[str]) -> np.ndarray:
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        rows = [tokenizer(text, return_tensors="pt") for text in texts]
        names = ("input_ids", "attention_mask")
        return np.concatenate([model(**{name: row[name] for name in names}).logits for row in rows])


def state(teacher: OpenedModel, ids: list[int], place: int) -> np.ndarray:
    with torch.inference_mode():
        return teacher.model.base_model(torch.tensor([ids])).last_hidden_state[0, place].numpy()


def test_a_token_is_the_mean_of_its_states_alone_and_in_texts(teacher):
    read = teacher.tokenizer("the film")["input_ids"]
    found = token_states(teacher, [("the film",)], seed=0)
    once, never = read[1], teacher.tokenizer("dull")["input_ids"][1]
    alone = [state(teacher, [read[0], token, read[-1]], 1) for token in (once, never)]
    np.testing.assert_allclose(found.means[once], (alone[0] + state(teacher, read, 1)) / 2, atol=1e-4)
    np.testing.assert_allclose(found.means[never], alone[1], atol=1e-4)
    assert (found.counts[once], found.counts[never], found.counts.sum()) == (1, 0, len(read))


def test_the_table_is_of_principal_components_and_of_rare_words(teacher):
    """Each pair of tokens stands at the angle at which its projected states do; frequent ones are shorter."""
    table = token_table(teacher, TEXTS, 64, 0.1, seed=0)
    assert table.shape == (len(teacher.tokenizer), 64)
    assert np.sqrt(np.square(table).mean()) == pytest.approx(0.1, rel=1e-4)
    states = token_states(teacher, TEXTS, seed=0)
    turned = table / np.linalg.norm(table, axis=1, keepdims=True)
    centred = states.means - states.means.mean(0)
    lengths = np.linalg.norm(centred, axis=1)
    angles = (centred / lengths[:, None]) @ (centred / lengths[:, None]).T
    np.testing.assert_allclose(turned @ turned.T, angles, atol=1e-3)
    weights = np.linalg.norm(table, axis=1) / lengths
    shares = states.counts / states.counts.sum()
    expected = HALVED_AT / (HALVED_AT + shares)
    np.testing.assert_allclose(weights / weights.max(), expected / expected.max(), rtol=1e-3)


def test_fewer_numbers_are_those_of_the_widest_spread():
    vectors = np.random.default_rng(0).normal(size=(500, 6)) * [1, 9, 3, 0.1, 2, 5] + 7
    mean, axes = principal_axes(vectors, 2)
    np.testing.assert_allclose(mean, vectors.mean(0))
    np.testing.assert_allclose(np.abs(axes[[1, 5], [0, 1]]), 1, atol=0.05)
    np.testing.assert_allclose(axes.T @ axes, np.eye(2), atol=1e-9)


def test_it_learns_and_is_opened_again(folder, tokenizer, data_root):
    manifest = open_artifact(folder).manifest
    step = manifest.steps[-1]
    assert step.metrics["accuracy"] > 0.8
    assert step.config["epochs"] == 25
    assert (manifest.model.architecture, manifest.model.weights) == ("edgepress_static", "trained")
    opened = open_model(str(folder), data=data_root)
    assert opened.tokenizer.get_vocab() == tokenizer.get_vocab()
    assert opened.model.config.embedding_size == 64  # the teacher's hidden size
    assert opened.longest == 64
    assert opened.labels == ("negative", "positive")
    assert opened.schedule.learning_rate == 1e-3  # as of all that is small, whatever it was made of


def test_the_first_weights_are_the_teachers_unless_random_ones_are_asked_for(teacher):
    own, again, random = (
        static_student(teacher, DistillOptions(student="static", init=init), TEXTS).model
        for init in ("teacher", "teacher", "random")
    )
    assert torch.equal(own.embedding.weight, again.embedding.weight)
    assert torch.equal(own.hidden.weight, random.hidden.weight)
    assert not torch.allclose(own.embedding.weight, random.embedding.weight, atol=1e-2)
    assert not own.embedding.weight[teacher.tokenizer.pad_token_id].any()


@pytest.mark.parametrize("form", [*QUICK, *first_slow(OTHERS, len(OTHERS))])
def test_every_format(folder, data_root, form, tmp_path):
    skip_without(form)
    opened, found = open_model(str(folder), data=data_root), find_format(form)
    path = tmp_path / found.file
    path.parent.mkdir(parents=True)
    found.write(opened.model, path, found.config(model="x"))
    rows = opened.tokenizer(SAID, return_tensors="np", padding=True)
    batch = {name: rows[name].astype(np.int64) for name in ("input_ids", "attention_mask")}
    with open_runner(path) as runner:
        difference = compare(
            EagerRunner(opened.model), runner, parity_batches([batch], opened.longest), opened.problem_type
        )
    assert difference.max_abs < HALF_PRECISION.get(form, 1e-4)


def test_trimmed_and_in_int8(folder, data_root, tmp_path):
    """The table is nearly all of the file: with a byte a number it is a quarter."""
    task = ("--task", "verdicts", "--data", data_root)
    trimmed, small = tmp_path / "trimmed", tmp_path / "small"
    run_well("compress.trim_vocab", "--model", folder, *task, "--size", 150, "--output", trimmed)
    run_well(
        *("compress.quantize", "--model", trimmed, *task, "--output", small),
        *("--scheme", "int8-weights", "--time-budget", 0),
    )
    manifest, opened = open_artifact(small).manifest, open_model(str(trimmed), data=data_root)
    assert (
        opened.model.config.vocab_size == len(opened.tokenizer) < len(AutoTokenizer.from_pretrained(folder))
    )
    assert [step.technique for step in manifest.steps] == ["distill", "trim_vocab", "quantize"]
    fp32, int8 = (small / "onnx" / name for name in ("model.onnx", "model_w8.onnx"))
    assert int8.stat().st_size < fp32.stat().st_size
    with open_runner(int8) as runner:
        rows = AutoTokenizer.from_pretrained(small)(SAID[0], return_tensors="np")
        said = runner({name: rows[name].astype(np.int64) for name in ("input_ids", "attention_mask")})
    np.testing.assert_allclose(said, logits(trimmed, SAID[:1]), atol=0.3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "scheme"),
    [("openvino", "int8-weights"), ("coreml", "int8-weights"), ("litert", "int8-weights")],
)
def test_int8_in_other_formats(folder, data_root, form, scheme, tmp_path):
    skip_without(form)
    flags = ("--model", folder, "--task", "verdicts", "--data", data_root, "--output", tmp_path / "small")
    run_well("compress.quantize", *flags, "--format", form, "--scheme", scheme, "--time-budget", 0)
    sizes: Counter[bool] = Counter()
    for file in open_artifact(tmp_path / "small").manifest.files:
        if file.format == form:  # OpenVINO's are two
            sizes[file.precision == "int8"] += file.size_bytes
    assert sizes[True] < 0.7 * sizes[False]


def script() -> str:
    """The script of the page that reads a folder with NumPy."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    (found,) = (block for block in blocks if "numpy" in block)
    return found


def test_numpy_gives_the_same_logits(folder, monkeypatch, capsys):
    """The page's own script, typed as the page says."""
    assert not re.search("torch|onnx|transformers|edgepress", script())
    names: dict[str, object] = {}
    monkeypatch.setattr("sys.argv", ["classify.py", str(folder), *SAID])
    exec(compile(script(), "classify.py", "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    expected = logits(folder, SAID)
    assert [line.split()[0] for line in printed] == [
        ("negative", "positive")[row] for row in expected.argmax(1)
    ]
    shown = [[float(number) for number in re.findall(r"-?\d+\.\d+", line)] for line in printed]
    np.testing.assert_allclose(shown, expected, atol=1e-3)
    assert len(script().splitlines()) <= 25


def refused(result: Result, output: Path, word: str) -> None:
    assert result.code == 2, result.err
    assert word in result.err
    assert "Traceback" not in result.err
    assert not output.exists()


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        (("--student", "static", "--embedding-size", 65), "the teacher's states have 64 numbers"),
        (("--student", "static", "--embedding-size", 0), "--embedding-size is out of range"),
        (("--student", "static", "--vocabulary", 100), "a static student has the teacher's tokens"),
        (("--student", "half", "--embedding-size", 16), "--embedding-size belongs to --student narrow"),
        (("--student", "static", "--hidden-weight", 1), "has no layers to compare"),
    ],
)
def test_flags_that_cannot_be(flags, tmp_path, changed, word):
    output = tmp_path / "out"
    refused(run_command("compress.distill", *flags, *changed, "--output", output), output, word)


def test_a_teacher_without_layers(folder, data_root):
    opened = open_model(str(folder), data=data_root)
    with pytest.raises(EdgepressError, match="has no layers whose states"):
        static_student(opened, DistillOptions(student="static"), TEXTS)
    random = static_student(opened, DistillOptions(student="static", init="random"), TEXTS)
    assert random.model.config.vocab_size == len(opened.tokenizer)
