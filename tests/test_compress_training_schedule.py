"""Options of every training beside its schedule: fewer steps, averages, an early end, slower lower layers."""

import numpy as np
import pytest
import torch
from conftest import SENTENCES, small_bert, write_split
from interrupting import stop, weights
from safetensors.numpy import load_file
from transformers import TrainerControl, TrainerState, TrainingArguments

from compress.finetune.config import FinetuneConfig
from compress.training.config import TrainingOptions
from compress.training.data import load_text
from compress.training.schedule import (
    AveragedWeights,
    EarlyStop,
    rate_factors,
    slower_below,
    step_limit,
    trained_epochs,
)
from edgepress.core.artifact import open_artifact
from edgepress.core.errors import EdgepressError
from edgepress.core.splits import Examples
from edgepress.core.task_discovery import find_task
from edgepress.core.tasks import judged_on


@pytest.fixture
def typed(model_folder, data_root, tmp_path):
    return (
        *("compress.finetune", "--model", model_folder, "--task", "verdicts"),
        *("--data", data_root, "--output", tmp_path / "out", "--batch-size", 8),
    )


def metrics_of(folder):
    return open_artifact(folder).manifest.steps[-1].metrics


@pytest.mark.parametrize(
    ("most", "limit", "epochs"),
    [(None, -1, 3.0), (5, 5, 5 / 15), (20, 20, 20 / 15), (45, -1, 3.0), (99, -1, 3.0)],
)
def test_steps_are_limited_where_epochs_make_more(most, limit, epochs):
    options = TrainingOptions(epochs=3.0, batch_size=8, max_steps=most)
    assert step_limit(options, 115) == limit
    assert trained_epochs(options, 115) == pytest.approx(epochs)


def test_a_training_ends_at_its_last_step(cli, typed, tmp_path):
    result = cli(*typed, "--epochs", 3, "--max-steps", 20)
    assert result.code == 0, result.err
    assert "3 epochs, 20 steps at most" in result.err
    last = metrics_of(tmp_path / "out")["history"][-1]
    assert (last["step"], last["learning_rate"]) == (20, pytest.approx(0, abs=5e-6))
    assert last["epoch"] == pytest.approx(20 / 15, abs=0.01)


def test_lower_layers_learn_more_slowly():
    names = [name for name, _ in small_bert(60).named_parameters()]
    found = rate_factors(names, 0.5)
    rates = {
        "classifier.weight": 1.0,
        "bert.pooler.dense.weight": 1.0,
        "bert.encoder.layer.1.output.dense.weight": 0.5,
        "bert.encoder.layer.0.output.dense.weight": 0.25,
        "bert.embeddings.LayerNorm.weight": 0.125,
    }
    assert {name: found[name] for name in rates} == rates


def test_rates_are_those_of_an_optimizers_groups():
    model = small_bert(60)
    parts = [
        {"params": [*model.bert.parameters()], "weight_decay": 0.1},
        {"params": [*model.classifier.parameters()]},
    ]
    optimizer = torch.optim.AdamW(parts, lr=1e-3)
    slower_below(optimizer, model, 0.5)
    assert sorted(group["lr"] for group in optimizer.param_groups) == [1.25e-4, 2.5e-4, 5e-4, 1e-3, 1e-3]
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len([*model.parameters()])
    assert {group["weight_decay"] for group in optimizer.param_groups if group["lr"] < 1e-3} == {0.1}


def test_a_model_without_layers_has_no_layer_decay(cli, data_root, tmp_path):
    flags = ("--task", "verdicts", "--data", data_root, "--output", tmp_path / "out", "--epochs", 1)
    result = cli("compress.finetune", "--model", "cnn", *flags, "--vocabulary", 100, "--layer-decay", 0.8)
    assert (result.code, "has no numbered layers" in result.error) == (2, True)
    assert not (tmp_path / "out").exists()


def test_the_average_of_weights_is_what_a_training_ends_with(tmp_path):
    layer = torch.nn.Linear(1, 1, bias=False)
    average = AveragedWeights(0.5)
    args, state, control = TrainingArguments(output_dir=str(tmp_path)), TrainerState(), TrainerControl()
    expected, value = 0.0, 0.0
    layer.weight.data.fill_(value)
    average.on_train_begin(args, state, control, model=layer)
    for state.global_step in range(1, 30):
        value = float(state.global_step)
        layer.weight.data.fill_(value)
        average.on_step_end(args, state, control, model=layer)
        decay = min(0.5, (1 + state.global_step) / (10 + state.global_step))
        expected = decay * expected + (1 - decay) * value
    average.on_train_end(args, state, control, model=layer)
    assert float(layer.weight.detach()) == pytest.approx(expected, rel=1e-5)
    assert value - 2 < expected < value


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_an_interrupted_average_goes_on_to_the_same_weights(cli, typed, tmp_path):
    typed = (*typed, "--epochs", 2, "--average", 0.9)
    assert cli(*typed, "--output", tmp_path / "whole").code == 0
    plain = cli(*typed[:-2], "--output", tmp_path / "plain")
    assert plain.code == 0, plain.err
    stop(cli, 14, *typed)
    resumed = cli(*typed)
    assert resumed.code == 0, resumed.err
    assert "resuming from step" in resumed.err
    assert weights(tmp_path / "out") == weights(tmp_path / "whole") != weights(tmp_path / "plain")
    ours, theirs = (load_file(tmp_path / name / "model.safetensors") for name in ("out", "plain"))
    assert all(np.abs(ours[name] - theirs[name]).max() < 0.1 for name in theirs)


