"""A static student: its teacher's tokens, each as one vector, and a small head.

Source: Minishlab 2024, "Model2Vec: Fast State-of-the-Art Static Embeddings"; weights of tokens as of Arora et
al. 2017, "A Simple but Tough-to-Beat Baseline for Sentence Embeddings".
"""

import copy
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from compress.distill.components import principal_axes
from compress.distill.config import DistillOptions
from compress.distill.token_states import TokenStates, table_rows, token_states
from compress.distillation.array_cache import cached_array
from compress.distillation.logits import teacher_key
from edgepress.core import console
from edgepress.core.architectures import StaticConfig
from edgepress.core.architectures.pruned import model_type
from edgepress.core.errors import EdgepressError
from edgepress.core.identity import digest_of
from edgepress.core.inputs import fit_inputs
from edgepress.core.loading import OpenedModel

EMBEDDING_SIZE = 256
# Arora et al. 2017, section 4: a in the weight a / (a + p) of a token with the share p of all.
HALVED_AT = 1e-3


def static_student(
    teacher: OpenedModel, options: DistillOptions, texts: Sequence[tuple[str, ...]]
) -> OpenedModel:
    """A static classifier with the teacher's tokens; its head is random.

    Args:
        teacher: gives the tokens, and their vectors unless `--init random` asks for random ones.
        options: say how many numbers a token has.
        texts: what tokens are read in and counted in.

    Raises:
        EdgepressError: the teacher has no layers, or narrower ones; or its task is not of whole texts.
    """
    width = getattr(teacher.model.config, "hidden_size", EMBEDDING_SIZE)
    size = options.embedding_size or min(EMBEDDING_SIZE, width)
    config = _config(teacher, size, options.hidden_size)
    kind = model_type(config, teacher.kind.head)
    if options.init == "teacher":
        _check_layers(teacher, size)
    torch.manual_seed(options.seed)
    model = kind(config).eval()
    if options.init == "teacher":
        table = token_table(teacher, texts, size, config.initializer_range, options.seed)
        with torch.no_grad():
            model.embedding.weight.copy_(torch.from_numpy(table))
            model.embedding.weight[config.pad_token_id].zero_()
    origin = "its states" if options.init == "teacher" else "random ones"
    console.step(f"student: the teacher's {config.vocab_size:,} tokens, {size} numbers each, from {origin}")
    tokenizer = copy.deepcopy(teacher.tokenizer)
    fit_inputs(tokenizer, model)
    return replace(teacher, model=model, tokenizer=tokenizer, head_trained=False)


def _config(teacher: OpenedModel, size: int, hidden: int | None) -> StaticConfig:
    own = teacher.model.config
    return StaticConfig(
        **({} if hidden is None else {"hidden_size": hidden}),
        vocab_size=table_rows(teacher.tokenizer),
        embedding_size=size,
        max_position_embeddings=teacher.longest,
        pad_token_id=teacher.tokenizer.pad_token_id,
        id2label=own.id2label,
        label2id=own.label2id,
        problem_type=own.problem_type,
    )


def _check_layers(teacher: OpenedModel, size: int) -> None:
    own = teacher.model.config
    if getattr(own, "num_hidden_layers", None) is None:
        raise EdgepressError(
            f"a {own.model_type} has no layers whose states a static student could begin with",
            "--init random begins with new weights",
        )
    if size > own.hidden_size:
        raise EdgepressError(
            f"--embedding-size {size}: the teacher's states have {own.hidden_size} numbers", "name fewer"
        )


def token_table(
    teacher: OpenedModel, texts: Sequence[tuple[str, ...]], size: int, spread: float, seed: int
) -> np.ndarray:
    """Vectors of the teacher's tokens, (tokens, size) float32: principal components of their mean states, the
    shorter the more frequent a token is.

    Kept on disk: computed anew, its last digits may be others, and an interrupted run would not resume.

    Args:
        teacher: reads the tokens.
        texts: what they are read in.
        size: numbers of a token.
        spread: root mean square of all numbers.
        seed: of the texts that are read.
    """
    key = teacher_key(teacher, [digest_of(list(texts)), teacher.text_length, size, repr(spread), seed])
    rows = table_rows(teacher.tokenizer)
    return cached_array(
        "token-vectors",
        key,
        rows,
        "the teacher's vectors",
        lambda: _weighted(token_states(teacher, texts, seed), size, spread),
    )


def _weighted(states: TokenStates, size: int, spread: float) -> np.ndarray:
    mean, axes = principal_axes(states.means, size)
    shares = states.counts / max(1, states.counts.sum())
    weights = HALVED_AT / (HALVED_AT + shares)
    table = (states.means - mean) @ axes * weights[:, None]
    return (table * (spread / max(np.sqrt(np.square(table).mean()), np.finfo(np.float32).tiny))).astype(
        np.float32
    )
