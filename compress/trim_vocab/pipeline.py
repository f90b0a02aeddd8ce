"""The command as a pipeline: check, open, count, choose, cut, compare, write, show."""

import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path

from compress.change.check import open_to_change
from compress.change.result import State, write_changed
from compress.trim_vocab.config import TrimVocabConfig
from compress.trim_vocab.pieces import changes
from compress.trim_vocab.report import Outcome
from compress.trim_vocab.tokens import (
    Kept,
    check_trimmable,
    choose,
    count_tokens,
    trim_embeddings,
    trimmed_tokenizer,
)
from edgepress import console
from edgepress.artifact import Step
from edgepress.corpus import load_corpus
from edgepress.errors import EdgepressError
from edgepress.loading import OpenedModel
from edgepress.splits import load_split


def trim_vocab(config: TrimVocabConfig) -> Path:
    """Run the command and return the artifact's folder.

    Raises:
        EdgepressError: bad input (exit code 2); the output is as it was.
    """
    output, opened = open_to_change(config, "trimmed")
    check_trimmable(opened.tokenizer, opened.source.name)
    begun = time.monotonic()
    corpus, kept = _choose(config, opened)
    outcome = _trim(config, opened, corpus, kept)
    step = Step("trim_vocab", config.recorded(), time.monotonic() - begun, outcome.metrics)
    write_changed(output, config.overwrite, outcome.opened, step, config.seed, outcome.markdown())
    outcome.show()
    return output


def _choose(config: TrimVocabConfig, opened: OpenedModel) -> tuple[str, Kept]:
    """What the corpus is called, and the tokens that it needs."""
    task = opened.text_task
    name = config.corpus or f"{task.name}/train"
    console.step(f"counting the tokens of {name}")
    texts = _texts(config, opened)
    counts = count_tokens(opened.tokenizer, list(texts))
    if not counts:
        raise EdgepressError(f"{name} has no text", "name another --corpus")
    return name, choose(opened.tokenizer, opened.model.config, counts, config.min_count, config.size)


def _texts(config: TrimVocabConfig, opened: OpenedModel) -> Iterable[str]:
    if config.corpus is not None:
        return load_corpus(config.corpus, config.data).texts
    return chain.from_iterable(load_split(opened.text_task, "train", config.data).texts)


def _trim(config: TrimVocabConfig, opened: OpenedModel, corpus: str, kept: Kept) -> Outcome:
    judged = config.eval_samples, config.seed, config.data
    before = State.of(opened, *judged)
    trimmed = replace(opened, tokenizer=trimmed_tokenizer(opened.tokenizer, kept))
    trim_embeddings(opened.model, kept)
    task = opened.text_task
    texts = load_split(task, task.evaluation_split, config.data).sample(*judged[:2]).texts
    return Outcome(
        opened=trimmed,
        corpus=corpus,
        tokens=(len(opened.tokenizer), len(kept.ids)),
        states=(before, State.of(trimmed, *judged)),
        texts=len(texts),
        changed=changes(opened.tokenizer, trimmed.tokenizer, texts),
    )
