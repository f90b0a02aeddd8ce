"""A table of what people bring, and what must come: a score with class names, or the error's first words.

A row: command, model, data, flags, expected. `odd_models.py` and `odd_data.py` say what
the names of models and data mean.
What every command does first, opening a model and judging it on its task, most rows do without a command.
Expected is a score of the evaluation split, with the class names of what is written; or words of an error,
which ends with exit code 2 and leaves nothing written.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tyro
from odd_models import Workshop
from transformers import AutoConfig

from edgepress.api.model import Model
from edgepress.core.artifact import open_artifact
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import open_model
from export.core.config import ModelFlags

LOAD = "load"
"""Opening and judging a model as commands do, with the flags that they share."""
NEG_POS, POS_NEG, THREE = ["negative", "positive"], ["positive", "negative"], ["POS", "NEG", "NEU"]
MULTI = ("--problem-type", "multi_label_classification")
SINGLE = ("--problem-type", "single_label_classification")
VALUE = ("--problem-type", "regression")
UNFIT = "the labels do not fit"
# A model, then data, that are as they should be.
FINE, WORDS = "two classes", "words"


def right(names: list[str] = NEG_POS, score: float = 1.0) -> dict[str, Any]:
    """A score, and the class names of what is written."""
    return {"score": score, "names": names}


Row = tuple[str, str, str, tuple[str, ...], Any]

# What the labels of the data are to a trained classifier. All sentences are classified rightly.
LABELS: list[Row] = [
    ("export.onnx", FINE, WORDS, (), right()),
    (LOAD, FINE, "capitals", (), right()),
    (LOAD, FINE, "blanks", (), right()),
    (LOAD, FINE, "numbers", (), right()),
    (LOAD, FINE, "whole floats", (), right()),
    ("export.onnx", FINE, "numbers from 1", (), UNFIT),
    ("export.onnx", FINE, "numbers from 1", ("--label-map", "1=negative", "2=positive"), right()),
    (LOAD, FINE, "short words", (), UNFIT),
    (LOAD, FINE, "short words", ("--label-map", "neg=0", "pos=1"), right()),
    (LOAD, FINE, "other words", (), UNFIT),
    (LOAD, FINE, "other words", ("--label-map", "bad=negative"), UNFIT),
    (
        LOAD,
        FINE,
        "other words",
        ("--label-map", "bad=negative", "good=best"),
        "--label-map: the model has no class",
    ),
    (
        LOAD,
        FINE,
        "other words",
        ("--label-map", "fair=negative"),
        "--label-map: other words has no label",
    ),
    (LOAD, FINE, WORDS, ("--label-map", "negative"), "--label-map: 'negative' is not DATA=MODEL"),
    (LOAD, FINE, "true and false", (), UNFIT),
    (LOAD, FINE, "stars", (), UNFIT),
    (LOAD, FINE, "floats", (), UNFIT),
    (LOAD, FINE, "floats", VALUE, "the data are a regression"),
    (LOAD, FINE, "one class", (), right(score=0.5)),
    (LOAD, FINE, "None as a class", (), UNFIT),
    ("export.onnx", "turned", WORDS, (), right(POS_NEG)),
    (LOAD, "turned", "numbers", (), right(POS_NEG, score=0.0)),
    (LOAD, "capitals", WORDS, (), right(["NEGATIVE", "POSITIVE"])),
    (LOAD, "no names", "numbers", (), right(["LABEL_0", "LABEL_1"])),
    (LOAD, "no names", WORDS, (), UNFIT),
    (
        LOAD,
        "no names",
        WORDS,
        ("--label-map", "negative=0", "positive=1"),
        right(["LABEL_0", "LABEL_1"]),
    ),
    (LOAD, "numbers from 1", "numbers from 1", (), right(["1", "2"])),
    (LOAD, "numbers from 1", "numbers", (), UNFIT),
    (LOAD, "turned numbers", "numbers", (), right(["1", "0"], score=0.0)),
    (LOAD, "POS NEG NEU", "short words", (), right(THREE)),
    (LOAD, "POS NEG NEU", WORDS, (), UNFIT),
    (LOAD, "POS NEG NEU", "numbers", (), UNFIT),
    (LOAD, "POS NEG NEU", "numbers", ("--label-map", "id"), right(THREE, score=0.0)),
    (LOAD, "POS NEG NEU", "numbers", ("--label-map", "0=NEG", "1=POS"), right(THREE)),
    (LOAD, "same name twice", "numbers", (), right(["a", "A"])),
    (LOAD, "several labels", "flags", (), right(["good", "film"], score=None)),
    (LOAD, "several labels", WORDS, (), "the labels do not fit"),
    (LOAD, "several labels", "one flag", (), "the labels do not fit"),
    # The rank correlation of distinct values with two values, half of the texts each, is at most sqrt(3) / 2.
    ("export.onnx", "a value", "floats", (), right(["LABEL_0"], score=0.866)),
    (LOAD, "a value", WORDS, (), "row 2: label 'positive' is not a number"),
    ("compress.quantize", "turned", WORDS, (), right(POS_NEG)),
    ("compress.quantize", FINE, "short words", (), UNFIT),
    ("compress.finetune", "turned", WORDS, (), right(POS_NEG)),
    ("compress.finetune", FINE, "short words", (), UNFIT),
    ("compress.finetune", FINE, "short words", ("--head", "new", "--epochs", "4"), right(["neg", "pos"])),
    ("compress.finetune", "POS NEG NEU", WORDS, (), UNFIT),
    ("compress.distill", "turned", WORDS, (), right(POS_NEG)),
    ("compress.distill", FINE, "short words", (), UNFIT),
    ("compress.prune", "turned", WORDS, ("--ffn", "0.1"), right(POS_NEG)),
    ("compress.prune", FINE, "short words", ("--ffn", "0.1"), UNFIT),
    ("compress.sparsify", "turned", WORDS, ("--sparsity", "0.05", "--formats"), right(POS_NEG)),
    ("compress.qat", FINE, "short words", (), UNFIT),
    ("compress.trim_vocab", "turned", WORDS, (), right(POS_NEG)),
    ("compress.trim_vocab", FINE, "short words", (), UNFIT),
    ("export.torchscript", "turned", WORDS, (), right(POS_NEG)),
]

# What a folder of files is taken for.
FOLDERS: list[Row] = [
    *((LOAD, FINE, name, (), right()) for name in ("val", "dev", "valid", "Capital Dev", "tsv", "shards")),
    *((LOAD, FINE, name, (), right()) for name in ("test alone", "more columns", "row numbers")),
    *(
        ("export.onnx", FINE, name, (), right())
        for name in ("brackets in its name [v2]", "a blank and # in its name")
    ),
    (LOAD, FINE, "byte order mark", (), right(score=None)),
    (LOAD, FINE, "column labels", (), right()),
    (LOAD, FINE, "column sentiment", (), right()),
    (LOAD, FINE, "pairs", (), right(score=None)),
    (LOAD, FINE, "a shard missing", (), "1 of 2 files of the train split"),
    (LOAD, FINE, "train alone", (), "no validation and no test split"),
    (LOAD, FINE, "train alone", ("--split", "train"), right()),
    (LOAD, FINE, "train and holdout", (), "no validation and no test split"),
    (LOAD, FINE, "train and holdout", ("--split", "holdout"), right()),
    (LOAD, FINE, WORDS, ("--split", "dev2"), "no split 'dev2'"),
    (LOAD, FINE, "val and dev", (), "both could be the validation split"),
    (LOAD, FINE, "val and dev", ("--split", "dev"), right()),
    (LOAD, FINE, "a split twice", (), "both could be the validation split"),
    (LOAD, FINE, "no split", (), "has no split"),
    (LOAD, FINE, "target and a flag", (), "0 and 1 in each of target, is_reply"),
    (LOAD, FINE, "target and a flag", ("--label-column", "target"), right()),
    (LOAD, FINE, "target and a flag", ("--label-column", "goal"), "no column 'goal'"),
    (LOAD, FINE, "column review", (), "no column 'text'"),
    (LOAD, FINE, "column review", ("--text-columns", "review"), right()),
    (LOAD, FINE, "pairs and text", (), "has text in"),
    (LOAD, FINE, "pairs and text", ("--text-columns", "text"), right()),
    (LOAD, FINE, "separator ;", (), "is separated by semicolons"),
    (LOAD, FINE, "no quotes", (), "line 2 has 3 cells, not 2"),
    (LOAD, FINE, "no label", (), "no column 'label'"),
    (LOAD, FINE, "latin-1", (), "is not UTF-8"),
    (LOAD, FINE, "UTF-16", (), "is not UTF-8"),
    (LOAD, FINE, "empty file", (), "validation.csv is empty"),
    (LOAD, FINE, "headings only", (), "has no rows"),
    (LOAD, FINE, "an empty text", (), "no text in column 'text'"),
    ("export.onnx", FINE, "an empty label", (), "row 3: label ''"),
    (LOAD, FINE, "a cell missing", (), "row 3: label ''"),
    (LOAD, FINE, "a class of its own", (), UNFIT),
    (LOAD, FINE, "a huge text", (), "100,000 characters"),
    (LOAD, FINE, "JSON cut off", (), "unreadable"),
    (LOAD, FINE, "JSON lists", (), "label [1] is none of"),
    (LOAD, FINE, "JSON of one kind and another", (), UNFIT),
    (LOAD, FINE, "no Parquet", (), "unreadable"),
    ("compress.finetune", "encoder", "words", ("--epochs", "4"), right()),
    ("compress.finetune", "encoder", "val", ("--epochs", "4"), right()),
    ("compress.finetune", "encoder", "blanks in training", ("--epochs", "4"), right(score=None)),
    ("compress.finetune", "encoder", "two spellings", (), "one class, or two"),
    ("compress.finetune", "encoder", "one class", (), "one class only"),
    ("compress.finetune", "encoder", "whole floats", (), "classes, or values"),
    ("compress.finetune", "encoder", "whole floats", (*SINGLE, "--epochs", "4"), right(["0", "1"])),
    ("compress.finetune", "encoder", "numbers from 1", ("--epochs", "4"), right(["1", "2"])),
    ("compress.finetune", "encoder", "stars", ("--epochs", "4"), right(["1", "5"])),
    ("compress.finetune", "encoder", "None as a class", ("--epochs", "4"), right(["None", "positive"])),
    ("compress.finetune", "encoder", "n/a as a class", ("--epochs", "4"), right(["NA", "n/a"])),
    ("compress.finetune", "encoder", "true and false", ("--epochs", "4"), right(["False", "True"])),
    ("compress.finetune", "encoder", "one flag", ("--epochs", "4"), right(["spam"])),
    ("compress.finetune", "encoder", "flags", (), "0 and 1 in each of film, good"),
    ("compress.finetune", "encoder", "flags", (*MULTI, "--epochs", "8"), right(["film", "good"], score=None)),
    ("compress.finetune", "encoder", "a number in each row", (), "rows: is"),
    ("compress.finetune", "encoder", "a class of its own", (), "label 'neutral' is none of"),
    ("compress.finetune", "encoder", "train alone", ("--epochs", "4"), right(score=None)),
]

# Whether a folder is the model that it is taken for.
TOKENS, FOREIGN = "holds texts in text, the model is for", "the names of its weights begin with"
LACK, HOLD, SHAPE = "its weights lack", "its weights hold", "has the shape"
FOLDERS_OF_MODELS: list[Row] = [
    ("export.onnx", "GPT-2", WORDS, (), "is a gpt2, which has a decoder; only encoders are taken"),
    (LOAD, "T5", WORDS, (), "is a t5, which has a decoder; only encoders are taken"),
    (LOAD, "two vocabularies", WORDS, (), "vocab.txt and tokenizer.json disagree"),
    ("export.onnx", "token classifier", WORDS, (), TOKENS),
    ("export", "token classifier", WORDS, ("--formats", "torchscript"), TOKENS),
    ("compress.quantize", "token classifier", WORDS, (), TOKENS),
    ("compress.prune", "token classifier", WORDS, ("--ffn", "0.5"), TOKENS),
    ("compress.sparsify", "token classifier", WORDS, (), TOKENS),
    ("compress.qat", "token classifier", WORDS, (), TOKENS),
    ("compress.trim_vocab", "token classifier", WORDS, (), TOKENS),
    ("compress.distill", "token classifier", WORDS, (), TOKENS),
    (LOAD, "token classifier of two tags", WORDS, (), TOKENS),
    (
        LOAD,
        "MobileBERT of tags",
        WORDS,
        (),
        TOKENS,
    ),
    ("export.onnx", "masked lm", WORDS, (), right([f"TAG_{number}" for number in range(5)], score=None)),
    (LOAD, "next sentence", WORDS, (), "is a model for next-sentence prediction"),
    (LOAD, "multiple choice", WORDS, (), "is a model for multiple choice"),
    (LOAD, "pre-training heads", WORDS, (), "is a pre-trained model with its heads"),
    (LOAD, "sentence-transformers", WORDS, (), "is a sentence-transformers model"),
    (LOAD, "question answering", WORDS, (), "is a model for question answering"),
    (LOAD, "no architectures", WORDS, (), right()),
    (LOAD, "architectures of an encoder", WORDS, (), right()),
    (LOAD, "no architectures, token classifier", WORDS, (), TOKENS),
    (
        LOAD,
        "no architectures, MobileBERT of tags",
        WORDS,
        (),
        "config.json does not say which",
    ),
    (LOAD, "no architectures, no bias", WORDS, (), "a head that transformers does not know"),
    (LOAD, "a layer less in config", WORDS, (), f"{HOLD} bert.encoder.layer.1."),
    ("compress.quantize", "a layer less in config", WORDS, (), f"{HOLD} bert.encoder.layer.1."),
    ("compress.finetune", "a layer less in config", WORDS, (), f"{HOLD} bert.encoder.layer.1."),
    (LOAD, "a layer more in config", WORDS, (), f"{LACK} bert.encoder.layer.2."),
    ("compress.finetune", "a layer more in config", WORDS, (), f"{LACK} bert.encoder.layer.2."),
    (LOAD, "billions of layers", WORDS, (), "config.json says 1000000000 layers"),
    (LOAD, "no second layer", WORDS, (), f"{LACK} bert.encoder.layer.1."),
    (LOAD, "other width in config", WORDS, (), SHAPE),
    (LOAD, "more tokens in config", WORDS, (), f"bert.embeddings.word_embeddings.weight {SHAPE}"),
    (LOAD, "huge vocabulary", WORDS, (), f"bert.embeddings.word_embeddings.weight {SHAPE}"),
    (LOAD, "other model type", WORDS, (), "its weights are not those of a distilbert"),
    (LOAD, "no pooler", WORDS, (), f"{LACK} bert.pooler.dense.bias, bert.pooler.dense.weight,"),
    (LOAD, "no bias in the head", WORDS, (), f"{LACK} classifier.bias,"),
    (LOAD, "no head", WORDS, (), f"{LACK} classifier.bias, classifier.weight,"),
    (LOAD, "a deeper head", WORDS, (), f"{HOLD} classifier.2.weight,"),
    (LOAD, "a loss's weights", WORDS, (), f"{HOLD} loss_fct.pos_weight,"),
    (LOAD, "whole numbers", WORDS, (), "holds whole numbers"),
    (LOAD, "quantized by bitsandbytes", WORDS, (), "are quantized already (bitsandbytes"),
    (LOAD, "position ids", WORDS, (), right()),
    (LOAD, "other position ids", WORDS, (), "is not what a BertForSequenceClassification counts"),
    (LOAD, "names of TensorFlow", WORDS, (), right()),
    (LOAD, "module. before names", WORDS, (), f"{FOREIGN} 'module.'"),
    (LOAD, "_orig_mod. before names", WORDS, (), f"{FOREIGN} '_orig_mod.'"),
    ("compress.finetune", "module. before names", WORDS, (), f"{FOREIGN} 'module.'"),
    (LOAD, "model. before names", WORDS, (), f"{FOREIGN} 'model.'"),
    ("compress.finetune", "model. before names", WORDS, (), f"{FOREIGN} 'model.'"),
    ("export.onnx", "ModernBERT", WORDS, (), right(score=None)),
    (LOAD, "ModernBERT with model. twice", WORDS, (), f"{FOREIGN} 'model.'"),
    (LOAD, "ModernBERT with module. first", WORDS, (), f"{FOREIGN} 'module.'"),
    (LOAD, "more tokens than rows", WORDS, (), "its tokenizer has ids up to"),
    ("compress.finetune", "more tokens than rows", WORDS, (), "its tokenizer has ids up to"),
    ("compress.trim_vocab", "more tokens than rows", WORDS, (), "its tokenizer has ids up to"),
    (LOAD, "vocab.txt alone", WORDS, (), right()),
    ("compress.finetune", "vocab.txt alone", WORDS, (), right()),
    ("compress.trim_vocab", "vocab.txt alone", WORDS, (), right()),
    ("export.onnx", "of transformers 3", WORDS, (), right()),
    ("compress.finetune", "of transformers 3", WORDS, (), right()),
    ("compress.quantize", "of transformers 3", WORDS, (), right()),
    (LOAD, "adapter", WORDS, (), "holds an adapter (adapter_config.json) of org/base"),
    (LOAD, "TensorFlow", WORDS, (), "tf_model.h5 is TensorFlow's weights"),
    (LOAD, "Flax", WORDS, (), "flax_model.msgpack is Flax's weights"),
    (LOAD, "llama.cpp", WORDS, (), "model.gguf is a GGUF file"),
    (LOAD, "git-lfs", WORDS, (), "is a pointer of git-lfs"),
    (LOAD, "another name", WORDS, (), "transformers does not look for best.pt"),
    (LOAD, "an index without files", WORDS, (), "names model-00002.safetensors, which is not there"),
    (LOAD, "an index of other folders", WORDS, (), "names a file outside of it"),
    ("export.onnx", "no weights", WORDS, (), "unreadable weights"),
    (LOAD, "no config", WORDS, (), "has no config.json"),
    (LOAD, "no tokenizer", WORDS, (), "has no tokenizer that transformers opens"),
    (LOAD, "weights cut off", WORDS, (), "unreadable weights"),
    (LOAD, "config cut off", WORDS, (), "unreadable config.json"),
    (LOAD, "config that is a list", WORDS, (), "unreadable config.json"),
    (LOAD, "unknown model type", WORDS, (), "unreadable config.json"),
    (LOAD, "no model type", WORDS, (), "unreadable config.json"),
    (LOAD, "remote code", WORDS, (), "names code of its own (evil.Config), which is never run"),
    (LOAD, "remote code of a known type", WORDS, (), "names code of its own (evil.Model)"),
    (LOAD, "tokenizer cut off", WORDS, (), "unreadable tokenizer"),
    ("compress.finetune", "token classifier", WORDS, (), TOKENS),
    ("compress.finetune", "token classifier", WORDS, ("--head", "new"), right(score=None)),
    ("compress.finetune", "token classifier of two tags", WORDS, ("--head", "new"), right(score=None)),
    ("compress.finetune", "masked lm", WORDS, (), right(score=None)),
    ("compress.finetune", "question answering", WORDS, (), right(score=None)),
    ("compress.finetune", "sentence-transformers", WORDS, (), right(score=None)),
    ("compress.finetune", "no bias in the head", WORDS, (), right(score=None)),
    ("compress.finetune", "a deeper head", WORDS, (), right(score=None)),
]


@pytest.fixture(scope="module")
def workshop(trained_bert, tokenizer, tmp_path_factory) -> Workshop:
    return Workshop(trained_bert, tokenizer, tmp_path_factory.mktemp("odd"))


def name_of(row: Row) -> str:
    command, model, data, flags, _ = row
    return " ".join([command, model, "on", data, *flags]).replace(" ", "_")


def rows() -> Iterator[Any]:
    """Every row; of those that train something one in eight by default, every other one for CI."""
    trained = 0
    for row in (*LABELS, *FOLDERS, *FOLDERS_OF_MODELS):
        trains = row[0].startswith("compress.") and not isinstance(row[-1], str)
        trained += trains
        rarely = pytest.mark.long if trained % 2 else pytest.mark.slow
        yield pytest.param(row, marks=rarely if trains and trained % 8 else ())


@pytest.mark.parametrize("row", [*rows()], ids=name_of)
def test_what_comes_of_it(cli, workshop, tmp_path: Path, row: Row) -> None:
    command, model, data, flags, expected = row
    folder, task, output = workshop.model(model), workshop.data(data), tmp_path / "out" / "it"
    if command == LOAD:
        if isinstance(expected, str):
            with pytest.raises(EdgepressError, match=re.escape(expected)):
                load(folder, task, *flags)
        else:
            as_expected(*load(folder, task, *flags), expected)
        return
    result = cli(command, *arguments(command, folder, task), *flags, "--output", output)
    if isinstance(expected, str):
        assert result.code == 2, result.err
        assert expected in result.error
        assert "Traceback" not in result.err
        assert not output.parent.exists() or not any(output.parent.iterdir())
        return
    assert result.code == 0, result.err
    as_expected(*found(output), expected)


def as_expected(score: float | None, names: list[str], expected: dict[str, Any]) -> None:
    if expected["score"] is not None:
        assert score == pytest.approx(expected["score"], abs=0.05)
    assert names == expected["names"]


def load(folder: Path, task: Path, *flags: str) -> tuple[float | None, list[str]]:
    """The score of a model, and its class names."""
    args = ["--model", str(folder), "--task", str(task), *flags]
    config = tyro.cli(ModelFlags, args=args)
    config.check_paths()
    opened = open_model(config.model, config.weights, config.task, config.data, options=config.task_options)
    model = Model(opened)
    return model.evaluate(samples=30).score if opened.scored else None, list(model.labels)


def arguments(command: str, folder: Path, task: Path) -> list[object]:
    """How a command names model and task, and what keeps it quick."""
    own: dict[str, list[object]] = {
        "compress.quantize": ["--time-budget", 0, "--eval-samples", 30],
        "compress.finetune": ["--epochs", 1, "--learning-rate", "1e-3"],
        "compress.distill": ["--epochs", 3, "--learning-rate", "1e-3", "--no-train-baseline"],
    }
    quick = own.get(command, ["--eval-samples", 30])
    return ["--teacher" if command == "compress.distill" else "--model", folder, "--task", task, *quick]


def found(output: Path) -> tuple[float, list[str]]:
    """The score of what was written, and the class names in its config."""
    metrics = open_artifact(output).manifest.steps[-1].metrics
    places = ("parent_score", "accuracy", "accuracy_on_train", "f1_micro", "spearman")
    score = next((metrics[place] for place in places if place in metrics), None)
    if score is None:
        score = metrics["after"]["score"]
    labels = AutoConfig.from_pretrained(output).id2label
    return score, [labels[number] for number in sorted(labels)]
