"""Shared fixtures: a small real classifier, a small real data set, the commands as a user types them."""

import gc
import json
import runpy
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings
from phone_stand_in import (  # noqa: F401  # fixtures
    bare,
    boot,
    broken_target,
    libraries,
    phone,
    phone_folder,
    phone_targets,
    stand_in_apk,
)
from quantizing import quantize  # noqa: F401  # a fixture
from resuming import (  # noqa: F401  # fixtures
    checkpoints,
    interrupted,
    one_thread,
    own_data,
    own_model,
    stopped,
    typed,
    undisturbed,
    whole,
)
from small_folder import model_copy, no_hub_cache  # noqa: F401  # fixtures
from tiny_recipe import copied, experiment  # noqa: F401  # fixtures
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
)

from edgepress.core.artifact import Manifest, open_artifact
from edgepress.core.process import prepare
from export.core.registry import formats

# Commands run in this process: it is as they make theirs.
prepare()

# The same few examples each time, on any machine: a failure is the code's, never a draw's.
settings.register_profile("edgepress", derandomize=True, max_examples=25, deadline=None, database=None)
settings.load_profile("edgepress")

SUBJECTS = ("the film", "this story", "the acting", "her script", "the second half", "its ending")
VERDICTS = {
    "positive": ("is a quiet delight", "moves and surprises", "is warm, sharp and funny", "holds up well"),
    "negative": ("is a tedious mess", "never comes alive", "is dull and far too long", "falls apart"),
}
SENTENCES = [
    (f"{subject} {verdict}{ending}", label)
    for ending in (".", ", all things considered", " from its first minute to its very last one")
    for subject in SUBJECTS
    for label, verdicts in VERDICTS.items()
    for verdict in verdicts
]


# About what a test takes that runs no command, that runs one, that is slow, and that may take longer [s].
LITTLE, COMMAND, SLOW, PATIENT, LONG_S = 0.1, 1.0, 20.0, 100.0, 600
# What a file makes for its tests before the first of them [s].
SHARED_S = {"test_compress_recipe": 30.0, "test_compress_quantize": 10.0}

# How far apart the logits of a trained model's two labels are, at least.
CLEAR_MARGIN = 3.0


@dataclass(frozen=True)
class Result:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that says what was wrong."""
        return next((line for line in self.err.splitlines() if line.startswith("error:")), "")


def interruptible() -> None:
    """For `preexec_fn`: a job that a script runs in the background is born deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files first whose tests take long: one that is begun last keeps one process at work alone."""
    weights: dict[Path, float] = {}
    for item in items:
        limit = item.get_closest_marker("timeout")
        long = limit is not None and limit.args[0] > LONG_S
        slow = item.get_closest_marker("slow") is not None
        usual = COMMAND if "cli" in item.fixturenames else LITTLE
        own = PATIENT if long and slow else SLOW if slow else usual
        weights[item.path] = weights.get(item.path, SHARED_S.get(item.path.stem, 0.0)) + own
    items.sort(key=lambda item: -weights[item.path])


def first_slow(values: Iterable[Any], count: int) -> list[Any]:
    """Parameters of a test: the first of them slow, the others long."""
    marks = pytest.mark.slow, pytest.mark.long
    return [pytest.param(value, marks=marks[at >= count]) for at, value in enumerate(values)]


def manifest_of(folder: Path) -> Manifest:
    """What an artifact says of itself."""
    return open_artifact(folder).manifest


def skip_without(name: str) -> None:
    """Skip a test where a format's libraries are not installed."""
    missing = [module for module in formats()[name].modules if find_spec(module) is None]
    if missing:  # found by name: importing openvino would report that it is used
        pytest.skip(f"{missing[0]} is not installed", allow_module_level=True)


@pytest.fixture(autouse=True, scope="module")
def _little_to_collect() -> None:
    """Collect no garbage among what is here to stay: libraries fill the heap, and transformers' Trainer
    collects all of it each time that it begins.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _no_hub() -> Iterator[None]:
    """Tests never ask the Hub; the stand-in has its own process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        patch.delenv("EDGEPRESS_DATA", raising=False)
        yield


