"""Small models of the kinds that people bring, each odd in one way, by name."""

import copy
import json
from collections.abc import Callable
from pathlib import Path

import torch
from conftest import small_bert
from odd_data import DATA
from safetensors.torch import load_file, save_file
from small_models import MOBILEBERT, MODERNBERT
from transformers import (
    BertForSequenceClassification,
    MobileBertConfig,
    MobileBertForTokenClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    PreTrainedTokenizerFast,
)

Build = Callable[["Workshop", Path], None]


class Workshop:
    """What models are made from: a trained classifier of two classes and its tokenizer."""

    def __init__(
        self, trained: BertForSequenceClassification, tokenizer: PreTrainedTokenizerFast, place: Path
    ) -> None:
        self.trained, self.tokenizer, self.place = trained, tokenizer, place

    def model(self, name: str) -> Path:
        """The folder of a model by its name here, made when it is first asked for."""
        folder = self.place / "models" / str(list(MODELS).index(name))
        if not folder.exists():
            MODELS[name](self, folder)
        return folder

    def data(self, name: str) -> Path:
        """The folder of data by its name here, made when it is first asked for."""
        folder = self.place / "data" / name
        if not folder.exists():
            DATA[name](folder)
        return folder

    def classifier(self, folder: Path, rows: list[int | None], labels: tuple[str, ...]) -> None:
        """A classifier whose logits are the trained one's rows in this order; None never wins."""
        model = small_bert(len(self.tokenizer), labels)
        weights, own = self.trained.state_dict(), model.state_dict()
        own.update({name: value for name, value in weights.items() if not name.startswith("classifier")})
        for row, old in enumerate(rows):
            own["classifier.weight"][row] = 0 if old is None else weights["classifier.weight"][old]
            own["classifier.bias"][row] = -100 if old is None else weights["classifier.bias"][old]
        model.load_state_dict(own)
        self.save(model, folder)

    def save(self, model: torch.nn.Module, folder: Path) -> None:
        """As save_pretrained writes model and tokenizer."""
        model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def labelled(*labels: str, rows: list[int | None] | None = None) -> Build:
    return lambda shop, folder: shop.classifier(folder, rows or [0, 1], labels)


def with_config(**changes: object) -> Build:
    """The two-class model with other words in config.json; None removes one."""

    def build(shop: Workshop, folder: Path) -> None:
        shop.classifier(folder, [0, 1], ("negative", "positive"))
        rewrite(folder, **changes)

    return build


