"""Train an encoder as a masked language model."""

from pathlib import Path

from compress.pretrain.config import PretrainConfig, PretrainOptions
from compress.step import StepResult, prepare, run_step
from compress.training.checkpoints import TechniqueRun
from compress.training.config import with_defaults
from compress.training.masked_lm import PRETRAINING, MaskedLanguageModel, corpus_data, figures, loss_words
from compress.training.progress import seconds
from compress.training.trainer import loss_before, train
from edgepress.core import console
from edgepress.core.artifact import Step
from edgepress.core.corpus import Corpus, load_corpus
from edgepress.core.loading import OpenedModel
from edgepress.core.masked_lm import open_masked_lm


def run(config: PretrainConfig) -> Path:
    """The command; the artifact's folder.

    Raises:
        EdgepressError: bad input (exit code 2); the output is as it was.
    """
    output = prepare(config, config.model, "masked-lm")
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
    console.step(f"{corpus.name}: {len(data.train)} blocks, {len(data.evaluation)} held out")
    module = MaskedLanguageModel(opened.model, options.only_head)
    checkpoints = run.checkpoints(options, None, data, model=opened)
    before = loss_before(module, data, options, checkpoints)
    console.step(f"training for {options.epochs:g} epochs, learning rate {options.learning_rate:g}")
    trainer = train(module, data, options, checkpoints)
    metrics, taken = figures(trainer, data, before), seconds(trainer)
    losses = f"{loss_words(metrics)} of {corpus.name}"
    return StepResult(
        opened=opened.after(Step("pretrain", options.recorded(), taken, metrics), trained=True),
        score=None,
        body=f"{opened.record().name} trained as a masked language model: {losses}.\n",
        shown=[f"{losses}, {taken:.0f} s"],
        pipeline="fill-mask",
    )
