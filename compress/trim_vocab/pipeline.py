"""Count tokens, choose, cut the embeddings, and recover."""

import time
from dataclasses import replace
from itertools import chain
from pathlib import Path

from compress.compression import ModelFigures, SelfDistillation, begin_training, compressed, run_compression
from compress.step import StepResult
from compress.training.checkpoints import TechniqueRun
from compress.training.config import passes, with_defaults
from compress.training.scoring import TrainingResult
from compress.training.trainer import task_data
from compress.trim_vocab.config import TrimVocabConfig, TrimVocabOptions
from compress.trim_vocab.report import changes, report
from compress.trim_vocab.tokens import (
    Kept,
    choose,
    count_tokens,
    encode_with_dropout,
    trim_embeddings,
    trimmed_tokenizer,
)
from compress.trim_vocab.vocabularies import check_trimmable
from edgepress.core import console
from edgepress.core.corpus import load_corpus
from edgepress.core.errors import EdgepressError
from edgepress.core.identity import SHA256, digest_of
from edgepress.core.loading import OpenedModel
from edgepress.core.splits import load_split


def run(config: TrimVocabConfig) -> Path:
    """The command; the artifact's folder."""
    return run_compression(config, trim_vocab)


def trim_vocab(opened: OpenedModel, options: TrimVocabOptions, run: TechniqueRun) -> StepResult:
    """Drop the tokens that a corpus never needs, in place.

    Raises:
        EdgepressError: the tokenizer cannot be trimmed, the corpus has no text, or there are no texts to
            learn from.
    """
    check_trimmable(opened.tokenizer, opened.source.name)
    options = with_defaults(options, opened.schedule, opened.recorded_length)
    if opened.kind.shares_tokens and options.epochs:
        console.step("recovering by labels alone: what the model said before is of other tokens")
        options = replace(options, response_weight=0.0, label_weight=1.0, subword_dropout=0.0)
    begun = time.monotonic()
    corpus, kept = _choose(options, opened)
    more = {"kept tokens": {"rows": len(kept.ids), SHA256: digest_of(kept.ids)}}
    checkpoints, text = begin_training(run, options, opened, more)
    teacher = SelfDistillation.of(options, opened, text) if text else None
    figures = [ModelFigures.of(options, opened)]
    trimmed = replace(opened, tokenizer=trimmed_tokenizer(opened.tokenizer, kept))
    trim_embeddings(opened.model, kept)
    figures.append(ModelFigures.of(options, trimmed))
    training = _recover(options, teacher, trimmed, checkpoints) if teacher else None
    if training:
        figures.append(ModelFigures.of(options, trimmed, training))
    task = opened.text_task
    texts = load_split(task, task.evaluation_split).sample(options.eval_samples, options.seed).texts
    tokens = len(opened.tokenizer), len(kept.ids)
    changed = changes(opened.tokenizer, trimmed.tokenizer, texts)
    found = report(trimmed, corpus, tokens, figures, len(texts), changed)
    seconds = training.seconds if training else time.monotonic() - begun
    return compressed(trimmed, "trim_vocab", options, found, training, seconds)


def _choose(options: TrimVocabOptions, opened: OpenedModel) -> tuple[str, Kept]:
    """What the corpus is called, and the tokens that it needs."""
    task = opened.text_task
    name = ", ".join(options.corpus) or f"{task.name}/train"
    console.step(f"counting the tokens of {name}")
    if options.corpus:
        texts = [text for own in options.corpus for text in load_corpus(own, opened.data).texts]
    else:
        texts = list(chain.from_iterable(load_split(task, "train").texts))
    counts = count_tokens(opened.tokenizer, texts)
    if not counts:
        raise EdgepressError(f"{name} has no text", "name another --corpus")
    return name, choose(opened.tokenizer, opened.model, counts, options.min_count, options.size)


def _recover(
    options: TrimVocabOptions, teacher: SelfDistillation, trimmed: OpenedModel, checkpoints: Path
) -> TrainingResult:
    """Learn from words in pieces what the untrimmed model said to whole ones; judged on texts as they are."""
    console.step(f"recovering for {passes(options)}, learning rate {options.learning_rate:g}")
    length = options.length_for(trimmed)
    data = task_data(trimmed.tokenizer, trimmed.text_task, teacher.text, length)
    if options.subword_dropout:
        dropped = (options.subword_dropout, options.seed)
        data = replace(data, train=encode_with_dropout(trimmed, teacher.text.train, length, *dropped))
    return replace(teacher, opened=trimmed, data=data).train(checkpoints)
