"""`compress.pretrain`: masks, the loss at masked positions, and the command as a user types it."""

import pytest
import torch
from small_models import ARCHITECTURES, LONGEST, VOCABULARY
from transformers import AutoModelForMaskedLM

from compress.training.masked_lm import MaskedLanguageModel, masked_lm_loss, vocabulary_head
from compress.training.trainer import LengthTrainer
from edgepress.core.artifact import open_artifact
from edgepress.core.loading import open_model
from edgepress.core.masked_lm import open_masked_lm
from edgepress.core.masking import Masking

FLAGS = ("--max-length", 32, "--batch-size", 8)


@pytest.fixture
def flags(bare_encoder, corpus, tmp_path):
    return (
        *("--model", bare_encoder, "--corpus", corpus, *FLAGS),
        *("--output", tmp_path / "work" / "out"),
    )


def rows(count=64, length=40):
    drawn = torch.Generator().manual_seed(0)
    return [{"input_ids": torch.randint(5, 150, (length,), generator=drawn).tolist()} for _ in range(count)]


def test_masks_are_15_percent_and_80_10_10(tokenizer):
    given = rows(512)
    batch = Masking(tokenizer, seed=0)(given)
    before = torch.tensor([row["input_ids"] for row in given])
    hidden = batch["labels"] != -100
    assert hidden.float().mean() == pytest.approx(0.15, abs=0.01)
    assert torch.equal(batch["labels"][hidden], before[hidden])
    assert torch.equal(batch["input_ids"][~hidden], before[~hidden])
    shown = batch["input_ids"][hidden]
    assert (shown == tokenizer.mask_token_id).float().mean() == pytest.approx(0.8, abs=0.03)
    assert (shown == before[hidden]).float().mean() == pytest.approx(0.1, abs=0.03)


def test_masks_are_dynamic_and_the_same_again(tokenizer):
    given, masking = rows(), Masking(tokenizer, seed=0)
    first = masking(given)["labels"]
    assert torch.equal(masking(given)["labels"], first)
    assert not torch.equal(masking(given[::-1])["labels"].flip(0), first)
    assert not torch.equal(Masking(tokenizer, seed=1)(given)["labels"], first)


def test_special_tokens_are_not_hidden(tokenizer):
    given = [{"input_ids": [tokenizer.cls_token_id, 7, tokenizer.sep_token_id]} for _ in range(200)]
    labels = Masking(tokenizer, seed=0)(given)["labels"]
    assert (labels[:, [0, 2]] == -100).all()
    assert (labels[:, 1] == 7).any()


def test_loss_by_hand():
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    expected = (torch.log(1 + torch.exp(torch.tensor(-2.0))) + torch.log(torch.tensor(2.0))) / 2
    assert masked_lm_loss(logits, torch.tensor([0, 1])) == pytest.approx(float(expected))
    assert masked_lm_loss(logits[:0], torch.tensor([], dtype=torch.long)) == 0


