"""A narrower student: fewer layers of the teacher, and smaller widths, begun from it by projection."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from transformers import PretrainedConfig, PreTrainedModel

from compress.distill.config import DistillOptions
from compress.distill.projection import project
from compress.distill.slicing import random_student, slice_layers, teachers_layers
from compress.distill.token_states import drawn_texts
from compress.distillation.array_cache import cached_array
from compress.distillation.logits import teacher_key
from edgepress.core import console
from edgepress.core.architectures.widths import EMBEDDING, FEED_FORWARD, HEADS, HIDDEN, feed_forward_name
from edgepress.core.errors import EdgepressError
from edgepress.core.identity import digest_of
from edgepress.core.inputs import fit_inputs
from edgepress.core.loading import OpenedModel

# Texts are drawn until they have so many tokens: ten for each number of a wide state.
TOKENS_READ = 8192
LONGEST_READ = 128
FLAGS = {HIDDEN: "--hidden-size", HEADS: "--heads", FEED_FORWARD: "--intermediate-size"}


def narrow_student(
    teacher: OpenedModel, options: DistillOptions, texts: Sequence[tuple[str, ...]]
) -> OpenedModel:
    """A student with some of the teacher's layers, which are narrower; its head is random.

    Args:
        teacher: has layers.
        options: say how many layers, and how wide; and whether the weights are the teacher's, projected.
        texts: what the teacher's states are read on.

    Raises:
        EdgepressError: the widths do not fit each other, the teacher or its architecture.
    """
    layers = teachers_layers(teacher.model.config, options.layers, options.depth)
    widths = chosen_widths(teacher.model.config, options)
    model = random_student(teacher.model, layers, options.seed, widths)
    if options.init == "teacher":
        source = slice_layers(teacher.model, layers, options.seed, factorized=EMBEDDING in widths)
        fit_inputs(copy.deepcopy(teacher.tokenizer), source)
        _project(teacher, source, model, texts, options.seed)
    said = ", ".join(
        f"{name.replace('num_', '').replace('_', ' ')} {width}" for name, width in widths.items()
    )
    console.step(f"student: {len(layers)} layers, {said}, as {model.config.model_type}")
    tokenizer = copy.deepcopy(teacher.tokenizer)
    fit_inputs(tokenizer, model)
    return replace(teacher, model=model, tokenizer=tokenizer, head_trained=False)


def chosen_widths(teacher: PretrainedConfig, options: DistillOptions) -> Mapping[str, int]:
    """Widths of the student, by the names of `edgepress.core.architectures.widths`.

    What nobody gave: half of the hidden size; heads as wide as the teacher's, or as many, whichever can be;
    and feed-forward units in the teacher's proportion.

    Raises:
        EdgepressError: a width is above the teacher's, heads do not divide the hidden size, or token
            embeddings are wider than the layers.
    """
    before = {HIDDEN: getattr(teacher, HIDDEN), HEADS: getattr(teacher, HEADS)}
    before[FEED_FORWARD] = getattr(teacher, feed_forward_name(teacher))
    hidden = options.hidden_size or before[HIDDEN] // 2
    heads = options.heads or _heads(hidden, before)
    units = options.intermediate_size or max(1, before[FEED_FORWARD] * hidden // before[HIDDEN])
    widths = {HIDDEN: hidden, HEADS: heads, FEED_FORWARD: units}
    for name, flag in FLAGS.items():
        if widths[name] > before[name]:
            raise EdgepressError(f"{flag} {widths[name]}: the teacher has {before[name]}", "name fewer")
    if hidden % heads:
        raise EdgepressError(
            f"--hidden-size {hidden}: {heads} heads do not divide it", "--heads takes another number of heads"
        )
    if options.embedding_size is None:
        return widths
    if options.embedding_size > hidden:
        raise EdgepressError(
            f"--embedding-size {options.embedding_size}: the student's hidden size is {hidden}", "name fewer"
        )
    return {**widths, EMBEDDING: options.embedding_size}


def _heads(hidden: int, before: Mapping[str, int]) -> int:
    """Heads as wide as the teacher's, or where they do not divide the hidden size, as many as it has."""
    size = before[HIDDEN] // before[HEADS]
    return hidden // size if hidden % size == 0 else before[HEADS]


def _project(
    teacher: OpenedModel,
    source: PreTrainedModel,
    model: PreTrainedModel,
    texts: Sequence[tuple[str, ...]],
    seed: int,
) -> None:
    """Give a model of random weights those of `source`, projected; in place.

    Kept on disk: computed anew, their last digits may be others, and an interrupted run would not resume.
    """
    config = source.config.to_diff_dict()
    read: list[str | int] = [
        digest_of(list(texts)),
        teacher.text_length,
        digest_of([config, model.config.to_diff_dict()]),
        seed,
    ]

    def compute() -> np.ndarray:
        longest = min(teacher.text_length, LONGEST_READ)
        rows = list(drawn_texts(teacher, texts, seed, TOKENS_READ, longest))
        kept = project(source, model, teacher.tokenizer.pad(rows, return_tensors="pt"))
        console.step(f"projected: {100 * kept:.1f} % of the spread of the teacher's states is kept")
        return parameters_to_vector(_encoder(model).parameters()).detach().numpy()

    count = sum(value.numel() for value in _encoder(model).parameters())
    weights = cached_array(
        "narrow-students", teacher_key(teacher, read), count, "the student's first weights", compute
    )
    vector_to_parameters(torch.from_numpy(weights), _encoder(model).parameters())


def _encoder(model: PreTrainedModel) -> nn.Module:
    return model.base_model
