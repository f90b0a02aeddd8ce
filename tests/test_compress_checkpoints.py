"""What an interrupted training is recognized by, as a user meets it: resumed, refused, begun again."""

import json

import pytest
from interrupting import signal_at, stop, weights
from resuming import refused, resumed, steps, turned
from transformers import AutoModelForSequenceClassification

pytestmark = pytest.mark.usefixtures("one_thread", "own_cache")


def test_corrected_labels_are_not_trained_on_with_the_wrong_ones_before_them(
    cli, typed, stopped, own_data, checkpoints, tmp_path
):
    stopped(12)
    turned(own_data / "verdicts" / "train.jsonl")
    for _ in range(2):  # nothing is lost by being refused
        refused(cli(*typed), "train labels differ (was 115 rows, ", "; is 115 rows, ")
        assert steps(checkpoints) == [10]
    again = cli(*typed, "--restart")
    assert again.code == 0, again.err
    assert "resuming" not in again.err
    assert not checkpoints.exists()
    assert cli(*typed, "--output", tmp_path / "fresh").code == 0
    assert weights(tmp_path / "out") == weights(tmp_path / "fresh")


def test_another_output_keeps_both(cli, typed, stopped, own_data, checkpoints, tmp_path):
    stopped(7)
    turned(own_data / "verdicts" / "train.jsonl")
    assert cli(*typed, "--output", tmp_path / "other").code == 0
    turned(own_data / "verdicts" / "train.jsonl")
    assert steps(checkpoints) == [5]
    resumed(cli(*typed), 5)


def test_a_third_class_is_refused_and_not_loaded(cli, bare_encoder, typed, own_data, checkpoints):
    typed = (*typed, "--model", bare_encoder)
    stop(cli, 7, *typed)
    split = own_data / "verdicts" / "train.jsonl"
    with split.open("a") as stream:
        stream.write('{"text": "the film is a film", "label": "neutral"}\n')
    for _ in range(2):
        refused(cli(*typed), "train texts differ (was 115 rows", "is 116 rows")
    assert steps(checkpoints) == [5]
    assert cli(*typed, "--restart").code == 0


def test_one_text_of_the_same_length_counts(cli, typed, stopped, own_data):
    stopped(7)
    split = own_data / "verdicts" / "train.jsonl"
    split.write_text(split.read_text().replace("delight", "deligth", 1))
    result = cli(*typed)
    refused(result, "train texts differ")
    assert "labels" not in result.error


CHANGING = [
    ("--learning-rate", 1e-4, "--learning-rate was 5e-05, is 0.0001"),
    ("--batch-size", 4, "--batch-size was 8, is 4"),
    ("--epochs", 4, "--epochs was 3.0, is 4.0"),
    ("--seed", 1, "--seed was 0, is 1"),
    ("--weight-decay", 0.5, "--weight-decay was 0.01, is 0.5"),
    ("--warmup-ratio", 0.5, "--warmup-ratio was 0.06, is 0.5"),
    ("--gradient-accumulation", 2, "--gradient-accumulation was 1, is 2"),
    ("--keep", "best", "--keep was last, is best"),
    ("--train-samples", 50, "train texts differ (was 115 rows"),
    ("--train-samples", 50, "--train-samples was none, is 50"),
    ("--max-length", 5, "longest input of the model [tokens] was 64, is 5"),
    ("--head", "mlp", "model weights differ"),
]


def test_flags_that_change_the_training_are_refused_and_named(cli, typed, stopped, checkpoints):
    stopped(7)
    for flag, value, said in CHANGING:
        refused(cli(*typed, flag, value), said)
    assert steps(checkpoints) == [5]
    resumed(cli(*typed), 5)


def test_flags_that_change_no_training_resume_to_the_same_weights(cli, typed, stopped, whole, tmp_path):
    stopped(12)
    beside = ("--eval-samples", 5, "--train-samples", 10_000, "--max-length", 64, "--learning-rate", 5e-5)
    beside += ("--weights", "pretrained", "--debug", "--overwrite")
    resumed(cli(*typed, *beside), 10)
    assert weights(tmp_path / "out") == whole


def test_moved_data_model_and_working_folder_resume(
    cli, typed, stopped, own_data, own_model, tmp_path, monkeypatch
):
    stopped(7)
    own_data.rename(tmp_path / "moved data")
    own_model.rename(tmp_path / "moved model")
    monkeypatch.chdir(tmp_path)
    moved = ("--data", "moved data", "--model", "moved model", "--output", "out")
    resumed(cli(*typed, *moved), 5)


