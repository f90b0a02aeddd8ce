"""What was written, opened by others: transformers, optimum, onnx, an older ONNX Runtime, transformers.js."""

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from alike import sentence_folder
from conftest import SENTENCES
from questions import entries
from tokenizer_kinds import KINDS, fast
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import edgepress
from edgepress.core.loading import open_model, save_model
from edgepress.core.pretrained import encode
from export.core.config import ExportConfig
from export.core.scheme import CPU_TARGETS, Options
from export.onnx import OnnxRunner, export
from export.onnx_graph.schemes import SCHEMES
from export.onnx_graph.text.model import add_tokenizer
from export.validation.tokenizer import HARD_STRINGS

CLIENTS = Path(__file__).parent / "clients"
TEXTS = [text for text, _ in SENTENCES[::9]]
ONNX_FILES = ["model.onnx", *(scheme.file_name for scheme in SCHEMES.values())]
# What the Android demo runs; int4 needs ONNX Runtime 1.20.
ANDROID_FILES = ["model.onnx", "model_quantized.onnx", "model_int8.onnx", "model_fp16.onnx"]
OLD_RUNTIME, OLD_EXTENSIONS = "1.17", "0.13"
OPTIMUM = (
    "optimum==2.1.*",
    "optimum-onnx==0.1.*",
    "transformers==4.57.*",
    "huggingface-hub==0.36.*",
    "tokenizers==0.22.*",
)
SENTENCE_TRANSFORMERS = "sentence-transformers==6.2.*"
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# transformers.js lowercases a sigma by its place in the word and does not take every block of
# ideographs apart; its own, with any model.
OTHER_IN_JAVASCRIPT = {"Greek", "rare ideographs"}
# It normalizes by NFKC of the whole text instead of SentencePiece's table, which the tokenizers library
# looks up by the grapheme, and it leaves NEL out of white space.
OTHER_WITH_A_TABLE = {
    "only white space",
    "many combining accents",
    "Japanese",
    "right to left with overrides",
    "emoji of several code points",
    "format characters",
}
# A run of carriage return, vertical tab and form feed is not merged.
OTHER_WITH_BYTES = {"only white space"}
OTHER_BY_KIND = {
    "RoBERTa": OTHER_WITH_BYTES,
    "ModernBERT": OTHER_WITH_BYTES,
    "XLM-R": OTHER_WITH_A_TABLE,
    "CamemBERT": OTHER_WITH_A_TABLE,
    "DeBERTa-v3": OTHER_WITH_A_TABLE,
    "DeBERTa-v3 under transformers 5": set(),
}


@pytest.fixture(scope="module")
def folder(model_folder, tmp_path_factory) -> Path:
    """The small trained model with every ONNX file."""
    target = tmp_path_factory.mktemp("clients") / "small-bert"
    opened = open_model(str(model_folder))
    save_model(opened, target)
    parent = target / "onnx" / "model.onnx"
    export(opened.model, parent)
    options = Options(
        CPU_TARGETS["avx2"],  # right on every CPU
        calibration_batches=encode(opened.tokenizer, [(text,) for text in TEXTS], opened.longest),
    )
    for scheme in SCHEMES.values():
        scheme.quantize(parent, parent.with_name(scheme.file_name), options)
    return target


@pytest.fixture(scope="module")
def batches(folder) -> list[dict[str, np.ndarray]]:
    return encode(AutoTokenizer.from_pretrained(folder), [(text,) for text in TEXTS], 64)


@pytest.fixture(scope="module")
def wanted(model_folder, batches) -> np.ndarray:
    """Logits of the parent in torch, (texts, labels)."""
    model = open_model(str(model_folder)).model
    with torch.no_grad():
        return np.concatenate(
            [model(**{k: torch.from_numpy(v) for k, v in b.items()}).logits.numpy() for b in batches]
        )


def assert_alike(logits: np.ndarray, wanted: np.ndarray, exact: bool, atol: float = 1e-4) -> None:
    """The same labels, and where the file is exact the same logits."""
    assert np.array_equal(logits.argmax(-1), wanted.argmax(-1))
    if exact:
        assert np.abs(logits - wanted).max() < atol


def test_transformers(folder, batches, wanted):
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        logits = [model(**{k: torch.from_numpy(v) for k, v in b.items()}).logits.numpy() for b in batches]
    assert_alike(np.concatenate(logits), wanted, exact=True, atol=1e-6)
    assert model.config.id2label == {0: "negative", 1: "positive"}


@pytest.mark.parametrize("file", ONNX_FILES)
def test_onnx_checker(folder, file):
    onnx.checker.check_model(str(folder / "onnx" / file), full_check=True)


