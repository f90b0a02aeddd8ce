"""Zero-shot classification by a model of entailment, as a user types it, and as transformers does it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import SENTENCES, Result, manifest_of, run_well, small_bert
from huggingface_hub import ModelCard
from transformers import AutoConfig, BertForSequenceClassification, PreTrainedTokenizerFast, pipeline

import edgepress
from edgepress.core.errors import EdgepressError
from edgepress.core.hypotheses import make_hypotheses
from edgepress.core.task_discovery import find_task
from edgepress.core.tasks import TaskOptions

Cli = Callable[..., Result]
RELATIONS = ("contradiction", "neutral", "entailment")
TEMPLATE = "all things considered, {}"
ASKED = ("--hypothesis-template", TEMPLATE)
CLASSES = ("a delight", "a mess")
KNOWN = SENTENCES[:48]
"""Every subject with every verdict."""


@pytest.fixture(scope="module")
def nli_model(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Path:
    """A model that knows which hypothesis a sentence entails: the likeable ones, that they are a delight."""
    model: BertForSequenceClassification = small_bert(len(tokenizer), RELATIONS)
    right = [(text, CLASSES[label == "negative"], 2) for text, label in KNOWN]
    wrong = [(text, CLASSES[label == "positive"], 0) for text, label in KNOWN]
    rows = [*right, *wrong]
    first, second, labels = zip(*rows, strict=True)
    batch = tokenizer(
        list(first), [TEMPLATE.format(own) for own in second], padding=True, return_tensors="pt"
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loss = torch.ones(())
    while loss > 0.05:  # however long that takes on this CPU
        optimizer.zero_grad()
        loss = model(**batch, labels=torch.tensor(labels)).loss
        loss.backward()
        optimizer.step()
    folder = tmp_path_factory.mktemp("models") / "nli"
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of texts with the classes that the model is asked about."""
    path = tmp_path_factory.mktemp("data") / "verdicts.csv"
    rows = [f'"{text}",{CLASSES[label == "negative"]}' for text, label in KNOWN]
    path.write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def exported(nli_model: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("zero") / "out"
    flags = ("--task", table, "--problem-type", "zero-shot", *ASKED, "--output", out, "--eval-samples", 24)
    run_well("export.onnx", "--model", nli_model, *flags)
    return out


def test_a_table_is_scored_by_its_classes(exported: Path) -> None:
    manifest = manifest_of(exported)
    metrics = manifest.steps[-1].metrics
    (record,) = metrics["files"]
    assert record["score"] == metrics["parent_score"] > 0.9
    assert set(record["recalls"]) == set(CLASSES)
    assert metrics["evaluation_set"]["texts"] == 24
    assert manifest.data is not None
    assert manifest.data["labels"] == list(RELATIONS)
    assert manifest.data["hypotheses"] == {
        "candidates": list(CLASSES),
        "template": TEMPLATE,
        "entailment_label": "entailment",
        "column": 2,
    }
    assert AutoConfig.from_pretrained(exported).id2label == dict(enumerate(RELATIONS))


def test_transformers_gives_the_same_scores(cli: Cli, nli_model: Path) -> None:
    ask = pipeline("zero-shot-classification", str(nli_model), device="cpu")
    texts = [text for text, _ in SENTENCES[:6]]
    for template in (TEMPLATE, None):
        more = () if template is None else ("--hypothesis-template", template)
        said = cli("export.predict", nli_model, "--json", "--text", *texts, "--labels", *CLASSES, *more)
        assert said.code == 0, said.err
        ours = [json.loads(line) for line in said.out.splitlines()]
        theirs = ask(texts, list(CLASSES), **({} if template is None else {"hypothesis_template": template}))
        for own, other in zip(ours, theirs, strict=True):
            assert own["label"] == other["labels"][0]
            scores = dict(zip(other["labels"], other["scores"], strict=True))
            assert own["probabilities"] == pytest.approx(scores, abs=1e-5)


def test_a_file_is_asked_as_its_manifest_says_or_as_the_user_does(cli: Cli, exported: Path) -> None:
    said = cli("export.predict", exported, "--json", "--text", "the film is a tedious mess.")
    assert said.code == 0, said.err
    assert json.loads(said.out)["label"] == "a mess"
    assert "onnx" in said.err
    other = cli(
        "export.predict", exported, "--json", "--text", "the film", "--labels", "film", "story", "mess"
    )
    assert set(json.loads(other.out)["probabilities"]) == {"film", "story", "mess"}


def test_the_library_asks_alike(nli_model: Path, exported: Path, table: Path) -> None:
    model = edgepress.load(nli_model, labels=CLASSES, hypothesis_template=TEMPLATE)
    (found,) = model.predict(["the film is a quiet delight."])
    assert isinstance(found, edgepress.Prediction)
    assert (found.label, set(found.probabilities)) == ("a delight", set(CLASSES))
    scored = edgepress.load(nli_model, task=table, problem_type="zero-shot", hypothesis_template=TEMPLATE)
    evaluation = scored.evaluate(samples=24)
    assert evaluation.score == manifest_of(exported).steps[-1].metrics["parent_score"]


def test_the_library_asks_about_other_classes_than_the_model_s_own(exported: Path, table: Path) -> None:
    model = edgepress.load(exported, labels=("film", "story", "mess"))
    (found,) = model.predict(["the film is a quiet delight."])
    assert isinstance(found, edgepress.Prediction)
    assert set(found.probabilities) == {"film", "story", "mess"}
    with pytest.raises(EdgepressError, match="one text at once"):
        model.predict([("the film", "a mess")])
    with pytest.raises(EdgepressError, match="task= has its own"):
        edgepress.load(exported, labels=CLASSES, task=table)
    with pytest.raises(EdgepressError, match="2 labels to choose from"):
        edgepress.load(exported, labels=("a mess", "A mess"))


def test_of_a_long_text_the_hypothesis_is_read_whole(nli_model: Path) -> None:
    model = edgepress.load(nli_model, labels=CLASSES, hypothesis_template=TEMPLATE)
    kind, tokenizer = model.opened.kind, model.tokenizer
    long = " ".join(["film"] * 200)
    for batch, own in zip(kind.batches(tokenizer, [(long,)], 32), CLASSES, strict=True):
        assert batch["input_ids"].shape == (1, 32)
        assert tokenizer.decode(batch["input_ids"][0]).endswith(f"considered , {own} [SEP]")
    with pytest.raises(EdgepressError, match="has 6 tokens, and the model reads 9"):
        kind.batches(tokenizer, [(long,)], 9)


@pytest.mark.slow
def test_it_is_quantized_and_measured(cli: Cli, nli_model: Path, table: Path, tmp_path: Path) -> None:
    out, records = tmp_path / "int8", tmp_path / "records.jsonl"
    flags = ("--task", table, "--problem-type", "zero-shot", *ASKED, "--output", out, "--time-budget", 0)
    result = cli("compress.quantize", "--model", nli_model, *flags, "--eval-samples", 24)
    assert result.code == 0, result.err
    (variant,) = manifest_of(out).steps[-1].metrics["variants"]
    assert variant["score"] > 0.7
    assert result.out.rstrip().endswith("onnx/model_quantized.onnx --text 'a film to remember'")
    flags = ("--sequence-lengths", 16, "--launches", 1, "--time-budget", 0.3, "--task", table)
    result = cli("device_bench.run", "--artifacts", out, "--output", records, *flags, "--eval-samples", 24)
    assert result.code == 0, result.err
    assert {json.loads(line)["score"] for line in records.read_text().splitlines()} >= {variant["score"]}


@pytest.mark.slow
def test_the_card_has_a_program_that_runs(exported: Path) -> None:
    card = ModelCard.load(exported / "README.md")
    assert card.data.pipeline_tag == "zero-shot-classification"
    program = card.text.partition("```python\n")[2].partition("```")[0]
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=exported
    )
    assert done.returncode == 0, done.stderr
    assert "entailment" in done.stdout


