"""Which inputs a model is given: of each combination of model and tokenizer, through training and export."""

import copy
import json
import re
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import sentencepiece
import torch
from conftest import SENTENCES, small_bert
from small_models import DISTILBERT, LONGEST, ROBERTA, SIZES
from tokenizers import processors
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    CamembertConfig,
    Data2VecTextConfig,
    DebertaV2Config,
    DistilBertConfig,
    MPNetConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    RobertaConfig,
    XLMRobertaConfig,
    XLMRobertaTokenizerFast,
    XLNetConfig,
    XLNetForSequenceClassification,
)

from edgepress.core.errors import EdgepressError
from edgepress.core.inputs import (
    INPUTS,
    fit_inputs,
    fit_padding,
    input_names,
    longest_input,
    require_token_types,
)
from edgepress.core.loading import open_model
from edgepress.core.models import find_model
from edgepress.core.pretrained import load_model, load_tokenizer
from edgepress.core.tasks.kinds import kind_of
from edgepress.core.training_module import TaskModule
from export.core.eager import EagerRunner
from export.onnx import export

IDS, MASK, TYPES = "input_ids", "attention_mask", "token_type_ids"
ONE_TYPE = {"type_vocab_size": 1}


@pytest.fixture(scope="module")
def pieces() -> bytes:
    """A SentencePiece model of the sentences."""
    written = BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(text for text, _ in SENTENCES),
        model_writer=written,
        vocab_size=110,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return written.getvalue()