@pytest.mark.parametrize(
    ("scores", "greater", "stops"),
    [
        ([0.5, 0.6, 0.6], True, False),
        ([0.5, 0.6, 0.6, 0.55], True, True),
        ([0.5, 0.6, 0.5, 0.7], True, False),
        ([0.5, 0.4, 0.41, 0.42], False, True),
    ],
)
def test_it_ends_after_so_many_looks_that_were_not_better(tmp_path, scores, greater, stops):
    args = TrainingArguments(
        output_dir=str(tmp_path), metric_for_best_model="accuracy", greater_is_better=greater
    )
    state, control = TrainerState(), TrainerControl()
    state.log_history = [{"loss": 1.0}, *({"eval_accuracy": score} for score in scores)]
    EarlyStop(2).on_evaluate(args, state, control)
    assert control.should_training_stop == stops


def test_a_training_that_gets_no_better_ends_early(cli, typed, tmp_path):
    """The model knows all by heart: its first look is the best."""
    early = ("--keep", "best", "--patience", 2, "--hold-out", 0.2, "--learning-rate", 1e-6)
    result = cli(*typed, "--epochs", 3, *early)
    assert result.code == 0, result.err
    found = metrics_of(tmp_path / "out")
    looks = [entry for entry in found["history"] if "accuracy" in entry]
    assert len(looks) == 3
    assert found["kept_epoch"] == looks[0]["epoch"]
    assert found["history"][-1]["step"] < 36


def test_held_out_texts_are_not_learned_and_choices_are_made_on_them(data_root):
    task = find_task("verdicts", data_root)
    text = load_text(FinetuneConfig(model="m", task="verdicts", hold_out=0.2), task)
    learned, chosen, judged = ({*own.texts} for own in (text.train, text.selection, text.evaluation))
    assert text.watched is text.selection
    assert len(chosen) == 23
    assert not learned & chosen
    assert len(learned | chosen) == 115
    assert not judged & (learned | chosen)


def test_texts_that_are_learned_and_judged_are_counted(data_root, tmp_path, capsys):
    load_text(FinetuneConfig(model="m", task="verdicts"), find_task("verdicts", data_root))
    assert "flatters" not in capsys.readouterr().err
    seen = [(text.upper(), label) for text, label in SENTENCES[:5]]
    write_split(tmp_path / "leaked" / "train.jsonl", SENTENCES[:100])
    write_split(tmp_path / "leaked" / "validation.jsonl", [*seen, *SENTENCES[100:120]])
    task = find_task("leaked", tmp_path)
    load_text(FinetuneConfig(model="m", task="leaked"), task)
    said = " ".join(capsys.readouterr().err.split())
    assert "5 of 25 texts of leaked/validation stand in the train split as well: the score flatters" in said
    load_text(FinetuneConfig(model="m", task="leaked"), judged_on(task, "train"))
    assert "flatters" not in capsys.readouterr().err


def test_a_text_that_occurs_twice_is_on_one_side():
    texts = [(f"text {at // 2}",) for at in range(40)]
    drawn, rest = Examples(texts, np.arange(40)).split(0.3)
    assert (len(drawn), len(rest)) == (12, 28)
    assert not {*drawn.texts} & {*rest.texts}
    assert sorted([*drawn.labels, *rest.labels]) == [*range(40)]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--patience", 2), "add --keep best"),
        (("--patience", 2, "--keep", "best"), "verdicts/validation, which is reported"),
        (("--average", 0.9, "--keep", "best"), "exclude each other"),
        (("--average", 1), "--average is out of range"),
        (("--max-steps", 0), "--max-steps is out of range"),
        (("--layer-decay", 1.5), "--layer-decay is out of range"),
        (("--hold-out", 1), "--hold-out is out of range"),
    ],
)
def test_flags_that_cannot_be(cli, typed, tmp_path, flags, words):
    result = cli(*typed, *flags)
    assert (result.code, (tmp_path / "out").exists()) == (2, False), result.err
    assert words in result.error + result.err


def test_nothing_left_to_learn_is_refused(tmp_path):
    write_split(tmp_path / "one" / "train.jsonl", [SENTENCES[0], SENTENCES[-1]])
    write_split(tmp_path / "one" / "validation.jsonl", SENTENCES[:9])
    task = find_task("one", tmp_path)
    with pytest.raises(EdgepressError, match="leaves no text to learn from"):
        load_text(FinetuneConfig(model="m", task="one", hold_out=0.9), task)
