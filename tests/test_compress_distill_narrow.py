"""Narrower students: widths, weights projected from the teacher's, and the whole way of one."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SENTENCES, run_command, run_well
from small_models import DEBERTA, LONGEST, MODERNBERT, ROBERTA, SIZES, VOCABULARY
from transformers import (
    AlbertConfig,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    BertModel,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    MPNetConfig,
    PreTrainedModel,
    RobertaConfig,
)

from compress.distill.config import DistillOptions
from compress.distill.narrow import chosen_widths, narrow_student
from compress.distill.projection import project, score_maps, turned
from compress.distill.slicing import random_student, slice_layers
from compress.distill.wide_states import layout_of, watch
from edgepress.core.artifact import open_artifact
from edgepress.core.embedder import embedder_class
from edgepress.core.errors import EdgepressError
from edgepress.core.inputs import input_names
from edgepress.core.loading import OpenedModel, open_model

LAYERS = 4
DEEP = {"num_hidden_layers": LAYERS}
CONFIGS = {
    "bert": BertConfig(**{**SIZES, **DEEP}),
    "distilbert": DistilBertConfig(
        vocab_size=VOCABULARY, dim=32, n_layers=LAYERS, n_heads=2, hidden_dim=64, initializer_range=0.2
    ),
    "roberta": RobertaConfig(**{**ROBERTA, **DEEP}, type_vocab_size=1),
    "mpnet": MPNetConfig(**{**ROBERTA, **DEEP}),
    "electra": ElectraConfig(**{**SIZES, **DEEP}, embedding_size=32),
}
OTHERS = {
    "albert": AlbertConfig(**{**SIZES, **DEEP}, embedding_size=16),
    "deberta-v2": DebertaV2Config(**{**DEBERTA, **DEEP}),
    "modernbert": ModernBertConfig(**{**MODERNBERT, "num_hidden_layers": LAYERS}),
}
HALF = {"hidden_size": 16, "num_attention_heads": 1, "intermediate_size": 32}
NEARLY = {"atol": 1e-4, "rtol": 1e-3}
WHOLE = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}


def build(config: Any, seed: int = 7) -> PreTrainedModel:
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_config(copy.deepcopy(config)).eval()
    for parameter in model.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))  # biases and norms too
    return model


def texts(seed: int = 0, rows: int = 40, longest: int = 12) -> dict[str, torch.Tensor]:
    """Tokens of which few are frequent, as in texts; the shorter rows are padded."""
    rng = np.random.default_rng(seed)
    ids = 5 + (rng.pareto(1.2, size=(rows, longest)) * 4).astype(np.int64) % (VOCABULARY - 5)
    mask = (np.arange(longest) < rng.integers(3, longest + 1, size=(rows, 1))).astype(np.int64)
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}


@torch.inference_mode()
def states(model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """Hidden states of the tokens behind the embeddings and behind each layer."""
    own = {name: batch[name] for name in input_names(model) if name in batch}
    kept = batch["attention_mask"].bool()
    return [each[kept] for each in model(**own, output_hidden_states=True).hidden_states]


@pytest.mark.parametrize("kind", CONFIGS)
def test_of_the_same_widths_every_matrix_does_what_it_did(kind):
    """Each one gives what it gave for the same states, turned: before it, behind it, or both."""
    teacher, layers = build(CONFIGS[kind]), list(range(LAYERS))
    source, student = slice_layers(teacher, layers, seed=0), random_student(teacher, layers, 0, WHOLE)
    assert project(source, student, texts()) == pytest.approx(1, abs=1e-5)
    layout, own = layout_of(source), norms_behind(source)
    turn, _ = turned([each - each.mean(0) for each in own], 32)
    writing = [each.output for each in layout.attentions] + [second for _, second in layout.feed_forward]
    with torch.no_grad():
        for name in (*layout.reading, *writing):
            ours, theirs = (model.get_submodule(name) for model in (student, source))
            given = torch.randn(9, theirs.in_features)
            found, wanted = ours(given @ turn if name in layout.reading else given), theirs(given)
            torch.testing.assert_close(found, wanted if name in layout.reading else wanted @ turn, **NEARLY)
        for name in layout.tables:
            ours, theirs = (model.get_submodule(name).weight for model in (student, source))
            torch.testing.assert_close(ours, theirs @ turn, **NEARLY)
    assert len(layout.reading) == 4 * LAYERS


def gram(vectors: torch.Tensor) -> torch.Tensor:
    """Products of all pairs of vectors less their mean, which no turn changes."""
    centred = vectors - vectors.mean(0)
    return centred @ centred.T


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_projected_student_is_nearer_to_its_teacher_than_a_random_one(kind):
    teacher, layers = build(CONFIGS[kind]), [0, 2]
    source = slice_layers(teacher, layers, seed=0)
    student, random = (random_student(teacher, layers, 0, HALF) for _ in range(2))
    kept = project(source, student, texts())
    assert 0.3 < kept < 1
    wanted = gram(states(source, texts(1))[-1])

    def likeness(model: PreTrainedModel) -> float:
        own = gram(states(model, texts(1))[-1])
        return float((own * wanted).sum() / (own.norm() * wanted.norm()))

    assert likeness(student) > likeness(random) + 0.1


def test_components_hold_the_states_that_lie_in_them():
    flat = torch.randn(200, 3) @ torch.randn(3, 20) + 5
    turn, share = turned([flat[:50], flat[50:]], 3)
    assert share == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(turn.T @ turn, torch.eye(3))
    centred = flat - flat.mean(0)
    torch.testing.assert_close(centred @ turn @ turn.T, centred, atol=1e-4, rtol=1e-3)
    assert turned([flat], 2)[1] < 1


def test_heads_and_units_that_write_the_most_stay():
    teacher = build(CONFIGS["distilbert"])
    source = slice_layers(teacher, [0, 1], seed=0)
    layers = source.distilbert.transformer.layer
    for number, layer in enumerate(layers):
        layer.attention.out_lin.weight.data[:, 16 * number : 16 * (number + 1)] = (
            0  # that head writes nothing
        )
        layer.ffn.lin2.weight.data[:, ::2] = 0
    student = random_student(teacher, [0, 1], 0, HALF)
    project(source, student, texts())
    for number, layer in enumerate(student.distilbert.transformer.layer):
        turn, _ = turned([each - each.mean(0) for each in norms_behind(source)], 16)
        head = slice(16 * (1 - number), 16 * (2 - number))
        torch.testing.assert_close(
            layer.attention.v_lin.weight, layers[number].attention.v_lin.weight[head] @ turn, **NEARLY
        )
        torch.testing.assert_close(
            layer.ffn.lin1.weight, layers[number].ffn.lin1.weight[1::2] @ turn, **NEARLY
        )


def norms_behind(model: PreTrainedModel) -> list[torch.Tensor]:
    layout = layout_of(model)
    with torch.no_grad():
        return list(watch(model, layout, texts()).norms.values())


def test_narrower_heads_keep_their_scores():
    """Only some directions of the queries meet keys, and they lie askew: half of the channels will do."""
    queries, keys = torch.randn(2, 400, 6), torch.randn(2, 400, 6)
    queries[..., 3:] *= 5
    keys[..., 3:] = 0
    askew = torch.linalg.qr(torch.randn(6, 6))[0]
    queries, keys = queries @ askew, keys @ askew
    moments = [each.mT @ each / 400 for each in (queries, keys)]
    left, right = score_maps(*moments, 3)
    assert left.shape == right.shape == (2, 6, 3)
    wanted = queries @ keys.mT
    torch.testing.assert_close((queries @ left) @ (keys @ right).mT, wanted, atol=0.02, rtol=0.02)
    left, right = score_maps(*moments, 6)
    torch.testing.assert_close((queries @ left) @ (keys @ right).mT, wanted, **NEARLY)


@pytest.mark.parametrize("kind", OTHERS)
def test_what_cannot_be_projected_begins_with_random_weights(kind):
    teacher = build(OTHERS[kind])
    with pytest.raises(EdgepressError, match="cannot be projected"):
        layout_of(teacher)
    student = random_student(teacher, [0, 1], 0, HALF)
    assert states(student, texts())[-1].shape[1] == 16
    assert student.config.hidden_size == 16


def test_a_bert_with_narrow_embeddings_is_an_electra():
    teacher, layers = build(CONFIGS["bert"]), list(range(LAYERS))
    source = slice_layers(teacher, layers, seed=0, factorized=True)
    assert (source.config.model_type, source.config.embedding_size) == ("electra", 32)
    for ours, theirs in zip(states(source, texts()), states(teacher, texts()), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    student = random_student(teacher, layers, 0, {**HALF, "embedding_size": 8})
    project(source, student, texts())
    assert student.electra.embeddings.word_embeddings.weight.shape == (VOCABULARY, 8)
    assert student.electra.embeddings_project.weight.abs().max() < 10  # behind a norm, channels sum up to 0
    assert student.config.id2label == teacher.config.id2label
    wanted, own = (gram(states(model, texts(1))[0]) for model in (source, student))
    assert float((own * wanted).sum() / (own.norm() * wanted.norm())) > 0.5


def test_a_masked_language_model_keeps_its_words_tied():
    torch.manual_seed(0)
    teacher = BertForMaskedLM(BertConfig(**{**SIZES, **DEEP})).eval()
    student = random_student(teacher, [0, 2], 0, HALF)
    project(slice_layers(teacher, [0, 2], seed=0), student, texts())
    assert student.vocab_projector.weight is student.distilbert.embeddings.word_embeddings.weight


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, (16, 1, 32)),
        ({"hidden_size": 24}, (24, 2, 48)),  # heads of 16 do not divide it
        ({"hidden_size": 32, "intermediate_size": 7}, (32, 2, 7)),
        ({"hidden_size": 16, "heads": 2}, (16, 2, 32)),
        ({"hidden_size": 8, "embedding_size": 4}, (8, 2, 16, 4)),
    ],
)
@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_widths(kind, flags, expected):
    assert tuple(chosen_widths(CONFIGS[kind], DistillOptions(student="narrow", **flags)).values()) == expected


@pytest.fixture
def teacher(model_folder, data_root, monkeypatch, tmp_path) -> OpenedModel:
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path / "cache"))
    return open_model(str(model_folder), task="verdicts", data=data_root)


def test_the_first_weights_are_kept(teacher, capsys):
    """What an interrupted run resumes from has to be the same to the last digit."""
    options, own = DistillOptions(student="narrow", hidden_size=32), [(text,) for text, _ in SENTENCES]
    first, second = (narrow_student(teacher, options, own).model for _ in range(2))
    assert "as computed before" in capsys.readouterr().err
    assert all(
        torch.equal(one, other) for one, other in zip(first.parameters(), second.parameters(), strict=True)
    )
    random = narrow_student(
        teacher, DistillOptions(student="narrow", hidden_size=32, init="random"), own
    ).model
    tables = [model.get_input_embeddings().weight for model in (first, random)]
    assert not torch.allclose(*tables, atol=0.05)


@pytest.mark.slow
def test_the_whole_way(model_folder, data_root, tmp_path, monkeypatch):
    """Taught, opened again, exported, quantized and judged as any other."""
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path / "cache"))
    task = ("--task", "verdicts", "--data", data_root)
    student = ("--student", "narrow", "--hidden-size", 32, "--depth", 1, "--embedding-size", 16)
    learning = ("--epochs", 15, "--learning-rate", 2e-3, "--no-train-baseline", "--hidden-weight", 1)
    out, small = tmp_path / "out", tmp_path / "small"
    run_well("compress.distill", "--teacher", model_folder, *task, *student, *learning, "--output", out)
    manifest = open_artifact(out).manifest
    assert manifest.steps[-1].metrics["accuracy"] > 0.8
    assert manifest.model.architecture == "electra"
    model = open_model(str(out), data=data_root).model
    sizes = (model.config.hidden_size, model.config.embedding_size, model.config.num_hidden_layers)
    assert sizes == (32, 16, 1)
    flags = ("--scheme", "int8-dynamic", "--time-budget", 0, "--output", small)
    run_well("compress.quantize", "--model", out, *task, *flags)
    assert (small / "onnx" / "model_quantized.onnx").exists()


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        (("--hidden-size", 31, "--heads", 2), "--hidden-size 31: 2 heads do not divide it"),
        (("--hidden-size", 33), "--hidden-size 33: 2 heads do not divide it"),
        (("--hidden-size", 128), "--hidden-size 128: the teacher has 64"),
        (("--heads", 4), "--heads 4: the teacher has 2"),
        (("--intermediate-size", 256), "--intermediate-size 256: the teacher has 128"),
        (
            ("--hidden-size", 32, "--embedding-size", 48),
            "--embedding-size 48: the student's hidden size is 32",
        ),
        (("--depth", 3), "the teacher has 2 layers"),
        (("--heads", 0), "--heads is out of range"),
        (("--student", "half", "--heads", 1), "--heads belongs to --student narrow"),
        (
            ("--student", "static", "--intermediate-size", 8),
            "--intermediate-size belongs to --student narrow",
        ),
        (("--cosine-weight", 1), "have no angle"),
    ],
)
def test_widths_that_cannot_be(model_folder, data_root, tmp_path, changed, word):
    flags = (
        "--teacher",
        model_folder,
        "--task",
        "verdicts",
        "--data",
        data_root,
        "--output",
        tmp_path / "out",
    )
    result = run_command("compress.distill", *flags, "--student", "narrow", *changed)
    assert result.code == 2, result.err
    assert word in result.error
    assert not (tmp_path / "out").exists()


def test_embeddings_of_an_architecture_that_has_no_size_of_them(data_root, tokenizer, tmp_path):
    config = RobertaConfig(**{**ROBERTA, **DEEP, "vocab_size": VOCABULARY}, type_vocab_size=1)
    model = build(config)
    with pytest.raises(EdgepressError, match="token embeddings of a roberta are as wide as its layers"):
        random_student(model, [0, 1], 0, {**HALF, "embedding_size": 8})
    assert LONGEST == 64


def test_vectors_of_texts_keep_their_angles():
    """An embedding model is its encoder, with its pooling behind: vectors that are alike stay so."""
    torch.manual_seed(3)
    kind = embedder_class(BertModel)
    teacher = kind(BertConfig(**{**SIZES, **DEEP})).eval()
    student, random = (random_student(teacher, [0, 2], 0, HALF) for _ in range(2))
    source = slice_layers(teacher, [0, 2], seed=0)
    project(source, student, texts())
    with torch.no_grad():
        wanted, ours, drawn = (
            gram(each(**texts(1)).sentence_embedding) for each in (source, student, random)
        )
    likeness = [float((own * wanted).sum() / (own.norm() * wanted.norm())) for own in (ours, drawn)]
    assert likeness[0] > likeness[1]


@pytest.mark.slow
def test_a_narrow_student_fills_masks(masked_model, corpus_file, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path / "cache"))
    flags = ("--stage", "pretrain", "--teacher", masked_model, "--corpus", corpus_file, "--student", "narrow")
    widths = ("--hidden-size", 32, "--depth", 1, "--cosine-weight", 0, "--max-length", 16, "--epochs", 1)
    run_well("compress.distill", *flags, *widths, "--output", tmp_path / "out")
    manifest = open_artifact(tmp_path / "out").manifest
    assert manifest.model.architecture == "distilbert"
    history = manifest.steps[-1].metrics
    assert history["masked_lm_loss"] < history["masked_lm_loss_before"]
