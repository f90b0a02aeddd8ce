"""The flags of `compress.distill`."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from compress.distillation.options import WEIGHTS, DistillationOptions
from compress.training.config import VOCABULARY_HELP, ClassifierOptions, StepFlags
from edgepress.core.errors import EdgepressError
from edgepress.core.models import FROM_SCRATCH_ONLY, short_name
from edgepress.core.option_values import ABOVE_0, FROM_0, Ranges, described, out_of_range
from edgepress.core.tasks import TASK_HELP, TaskFlags

Stage = Literal["task", "pretrain"]
Init = Literal["teacher", "random"]
Layers = Literal["alternate", "first", "last"]
HALF, NARROW, STATIC = "half", "narrow", "static"
# Flags of one student's shape -> the students that have it.
SHAPES = {
    **dict.fromkeys(("hidden_size", "embedding_size"), (NARROW, STATIC)),
    **dict.fromkeys(("heads", "intermediate_size"), (NARROW,)),
}
SCRATCH = [name for name in FROM_SCRATCH_ONLY if name != STATIC]
STUDENT_HELP = (
    "half: a part of the teacher's layers; narrow: the same, of smaller widths; static: its tokens, a vector "
    f"each, and a small head; {', '.join(SCRATCH)}: from scratch; or the local folder or Hub id of an "
    "encoder, for example one that was distilled before."
)

# What nobody gave; of the pretrain stage as Sanh et al. 2019 trained DistilBERT.
STAGE_WEIGHTS: dict[Stage, dict[str, float]] = {
    "task": WEIGHTS,
    "pretrain": {"response_weight": 5.0, "label_weight": 2.0, "cosine_weight": 1.0},
}


@dataclass(frozen=True, kw_only=True)
class DistillOptions(DistillationOptions, ClassifierOptions):
    """Options of distillation: the student, its texts, and how it learns from the teacher."""

    stage: Stage = "task"
    """task: learn a task from its labelled texts; pretrain: learn from a corpus, before any task."""
    corpus: str | None = None
    """Corpus of the pretrain stage: SET/SPLIT below the data root, of a zoo task or the Hub
    (imdb/unsupervised, wikitext2, movie_reviews/train, ORG/NAME/config/train), or a file with a text a
    line."""
    transfer: tuple[str, ...] = ()
    """Texts without labels, which the teacher labels and the student learns besides: corpora as --corpus
    takes them, for pairs tables with two columns of text. A student of vectors learns from them alone."""
    transfer_samples: int | None = None
    """Use at most this many texts of --transfer, drawn at random; default: all."""
    transfer_confidence: float = 0.0
    """Leave out texts without labels whose label the teacher finds less probable than this, 0 to 1."""
    augment: int = 0
    """Number of texts made of each text of the train split, for the teacher to label: words masked, or
    replaced by others of their class; cut to a few words (Tang et al. 2019, with 20). 0: none."""
    augment_with: str | None = None
    """Masked language model (folder, Hub id) whose likeliest words replace others in --augment (TinyBERT);
    default: words of the same class."""
    label_with: tuple[str, ...] = ()
    """File of the teacher that labels texts without labels in its place, such as
    onnx/model_quantized.onnx; of several teachers one each, in their order."""
    student: Annotated[str, described(STUDENT_HELP)] = HALF
    layers: Layers | tuple[int, ...] = "alternate"
    """Teacher layers that --student half and narrow begin with: alternate, first, last, or numbers."""
    depth: int | None = None
    """Number of layers that --student half and narrow have; default: half of the teacher's."""
    init: Init = "teacher"
    """Weights that --student half, narrow and static begin with: the teacher's, or random ones."""
    hidden_size: int | None = None
    """Hidden size of --student narrow, default: half of the teacher's; of static the layer before the
    classifier, default: 64."""
    heads: int | None = None
    """Attention heads of a layer of --student narrow; default: as wide as the teacher's, or as many."""
    intermediate_size: int | None = None
    """Feed-forward units of a layer of --student narrow; default: in the teacher's proportion."""
    embedding_size: int | None = None
    """Numbers of a token's embedding. Of --student static, default: 256, or the teacher's hidden size where
    that is less; of narrow where they are to be fewer than its hidden size (a BERT becomes an ELECTRA)."""
    vocabulary: Annotated[int, described(VOCABULARY_HELP)] = 0
    train_baseline: bool = True
    """Also train the same student without the teacher (task stage)."""

    RANGES: ClassVar[Ranges] = {"epochs": FROM_0}
    # The student without the teacher has checkpoints of its own.
    AFTER_TRAINING = ClassifierOptions.AFTER_TRAINING | {"train_baseline"}
    SEEN_IN_CONTENTS = ClassifierOptions.SEEN_IN_CONTENTS | {
        *("teacher", "student", "corpus", "layers", "depth", "init", *SHAPES),
        *("transfer", "transfer_samples", "augment", "augment_with"),
    }

    def _default_weights(self) -> dict[str, float]:
        return STAGE_WEIGHTS[self.stage]

    def check(self) -> None:
        """Raise for a flag that is out of range."""
        super().check()
        self._check_student()
        self._check_unlabelled()
        self._check_stage()

    def _check_unlabelled(self) -> None:
        if self.transfer_samples and not self.transfer:
            raise EdgepressError("--transfer-samples is of the texts of --transfer", "name --transfer")
        if self.augment_with and not self.augment:
            raise EdgepressError("--augment-with says how --augment makes texts", "name --augment")
        if (self.transfer_confidence or self.label_with) and not (self.transfer or self.augment):
            raise EdgepressError(
                "--transfer-confidence and --label-with are of the texts of --transfer and --augment",
                "name one of them",
            )

    def _check_student(self) -> None:
        for name, students in SHAPES.items():
            if getattr(self, name) is not None and self.student not in students:
                raise EdgepressError(
                    f"{_flag(name)} belongs to --student {' and '.join(students)}", "leave it away"
                )
        if self.vocabulary and self.student == STATIC:
            raise EdgepressError(
                "--vocabulary: a static student has the teacher's tokens",
                "leave it away; compress.trim_vocab drops those that no text needs, before or after",
            )

    def _check_stage(self) -> None:
        if self.stage == "task":
            if self.epochs == 0:
                raise out_of_range("epochs", 0, ABOVE_0)
            if self.corpus is not None:
                raise EdgepressError(
                    "--corpus belongs to --stage pretrain", "--transfer takes texts without labels"
                )
            return
        if self.corpus is None:
            raise EdgepressError("--stage pretrain needs a --corpus", "for example imdb/unsupervised")
        foreign = {
            "--vocabulary": bool(self.vocabulary),
            "--head": self.head != "own",
            "--thresholds": self.thresholds != "half",
            "--dimensions": bool(self.dimensions),
            "--hidden-weight": bool(self.hidden_weight),
            "--attention-weight": bool(self.attention_weight),
            "--transfer": bool(self.transfer),
            "--augment": bool(self.augment),
        }
        for flag, given in foreign.items():
            if given:
                raise EdgepressError(f"{flag} belongs to --stage task", "leave it away")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


