"""A tiny classifier, a data set of sixty sentences and a recipe: what every case of the campaign works on."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

TASK = "verdicts"
LABELS = ("negative", "positive")
SUBJECTS = ("the film", "this story", "the acting", "her script", "the second half", "its ending")
VERDICTS = {
    "positive": ("is a quiet delight", "moves and surprises", "is warm, sharp and funny", "holds up well"),
    "negative": ("is a tedious mess", "never comes alive", "is dull and far too long", "falls apart"),
}
ENDINGS = (".", ", all things considered", " from its first minute to its very last one")
EVALUATED = 5
"""Each fifth sentence is held out."""

RECIPE = """
title: A tiny experiment
settings:
  epochs: 2.0
quick: {epochs: 1.0}
steps:
  teacher:
    verb: finetune
    flags: {model: MODEL, task: verdicts, epochs: "${settings.epochs}"}
  pruned:
    verb: prune
    flags: {model: "${steps.teacher}", ffn: 0.5}
table:
  teacher: {of: teacher, title: whole}
  pruned: {of: pruned, title: half of the feed-forward units, over: teacher}
measure: {sequence_length: 8, time_budget: 0.3}
pictures: [size-latency]
"""

# What makes bytes repeat, and keeps the network and this machine's own settings out.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True)
class Material:
    """Folder with all inputs of the commands; no command writes here."""

    folder: Path

    @property
    def model(self) -> Path:
        """A classifier with random weights, as `save_pretrained` leaves it."""
        return self.folder / "tiny-bert"

    @property
    def teacher(self) -> Path:
        """The same, fine-tuned: an artifact. Made by the first command that is tried."""
        return self.folder / "teacher"

    @property
    def old(self) -> Path:
        """Another artifact: what lies where a command writes."""
        return self.folder / "old"

    @property
    def old_results(self) -> Path:
        """The table that a recipe replaces."""
        return self.folder / "old-results"

    @property
    def data(self) -> Path:
        """Root folder of the data sets."""
        return self.folder / "data"

    @property
    def recipe(self) -> Path:
        return self.folder / "tiny.yaml"


def make_material(folder: Path) -> Material:
    """Write the data set, a random classifier with its tokenizer, and the recipe."""
    material = Material(folder)
    rows = [
        (f"{subject} {verdict}{ending}", label)
        for ending in ENDINGS
        for subject in SUBJECTS
        for label, verdicts in VERDICTS.items()
        for verdict in verdicts
    ]
    _write_split(material, "train", [row for index, row in enumerate(rows) if index % EVALUATED])
    _write_split(material, "validation", rows[::EVALUATED])
    _write_model(material.model, [text for text, _ in rows])
    material.recipe.write_text(RECIPE.replace("MODEL", str(material.model)), encoding="utf-8")
    return material


def _write_split(material: Material, split: str, rows: list[tuple[str, str]]) -> None:
    path = material.data / TASK / f"{split}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"text": text, "label": label}) + "\n" for text, label in rows]
    path.write_text("".join(lines), encoding="utf-8")


def _write_model(folder: Path, texts: list[str]) -> None:
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    from edgepress.core.vocabulary import train_tokenizer

    tokenizer = train_tokenizer(texts, 200)
    tokenizer.model_max_length = 64
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.1,
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def environment(home: Path) -> dict[str, str]:
    """The environment of a command whose caches and temporary files lie below `home` alone."""
    places = {"HOME": home, "EDGEPRESS_CACHE": home / "edgepress", "HF_HOME": home / "huggingface"}
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name != "EDGEPRESS_DATA"}
    own = {name: str(path) for name, path in {**places, "TMPDIR": temporary}.items()}
    return {**kept, **ENVIRONMENT, **own}
