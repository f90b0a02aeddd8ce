"""Options of the library's functions: each one that is taken has an effect, and no other is taken."""

import dataclasses
import inspect
import sys
from pathlib import Path

import pytest

import edgepress
from compress.distill.config import DistillConfig
from compress.distillation.options import DistillationOptions
from compress.finetune.config import FinetuneConfig
from compress.prune.config import PruneConfig
from compress.quantize.config import QuantizeConfig
from edgepress.api.options import ELSEWHERE, accepted, make_options
from edgepress.core.console import Command
from edgepress.core.errors import EdgepressError
from export.command.config import FormatsConfig
from export.core.config import derive
from export.onnx import OnnxFormat

COMMANDS = {
    "finetune": FinetuneConfig,
    "distill": DistillConfig,
    "prune": PruneConfig,
    "quantize": QuantizeConfig,
    "export": FormatsConfig,
}
# What looks at every option without following it.
LOOKING = {"check", "_check_ranges", derive.__name__}
# distill: another stage than the task's is refused.
REFUSED = {"corpus"}


@pytest.fixture(scope="module")
def model(model_folder, data_root):
    return edgepress.load(model_folder, task="verdicts", data=data_root)


def ask(technique, model, data_root, **options):
    if technique == "finetune":
        return edgepress.finetune("cnn", "verdicts", data=data_root, **options)
    return getattr(edgepress, technique)(model, **options)


@pytest.mark.parametrize("technique", COMMANDS)
def test_what_only_the_command_reads_is_refused(model, data_root, technique):
    named = inspect.signature(getattr(edgepress, technique)).parameters
    only = {field.name for field in dataclasses.fields(Command)} | {"output", "overwrite"}
    only |= set() if technique == "finetune" else {"task", "data", "split", "label_map"}
    assert only <= {field.name for field in dataclasses.fields(COMMANDS[technique])}
    for name in only - named.keys():
        with pytest.raises(
            edgepress.EdgepressError, match=f"^'{name}' would have no effect here$"
        ) as refused:
            ask(technique, model, data_root, **{name: "x"})
        assert refused.value.hint == ELSEWHERE[name]


def test_a_vocabulary_of_a_model_that_has_one_is_refused(data_root):
    with pytest.raises(edgepress.EdgepressError, match="was trained with a vocabulary"):
        edgepress.finetune("minilm", "verdicts", data=data_root, vocabulary=100)


class Reads:
    """The options that are taken, and those that something followed."""

    def __init__(self, monkeypatch):
        self.taken, self.read = set(), set()
        for module in ("files", "techniques"):
            monkeypatch.setattr(f"edgepress.api.{module}.make_options", self.make)
        monkeypatch.setattr(OnnxFormat, "config", self.watched(OnnxFormat.config))

    def make(self, kind, values, own, without=None):
        self.taken |= accepted(kind, own, without)
        return make_options(self.watched(kind), values, own, without)

    def watched(self, kind):
        read = self.read

        class Watched(kind):
            def __getattribute__(self, name):
                caller = sys._getframe(1).f_code
                if caller.co_filename != dataclasses.__file__ and caller.co_name not in LOOKING:
                    read.add(name)
                return super().__getattribute__(name)

        Watched.__module__ = kind.__module__  # by which checkpoints name their command
        return Watched


UNLABELLED = "unlabelled.txt"
TRAINED = {"epochs": 1.0, "eval_samples": 10}
CALLS = {
    "finetune": [{**TRAINED, "vocabulary": 100}],
    "distill": [
        {**TRAINED, "hidden_weight": 1.0},
        {**TRAINED, "student": "cnn", "transfer": UNLABELLED, "transfer_confidence": 0.1, "augment": 1},
    ],
    "prune": [{**TRAINED, "ffn": 0.5, "importance": "taylor"}],
    "sparsify": [{**TRAINED, "formats": "onnx", "time_budget": 0.1}],
    "qat": [{**TRAINED, "max_drop": 0.0}],
    "trim_vocab": [{**TRAINED, "min_count": 2}],
    "quantize": [
        {"scheme": "int8-static", "eval_samples": 10},
        {"scheme": "auto", "eval_samples": 10, "time_budget": 0.2},
    ],
    "export": [{"scheme": ("fp32", "int8"), "eval_samples": 10}],
}


def test_load_names_the_option_that_was_meant(model_folder):
    with pytest.raises(EdgepressError, match="unknown option 'splitt'") as refused:
        edgepress.load(model_folder, splitt="test")
    assert "did you mean 'split'" in refused.value.hint


@pytest.mark.slow
@pytest.mark.parametrize("technique", CALLS)
def test_every_option_that_is_taken_is_followed(model, data_root, technique, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path(UNLABELLED).write_text("".join(f"nobody said {at} what this is about\n" for at in range(40)))
    reads = Reads(monkeypatch)
    for options in CALLS[technique]:
        ask(technique, model, data_root, **options)
    shared = (
        accepted(DistillationOptions) if technique == "qat" else set()
    )  # rounding cost nothing: untrained
    assert reads.taken - reads.read - REFUSED - shared == set()


@pytest.mark.slow
def test_every_option_of_pretrain_is_followed(bare_encoder, tmp_path, monkeypatch):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("".join(f"the film {number} is a quiet delight\n" for number in range(200)))
    reads = Reads(monkeypatch)
    edgepress.pretrain(bare_encoder, corpus, **TRAINED, max_length=16, batch_size=4)
    assert reads.taken - reads.read == set()