@pytest.fixture(scope="module")
def without_types(pieces: bytes, tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    """XLM-R's tokenizer, which gives no token types."""
    path = tmp_path_factory.mktemp("pieces") / "sentencepiece.bpe.model"
    path.write_bytes(pieces)
    return XLMRobertaTokenizerFast(vocab_file=str(path))


def random_classifier(config: PretrainedConfig) -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_config(config).eval()


CONFIGS: dict[str, Callable[[], PretrainedConfig]] = {
    "bert": lambda: BertConfig(**SIZES),
    "bert of one type": lambda: BertConfig(**SIZES, **ONE_TYPE),
    "roberta": lambda: RobertaConfig(**ROBERTA, **ONE_TYPE),
    "roberta of two types": lambda: RobertaConfig(**ROBERTA, type_vocab_size=2),
    "xlm-roberta": lambda: XLMRobertaConfig(**ROBERTA, **ONE_TYPE),
    "camembert": lambda: CamembertConfig(**ROBERTA, **ONE_TYPE),
    "data2vec": lambda: Data2VecTextConfig(**ROBERTA, **ONE_TYPE),
    "mpnet": lambda: MPNetConfig(**ROBERTA),
    "distilbert": lambda: DistilBertConfig(**DISTILBERT, max_position_embeddings=LONGEST),
    "deberta-v2": lambda: DebertaV2Config(**SIZES, type_vocab_size=0),
}
WITH_TYPES = ("bert", "roberta of two types")


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("gives_types", [True, False])
def test_export_takes_what_the_tokenizer_gives_at_the_longest_input(
    name: str,
    gives_types: bool,
    tokenizer: PreTrainedTokenizerFast,
    without_types: PreTrainedTokenizerBase,
    tmp_path: Path,
) -> None:
    model = random_classifier(CONFIGS[name]())
    (tokenizer if gives_types else without_types).save_pretrained(tmp_path)
    own = AutoTokenizer.from_pretrained(tmp_path)
    fit_inputs(own, model)
    names = [IDS, MASK, *([TYPES] if gives_types and name in WITH_TYPES else [])]
    assert list(input_names(model)) == names == own.model_input_names
    assert longest_input(model) == LONGEST
    export(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert [entry.name for entry in session.get_inputs()] == names
    pairs = ["the film " * 100] * 8, ["this story is a quiet delight " * 100] * 8
    batch = dict(own(*pairs, truncation=True, max_length=LONGEST, return_tensors="np"))
    assert batch[IDS].shape == (8, LONGEST)
    assert sorted(batch) == sorted(names)
    with EagerRunner(model) as runner:
        expected = runner(batch)
    found = session.run(["logits"], {key: value.astype(np.int64) for key, value in batch.items()})[0]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    with torch.no_grad():  # what the tokenizer gives is what transformers itself would be given
        plain = model(**own(*pairs, truncation=True, max_length=LONGEST, return_tensors="pt")).logits
    np.testing.assert_allclose(expected, plain.numpy(), atol=1e-6)


OTHERS = ("bert", "roberta", "xlm-roberta", "camembert")


@pytest.mark.parametrize(
    "name", ["bert of one type", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]
)
@pytest.mark.parametrize("gives_types", [True, False])
def test_pairs_are_learned(
    name: str,
    gives_types: bool,
    cli: Callable,
    tokenizer: PreTrainedTokenizerFast,
    without_types: PreTrainedTokenizerBase,
    tmp_path: Path,
) -> None:
    random_classifier(CONFIGS[name]()).save_pretrained(tmp_path / "model")
    (tokenizer if gives_types else without_types).save_pretrained(tmp_path / "model")
    for split in ("train", "validation"):
        rows = [
            {"sentence1": text, "sentence2": "the film is dull " * 30, "label": label}
            for text, label in SENTENCES[:40]
        ]
        path = tmp_path / "pairs" / f"{split}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(map(json.dumps, rows)))
    flags = ("--task", tmp_path / "pairs", "--epochs", 1, "--head", "new", "--output", tmp_path / "out")
    result = cli("compress.finetune", "--model", tmp_path / "model", *flags)
    assert result.code == 0, result.err
    opened = open_model(str(tmp_path / "out"), data=tmp_path)
    assert input_names(opened.model) == tuple(opened.tokenizer.model_input_names)


def test_inputs_that_the_tokenizer_withholds_are_recorded(without_types: PreTrainedTokenizerBase) -> None:
    model = small_bert(300)
    fit_inputs(without_types, model)
    assert getattr(model.config, INPUTS) == [IDS, MASK]


def test_record_goes_with_another_tokenizer(
    tokenizer: PreTrainedTokenizerFast, without_types: PreTrainedTokenizerBase
) -> None:
    model = small_bert(300)
    fit_inputs(without_types, model)
    fit_inputs(tokenizer, model)
    assert input_names(model) == (IDS, MASK, TYPES)
    assert not hasattr(model.config, INPUTS)


def test_mask_is_given_where_the_tokenizer_leaves_it_away(model_folder: Path) -> None:
    own = AutoTokenizer.from_pretrained(model_folder, model_input_names=[IDS])
    fit_inputs(own, small_bert(300))
    assert sorted(own("the film")) == [MASK, IDS]


def test_answers_ask_the_same_place(without_types: PreTrainedTokenizerBase) -> None:
    model = small_bert(300)
    kind = kind_of("question_answering")
    assert TYPES in TaskModule(model, kind).taken
    fit_inputs(without_types, model)
    assert TYPES not in TaskModule(model, kind).taken


@pytest.mark.parametrize(("limit", "expected"), [(24, 24), (512, 64), (int(1e30), 64), (0, 64), (-1, 64)])
def test_tokenizer_that_allows_less(model_folder: Path, limit: int, expected: int) -> None:
    own = AutoTokenizer.from_pretrained(model_folder, model_max_length=limit)
    assert longest_input(small_bert(300), own) == expected


@pytest.mark.parametrize(("limit", "expected"), [("Infinity", 64), ("NaN", 64), ("1e400", 64)])
def test_limit_that_is_no_limit(model_folder: Path, tmp_path: Path, limit: str, expected: int) -> None:
    own = tokenizer_of(model_folder, tmp_path, limit)
    assert longest_input(small_bert(300), own) == expected


def test_limit_that_is_no_number(model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgepressError, match="model_max_length is '512', no number"):
        tokenizer_of(model_folder, tmp_path, '"512"')


def tokenizer_of(model_folder: Path, tmp_path: Path, limit: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder whose tokenizer_config.json has this as its longest input, as JSON."""
    folder = Path(shutil.copytree(model_folder, tmp_path / "limited"))
    path = folder / "tokenizer_config.json"
    path.write_text(re.sub(r'"model_max_length": \d+', f'"model_max_length": {limit}', path.read_text()))
    source = find_model(str(folder))
    return load_tokenizer(source, load_model(source, None, None, 0)[0])


def test_model_without_positions_has_the_usual_limit() -> None:
    model = XLNetForSequenceClassification(
        XLNetConfig(vocab_size=30, d_model=8, n_layer=1, n_head=2, d_inner=8)
    )
    assert longest_input(model) == 512


def test_table_that_was_cut_decides() -> None:
    model = random_classifier(CONFIGS["roberta"]())
    table = model.roberta.embeddings.position_embeddings
    table.weight = torch.nn.Parameter(table.weight[:34].clone())
    assert longest_input(model) == 32


def without_padding(model_folder: Path) -> PreTrainedTokenizerBase:
    own = AutoTokenizer.from_pretrained(model_folder)
    own.pad_token = None
    assert own.pad_token_id is None
    return own


@pytest.mark.parametrize(("pad_token_id", "expected"), [(0, "[PAD]"), (3, "[SEP]"), (None, "[PAD]")])
def test_padding_that_a_tokenizer_lacks(model_folder: Path, pad_token_id: int, expected: str) -> None:
    model, own = small_bert(300), without_padding(model_folder)
    model.config.pad_token_id = pad_token_id
    fit_padding(own, model)
    assert own.pad_token == expected


def test_positions_that_begin_behind_no_padding_id(tokenizer: PreTrainedTokenizerFast) -> None:
    model = random_classifier(RobertaConfig(**ROBERTA, pad_token_id=None))
    with pytest.raises(EdgepressError, match="has no pad_token_id"):
        fit_padding(tokenizer, model)


def test_token_types_that_the_table_does_not_have(tokenizer: PreTrainedTokenizerFast) -> None:
    """XLNet's first token has a type of its own."""
    own, model = copy.deepcopy(tokenizer), small_bert(300)
    own.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:2 $A [SEP]",
        pair="[CLS]:2 $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    with pytest.raises(EdgepressError, match="gives token types up to 2, the model has 2"):
        require_token_types(own, model, "it")
    require_token_types(tokenizer, model, "it")