@pytest.mark.parametrize("file", ANDROID_FILES)
def test_opset_and_ir_version_are_those_that_older_runtimes_open(folder, file):
    model = onnx.load(str(folder / "onnx" / file))
    assert model.ir_version <= 8
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == 17


def saved(batches: list[dict[str, np.ndarray]], target: Path) -> Path:
    """The batches as the programs in `clients` read them."""
    arrays = {f"{name}/{at}": value for at, batch in enumerate(batches) for name, value in batch.items()}
    np.savez(target, **arrays)
    return target


def ran(command: list[object], **options) -> str:
    """The standard output of a program that has to succeed."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def prepared(what: str, folder: Path, *commands: list[object]) -> Path:
    """A folder in pytest's cache with a client in it; the test skips where it cannot be had."""
    stamp = folder / "ready"
    for command in () if stamp.exists() else commands:
        done = subprocess.run([*map(str, command)], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = next((line for line in done.stderr.splitlines() if "error" in line.lower()), "")
            pytest.skip(f"{what} cannot be installed here: {reason}")
    stamp.touch()
    return folder


@pytest.fixture(scope="module")
def old_python(request) -> Path:
    """A Python with an ONNX Runtime as old as phones have."""
    folder = request.config.cache.mkdir(f"onnxruntime-{OLD_RUNTIME}-{OLD_EXTENSIONS}")
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        venv.create(folder, with_pip=True)
    packages = f"onnxruntime=={OLD_RUNTIME}.*", f"onnxruntime-extensions=={OLD_EXTENSIONS}.*", "numpy<2"
    prepared(f"onnxruntime {OLD_RUNTIME}", folder, [python, "-m", "pip", "install", "--quiet", *packages])
    return python


@pytest.fixture(scope="module")
def optimum(request) -> dict[str, str]:
    """An environment in which optimum is found, with the transformers that it needs; torch is this one's."""
    folder = request.config.cache.mkdir("-".join(OPTIMUM).replace("=", "").replace("*", "x"))
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, *OPTIMUM]
    prepared("optimum", folder, install)
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.mark.slow
def test_optimum(folder, with_tokenizer, batches, wanted, optimum, tmp_path):
    source, target = saved(batches, tmp_path / "batches.npz"), tmp_path / "logits.npz"
    command = [sys.executable, CLIENTS / "run_optimum.py", source, target, folder, *ONNX_FILES]
    assert json.loads(ran(command, env=optimum, cwd=tmp_path)) == {"0": "negative", "1": "positive"}
    found = np.load(target)
    for file in ONNX_FILES:
        assert_alike(found[file], wanted, exact=file == "model.onnx")
    assert_alike(found["default"], wanted, exact=True)  # and not the file that takes strings


@pytest.mark.slow
def test_older_onnxruntime(folder, batches, wanted, old_python, tmp_path):
    files = [folder / "onnx" / file for file in ANDROID_FILES]
    source = saved(batches, tmp_path / "batches.npz")
    ran([old_python, CLIENTS / "run_onnx.py", source, tmp_path / "logits.npz", *files])
    found = np.load(tmp_path / "logits.npz")
    assert str(found["version"]).startswith(OLD_RUNTIME)
    for file in files:
        with OnnxRunner(file) as runner:
            current = np.concatenate([runner(batch) for batch in batches])
        assert_alike(found[str(file)], current, exact=file.name == "model.onnx")
        assert_alike(found[str(file)], wanted, exact=file.name == "model.onnx")


