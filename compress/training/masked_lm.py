"""Masked-language modelling: blocks of a corpus, their masks, and the loss at the masked positions."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compress.training.config import TrainingOptions, passes
from compress.training.progress import history, seconds
from compress.training.scoring import require_finite
from compress.training.trainer import TrainingData, loss_before, train
from edgepress.core import console
from edgepress.core.corpus import Corpus, blocks
from edgepress.core.errors import EdgepressError
from edgepress.core.masking import IGNORED, Masking
from edgepress.core.models import Schedule
from edgepress.core.option_values import Range, out_of_range

# Of Sanh et al.'s own training script; a corpus is long, and one pass is a whole training.
PRETRAINING = Schedule(epochs=1, learning_rate=5e-4)
SHORTEST_BLOCK = 8


def corpus_data(
    tokenizer: PreTrainedTokenizerBase, corpus: Corpus, config: TrainingOptions, longest: int
) -> TrainingData:
    """Blocks of the corpus to train on, and those of its held-out texts.

    Args:
        tokenizer: of the model, and of its teacher.
        corpus: its texts.
        config: says how long blocks are, and how many texts and held-out blocks are used.
        longest: the longest input that the models take [tokens].

    Raises:
        EdgepressError: there is less than one batch of blocks, or nothing is held out.
    """
    if config.hold_out is not None or config.patience is not None:
        raise EdgepressError(
            "--hold-out and --patience are of tasks: of a corpus one text in 20 is held out, and reported",
            "leave them away; --keep best writes the best weights",
        )
    length = min(config.max_length or longest, longest)
    if length < SHORTEST_BLOCK:
        raise out_of_range("max_length", length, Range(SHORTEST_BLOCK))
    training, held_out = corpus.parts()
    if config.train_samples is not None:
        training = training.sample(config.train_samples, config.seed)
    rows, evaluation = (blocks(tokenizer, part, length) for part in (training, held_out))
    if len(rows) < config.batch_size or not len(evaluation):
        raise EdgepressError(
            f"{corpus.name} is too short: {len(rows)} blocks of {length} tokens to train on (a batch takes "
            f"{config.batch_size}) and {len(evaluation)} held out",
            "name a larger corpus, or lower --batch-size or --max-length",
        )
    drawn = np.random.default_rng(0).permutation(len(evaluation))[: config.eval_samples]
    console.step(f"{corpus.name}: {len(rows)} blocks, {min(len(evaluation), config.eval_samples)} held out")
    return TrainingData(rows, evaluation.select(np.sort(drawn)), Masking(tokenizer, config.seed))


# Modules that give the logits one after another: of BERT and MobileBERT, of RoBERTa and MPNet, of ALBERT, of
# DistilBERT, of ELECTRA, of ModernBERT.
VOCABULARY_HEADS = (
    ("cls",),
    ("lm_head",),
    ("predictions",),
    ("vocab_transform", "activation", "vocab_layer_norm", "vocab_projector"),
    ("generator_predictions", "generator_lm_head"),
    ("head", "decoder"),
)


def vocabulary_head(model: Any) -> nn.Module:
    """Return the module that maps hidden states (..., width) to a masked language model's logits."""
    whole = next(parts for parts in VOCABULARY_HEADS if all(hasattr(model, name) for name in parts))
    return nn.Sequential(*(getattr(model, name) for name in whole))


def masked_logits(
    model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, masked: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Last hidden states (rows, tokens, width), and logits (masked tokens, vocabulary) of the masked tokens
    alone: those of all tokens would cost more than the model."""
    states = model.base_model(input_ids, attention_mask=attention_mask).last_hidden_state
    return states, vocabulary_head(model)(states[masked])


def masked_lm_loss(logits: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the hidden tokens, their mean; 0 where a batch hides none.

    Args:
        logits: (hidden tokens, vocabulary).
        hidden: (hidden tokens,), the ids.
    """
    return functional.cross_entropy(logits.float(), hidden, reduction="sum") / max(1, len(hidden))


class MaskedLanguageModel(nn.Module):
    """A masked language model that gives its loss, from logits at the masked positions only."""

    def __init__(self, model: PreTrainedModel, only_head: bool = False) -> None:
        super().__init__()
        self.model = model
        if only_head:  # the embeddings, which the head is tied to, are the encoder's and stay
            model.base_model.requires_grad_(False)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """The loss of a batch.

        Args:
            input_ids: (rows, tokens).
            attention_mask: (rows, tokens), 1 for a token and 0 for padding.
            labels: (rows, tokens), the hidden tokens, and -100 elsewhere.
        """
        masked = labels != IGNORED
        _, logits = masked_logits(self.model, input_ids, attention_mask, masked)
        return {"loss": masked_lm_loss(logits, labels[masked])}


def train_masked_lm(
    module: nn.Module, data: TrainingData, options: TrainingOptions, checkpoints: Path, doing: str
) -> tuple[dict[str, Any], float]:
    """Train a module that gives a masked language model's loss, in place.

    In a launch of several processes all of them have to ask: each scores its part of the blocks.

    Args:
        module: what is trained.
        data: its blocks.
        options: where they say 0 epochs, it stays as it begins.
        checkpoints: a folder for this training alone.
        doing: what the training is called.

    Returns:
        what a manifest keeps of it (the held-out loss before and after, the way there), and what it took [s].
    """
    before = loss = loss_before(module, data, options, checkpoints)
    way: list[dict[str, float]] = []
    taken = 0.0
    if options.epochs:
        console.step(f"{doing} for {passes(options)}, learning rate {options.learning_rate:g}")
        trainer = train(module, data, options, checkpoints)
        loss = float(trainer.evaluate()["eval_loss"])
        way, taken = history(trainer), seconds(trainer)
    require_finite(loss)
    metrics = {
        "masked_lm_loss": loss,
        "masked_lm_loss_before": before,
        "blocks": len(data.train),
        "held_out_blocks": len(data.evaluation),
        "history": way,
    }
    return metrics, taken


def loss_words(metrics: dict[str, Any]) -> str:
    """The held-out loss in words."""
    before, after = metrics["masked_lm_loss_before"], metrics["masked_lm_loss"]
    return f"masked-LM loss {before:.3f} -> {after:.3f} on {metrics['held_out_blocks']} held-out blocks"