def with_weights(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Build:
    """The two-class model with other tensors in its file."""

    def build(shop: Workshop, folder: Path) -> None:
        shop.classifier(folder, [0, 1], ("negative", "positive"))
        path = folder / "model.safetensors"
        save_file(change(load_file(path)), path, {"format": "pt"})

    return build


def without(*parts: str) -> Build:
    return with_weights(
        lambda weights: {
            name: value for name, value in weights.items() if not any(part in name for part in parts)
        }
    )


def prefixed(prefix: str) -> Build:
    return with_weights(lambda weights: {prefix + name: value for name, value in weights.items()})


def headed(kind: str, labels: int = 5) -> Build:
    """A model of transformers' class with another head."""

    def build(shop: Workshop, folder: Path) -> None:
        import transformers

        config = small_bert(len(shop.tokenizer)).config
        config.id2label = {number: f"TAG_{number}" for number in range(labels)}
        config.label2id = {f"TAG_{number}": number for number in range(labels)}
        torch.manual_seed(0)
        shop.save(getattr(transformers, kind)(config), folder)

    return build


def bare(shop: Workshop, folder: Path) -> None:
    shop.save(shop.trained.bert, folder)


def without_files(*names: str) -> Build:
    def build(shop: Workshop, folder: Path) -> None:
        shop.classifier(folder, [0, 1], ("negative", "positive"))
        for name in names:
            (folder / name).unlink(missing_ok=True)  # transformers 5 writes fewer files

    return build


def with_file(name: str, content: bytes) -> Build:
    def build(shop: Workshop, folder: Path) -> None:
        shop.classifier(folder, [0, 1], ("negative", "positive"))
        (folder / name).write_bytes(content)

    return build


def mobile_bert(architectures: list[str] | None) -> Build:
    """A token classifier as MobileBERT's published config has it: its pooler has no layer of its own."""

    def build(shop: Workshop, folder: Path) -> None:
        sizes = {**MOBILEBERT, "vocab_size": len(shop.tokenizer)}
        config = MobileBertConfig(**sizes, classifier_activation=False)
        shop.save(MobileBertForTokenClassification(config), folder)
        rewrite(folder, architectures=architectures)

    return build


def rewrite(folder: Path, **changes: object) -> None:
    """Other words in a folder's config.json; None removes one."""
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def then(build: Build, **changes: object) -> Build:
    def both(shop: Workshop, folder: Path) -> None:
        build(shop, folder)
        rewrite(folder, **changes)

    return both


def embedder(shop: Workshop, folder: Path) -> None:
    bare(shop, folder)
    (folder / "modules.json").write_text("[]")


def instead_of_weights(name: str, content: bytes = b"") -> Build:
    def build(shop: Workshop, folder: Path) -> None:
        without_files("model.safetensors")(shop, folder)
        (folder / name).write_bytes(content)

    return build


def index_of(*files: str) -> Build:
    content = json.dumps({"weight_map": {f"tensor{number}": file for number, file in enumerate(files)}})
    return instead_of_weights("model.safetensors.index.json", content.encode())


def plus(name: str, value: torch.Tensor) -> Build:
    return with_weights(lambda weights: {**weights, name: value})


def in_integers(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    name = "bert.encoder.layer.0.attention.self.query.weight"
    return {**weights, name: weights[name].to(torch.int8)}


def named_by_tensorflow(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    names = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    return {
        next((name.replace(new, old) for new, old in names.items() if new in name), name): value
        for name, value in weights.items()
    }


def decoder(kind: str) -> Build:
    """A classifier of transformers that is no encoder."""

    def build(shop: Workshop, folder: Path) -> None:
        import transformers

        sizes = {
            "GPT2": {"n_embd": 8, "n_layer": 1, "n_head": 1},
            "T5": {"d_model": 8, "d_ff": 8, "num_layers": 1},
        }
        words = {"vocab_size": len(shop.tokenizer), "pad_token_id": 0, "eos_token_id": 0}
        config = getattr(transformers, f"{kind}Config")(**sizes[kind], **words)
        shop.save(getattr(transformers, f"{kind}ForSequenceClassification")(config), folder)

    return build


def two_vocabularies(shop: Workshop, folder: Path) -> None:
    """tokenizer.json, and a vocab.txt in which two words have changed places."""
    shop.classifier(folder, [0, 1], ("negative", "positive"))
    vocabulary = shop.tokenizer.get_vocab()
    words = sorted(vocabulary, key=vocabulary.__getitem__)
    words[10], words[11] = words[11], words[10]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")


def vocabulary_alone(shop: Workshop, folder: Path) -> None:
    """As BERT was published: vocab.txt, and no other file of a tokenizer."""
    without_files(*TOKENIZER_FILES)(shop, folder)
    vocabulary = shop.tokenizer.get_vocab()
    words = sorted(vocabulary, key=vocabulary.__getitem__)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")


def larger_tokenizer(shop: Workshop, folder: Path) -> None:
    """A token was added, and the embedding table has no row for it."""
    shop.classifier(folder, [0, 1], ("negative", "positive"))
    tokenizer = copy.deepcopy(shop.tokenizer)
    tokenizer.add_tokens(["<new>"])
    tokenizer.save_pretrained(folder)


def modern_bert(prefix: str = "") -> Build:
    """A ModernBERT, whose own names begin with `model.`, with another prefix before them."""

    def build(shop: Workshop, folder: Path) -> None:
        torch.manual_seed(0)
        names = {"id2label": {0: "negative", 1: "positive"}, "label2id": {"negative": 0, "positive": 1}}
        sizes = {**MODERNBERT, "vocab_size": len(shop.tokenizer)}
        shop.save(ModernBertForSequenceClassification(ModernBertConfig(**sizes, **names)), folder)
        path = folder / "model.safetensors"
        weights = {prefix + name: value for name, value in load_file(path).items()}
        save_file(weights, path, {"format": "pt"})

    return build


TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


# What config.json of a classifier had in 2020, beside what it still has; `None` had no entry.
TRANSFORMERS_3 = {
    "transformers_version": None,
    "dtype": None,
    "problem_type": None,
    "position_embedding_type": None,
    "use_cache": None,
    "classifier_dropout": None,
    "_num_labels": 2,
    "num_labels": 2,
    "finetuning_task": "sst-2",
    "gradient_checkpointing": False,
    "output_attentions": False,
    "output_hidden_states": False,
    "output_past": True,
    "pruned_heads": {},
    "torchscript": False,
    "use_bfloat16": False,
    "is_decoder": False,
    "do_sample": False,
    "early_stopping": False,
    "length_penalty": 1.0,
    "max_length": 20,
    "min_length": 0,
    "num_beams": 1,
    "num_return_sequences": 1,
    "repetition_penalty": 1.0,
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 1.0,
    "bos_token_id": 0,
    "eos_token_ids": 0,
}


def of_transformers_3(shop: Workshop, folder: Path) -> None:
    """A folder of 2020: its config, a pickle with counted positions, vocab.txt."""
    vocabulary_alone(shop, folder)
    rewrite(folder, **TRANSFORMERS_3)
    weights = {**load_file(folder / "model.safetensors"), POSITION_IDS: torch.arange(64)[None]}
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


POSITION_IDS = "bert.embeddings.position_ids"


MODELS: dict[str, Build] = {
    "GPT-2": decoder("GPT2"),
    "T5": decoder("T5"),
    "two vocabularies": two_vocabularies,
    "token classifier of two tags": headed("BertForTokenClassification", labels=2),
    "no architectures, token classifier": then(headed("BertForTokenClassification"), architectures=None),
    "MobileBERT of tags": mobile_bert(["MobileBertForTokenClassification"]),
    "no architectures, MobileBERT of tags": mobile_bert(None),
    "no architectures, no bias": then(without("classifier.bias"), architectures=None),
    "sentence-transformers": embedder,
    "billions of layers": with_config(num_hidden_layers=10**9),
    "a deeper head": plus("classifier.2.weight", torch.zeros(2, 2)),
    "a loss's weights": plus("loss_fct.pos_weight", torch.ones(2)),
    "position ids": plus(POSITION_IDS, torch.arange(64)[None]),
    "other position ids": plus(POSITION_IDS, torch.arange(64)[None] + 1),
    "whole numbers": with_weights(in_integers),
    "names of TensorFlow": with_weights(named_by_tensorflow),
    "quantized by bitsandbytes": with_config(quantization_config={"quant_method": "bitsandbytes"}),
    "adapter": with_file("adapter_config.json", b'{"base_model_name_or_path": "org/base"}'),
    "TensorFlow": instead_of_weights("tf_model.h5"),
    "Flax": instead_of_weights("flax_model.msgpack"),
    "llama.cpp": instead_of_weights("model.gguf"),
    "git-lfs": with_file("model.safetensors", b"version https://git-lfs.github.com/spec/v1"),
    "another name": instead_of_weights("best.pt"),
    "an index without files": index_of("model-00002.safetensors"),
    "an index of other folders": index_of("../model.safetensors"),
    "remote code of a known type": with_config(auto_map={"AutoModelForSequenceClassification": "evil.Model"}),
    "two classes": labelled("negative", "positive"),
    "turned": labelled("positive", "negative", rows=[1, 0]),
    "capitals": labelled("NEGATIVE", "POSITIVE"),
    "no names": labelled("LABEL_0", "LABEL_1"),
    "numbers from 1": labelled("1", "2"),
    "turned numbers": labelled("1", "0"),
    "POS NEG NEU": labelled("POS", "NEG", "NEU", rows=[1, 0, None]),
    "same name twice": labelled("a", "A"),
    "several labels": with_config(
        problem_type="multi_label_classification",
        id2label={"0": "good", "1": "film"},
        label2id={"good": 0, "film": 1},
    ),
    "a value": labelled("LABEL_0", rows=[1]),
    "encoder": bare,
    "token classifier": headed("BertForTokenClassification"),
    "masked lm": headed("BertForMaskedLM"),
    "question answering": headed("BertForQuestionAnswering"),
    "next sentence": headed("BertForNextSentencePrediction"),
    "multiple choice": headed("BertForMultipleChoice"),
    "pre-training heads": headed("BertForPreTraining"),
    "a layer less in config": with_config(num_hidden_layers=1),
    "a layer more in config": with_config(num_hidden_layers=3),
    "other width in config": with_config(hidden_size=32, intermediate_size=64),
    "more tokens in config": with_config(vocab_size=1000),
    "no architectures": with_config(architectures=None),
    "architectures of an encoder": with_config(architectures=["BertModel"]),
    "unknown model type": with_config(model_type="bertt"),
    "no model type": with_config(model_type=None),
    "other model type": with_config(model_type="distilbert"),
    "remote code": with_config(auto_map={"AutoConfig": "evil.Config"}, model_type="evil"),
    "huge vocabulary": with_config(vocab_size=10**12),
    "no pooler": without("pooler"),
    "no bias in the head": without("classifier.bias"),
    "no head": without("classifier"),
    "no second layer": without("layer.1."),
    "module. before names": prefixed("module."),
    "_orig_mod. before names": prefixed("_orig_mod."),
    "model. before names": prefixed("model."),
    "ModernBERT": modern_bert(),
    "ModernBERT with model. twice": modern_bert("model."),
    "ModernBERT with module. first": modern_bert("module."),
    "vocab.txt alone": vocabulary_alone,
    "more tokens than rows": larger_tokenizer,
    "of transformers 3": of_transformers_3,
    "no config": without_files("config.json"),
    "no weights": without_files("model.safetensors"),
    "no tokenizer": without_files(*TOKENIZER_FILES),
    "weights cut off": with_file("model.safetensors", b"\x10\x00\x00\x00\x00\x00\x00\x00{}"),
    "config cut off": with_file("config.json", b'{"model_type": "be'),
    "config that is a list": with_file("config.json", b"[]"),
    "manifest that is none": with_file("manifest.json", b"{}"),
    "manifest cut off": with_file("manifest.json", b'{"name"'),
    "tokenizer cut off": with_file("tokenizer.json", b'{"version"'),
}