@dataclass(frozen=True, kw_only=True)
class DistillConfig(DistillOptions, TaskFlags, StepFlags):
    """Train a small student to answer as a fine-tuned teacher does, and the same student without the
    teacher to compare; or, in the pretrain stage, to fill masks as a masked language model does. Run again to
    resume an interrupted run.

    python -m compress.distill --teacher outputs/minilm-sst2

    python -m compress.distill --teacher outputs/minilm-sst2 --student bilstm --vocabulary 10000

    python -m compress.distill --teacher outputs/minilm-sst2 --student narrow --hidden-size 192 --depth 3

    python -m compress.distill --teacher outputs/minilm-sst2 --student static --embedding-size 128

    python -m compress.distill --stage pretrain --teacher outputs/minilm-masked-lm --corpus imdb/unsupervised

    accelerate launch --module compress.distill --teacher outputs/minilm-sst2
    """

    teacher: tuple[str, ...]
    """The fine-tuned classifier, or the masked language model: local folder or Hub id. Several classifiers
    with the same labels are averaged; the student takes layers, task and tokens of the first."""
    task: Annotated[
        str | None, described(f"{TASK_HELP}; default: the one that the teacher was trained on.")
    ] = None

    READ = ("teacher", "student", "task")

    @property
    def suffix(self) -> str:
        """Name of the student."""
        return short_name(self.student)

    def check(self) -> None:
        """Raise for a flag that is out of range."""
        super().check()
        if self.stage == "pretrain" and (self.task is not None or len(self.teacher) > 1):
            flag = "several --teacher" if self.task is None else "--task"
            raise EdgepressError(f"{flag} belong to --stage task", "leave them away")
