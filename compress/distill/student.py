"""The model that learns: a part of the teacher, a small one from scratch, or one that was made before."""

import copy
from dataclasses import replace

from compress.distill.config import DistillConfig
from compress.distill.slicing import chosen_layers, random_student, slice_layers
from compress.training.data import TrainingText
from compress.training.scratch import check_vocabulary, from_scratch, open_untrained
from edgepress import console
from edgepress.architectures.head import put_head, reset_head
from edgepress.errors import EdgepressError
from edgepress.inputs import fit_inputs
from edgepress.loading import OpenedModel, open_model
from edgepress.models import FROM_SCRATCH_ONLY
from edgepress.tasks import Task

HALF = "half"


def open_student(
    config: DistillConfig, teacher: OpenedModel, task: Task, text: TrainingText | None
) -> OpenedModel:
    """The student as it is before it learns; `text` is what a vocabulary of its own is built from.

    Raises:
        EdgepressError: there is no such model, or its vocabulary is not the teacher's where the two have
            to read the same tokens.
    """
    check_vocabulary(config.student, config.vocabulary)
    student = _named(config, teacher, task, text)
    if config.head == "mlp":
        put_head(student.model, config.seed)
    if config.head == "new" and config.student == HALF:
        reset_head(student.model, config.seed)
    return student


def _named(config: DistillConfig, teacher: OpenedModel, task: Task, text: TrainingText | None) -> OpenedModel:
    if config.student == HALF:
        return part_of(teacher, config)
    if from_scratch(config.student):
        assert text is not None
        student = open_untrained(config.student, task, config.data, config.seed, config.vocabulary, text)
    else:
        student = open_model(
            config.student,
            "pretrained",
            task,
            config.data,
            config.seed,
            new_head=config.head == "new",
            drops_others=True,
        )
    _compare_vocabularies(config, teacher, student)
    return student


def part_of(teacher: OpenedModel, config: DistillConfig) -> OpenedModel:
    """A student with some of the teacher's layers, or as many random ones.

    Raises:
        EdgepressError: the teacher has no layers, or not these.
    """
    count = getattr(teacher.model.config, "num_hidden_layers", None)
    if count is None:
        raise EdgepressError(
            f"a {teacher.model.config.model_type} has no layers to take half of",
            f"name another --student: {', '.join(FROM_SCRATCH_ONLY)}",
        )
    layers = chosen_layers(count, config.layers, config.depth)
    if config.init == "random":
        model = random_student(teacher.model, len(layers), config.seed)
    else:
        model = slice_layers(teacher.model, layers, config.seed)
    console.step(f"student: {len(layers)} of {count} layers, as {model.config.model_type}")
    tokenizer = copy.deepcopy(teacher.tokenizer)
    fit_inputs(tokenizer, model)
    return replace(teacher, model=model, tokenizer=tokenizer, head_trained=False)


def _compare_vocabularies(config: DistillConfig, teacher: OpenedModel, student: OpenedModel) -> None:
    if teacher.tokenizer.get_vocab() == student.tokenizer.get_vocab():
        return
    if config.compares_states:
        raise EdgepressError(
            f"{config.student} and the teacher have different vocabularies: their hidden states are not "
            "of the same tokens",
            "leave --cosine-weight, --hidden-weight and --attention-weight away: logits are of whole texts",
        )
    console.step("vocabularies differ: each model reads the texts in its own tokens")
