"""The pretrain stage of `compress.distill`, and a student of it distilled again on a task."""

import pytest
import torch
from conftest import SENTENCES, small_bert
from test_compress_pretrain import interrupt_at, masked_lm, refused, tied, weights_digest
from torch.nn import functional
from transformers import AutoModelForMaskedLM, BertForMaskedLM

from compress.distill.config import DistillConfig
from compress.distill.pretraining import PretrainingDistillation
from compress.distill.slicing import slice_layers
from edgepress.core.artifact import open_artifact
from edgepress.core.masked_lm import open_masked_lm

FLAGS = ("--stage", "pretrain", "--max-length", 32, "--batch-size", 8)
pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, tokenizer):
    """A small BERT with a head over the vocabulary."""
    folder = tmp_path_factory.mktemp("teacher") / "small-mlm"
    config = small_bert(len(tokenizer)).config
    torch.manual_seed(2)
    BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def flags(teacher, tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(text for text, _ in SENTENCES), encoding="utf-8")
    return (*FLAGS, "--teacher", teacher, "--corpus", corpus, "--output", tmp_path / "work" / "out")


def config(**weights):
    return DistillConfig(teacher=("t",), stage="pretrain", corpus="c", **weights)


@pytest.fixture
def pair():
    """A student of half its teacher's layers, both without dropout, so that losses can be told by hand."""
    configured = small_bert(300).config
    configured.hidden_dropout_prob = configured.attention_probs_dropout_prob = 0.0
    torch.manual_seed(0)
    big = BertForMaskedLM(configured).eval()
    small = slice_layers(big, [1], seed=0)
    return small, big


@pytest.fixture
def batch():
    torch.manual_seed(3)
    ids = torch.randint(5, 300, (3, 12))
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    labels = torch.full_like(ids, -100)
    labels[0, 2], labels[1, 5], labels[2, 11] = 17, 200, 9
    return ids, mask, labels


def parts(pair, batch, temperature=2.0):
    """L_ce, L_mlm and L_cos from both models' full outputs."""
    ids, mask, labels = batch
    with torch.no_grad():
        ours, theirs = (model(ids, attention_mask=mask, output_hidden_states=True) for model in pair)
    hidden = labels != -100
    ours_p, theirs_p = ((out.logits[hidden].double() / temperature).softmax(-1) for out in (ours, theirs))
    l_ce = temperature**2 * (theirs_p * (theirs_p.log() - ours_p.log())).sum(-1).mean()
    l_mlm = functional.cross_entropy(ours.logits[hidden], labels[hidden])
    cosines = functional.cosine_similarity(ours.hidden_states[-1], theirs.hidden_states[-1], dim=-1)
    return float(l_ce), float(l_mlm), float((1 - cosines)[mask.bool()].mean())


@pytest.mark.parametrize(
    "weights",
    [(5.0, 2.0, 1.0), (0.0, 2.0, 1.0), (5.0, 0.0, 1.0), (5.0, 2.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0)],
)
def test_triple_loss_by_hand(pair, batch, weights):
    names = ("response_weight", "label_weight", "cosine_weight")
    module = PretrainingDistillation(*pair, config(**dict(zip(names, weights, strict=True)))).train()
    expected = sum(weight * part for weight, part in zip(weights, parts(pair, batch), strict=True))
    assert float(module(*batch)["loss"].detach()) == pytest.approx(expected, rel=1e-4)


def test_evaluation_is_the_masked_lm_loss_whatever_the_weights(pair, batch):
    module = PretrainingDistillation(*pair, config(label_weight=0.0)).eval()
    assert float(module(*batch)["loss"].detach()) == pytest.approx(parts(pair, batch)[1], rel=1e-4)


def test_batch_without_a_hidden_token(pair, batch):
    ids, mask, labels = batch
    module = PretrainingDistillation(*pair, config()).train()
    loss = module(ids, mask, torch.full_like(labels, -100))["loss"]
    assert float(loss.detach()) == pytest.approx(parts(pair, batch)[2], rel=1e-4)


def test_teacher_learns_nothing_and_is_in_no_checkpoint(pair, batch):
    small, big = pair
    module = PretrainingDistillation(small, big, config()).train()
    module(*batch)["loss"].backward()
    assert all(p.grad is None and not p.requires_grad for p in big.parameters())
    assert not big.training
    assert all(name.startswith("student.") for name in module.state_dict())


def test_defaults_are_those_of_the_stage():
    task, pretraining = DistillConfig(teacher=("t",)), config()
    assert list(task.loss_weights.values())[:3] == [0.5, 0.5, 0.0]
    assert list(pretraining.loss_weights.values())[:3] == [5.0, 2.0, 1.0]
    assert list(config(label_weight=0.0).loss_weights.values())[:3] == [5.0, 0.0, 1.0]
    assert pretraining.temperature == 2.0


@pytest.mark.parametrize("name", ["bert", "mpnet", "roberta"])
def test_part_of_a_masked_language_model_has_its_head_and_ties_it(name):
    teacher = masked_lm(name)
    student = slice_layers(teacher, [0], seed=0)
    assert tied(student)
    ours, theirs = student.get_output_embeddings(), teacher.get_output_embeddings()
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(ours.bias, theirs.bias)