@pytest.fixture(scope="module")
def javascript(request) -> Path:
    """A project with transformers.js; nothing of it is compiled or fetched from elsewhere than npm."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    version = json.loads((CLIENTS / "package.json").read_text())["dependencies"]["@huggingface/transformers"]
    project = request.config.cache.mkdir(f"transformers.js-{version}")
    for file in ("package.json", "package-lock.json", "classify.mjs", "ask.mjs"):
        shutil.copy(CLIENTS / file, project)
    install = [shutil.which("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    return prepared("transformers.js", project, install)


@pytest.mark.slow
def test_transformers_js(folder, wanted, javascript):
    order = {
        "folder": str(folder),
        "dtypes": ["fp32", "q8"],
        "texts": TEXTS,
        "strings": list(HARD_STRINGS.values()),
    }
    answer = json.loads(ran(["node", "classify.mjs"], cwd=javascript, input=json.dumps(order)))
    labels = ("negative", "positive")
    probabilities = torch.from_numpy(wanted).softmax(-1).numpy()
    for dtype, rows in answer["scores"].items():
        scores = np.array(
            [[{s["label"]: s["score"] for s in row}[label] for label in labels] for row in rows]
        )
        assert_alike(scores, probabilities, exact=dtype == "fp32", atol=1e-3)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    strings = zip(HARD_STRINGS.items(), answer["ids"], strict=True)
    other = {name for (name, text), ids in strings if ids != tokenizer(text)["input_ids"]}
    assert other <= OTHER_IN_JAVASCRIPT


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ids_of_transformers_js(kind, javascript, tmp_path):
    tokenizer = fast(KINDS[kind]())
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "roberta"}')
    order = {"folder": str(tmp_path), "dtypes": [], "texts": [], "strings": list(HARD_STRINGS.values())}
    answer = json.loads(ran(["node", "classify.mjs"], cwd=javascript, input=json.dumps(order)))
    strings = zip(HARD_STRINGS.items(), answer["ids"], strict=True)
    other = {name for (name, text), ids in strings if ids != tokenizer(text)["input_ids"]}
    assert other <= OTHER_BY_KIND[kind]


def asked_in_javascript(project: Path, folder: Path, task: str, asked: list) -> dict[str, list]:
    """What one of transformers.js' pipelines says, by the whole file and by the one of int8."""
    order = {"folder": str(folder), "task": task, "dtypes": ["fp32", "q8"], "asked": asked}
    return json.loads(ran(["node", "ask.mjs"], cwd=project, input=json.dumps(order)))


def entities_of(tokens: list[dict]) -> list[tuple[str, str]]:
    """Entities, by the tags of words' first pieces."""
    words: list[tuple[str, str]] = []
    for token in tokens:
        if token["word"].startswith("##"):
            words[-1] = words[-1][0] + token["word"][2:], words[-1][1]
        else:
            words.append((token["word"], token["entity"]))
    found: list[tuple[str, str]] = []
    for word, tag in words:
        if tag.startswith("B-"):
            found.append((word, tag[2:]))
        elif tag.startswith("I-"):
            found[-1] = f"{found[-1][0]} {word}", found[-1][1]
    return found


@pytest.mark.slow
def test_transformers_js_finds_the_same_entities(
    cli, entity_model, entities, javascript, tmp_path, monkeypatch
):
    monkeypatch.setenv("EDGEPRESS_DATA", str(entities.parent))
    out = tmp_path / "finder"
    flags = ("--model", entity_model, "--output", out, "--scheme", "fp32", "int8")
    assert cli("export.onnx", *flags).code == 0
    texts = [text for text, _ in SENTENCES[:24:5]]
    asked = [[text, {"ignore_labels": []}] for text in texts]
    found = asked_in_javascript(javascript, out, "token-classification", asked)
    ours = [[(own.text, own.label) for own in one.entities] for one in edgepress.load(out).predict(texts)]
    assert any(ours)
    assert [entities_of(tokens) for tokens in found["fp32"]] == ours
    assert [len(tokens) for tokens in found["q8"]] == [len(tokens) for tokens in found["fp32"]]


@pytest.mark.slow
def test_transformers_js_fills_the_same_masks(cli, masked_model, data_root, javascript, tmp_path):
    out = tmp_path / "filler"
    flags = ("--task", "verdicts", "--data", data_root, "--scheme", "fp32", "int8", "--output", out)
    assert cli("export.onnx", "--model", masked_model, *flags).code == 0
    texts = ["the film is a quiet [MASK]", "her [MASK] falls apart."]
    found = asked_in_javascript(javascript, out, "fill-mask", [[text] for text in texts])
    for theirs, ours in zip(found["fp32"], edgepress.load(out).predict(texts), strict=True):
        assert [own["token_str"] for own in theirs] == [own.token for own in ours.masks[0]]
        assert [own["score"] for own in theirs] == pytest.approx(
            [own.score for own in ours.masks[0]], abs=1e-3
        )
    assert [len(own) for own in found["q8"]] == [5, 5]


