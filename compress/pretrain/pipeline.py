"""The command as a pipeline: check, open, cut the corpus, train, write."""

import shutil
from pathlib import Path
from typing import Any

from compress.pretrain.config import PretrainConfig
from compress.training.checkpoints import checkpoint_folder
from compress.training.config import with_defaults
from compress.training.history import seconds
from compress.training.identity import run_identity
from compress.training.masked_lm import PRETRAINING, MaskedLanguageModel, corpus_data, figures, loss_words
from compress.training.result import write_trained
from compress.training.trainer import loss_before, train
from edgepress import console
from edgepress.artifact import Step
from edgepress.corpus import load_corpus
from edgepress.files import refuse_existing
from edgepress.loading import OpenedModel
from edgepress.masked_lm import open_masked_lm
from edgepress.models import short_name


def pretrain(config: PretrainConfig) -> Path:
    """Run the command and return the artifact's folder.

    Raises:
        EdgepressError: bad input (exit code 2); the output is as it was.
    """
    config.check()
    output = config.output or Path("outputs") / f"{short_name(config.model)}-masked-lm"
    refuse_existing(output, config.overwrite)
    config = with_defaults(config, PRETRAINING)
    corpus = load_corpus(config.corpus, config.data)
    opened = open_masked_lm(config.model, config.seed)
    data = corpus_data(opened.tokenizer, corpus, config, opened.longest)
    console.step(f"{config.corpus}: {len(data.train)} blocks, {len(data.evaluation)} held out")
    module = MaskedLanguageModel(opened.model, config.only_head)
    identity = run_identity(config, None, data, model=opened)
    with checkpoint_folder(config, output, identity) as checkpoints:
        before = loss_before(module, data, config, checkpoints)
        console.step(f"training for {config.epochs:g} epochs, learning rate {config.learning_rate:g}")
        trainer = train(module, data, config, checkpoints)
        metrics = figures(trainer, data, before)
        if trainer.is_world_process_zero():
            _write(config, output, opened, metrics, seconds(trainer))
            shutil.rmtree(checkpoints)
    return output


def _write(
    config: PretrainConfig, output: Path, opened: OpenedModel, metrics: dict[str, Any], taken: float
) -> None:
    losses = f"{loss_words(metrics)} of {config.corpus}"
    body = f"{opened.record().name} trained as a masked language model: {losses}.\n"
    step = Step("pretrain", config.recorded(), taken, metrics)
    write_trained(config, output, opened, None, step, "finetune", body)
    console.line(f"{output.name}: {losses}, {taken:.0f} s")