def masked_lm(name):
    config = ARCHITECTURES[name]().config
    torch.manual_seed(0)
    return AutoModelForMaskedLM.from_config(config).eval()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_head_at_masked_positions_is_the_full_head_there(name):
    model = masked_lm(name)
    ids = torch.randint(5, VOCABULARY, (4, LONGEST // 2))
    mask = torch.ones_like(ids)
    mask[0, 10:] = 0
    labels = torch.where(torch.rand(ids.shape) < 0.3, ids, -100).where(mask.bool(), torch.tensor(-100))
    with torch.no_grad():
        full = model(ids, attention_mask=mask, labels=labels)
        states = model.base_model(ids, attention_mask=mask).last_hidden_state
        some = vocabulary_head(model)(states[labels != -100])
        loss = MaskedLanguageModel(model)(ids, mask, labels)["loss"]
    torch.testing.assert_close(some, full.logits[labels != -100])
    torch.testing.assert_close(loss, full.loss)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_only_the_head_learns(name):
    model = masked_lm(name)
    module = MaskedLanguageModel(model, only_head=True)
    learning = {id(p) for p in module.parameters() if p.requires_grad}
    assert learning
    assert not learning & {id(p) for p in model.base_model.parameters()}


def tied(model):
    return model.get_input_embeddings().weight is model.get_output_embeddings().weight


def test_a_head_for_an_encoder_that_has_none(cli, flags, bare_encoder, data_root, tmp_path):
    out = tmp_path / "work" / "out"
    result = cli("compress.pretrain", *flags, "--epochs", 10)
    assert result.code == 0, result.err
    manifest = open_artifact(out).manifest
    step = manifest.steps[-1]
    assert (step.technique, manifest.task, manifest.model.head_trained) == ("pretrain", None, True)
    metrics = step.metrics
    assert metrics["masked_lm_loss"] < metrics["masked_lm_loss_before"] - 0.5
    assert metrics["history"][-1]["eval_loss"] == pytest.approx(metrics["masked_lm_loss"], abs=1e-4)
    assert step.seconds > 0
    assert not open_masked_lm(str(bare_encoder)).head_trained
    opened = open_masked_lm(str(out))
    assert opened.head_trained
    assert tied(opened.model)
    encoder = open_model(str(out), task="verdicts", data=data_root, drops_others=True)
    assert not encoder.head_trained
    assert torch.equal(
        encoder.model.get_input_embeddings().weight, opened.model.get_input_embeddings().weight
    )
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_only_head_leaves_the_encoder(cli, flags, bare_encoder, tmp_path):
    assert cli("compress.pretrain", *flags, "--epochs", 2, "--only-head").code == 0
    before, after = (
        open_masked_lm(str(folder)).model.base_model.state_dict()
        for folder in (bare_encoder, tmp_path / "work" / "out")
    )
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_an_encoder_from_it_can_be_fine_tuned(cli, flags, data_root, tmp_path):
    assert cli("compress.pretrain", *flags, "--epochs", 1).code == 0
    tuned = ("--task", "verdicts", "--data", data_root, "--output", tmp_path / "tuned", "--epochs", 1)
    assert cli("compress.finetune", "--model", tmp_path / "work" / "out", *tuned).code == 0
    steps = open_artifact(tmp_path / "tuned").manifest.steps
    assert [step.technique for step in steps] == ["pretrain", "finetune"]


def weights_digest(folder):
    files = open_artifact(folder).manifest.files
    return next(file.sha256 for file in files if file.path == "model.safetensors")


def interrupt_at(monkeypatch, step):
    """Ctrl-C in the middle of this step of the optimizer, counted from 0; call the result to mend it."""
    whole, done = LengthTrainer.training_step, [0]

    def training_step(self, *args, **kwargs):
        if done[0] == step:
            raise KeyboardInterrupt
        done[0] += 1
        return whole(self, *args, **kwargs)

    monkeypatch.setattr(LengthTrainer, "training_step", training_step)
    return lambda: monkeypatch.setattr(LengthTrainer, "training_step", whole)


def test_a_resumed_run_gives_the_same_weights(cli, flags, tmp_path, monkeypatch):
    out = tmp_path / "work" / "out"
    assert cli("compress.pretrain", *flags, "--epochs", 3).code == 0
    whole, loss = weights_digest(out), open_artifact(out).manifest.steps[-1].metrics["masked_lm_loss"]
    mend = interrupt_at(monkeypatch, 11)
    stopped = cli("compress.pretrain", *flags, "--epochs", 3, "--overwrite")
    assert stopped.code == 130
    assert weights_digest(out) == whole
    mend()
    resumed = cli("compress.pretrain", *flags, "--epochs", 3, "--overwrite")
    assert resumed.code == 0, resumed.err
    assert "resuming from step" in resumed.err
    assert weights_digest(out) == whole
    assert open_artifact(out).manifest.steps[-1].metrics["masked_lm_loss"] == loss


def refused(result, *words):
    assert result.code == 2, result.err
    assert "Traceback" not in result.err
    for word in words:
        assert word in result.err


def test_corpus_shorter_than_one_batch(cli, flags, tmp_path):
    refused(cli("compress.pretrain", *flags, "--batch-size", 1000), "too short", "a batch takes 1000")
    assert not (tmp_path / "work").exists()


def test_corpus_of_one_text_has_nothing_to_hold_out(cli, flags, corpus):
    corpus.write_text("word " * 5000)
    refused(cli("compress.pretrain", *flags), "too short", "0 held out")


def test_missing_corpus(cli, flags):
    refused(cli("compress.pretrain", *flags, "--corpus", "nowhere.txt"), "unknown corpus", "a text a line")


def test_blocks_too_short(cli, flags):
    refused(
        cli("compress.pretrain", *flags, "--max-length", 4),
        "--max-length is out of range: it is 8 or more, not 4",
    )


def test_model_that_is_no_masked_language_model(cli, flags):
    refused(cli("compress.pretrain", *flags, "--model", "bilstm"), "trained from scratch")


def test_existing_output_stays(cli, flags, tmp_path):
    (tmp_path / "work" / "out").mkdir(parents=True)
    refused(cli("compress.pretrain", *flags), "exists", "--overwrite")
