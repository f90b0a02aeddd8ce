"""The command as a pipeline: check, open, count, choose, cut, recover, compare, write, show."""

import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path

from compress.change.check import open_to_change
from compress.change.result import State, checkpoints_of, write_learned
from compress.teaching.lesson import Learned, Lesson
from compress.training.config import with_defaults
from compress.training.data import TrainingText
from compress.training.trainer import classification_data
from compress.trim_vocab.config import TrimVocabConfig
from compress.trim_vocab.dropout import encode_with_dropout
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
from edgepress.identity import SHA256, digest_of
from edgepress.loading import OpenedModel
from edgepress.splits import load_split


def trim_vocab(config: TrimVocabConfig) -> Path:
    """Run the command and return the artifact's folder.

    Raises:
        EdgepressError: bad input (exit code 2); the output is as it was.
    """
    output, opened = open_to_change(config, "trimmed")
    check_trimmable(opened.tokenizer, opened.source.name)
    config = with_defaults(config, opened.schedule, opened.recorded_length)
    begun = time.monotonic()
    corpus, kept = _choose(config, opened)
    tokens = {"kept tokens": {"rows": len(kept.ids), SHA256: digest_of(kept.ids)}}
    with checkpoints_of(config, output, opened, tokens) as (checkpoints, text):
        outcome, learned = _trim(config, opened, corpus, kept, text, checkpoints)
        if learned is None or learned.writes:
            seconds = learned.seconds if learned else time.monotonic() - begun
            step = Step("trim_vocab", config.recorded(), seconds, outcome.metrics)
            body = outcome.markdown()
            write_learned(config, output, outcome.opened, step, body, learned, checkpoints)
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
    return chain.from_iterable(load_split(opened.text_task, "train").texts)


def _trim(
    config: TrimVocabConfig,
    opened: OpenedModel,
    corpus: str,
    kept: Kept,
    text: TrainingText | None,
    checkpoints: Path,
) -> tuple[Outcome, Learned | None]:
    lesson = Lesson.of(config, opened, text) if config.epochs else None
    before = State.of(config, opened)
    trimmed = replace(opened, tokenizer=trimmed_tokenizer(opened.tokenizer, kept))
    trim_embeddings(opened.model, kept)
    states = [before, State.of(config, trimmed)]
    learned = _recover(config, lesson, trimmed, checkpoints) if lesson else None
    if learned:
        states.append(State.after(config, trimmed, learned))
    task = opened.text_task
    split = load_split(task, task.evaluation_split)
    texts = split.sample(config.eval_samples, config.seed).texts
    outcome = Outcome(
        opened=trimmed,
        corpus=corpus,
        tokens=(len(opened.tokenizer), len(kept.ids)),
        states=states,
        texts=len(texts),
        changed=changes(opened.tokenizer, trimmed.tokenizer, texts),
        recovered=learned.figures if learned else {},
    )
    return outcome, learned


def _recover(config: TrimVocabConfig, lesson: Lesson, trimmed: OpenedModel, checkpoints: Path) -> Learned:
    """Learn from words in pieces what the untrimmed model said to whole ones; judged on texts as they are."""
    console.step(f"recovering for {config.epochs:g} epochs, learning rate {config.learning_rate:g}")
    length = config.length_for(trimmed)
    data = classification_data(trimmed.tokenizer, trimmed.text_task, lesson.text, length)
    train = encode_with_dropout(trimmed, lesson.text.train, length, config.subword_dropout, config.seed)
    return replace(lesson, opened=trimmed, data=replace(data, train=train)).learn(checkpoints)