def test_a_student_learns_to_fill_masks(cli, flags, teacher, tmp_path):
    out = tmp_path / "work" / "out"
    learn = ("--epochs", 5, "--gradient-accumulation", 2, "--learning-rate", 2e-3)
    result = cli("compress.distill", *flags, *learn)
    assert result.code == 0, result.err
    manifest = open_artifact(out).manifest
    step = manifest.steps[-1]
    assert (step.technique, step.config["stage"], manifest.task) == ("distill", "pretrain", None)
    assert (manifest.model.architecture, manifest.model.head_trained) == ("distilbert", True)
    metrics = step.metrics
    assert metrics["masked_lm_loss"] < metrics["masked_lm_loss_before"]
    assert metrics["teacher"]["masked_lm_loss"] > 0
    assert metrics["history"]
    opened = open_masked_lm(str(out))
    assert opened.head_trained
    assert tied(opened.model)
    assert manifest.model.parameters == opened.model.num_parameters()
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert type(AutoModelForMaskedLM.from_pretrained(out)).__name__ == "DistilBertForMaskedLM"


def test_random_student_of_some_layers(cli, flags, tmp_path):
    assert cli("compress.distill", *flags, "--epochs", 1, "--init", "random", "--depth", 2).code == 0
    assert open_masked_lm(str(tmp_path / "work" / "out")).model.config.n_layers == 2


def test_no_epoch_leaves_the_student_as_it_begins(cli, flags, tmp_path, teacher):
    result = cli("compress.distill", *flags, "--epochs", 0)
    assert result.code == 0, result.err
    metrics = open_artifact(tmp_path / "work" / "out").manifest.steps[-1].metrics
    assert metrics["masked_lm_loss"] == metrics["masked_lm_loss_before"]
    assert metrics["history"] == []
    ours, theirs = open_masked_lm(str(tmp_path / "work" / "out")), open_masked_lm(str(teacher))
    torch.testing.assert_close(
        ours.model.get_input_embeddings().weight, theirs.model.get_input_embeddings().weight
    )


def test_no_epoch_is_refused_elsewhere(cli):
    result = cli("compress.distill", "--teacher", "t", "--epochs", 0)
    assert result.code == 2
    assert "--epochs is out of range" in result.error


def test_a_resumed_run_gives_the_same_weights(cli, flags, tmp_path, monkeypatch):
    out = tmp_path / "work" / "out"
    assert cli("compress.distill", *flags, "--epochs", 3).code == 0
    whole = weights_digest(out)
    mend = interrupt_at(monkeypatch, 11)
    assert cli("compress.distill", *flags, "--epochs", 3, "--overwrite").code == 130
    mend()
    resumed = cli("compress.distill", *flags, "--epochs", 3, "--overwrite")
    assert "resuming from step" in resumed.err
    assert weights_digest(out) == whole


@pytest.mark.slow
def test_two_steps(cli, flags, model_folder, data_root, tmp_path):
    first, second = tmp_path / "work" / "out", tmp_path / "second"
    assert cli("compress.distill", *flags, "--epochs", 1).code == 0
    result = cli(
        *("compress.distill", "--teacher", model_folder, "--student", first, "--task", "verdicts"),
        *("--data", data_root, "--output", second, "--epochs", 30, "--learning-rate", 1e-3),
    )
    assert result.code == 0, result.err
    manifest = open_artifact(second).manifest
    assert [step.config["stage"] for step in manifest.steps] == ["pretrain", "task"]
    assert manifest.parent is not None
    assert manifest.model.head_trained
    assert manifest.steps[-1].metrics["accuracy"] > 0.8


def test_teacher_without_a_head(cli, flags, bare_encoder):
    result = cli("compress.distill", *flags, "--teacher", bare_encoder)
    refused(result, "no trained head over the vocabulary")
    assert f"python -m compress.pretrain --model {bare_encoder} --corpus" in result.err


def test_no_corpus(cli, teacher):
    refused(cli("compress.distill", "--stage", "pretrain", "--teacher", teacher), "needs a --corpus")


def test_corpus_of_the_task_stage(cli, model_folder):
    refused(
        cli("compress.distill", "--teacher", model_folder, "--corpus", "wikitext2"),
        "--transfer takes texts without labels",
    )


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--task", "sst2"),
        ("--vocabulary", 100),
        ("--head", "mlp"),
        ("--thresholds", "gmean"),
        ("--hidden-weight", 1),
        ("--attention-weight", 1),
    ],
)
def test_flags_of_the_task_stage(cli, flags, flag, value):
    refused(cli("compress.distill", *flags, flag, value), flag, "--stage task")


def test_corpus_shorter_than_one_batch(cli, flags):
    refused(cli("compress.distill", *flags, "--batch-size", 1000), "too short")


def test_all_weights_zero(cli, flags):
    weights = ("--response-weight", 0, "--label-weight", 0, "--cosine-weight", 0)
    refused(cli("compress.distill", *flags, *weights), "the weights of all losses are 0")


def test_student_that_is_no_masked_language_model(cli, flags):
    refused(cli("compress.distill", *flags, "--student", "bilstm"), "trained from scratch")


def test_student_with_another_vocabulary(cli, flags, teacher, tmp_path):
    from transformers import AutoTokenizer

    other = tmp_path / "other"
    model = AutoModelForMaskedLM.from_pretrained(teacher)
    tokenizer = AutoTokenizer.from_pretrained(teacher)
    tokenizer.add_tokens(["unheard-of"])
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(other)
    tokenizer.save_pretrained(other)
    refused(cli("compress.distill", *flags, "--student", other), "different vocabularies")


def test_student_of_another_width(cli, flags, tokenizer, tmp_path):
    config = small_bert(len(tokenizer)).config
    config.hidden_size = 32
    BertForMaskedLM(config).save_pretrained(tmp_path / "narrow")
    tokenizer.save_pretrained(tmp_path / "narrow")
    narrow = ("--student", tmp_path / "narrow", "--epochs", 1)
    refused(cli("compress.distill", *flags, *narrow), "no angle", "--cosine-weight 0")
    assert cli("compress.distill", *flags, *narrow, "--cosine-weight", 0).code == 0
