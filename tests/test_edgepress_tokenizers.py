"""A tokenizer is what AutoTokenizer opens: files by any name, slow ones; what is said where it opens none."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
import sentencepiece
import torch
from conftest import SENTENCES
from small_models import ROBERTA, SIZES
from transformers import (
    AlbertConfig,
    AutoModelForSequenceClassification,
    BertConfig,
    DebertaV2Config,
    FlaubertConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    XLMRobertaConfig,
)

from edgepress.core.errors import EdgepressError
from edgepress.core.inputs import CUTTING, encode_texts
from edgepress.core.models import find_model
from edgepress.core.pretrained import load_model, load_tokenizer

LABELS = {"id2label": {0: "negative", 1: "positive"}, "label2id": {"negative": 0, "positive": 1}}
LETTERS = sorted({letter for text, _ in SENTENCES for letter in text if letter.isalpha()})


@pytest.fixture(scope="module")
def pieces() -> bytes:
    """A SentencePiece model of the sentences."""
    written = BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(text for text, _ in SENTENCES),
        model_writer=written,
        vocab_size=110,
        hard_vocab_limit=False,
        user_defined_symbols=["[CLS]", "[SEP]", "[MASK]"],
        minloglevel=2,
    )
    return written.getvalue()


def save(folder: Path, config: PretrainedConfig, **files: str | bytes) -> Path:
    """A random classifier, and these files (`__` for a dot) beside it."""
    torch.manual_seed(0)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def named(name: str, **settings: object) -> str:
    """A tokenizer_config.json with this class."""
    return json.dumps({"tokenizer_class": name, **settings})


def of_letters(folder: Path) -> Path:
    """PhoBERT's files: a token and its count on each line, and merges; there is no fast form of it."""
    vocabulary = "\n".join(f"{letter}{end} 1" for letter in LETTERS for end in ("", "@@"))
    config = RobertaConfig(**{**ROBERTA, "type_vocab_size": 1, **LABELS})
    files = {"vocab__txt": vocabulary, "bpe__codes": "t h 5\nth e</w> 4\n"}
    return save(folder, config, **files, tokenizer_config__json=named("PhobertTokenizer"))


def of_characters(folder: Path) -> Path:
    """BERT's Japanese tokenizer by characters: slow, with a vocab.txt that is a list."""
    vocabulary = "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS])
    kinds = {"word_tokenizer_type": "basic", "subword_tokenizer_type": "character"}
    settings = named("BertJapaneseTokenizer", **kinds)
    return save(folder, BertConfig(**SIZES, **LABELS), vocab__txt=vocabulary, tokenizer_config__json=settings)


def of_bytes(folder: Path) -> Path:
    """ByT5's tokenizer has no files but its config."""
    config = BertConfig(**{**SIZES, "vocab_size": 384}, **LABELS)
    return save(folder, config, tokenizer_config__json=named("ByT5Tokenizer"))


SLOW = {"PhobertTokenizer": of_letters, "BertJapaneseTokenizer": of_characters, "ByT5Tokenizer": of_bytes}


@pytest.mark.parametrize("kind", SLOW)
def test_slow_tokenizer_through_training_and_export(
    kind: str, cli: Callable, data_root: Path, tmp_path: Path
) -> None:
    folder = SLOW[kind](tmp_path / "model")
    data = ("--task", "verdicts", "--data", data_root)
    trained = cli("compress.finetune", "--model", folder, *data, "--epochs", 1, "--output", tmp_path / "out")
    assert trained.code == 0, trained.err
    flags = ("--eval-samples", 20, "--output", tmp_path / "onnx")
    exported = cli("export.onnx", "--model", tmp_path / "out", "--data", data_root, *flags)
    assert exported.code == 0, exported.err
    source = find_model(str(tmp_path / "onnx"))
    shipped = load_tokenizer(source, load_model(source, None, None, seed=0)[0])
    assert (type(shipped).__name__, shipped.is_fast) == (kind, False)


