"""Train an encoder as a masked language model."""

from pathlib import Path

from compress.pretrain.config import PretrainConfig, PretrainOptions
from compress.step import StepResult, prepare, run_step
from compress.training.checkpoints import TechniqueRun
from compress.training.config import with_defaults
from compress.training.masked_lm import (
    PRETRAINING,
    MaskedLanguageModel,
    corpus_data,
    loss_words,
    train_masked_lm,
)
from edgepress.core.artifact import Step
from edgepress.core.corpus import Corpus, load_corpus
from edgepress.core.loading import OpenedModel
from edgepress.core.masked_lm import open_masked_lm


def run(config: PretrainConfig) -> Path:
    """The command; the artifact's folder."""
    output = prepare(config)
    corpus = load_corpus(config.corpus, config.data)
    opened = open_masked_lm(config.model, config.seed)
    return run_step(config, output, lambda own: pretrain(opened, corpus, config, own))


def pretrain(opened: OpenedModel, corpus: Corpus, options: PretrainOptions, run: TechniqueRun) -> StepResult:
    """Train a masked language model on a corpus, in place.

    Raises:
        EdgepressError: the corpus is too short.
    """
    options = with_defaults(options, PRETRAINING)
    data = corpus_data(opened.tokenizer, corpus, options, opened.longest)
    module = MaskedLanguageModel(opened.model, options.only_head)
    checkpoints = run.checkpoints(options, None, data, model=opened)
    metrics, taken = train_masked_lm(module, data, options, checkpoints, "training")
    losses = f"{loss_words(metrics)} of {corpus.name}"
    return StepResult(
        opened=opened.after(Step("pretrain", options.recorded(), taken, metrics), trained=True),
        score=None,
        body=f"{opened.record().name} trained as a masked language model: {losses}.\n",
        shown=[f"{losses}, {taken:.0f} s"],
        pipeline="fill-mask",
    )