@pytest.mark.slow
def test_transformers_js_answers_questions(cli, answer_model, questions, javascript, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEPRESS_DATA", str(questions.parent))
    out = tmp_path / "answerer"
    flags = ("--model", answer_model, "--output", out, "--scheme", "fp32", "int8")
    assert cli("export.onnx", *flags).code == 0
    # Those that the model, trained with short windows, reads whole.
    asked = [own[:2] for own in entries() if len(own[0].split()) <= 3 and len(own[1].split()) <= 12]
    assert len(asked) > 4
    found = asked_in_javascript(javascript, out, "question-answering", asked)
    ours = edgepress.load(out).predict(asked)
    assert [own["answer"] for own in found["fp32"]] == [own.answer for own in ours]
    assert len(found["q8"]) == len(asked)


@pytest.fixture(scope="module")
def sentence_model(bare_encoder, tmp_path_factory) -> Path:
    """A folder of sentence-transformers, its vectors the first tokens' of length 1."""
    pooling = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    return sentence_folder(bare_encoder, tmp_path_factory.mktemp("clients") / "vectors", pooling=pooling)


@pytest.fixture(scope="module")
def vector_files(cli, sentence_model, tmp_path_factory) -> Path:
    """An artifact of that with ONNX files that give the states of tokens, too."""
    out = tmp_path_factory.mktemp("clients") / "exported"
    flags = ("--scheme", "fp32", "int8", "--token-states", "--eval-samples", 8)
    result = cli("export.onnx", "--model", sentence_model, "--output", out, *flags)
    assert result.code == 0, result.err
    return out


def vectors_of(folder: Path) -> np.ndarray:
    return np.asarray([own.embedding for own in edgepress.load(folder).predict(TEXTS)])


@pytest.fixture(scope="module")
def sentence_transformers(request) -> dict[str, str]:
    """An environment in which sentence-transformers is found; torch and transformers are this one's."""
    folder = request.config.cache.mkdir(SENTENCE_TRANSFORMERS.replace("=", "").replace("*", "x"))
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder]
    prepared("sentence-transformers", folder, [*install, SENTENCE_TRANSFORMERS])
    return {**os.environ, "PYTHONPATH": str(folder), "HF_HUB_OFFLINE": "1"}


@pytest.mark.slow
def test_sentence_transformers(vector_files, sentence_transformers, tmp_path):
    saved_there = tmp_path / "saved"
    command = [sys.executable, CLIENTS / "run_sentence_transformers.py"]
    said = ran([*command, vector_files, saved_there], env=sentence_transformers, input=json.dumps(TEXTS))
    theirs, ours = json.loads(said), vectors_of(vector_files)
    assert np.abs(np.asarray(theirs["vectors"]) - ours).max() < 1e-5
    assert theirs["longest"] == 32
    # As it saves a model today, in files of other names and keys.
    assert np.abs(vectors_of(saved_there) - ours).max() < 1e-6


@pytest.mark.slow
def test_transformers_js_gives_vectors(vector_files, javascript):
    asked = [[text, {"pooling": "cls", "normalize": True}] for text in TEXTS]
    found = asked_in_javascript(javascript, vector_files, "feature-extraction", asked)
    ours = vectors_of(vector_files)
    assert np.abs(np.concatenate(found["fp32"]) - ours).max() < 1e-3
    assert (np.concatenate(found["q8"]) * ours).sum(axis=-1).min() > 0.9


def test_token_states_are_of_vectors(cli, vector_files, model_folder, tmp_path):
    session = onnx.load(str(vector_files / "onnx" / "model.onnx"))
    assert [own.name for own in session.graph.output] == ["sentence_embedding", "last_hidden_state"]
    flags = ("--model", model_folder, "--output", tmp_path / "out", "--token-states")
    refused = cli("export.onnx", *flags)
    assert (refused.code, "--token-states is of models that give vectors" in refused.err) == (2, True)


@pytest.fixture(scope="module")
def with_tokenizer(folder) -> Path:
    """The file that takes strings, beside the others."""
    opened, target = open_model(str(folder)), folder / "onnx" / "model_with_tokenizer.onnx"
    labels = ("negative", "positive")
    add_tokenizer(
        folder / "onnx" / "model.onnx", target, opened.tokenizer, opened.longest, opened.problem_type, labels
    )
    return target


@pytest.mark.slow
def test_older_extensions_give_the_same_ids(folder, with_tokenizer, old_python):
    strings = list(HARD_STRINGS.values())
    ids = json.loads(ran([old_python, CLIENTS / "run_strings.py", with_tokenizer], input=json.dumps(strings)))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert ids == [tokenizer(text, truncation=True, max_length=64)["input_ids"] for text in strings]


def test_torchscript_without_transformers(model_folder, batches, wanted, tmp_path):
    torchscript = pytest.importorskip("export.torchscript")
    file = tmp_path / "model.pt"
    torchscript.FORMAT.write(open_model(str(model_folder)).model, file, ExportConfig(model=""))
    source, target = saved(batches, tmp_path / "batches.npz"), tmp_path / "logits.npz"
    ran([sys.executable, CLIENTS / "run_torchscript.py", source, target, file, *INPUTS])
    assert_alike(np.load(target)["logits"], wanted, exact=True)
