"""A user's own classifier and data through the commands: the right score, and the model's own class names."""

import json
from pathlib import Path

import onnx
import pytest
from conftest import SENTENCES, small_bert, write_split
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast

from edgepress.core.artifact import open_artifact

EXPORT = ("--eval-samples", 100)
LEARN = ("--epochs", 1, "--learning-rate", "1e-3")
WORDS = {"POS": "positive", "NEG": "negative", "NEU": "neutral"}


@pytest.fixture
def classifier(trained_bert, tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Path:
    """The trained small BERT with a third class in its head that never wins, as 0 POS, 1 NEG, 2 NEU."""
    model = small_bert(len(tokenizer), tuple(WORDS))
    weights = dict(trained_bert.state_dict())
    own = model.state_dict()
    own.update({name: value for name, value in weights.items() if not name.startswith("classifier")})
    own["classifier.weight"][0] = weights["classifier.weight"][1]
    own["classifier.weight"][1] = weights["classifier.weight"][0]
    own["classifier.weight"][2] = 0
    own["classifier.bias"][:] = weights["classifier.bias"][[1, 0, 0]]
    own["classifier.bias"][2] = -100
    model.load_state_dict(own)
    folder = tmp_path / "own"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def data(folder: Path, spelling: dict[str, object], name: str = "own_data") -> Path:
    """Train and validation with labels as they are spelled; one row is of the class that never wins."""
    rows = [(text, spelling[label]) for text, label in SENTENCES]
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
    neutral = json.dumps({"text": "the film", "label": spelling["neutral"]})
    (folder / name).mkdir()
    for split, part in (("train", lines), ("dev", lines[::5])):
        (folder / name / f"{split}.jsonl").write_text("\n".join([*part, neutral]) + "\n")
    return folder / name


# 29 of 30 rows: all but the neutral one.
RIGHT = 29 / 30


def exported(cli, classifier: Path, task: Path, tmp_path: Path, *flags: object):
    out = tmp_path / "out"
    result = cli("export.onnx", "--model", classifier, "--task", task, "--output", out, *EXPORT, *flags)
    return result, out


@pytest.mark.parametrize(
    ("spelling", "flags"),
    [
        ({"positive": "pos", "negative": "neg", "neutral": "neu"}, ()),
        ({"positive": "POS ", "negative": " Neg", "neutral": "nEu"}, ()),
        ({"positive": 0, "negative": 1, "neutral": 2}, ()),
        ({"positive": "0", "negative": "1", "neutral": "2"}, ()),
        ({"positive": 0.0, "negative": 1.0, "neutral": 2.0}, ()),
        (
            {"positive": "positive", "negative": "negative", "neutral": "neutral"},
            ("--label-map", "positive=POS", "negative=NEG", "neutral=NEU"),
        ),
        ({"positive": 1, "negative": 2, "neutral": 3}, ("--label-map", "1=0", "2=1", "3=2")),
    ],
)
def test_the_score_is_right_and_the_names_stay(cli, classifier, tmp_path, spelling, flags):
    result, out = exported(cli, classifier, data(tmp_path, spelling), tmp_path, *flags)
    assert result.code == 0, result.err
    step = open_artifact(out).manifest.steps[-1]
    assert step.metrics["parent_score"] == pytest.approx(RIGHT, abs=0.001)
    assert json.loads((out / "config.json").read_text())["id2label"] == {"0": "POS", "1": "NEG", "2": "NEU"}
    facts = {entry.key: entry.value for entry in onnx.load(out / "onnx" / "model.onnx").metadata_props}
    assert json.loads(facts["labels"]) == ["POS", "NEG", "NEU"]


@pytest.mark.parametrize(
    "spelling",
    [
        {"positive": "positive", "negative": "negative", "neutral": "neutral"},
        {"positive": 1, "negative": 2, "neutral": 3},
    ],
)
def test_doubtful_labels_write_nothing(cli, classifier, tmp_path, spelling):
    result, out = exported(cli, classifier, data(tmp_path, spelling), tmp_path)
    assert result.code == 2
    assert "labels do not fit" in result.error
    assert "['POS', 'NEG', 'NEU']" in result.err
    assert "--label-map" in result.err
    assert not out.exists()


def test_training_goes_on_from_a_head_with_its_own_names(cli, classifier, tmp_path):
    task = data(tmp_path, {"positive": "pos", "negative": "neg", "neutral": "neu"})
    out = tmp_path / "tuned"
    result = cli("compress.finetune", "--model", classifier, "--task", task, "--output", out, *LEARN)
    assert result.code == 0, result.err
    model = AutoModelForSequenceClassification.from_pretrained(out)
    assert model.config.id2label == {0: "POS", 1: "NEG", 2: "NEU"}
    assert open_artifact(out).manifest.steps[-1].metrics["accuracy"] > 0.9
    assert open_artifact(out).manifest.data["files"]["validation"] == ["dev.jsonl"]


def test_a_new_head_takes_the_datas_names(cli, classifier, tmp_path, data_root):
    common = (
        "--model",
        classifier,
        "--task",
        "verdicts",
        "--data",
        data_root,
        "--output",
        tmp_path / "tuned",
    )
    refused = cli("compress.finetune", *common, *LEARN)
    assert refused.code == 2
    assert "--head new" in refused.err
    result = cli("compress.finetune", *common, *LEARN, "--head", "new")
    assert result.code == 0, result.err
    config = json.loads((tmp_path / "tuned" / "config.json").read_text())
    assert config["id2label"] == {"0": "negative", "1": "positive"}


def test_a_student_learns_the_teachers_names(cli, classifier, bare_encoder, tmp_path):
    task = data(tmp_path, {"positive": 0, "negative": 1, "neutral": 2})
    flags = ("--teacher", classifier, "--task", task, "--no-train-baseline", *LEARN)
    for student in ("half", str(bare_encoder)):
        out = tmp_path / Path(student).name
        result = cli("compress.distill", *flags, "--student", student, "--output", out)
        assert result.code == 0, result.err
        config = json.loads((out / "config.json").read_text())
        assert config["id2label"] == {"0": "POS", "1": "NEG", "2": "NEU"}
        metrics = open_artifact(out).manifest.steps[-1].metrics
        assert metrics["teacher"]["accuracy"] == pytest.approx(RIGHT, abs=0.001)


def test_a_student_with_other_labels_is_refused(cli, classifier, model_folder, tmp_path):
    task = data(tmp_path, {"positive": 0, "negative": 1, "neutral": 2})
    flags = ("--teacher", classifier, "--task", task, "--student", model_folder, "--output", tmp_path / "out")
    result = cli("compress.distill", *flags, *LEARN)
    assert result.code == 2
    assert "labels do not fit" in result.error
    assert "--head new" in result.err
    assert cli("compress.distill", *flags, *LEARN, "--head", "new", "--no-train-baseline").code == 0


def test_what_was_decided_once_is_recorded(cli, classifier, tmp_path):
    task = data(tmp_path, {"positive": "positive", "negative": "negative", "neutral": "neutral"})
    flags = ("--label-map", "positive=POS", "negative=NEG", "neutral=NEU")
    tuned = tmp_path / "tuned"
    result = cli(
        "compress.finetune", "--model", classifier, "--task", task, "--output", tuned, *LEARN, *flags
    )
    assert result.code == 0, result.err
    out = tmp_path / "out"
    result = cli("export.onnx", "--model", tuned, "--data", tmp_path, "--output", out, *EXPORT)
    assert result.code == 0, result.err
    assert open_artifact(out).manifest.steps[-1].metrics["parent_score"] > 0.9


@pytest.fixture
def spam(tmp_path: Path) -> Path:
    """A folder with one 0/1 column."""
    (tmp_path / "spam").mkdir()
    lines = [f"{text.replace(',', '')},{int(label == 'positive')}" for text, label in SENTENCES]
    for split, part in (("train", lines), ("valid", lines[::5])):
        (tmp_path / "spam" / f"{split}.csv").write_text("\n".join(["text,spam", *part]) + "\n")
    return tmp_path / "spam"


def test_one_flag_trains_and_is_scored(cli, bare_encoder, spam, tmp_path):
    out = tmp_path / "out"
    flags = ("--task", spam, "--output", out, "--epochs", 8, "--learning-rate", "1e-3")
    result = cli("compress.finetune", "--model", bare_encoder, *flags)
    assert result.code == 0, result.err
    metrics = open_artifact(out).manifest.steps[-1].metrics
    (matrix,) = metrics["confusion"].values()
    (no_no, no_yes), (yes_no, yes_yes) = matrix
    assert (
        metrics["f1_micro"]
        == metrics["f1_macro"]
        == pytest.approx(2 * yes_yes / (2 * yes_yes + no_yes + yes_no))
    )
    assert metrics["hamming_labelwise"] == pytest.approx((no_no + yes_yes) / sum(map(sum, matrix)))
    assert (out / "pictures" / "confusion.png").is_file()


def test_a_column_named_labels(cli, bare_encoder, spam, tmp_path):
    for path in spam.iterdir():
        path.write_text(path.read_text().replace("text,spam", "text,labels"))
    out = tmp_path / "out"
    result = cli("compress.finetune", "--model", bare_encoder, "--task", spam, "--output", out, *LEARN)
    assert result.code == 0, result.err
    assert (out / "pictures" / "confusion.png").is_file()


def test_constant_values_are_undefined_and_null(cli, bare_encoder, tmp_path):
    folder = tmp_path / "same"
    folder.mkdir()
    lines = [json.dumps({"text": text, "label": 1.5}) for text, _ in SENTENCES[:20]]
    for split in ("train", "validation"):
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    out = tmp_path / "out"
    result = cli("compress.finetune", "--model", bare_encoder, "--task", folder, "--output", out, *LEARN)
    assert result.code == 0, result.err
    assert "spearman undefined" in result.out
    assert "all labels are the same" in result.err
    manifest = json.loads((out / "manifest.json").read_text(), parse_constant=pytest.fail)
    assert manifest["steps"][-1]["metrics"]["spearman"] is None
    after = cli("export.onnx", "--model", out, "--data", tmp_path, "--output", tmp_path / "onnx", *EXPORT)
    assert after.code == 0, after.err


def test_a_score_on_the_train_split_is_called_so(cli, bare_encoder, tmp_path):
    write_split(tmp_path / "alone" / "train.jsonl", SENTENCES)
    flags = ("--model", bare_encoder, "--task", tmp_path / "alone", "--output", tmp_path / "out", *LEARN)
    result = cli("compress.finetune", *flags, "--split", "train")
    assert result.code == 0, result.err
    metrics = open_artifact(tmp_path / "out").manifest.steps[-1].metrics
    assert "accuracy" not in metrics
    assert "accuracy_on_train" in metrics
    assert "accuracy_on_train" in (tmp_path / "out" / "README.md").read_text()