def test_a_zoo_task_is_asked_by_the_names_of_its_classes(data_root: Path) -> None:
    from edgepress.core.tasks.task import TrainedHead

    head = TrainedHead(RELATIONS)
    task = find_task("sst2", None, TaskOptions(problem_type="zero-shot"), head)
    assert (task.labels, task.classes) == (RELATIONS, ("negative", "positive"))
    renamed = TaskOptions(problem_type="zero-shot", label_map={"negative": "a mess"})
    task = find_task(str(data_root / "verdicts"), None, renamed, head)
    assert task.classes == ("a mess", "positive")
    assert task.label_ids == {"negative": 0, "positive": 1}


WRONG = {
    "no entailment": ((("no", "yes"), CLASSES), "which label means entailment is not clear"),
    "no classifier": (((), CLASSES), "the model is none"),
    "two of them": ((("entailment", "entailed"), CLASSES), "which label means entailment is not clear"),
    "not a label of it": ((RELATIONS, CLASSES, None, "implied"), "the model has no label 'implied'"),
    "no place": ((RELATIONS, CLASSES, "about films"), "has no place for a label"),
    "another place": ((RELATIONS, CLASSES, "about {name}"), "has no place for a label"),
    "a place of something else": ((RELATIONS, CLASSES, "about {.name}"), "has no place for a label"),
    "one class": ((RELATIONS, CLASSES[:1]), "1 labels to choose from"),
    "twice": ((RELATIONS, ("a", "a")), "name two or more, each once"),
    "twice, but for the case": ((RELATIONS, ("Sports", " sports")), "name two or more, each once"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_asked(case: str) -> None:
    given, word = WRONG[case]
    with pytest.raises(EdgepressError) as error:
        make_hypotheses(*given)
    assert word in error.value.with_hint


def test_the_flag_says_what_entails() -> None:
    asked = make_hypotheses(("LABEL_0", "LABEL_1"), CLASSES, entailment_label="label_1")
    assert (asked.entailment_label, asked.column) == ("LABEL_1", 1)
    assert asked.texts == ("This example is a delight.", "This example is a mess.")


REFUSED = {
    "training": (("compress.prune", "--ffn", 0.5), "never trained on"),
    "a new head": (("compress.finetune", "--head", "new"), "was trained on entailment"),
    "no such label": (("export.onnx", "--entailment-label", "implied"), "no label 'implied'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(cli: Cli, nli_model: Path, table: Path, tmp_path: Path, case: str) -> None:
    (module, *flags), word = REFUSED[case]
    own = ("--task", table, "--problem-type", "zero-shot", "--output", tmp_path / "out")
    result = cli(module, "--model", nli_model, *own, *flags)
    assert (result.code, (tmp_path / "out").exists()) == (2, False), result.err
    assert word in result.error


def test_a_classifier_of_other_things_is_refused(cli: Cli, model_folder: Path) -> None:
    result = cli("export.predict", model_folder, "--text", "the film", "--labels", *CLASSES)
    assert (result.code, result.out) == (2, "")
    assert "which label means entailment is not clear" in result.error
    assert "--entailment-label" in result.err