def test_evaluation_texts_count_where_they_choose_the_weights(cli, typed, own_data):
    turned(own_data / "verdicts" / "validation.jsonl")
    stop(cli, 7, *typed)
    turned(own_data / "verdicts" / "validation.jsonl")
    with signal_at(3):
        assert "resuming from step 5" in cli(*typed).err
    best = (*typed, "--keep", "best", "--restart")
    stop(cli, 7, *best)
    result = cli(*best[:-1], "--eval-samples", 10)
    refused(result, "evaluation texts differ (was 29 rows", "--eval-samples was 1000, is 10")


def changed_model(folder, change):
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    change(model)
    model.save_pretrained(folder)


def test_another_weight_is_another_run(cli, typed, stopped, own_model):
    stopped(7)
    changed_model(own_model, lambda own: own.classifier.bias.data.add_(1e-3))
    result = cli(*typed)
    refused(result, "model weights differ")
    assert "config" not in result.error


def test_another_dropout_is_another_run(cli, typed, stopped, own_model):
    stopped(7)
    config = json.loads((own_model / "config.json").read_text())
    (own_model / "config.json").write_text(json.dumps({**config, "hidden_dropout_prob": 0.3}))
    refused(cli(*typed), "model config.hidden_dropout_prob was 0.1, is 0.3")


def test_other_names_of_the_classes_are_another_run(cli, typed, stopped, own_data):
    stopped(7)
    for split in (own_data / "verdicts").iterdir():
        split.write_text(split.read_text().replace('"negative"', '"no"').replace('"positive"', '"yes"'))
    result = cli(*typed)
    assert result.code == 2
    assert "negative" in result.err


def test_another_tokenizer_is_another_run(cli, typed, stopped, own_model):
    stopped(7)
    content = json.loads((own_model / "tokenizer.json").read_text())
    content["normalizer"]["lowercase"] = False
    (own_model / "tokenizer.json").write_text(json.dumps(content))
    refused(cli(*typed), "model tokenizer files differ")


def test_another_version_of_a_library_is_another_run(cli, typed, stopped, monkeypatch):
    stopped(7)
    monkeypatch.setattr("compress.training.identity.library_versions", lambda: {"torch": "1.0"})
    refused(cli(*typed), "versions.torch was ", ", is 1.0")


def test_another_command_is_another_run(cli, typed, stopped, own_data, own_model, tmp_path):
    stopped(7)
    flags = ("--model", own_model, "--task", "verdicts", "--data", own_data, "--output", tmp_path / "out")
    refused(cli("compress.prune", *flags, "--ffn", 0.5, "--epochs", 1), "command was finetune, is prune")


def test_the_identity_is_readable(stopped, checkpoints):
    stopped(7)
    content = json.loads((checkpoints / "identity.json").read_text())
    assert content["decides"]["--learning-rate"] == 5e-5
    assert content["decides"]["train texts"]["rows"] == 115
    assert content["decides"]["classes"] == ["negative", "positive"]
    assert content["decides"]["processes"] == 1
    assert "torch" in content["decides"]["versions"]
    assert content["typed"]["--task"] == "verdicts"


def test_what_an_older_version_left_is_refused_not_removed(cli, typed, stopped, checkpoints):
    stopped(7)
    (checkpoints / "identity.json").unlink()
    (checkpoints / "run.sha256").write_text("ab" * 32)
    refused(cli(*typed), "no identity.json")
    assert steps(checkpoints) == [5]
    assert cli(*typed, "--restart").code == 0


def test_a_damaged_identity_is_refused(cli, typed, stopped, checkpoints):
    stopped(7)
    for content in ("", "{", "[]", '{"decides": 1, "typed": {}}', "\xff"):
        (checkpoints / "identity.json").write_bytes(content.encode("latin-1"))
        refused(cli(*typed), "no identity.json")
    assert steps(checkpoints) == [5]


def test_interrupted_before_a_checkpoint_it_leaves_nothing_and_other_flags_are_free(cli, typed, checkpoints):
    assert "begins again" in stop(cli, 2, *typed)
    assert not checkpoints.exists()
    assert cli(*typed, "--learning-rate", 1e-4).code == 0


def test_restart_begins_again_also_where_nothing_differs(cli, typed, stopped):
    stopped(12)
    again = cli(*typed, "--restart")
    assert again.code == 0, again.err
    assert "resuming" not in again.err
