"""The model that learns: a part of the teacher, its tokens, one from scratch, or one that was made before."""

import copy
from collections.abc import Sequence
from dataclasses import replace

from transformers import PretrainedConfig

from compress.distill.config import HALF, NARROW, SCRATCH, STATIC, DistillOptions
from compress.distill.narrow import chosen_widths, narrow_student
from compress.distill.slicing import random_student, slice_layers, teachers_layers
from compress.distill.static import static_student
from compress.training.config import check_vocabulary
from compress.training.data import TrainingText, open_untrained
from edgepress.core import console
from edgepress.core.architectures.head import put_head, reset_head
from edgepress.core.architectures.widths import HIDDEN
from edgepress.core.errors import EdgepressError, did_you_mean
from edgepress.core.inputs import fit_inputs
from edgepress.core.loading import OpenedModel, open_model
from edgepress.core.matryoshka import record_dimensions, refuse_dimensions
from edgepress.core.models import MODELS, NO_SUCH, UnknownModelError

# Those that begin as the teacher's states on texts say.
BEGUN_ON_TEXTS = {NARROW: narrow_student, STATIC: static_student}


def open_student(options: DistillOptions, teacher: OpenedModel, text: TrainingText | None) -> OpenedModel:
    """The student as it is before it learns; `text` is what a vocabulary of its own is built from.

    Raises:
        EdgepressError: there is no such model, or its vocabulary is not the teacher's where the two have
            to read the same tokens.
    """
    check_vocabulary(options.student, options.vocabulary)
    student = _named(options, teacher, text)
    if teacher.kind.free_width:
        config, kind = student.model.config, teacher.kind
        refuse_dimensions(options.dimensions, kind, f"--student {options.student}", config.hidden_size)
        record_dimensions(config, options.dimensions or kind.dimensions(teacher.model.config))
    if options.head == "mlp":
        put_head(student.model, options.seed)
    if options.head == "new" and options.student == HALF:
        reset_head(student.model, options.seed)
    return student


def known_width(options: DistillOptions, teacher: PretrainedConfig) -> int | None:
    """Width of a student's states, where it is known before the student is made; None: it is not."""
    if options.student == NARROW:
        return chosen_widths(teacher, options)[HIDDEN]
    return getattr(teacher, HIDDEN, None) if options.student == HALF else None


def reads_teachers_tokens(options: DistillOptions, teacher: OpenedModel) -> bool:
    """Whether student and teacher read the very same tokens: their states are compared, or logits of each."""
    return options.compares_states or teacher.kind.shares_tokens


def _named(options: DistillOptions, teacher: OpenedModel, text: TrainingText | None) -> OpenedModel:
    if options.student == HALF:
        return part_of(teacher, options)
    if options.student in BEGUN_ON_TEXTS:
        assert text is not None
        return BEGUN_ON_TEXTS[options.student](teacher, options, text.learned)
    if options.student in SCRATCH:
        assert text is not None
        student = open_untrained(
            options.student, teacher.text_task, teacher.data, options.seed, options.vocabulary, text
        )
    else:
        student = _encoder(options, teacher)
    _compare_vocabularies(options, teacher, student)
    return student


def _encoder(options: DistillOptions, teacher: OpenedModel) -> OpenedModel:
    """A student that is a model of its own.

    Raises:
        EdgepressError: there is no such model, and no other student is called so.
    """
    try:
        return open_model(
            options.student,
            "pretrained",
            teacher.text_task,
            teacher.data,
            options.seed,
            new_head=options.head == "new",
            drops_others=True,
        )
    except UnknownModelError as error:
        raise unknown_student(options.student, (HALF, *BEGUN_ON_TEXTS, *SCRATCH)) from error


def unknown_student(name: str, words: Sequence[str]) -> EdgepressError:
    """The error for a name that is no student and no model.

    Args:
        name: as it was typed.
        words: students that are no models of their own, or have no weights.
    """
    guess = did_you_mean(name, (*words, *MODELS), cutoff=0.5)
    known = f"known: {', '.join(words)}; or an encoder's zoo name (minilm), folder or Hub id"
    return EdgepressError(f"unknown student '{name}': {NO_SUCH}", guess + known)


def part_of(teacher: OpenedModel, options: DistillOptions) -> OpenedModel:
    """A student with some of the teacher's layers, or as many random ones.

    Raises:
        EdgepressError: the teacher has no layers, or not these.
    """
    layers = teachers_layers(teacher.model.config, options.layers, options.depth)
    if options.init == "random":
        model = random_student(teacher.model, layers, options.seed)
    else:
        model = slice_layers(teacher.model, layers, options.seed)
    count = teacher.model.config.num_hidden_layers
    console.step(f"student: {len(layers)} of {count} layers, as {model.config.model_type}")
    tokenizer = copy.deepcopy(teacher.tokenizer)
    fit_inputs(tokenizer, model)
    return replace(teacher, model=model, tokenizer=tokenizer, head_trained=False)


def _compare_vocabularies(options: DistillOptions, teacher: OpenedModel, student: OpenedModel) -> None:
    if teacher.tokenizer.get_vocab() == student.tokenizer.get_vocab():
        return
    if teacher.kind.shares_tokens:
        raise EdgepressError(
            f"{options.student} and the teacher have different vocabularies: logits are of the same tokens",
            "name a student with the teacher's vocabulary",
        )
    if options.compares_states:
        raise EdgepressError(
            f"{options.student} and the teacher have different vocabularies: their hidden states are not "
            "of the same tokens",
            "leave --cosine-weight, --hidden-weight and --attention-weight away: logits are of whole texts",
        )
    console.step("vocabularies differ: each model reads the texts in its own tokens")