def run_command(module: str, *args: object) -> Result:
    """Run `python -m MODULE ARGS` inside this process, so that imports are paid once.

    Of a module that was imported before, as the formats are to be listed, runpy warns: a process of its own
    would find none.
    """
    out, err = StringIO(), StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(out),
        redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", ".*found in sys.modules after import", RuntimeWarning)
        patch.setattr(sys, "argv", [module, *map(str, args)])
        with pytest.raises(SystemExit) as stop:
            runpy.run_module(module, run_name="__main__", alter_sys=False)
    return Result(int(stop.value.code or 0), out.getvalue(), err.getvalue())


def run_well(module: str, *args: object) -> Result:
    """As `run_command`, of a command that has to end with 0."""
    result = run_command(module, *args)
    assert result.code == 0, result.err
    return result


@pytest.fixture(scope="session")
def cli() -> Callable[..., Result]:
    """`run_command`."""
    return run_command


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A cache of the test's own: nothing is there from another."""
    monkeypatch.setenv("EDGEPRESS_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a file system of so many bytes."""
    folder = tmp_path / "disk"

    def mount(size: int) -> Path:
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting a small file system needs root")
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", folder], check=True)


def word_pieces(model: models.WordPiece) -> Tokenizer:
    """A tokenizer that splits as BERT's does, and asks this model."""
    pieces = Tokenizer(model)
    pieces.normalizer = normalizers.BertNormalizer(lowercase=True)
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return pieces


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """A WordPiece tokenizer, as BERT's, trained on the sentences above."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = word_pieces(models.WordPiece(unk_token="[UNK]"))
    texts = [text for text, _ in SENTENCES]
    # The trainer numbers what it meets inside words in another order each run, and ties fall accordingly.
    letters = {letter for text in texts for letter in text if letter.isalpha()}
    inner = [f"##{letter}" for letter in sorted(letters)]
    known = [*special, *inner]
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=known, show_progress=False)
    pieces.train_from_iterator(texts, trainer)
    pieces = word_pieces(models.WordPiece(pieces.get_vocab(), unk_token="[UNK]"))
    pieces.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=pieces,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        model_max_length=64,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def small_bert(
    vocabulary: int, labels: tuple[str, ...] = ("negative", "positive")
) -> BertForSequenceClassification:
    """A BERT of 2 layers and hidden size 64 with large random weights, so that its logits differ.

    Not larger, for training leaves other weights on each CPU: at 0.2 fp16 moves a logit by 5e-3 to 3e-2, at
    0.1 by no more than 5e-3 (24 seeds, and 24 times the same one with its last digits changed).
    """
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=64,
        initializer_range=0.1,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    return BertForSequenceClassification(config).eval()


@pytest.fixture(scope="session")
def trained_bert(tokenizer: PreTrainedTokenizerFast) -> BertForSequenceClassification:
    """The small BERT, trained on the sentences so that its decisions are not at the toss of a coin."""
    model = small_bert(len(tokenizer))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in one order: the same weights each time
    try:
        _train(model, tokenizer)
    finally:
        torch.set_num_threads(threads)
    return model


def _train(model: BertForSequenceClassification, tokenizer: PreTrainedTokenizerFast) -> None:
    """Until no sentence is near to the other side: libraries sum in orders of their own, and int8 rounds."""
    rows = tokenizer([text for text, _ in SENTENCES], padding=True, return_tensors="pt")
    labels = torch.tensor([int(label == "positive") for _, label in SENTENCES])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    margin = torch.zeros(())
    while margin < CLEAR_MARGIN:
        optimizer.zero_grad()
        answer = model(**rows, labels=labels)
        answer.loss.backward()
        optimizer.step()
        margin = ((answer.logits[:, 1] - answer.logits[:, 0]) * (2 * labels - 1)).min()


@pytest.fixture(scope="session")
def model_folder(
    tmp_path_factory: pytest.TempPathFactory,
    tokenizer: PreTrainedTokenizerFast,
    trained_bert: BertForSequenceClassification,
) -> Path:
    """What `save_pretrained` of a trained model and its tokenizer write."""
    folder = tmp_path_factory.mktemp("models") / "small-bert"
    trained_bert.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def bare_encoder(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Path:
    """A pretrained encoder without a classifier, as the zoo's base models are."""
    folder = tmp_path_factory.mktemp("models") / "bare-bert"
    small_bert(len(tokenizer)).bert.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with one data set, `verdicts`: train and validation as JSON lines."""
    root = tmp_path_factory.mktemp("data")
    write_split(root / "verdicts" / "train.jsonl", [row for index, row in enumerate(SENTENCES) if index % 5])
    write_split(root / "verdicts" / "validation.jsonl", SENTENCES[::5])
    return root


def write_split(path: Path, rows: list[tuple[str, str]]) -> None:
    """One split file with columns text and label."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def onnx_file(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Path:
    """The small BERT as an fp32 ONNX file."""
    from export.onnx import export

    target = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export(small_bert(len(tokenizer)), target)
    return target


def finetuned(folder: Path, model: Path, task: Path, *flags: object) -> Path:
    """Train a model on a task; the folder that it was written to."""
    run_well("compress.finetune", "--model", model, "--task", task, "--output", folder, *flags)
    return folder


@pytest.fixture(scope="session")
def entities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of named entities: words and tags, train and validation."""
    from entities import write_entities

    return write_entities(tmp_path_factory.mktemp("data") / "subjects")


@pytest.fixture(scope="session")
def entity_model(tmp_path_factory: pytest.TempPathFactory, bare_encoder: Path, entities: Path) -> Path:
    """An artifact that finds those entities, made by `compress.finetune` once."""
    flags = ("--epochs", 12, "--learning-rate", 2e-3, "--batch-size", 8, "--max-length", 48)
    return finetuned(tmp_path_factory.mktemp("models") / "finder", bare_encoder, entities, *flags)


@pytest.fixture(scope="session")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of questions and contexts in SQuAD's format: train and dev."""
    from questions import write_questions

    return write_questions(tmp_path_factory.mktemp("data") / "asked")


@pytest.fixture(scope="session")
def answer_model(tmp_path_factory: pytest.TempPathFactory, bare_encoder: Path, questions: Path) -> Path:
    """An artifact that answers those questions, made by `compress.finetune` once."""
    flags = ("--epochs", 30, "--learning-rate", 2e-3, "--max-length", 24)
    return finetuned(tmp_path_factory.mktemp("models") / "answerer", bare_encoder, questions, *flags)


@pytest.fixture(scope="session")
def corpus_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, a sentence a line."""
    path = tmp_path_factory.mktemp("data") / "said.txt"
    path.write_text("\n".join(text for text, _ in SENTENCES), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def masked_model(
    tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast, corpus_file: Path
) -> Path:
    """An artifact that fills masks in that corpus, as `compress.pretrain` writes it."""
    from edgepress.core.masking import Masking

    torch.manual_seed(1)
    model = BertForMaskedLM(small_bert(len(tokenizer)).config)
    rows = [tokenizer(text) for text, _ in SENTENCES[:48]]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for seed in range(160):
        optimizer.zero_grad()
        model(**Masking(tokenizer, seed)(rows)).loss.backward()
        optimizer.step()
    trained, folder = (tmp_path_factory.mktemp("models") / name for name in ("trained", "filler"))
    model.save_pretrained(trained)
    tokenizer.save_pretrained(trained)
    flags = ("--corpus", corpus_file, "--max-length", 16, "--batch-size", 8, "--learning-rate", 1e-6)
    run_well("compress.pretrain", "--model", trained, *flags, "--output", folder)
    return folder


@pytest.fixture(scope="session")
def queries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of queries and passages: train and validation."""
    from queries import write_queries

    return write_queries(tmp_path_factory.mktemp("data") / "ranked")


@pytest.fixture(scope="session")
def ranking_model(tmp_path_factory: pytest.TempPathFactory, bare_encoder: Path, queries: Path) -> Path:
    """An artifact that ranks those passages, made by `compress.finetune` once."""
    flags = ("--epochs", 20, "--learning-rate", 1e-3, "--batch-size", 8, "--max-length", 32)
    return finetuned(tmp_path_factory.mktemp("models") / "ranker", bare_encoder, queries, *flags)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """The sentences without their labels, a line each."""
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(text for text, _ in SENTENCES), encoding="utf-8")
    return path