@pytest.mark.parametrize(
    ("config", "file"),
    [
        (XLMRobertaConfig(**ROBERTA, type_vocab_size=1), "sentencepiece__bpe__model"),
        (AlbertConfig(**SIZES, embedding_size=16), "spiece__model"),
        (DebertaV2Config(**SIZES), "spm__model"),
    ],
)
def test_sentencepiece_alone(config: PretrainedConfig, file: str, pieces: bytes, tmp_path: Path) -> None:
    source = find_model(str(save(tmp_path, config, **{file: pieces})))
    tokenizer = load_tokenizer(source, load_model(source, None, None, seed=0)[0])
    assert len(tokenizer("the film is a quiet delight")["input_ids"]) > 4


def test_cut_pairs_are_not_spoken_of_and_loggers_stay_as_they_were(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loggers = [logging.getLogger(name) for name in CUTTING]
    for logger in loggers:  # whatever a command in this process made of them
        caplog.set_level(logging.WARNING, logger.name)
        logger.addHandler(caplog.handler)
    before = [logger.level for logger in loggers]
    source = find_model(str(of_characters(tmp_path)))
    own = load_tokenizer(source, load_model(source, None, None, seed=0)[0])
    (ids,) = encode_texts(own, [("film" * 20, "delight" * 20)], 16)["input_ids"]
    assert len(ids) == 16
    assert [logger.level for logger in loggers] == before
    assert "overflowing" not in caplog.text
    own("film" * 20, "delight" * 20, truncation=True, max_length=16)
    assert "overflowing" in caplog.text
    for logger in loggers:
        logger.removeHandler(caplog.handler)


def test_vocabulary_alone(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    words = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    source = find_model(str(save(tmp_path, BertConfig(**SIZES), vocab__txt="\n".join(words))))
    own = load_tokenizer(source, load_model(source, None, None, seed=0)[0])
    assert own("the film falls apart")["input_ids"] == tokenizer("the film falls apart")["input_ids"]


@pytest.mark.parametrize(
    ("config", "files", "words"),
    [
        (BertConfig(**SIZES), {}, r"no tokenizer\.json, no vocab\.txt"),
        (RobertaConfig(**ROBERTA), {}, r"no tokenizer\.json, no merges\.txt, no vocab\.json"),
        (RobertaConfig(**ROBERTA), {"vocab__json": "{}"}, r"no tokenizer\.json, no merges\.txt"),
        (XLMRobertaConfig(**ROBERTA), {}, r"no sentencepiece\.bpe\.model"),
        (BertConfig(**SIZES), {"vocab__txt": "a", "tokenizer_config__json": named("NoSuch")}, "NoSuch"),
    ],
)
def test_tokenizer_that_is_none(
    config: PretrainedConfig, files: dict[str, str], words: str, tmp_path: Path
) -> None:
    source = find_model(str(save(tmp_path, config, own__py="raise SystemExit('run')", **files)))
    model = load_model(source, None, None, seed=0)[0]
    with pytest.raises(EdgepressError, match=words):
        load_tokenizer(source, model)


WITHOUT = """
import importlib.abc, importlib.machinery, sys
class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {library!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == {library!r} else find(name, package)
sys.meta_path.insert(0, Hidden())
from edgepress.core.models import find_model
from edgepress.core.pretrained import load_model, load_tokenizer
source = find_model({folder!r})
try:
    load_tokenizer(source, load_model(source, None, None, seed=0)[0])
except Exception as error:
    print(error, "|", getattr(error, "hint", ""))
"""


def asked_without(library: str, folder: Path) -> str:
    """What is said of a folder where a library is not installed."""
    code = "import importlib.util\n" + WITHOUT.format(library=library, folder=str(folder))
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout


@pytest.mark.slow
def test_library_that_a_tokenizer_needs(tmp_path: Path) -> None:
    config = FlaubertConfig(vocab_size=30, emb_dim=8, n_layers=1, n_heads=2)
    save(tmp_path, config, vocab__json="{}", merges__txt="#version: 0.2\n")
    said = asked_without("sacremoses", tmp_path)
    assert "its tokenizer needs sacremoses | pip install sacremoses" in said


@pytest.mark.slow
def test_library_that_a_japanese_tokenizer_needs(tmp_path: Path) -> None:
    settings = named("BertJapaneseTokenizer", word_tokenizer_type="mecab")
    save(tmp_path, BertConfig(**SIZES), vocab__txt="[UNK]", tokenizer_config__json=settings)
    assert "its tokenizer needs fugashi | pip install fugashi" in asked_without("fugashi", tmp_path)
