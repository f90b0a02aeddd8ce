"""Options of training, and the flags shared by commands that train."""

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

from edgepress.core.console import Command
from edgepress.core.errors import EdgepressError
from edgepress.core.flags import DataRoot, Overwrite, WeightsFrom, refuse_paths
from edgepress.core.models import FROM_SCRATCH_ONLY, Schedule, short_name
from edgepress.core.option_values import Ranges, described, require_numbers
from edgepress.core.tasks import TASK_HELP, TaskFlags

if TYPE_CHECKING:
    from edgepress.core.loading import OpenedModel

HeadChoice = Literal["own", "new", "mlp"]
Thresholds = Literal["half", "gmean"]
Keep = Literal["last", "best"]
MAX_LENGTH = 128
OUTPUTS = Path("outputs")
VOCABULARY_HELP = (
    "Entries of a vocabulary built from the texts that are learned, for models trained from scratch "
    f"({', '.join(FROM_SCRATCH_ONLY)}); 0: BERT's."
)


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Options of training, without the paths of data and output."""

    epochs: float | None = None
    """Passes over the train split; default: 3, 5 from scratch, 1 over a corpus, where distill takes 0 too."""
    max_steps: int | None = None
    """Steps of the optimizer at most, where --epochs makes more; default: no limit."""
    batch_size: int = 32
    """Texts a forward pass and process."""
    gradient_accumulation: int = 1
    """Forward passes a step of the optimizer."""
    learning_rate: float | None = None
    """Peak of the linear schedule; default: 5e-5, 1e-3 from scratch, 5e-4 over a corpus."""
    warmup_ratio: float = 0.06
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = 0.01
    """Weight decay of AdamW."""
    layer_decay: float | None = None
    """Factor of the learning rate from each layer to the one below it, embeddings last; default: all learn
    alike."""
    average: float | None = None
    """Decay of an exponential moving average of the weights, which is written in place of the last ones, such
    as 0.999; default: none."""
    max_length: int | None = None
    """Longer texts are cut, a corpus is cut into blocks [tokens]; default: as the model was trained before,
    else 128."""
    train_samples: int | None = None
    """Use only this many texts of the train split, drawn at random."""
    keep: Keep = "last"
    """Weights that are written. last: those of the end; best: those that scored best on the way, on the
    validation split, or where a task is judged on that one, there: then the score flatters a little."""
    hold_out: float | None = None
    """Share of the train split that is held out to make choices on (learning curve, --keep best, --patience,
    thresholds), in place of a split that is reported; default: none."""
    patience: int | None = None
    """End the training after so many evaluations in a row that were not better than the best one, about 10 in
    all; needs --keep best and rows that are not reported (--hold-out); default: never."""
    eval_samples: int = 1000
    """Texts of the evaluation split, or held-out blocks of a corpus, to score on, drawn at random."""
    seed: int = 0
    """Seed of the head's first weights, of the order of texts, of dropout."""

    NOT_RECORDED: ClassVar[frozenset[str]] = frozenset({"data", "output", "overwrite", "restart", "debug"})
    """Flags that belong in no manifest."""
    RANGES: ClassVar[Ranges] = {}
    """Ranges of options that have others in this command."""
    AFTER_TRAINING: ClassVar[frozenset[str]] = frozenset()
    """Flags of what is done with the trained model."""
    SEEN_IN_CONTENTS: ClassVar[frozenset[str]] = frozenset(
        {"model", "task", "weights", "train_samples", "eval_samples", "max_length"}
        | {field.name for field in fields(TaskFlags)}
    )
    """Flags that change a training only through its texts, weights or tokenizer."""

    def length_for(self, *models: "OpenedModel") -> int:
        """Return the length that these models' texts are cut to [tokens]; the flags are `with_defaults`."""
        assert self.max_length is not None
        return min(self.max_length, *(model.longest for model in models))

    def recorded(self) -> dict[str, Any]:
        """The flags that belong in a manifest."""
        return {flag: value for flag, value in asdict(self).items() if flag not in self.NOT_RECORDED}

    def deciding(self) -> dict[str, Any]:
        """The flags that change the training by themselves, as they are typed."""
        beside = self.AFTER_TRAINING | self.SEEN_IN_CONTENTS
        return _typed({flag: value for flag, value in self.recorded().items() if flag not in beside})

    def seen_in_contents(self) -> dict[str, Any]:
        """The flags that change the training through contents, as they are typed."""
        return _typed(
            {flag: value for flag, value in self.recorded().items() if flag in self.SEEN_IN_CONTENTS}
        )

    def check(self) -> None:
        """Raise for a flag that is out of range."""
        require_numbers(type(self), vars(self))
        if self.keep == "best" and self.average is not None:
            raise EdgepressError("--average and --keep best exclude each other", "leave one away")
        if self.keep != "best" and self.patience is not None:
            raise EdgepressError("--patience looks for the best weights", "add --keep best")


@dataclass(frozen=True, kw_only=True)
class ClassifierOptions(TrainingOptions):
    """Options of training a classifier."""

    head: HeadChoice = "own"
    """own: the architecture's classifier, and its weights where the model has them; new: the same with new
    weights and the data's labels; mlp: one hidden layer of 50 units, dropout 0.2."""
    thresholds: Thresholds = "half"
    """Probability from which a task of several labels at once gives one. half: 0.5; gmean: for each label
    where the geometric mean of sensitivity and specificity is largest, on the validation split."""
    dimensions: tuple[int, ...] = ()
    """Widths that vectors of texts are to serve at too, such as 128 64: their first numbers, scaled to length
    1 again (Matryoshka). Default: those that the model, or the teacher, was trained for."""

    AFTER_TRAINING = TrainingOptions.AFTER_TRAINING | {"thresholds"}
    SEEN_IN_CONTENTS = TrainingOptions.SEEN_IN_CONTENTS | {"head", "vocabulary"}

    @property
    def chooses_thresholds(self) -> bool:
        """Whether thresholds are chosen on rows that are not reported."""
        return self.thresholds != "half"


@dataclass(frozen=True, kw_only=True)
class StepFlags(Command):
    """Flags of a command that trains: where it reads data, and where it writes."""

    data: DataRoot = None
    output: Path | None = None
    """Folder to write; default: in outputs/, named after model and task."""
    overwrite: Overwrite = False
    restart: bool = False
    """Begin again: checkpoints that an interrupted run left are removed. Without it the same command resumes,
    and one that differs in what it trains is refused."""

    MAKES_ARTIFACT: ClassVar[bool] = True
    SUFFIX: ClassVar[str]
    """End of the default output, outputs/SOURCE-SUFFIX."""
    READ: ClassVar[tuple[str, ...]] = ("model", "task")
    """Flags that name what the command reads; the first is what the step starts from."""

    @property
    def suffix(self) -> str:
        """End of the default output for these flags."""
        return self.SUFFIX

    @property
    def target(self) -> Path:
        """Folder that the command writes."""
        source = self._read(self.READ[0])[0]
        return self.output or OUTPUTS / f"{short_name(source)}-{self.suffix}"

    def check_paths(self) -> None:
        """Raise for a model or an output that cannot be used."""
        read = [name for flag in self.READ for name in self._read(flag)]
        refuse_paths(read, self.target, self.overwrite)

    def _read(self, flag: str) -> tuple[str, ...]:
        """What a flag names: one, several, or nothing."""
        named = getattr(self, flag, None) or ()
        return named if isinstance(named, tuple) else (str(named),)


@dataclass(frozen=True, kw_only=True)
class ClassifierStepFlags(TaskFlags, StepFlags):
    """Flags of a command that makes one classifier of another."""

    model: str
    """Local folder, zoo name, or Hub id of a classifier."""
    task: Annotated[str | None, described(f"{TASK_HELP}; default: what the model was trained on.")] = None
    weights: WeightsFrom = "auto"


OptionsT = TypeVar("OptionsT", bound=TrainingOptions)


def passes(options: TrainingOptions) -> str:
    """Describe the number of epochs: "1 epoch", "2.5 epochs"."""
    limit = f", {options.max_steps:,} steps at most" if options.max_steps else ""
    return f"{options.epochs:g} epoch{'' if options.epochs == 1 else 's'}{limit}"


def _typed(flags: dict[str, Any]) -> dict[str, Any]:
    return {f"--{name.replace('_', '-')}": value for name, value in flags.items()}


def with_defaults(config: OptionsT, schedule: Schedule, recorded_length: int | None = None) -> OptionsT:
    """The flags with what nobody gave filled in.

    Args:
        config: as typed.
        schedule: what training the model takes.
        recorded_length: the length that its texts were cut to before [tokens].
    """
    return replace(
        config,
        max_length=config.max_length or recorded_length or MAX_LENGTH,
        epochs=schedule.epochs if config.epochs is None else config.epochs,
        learning_rate=config.learning_rate or schedule.learning_rate,
    )


def check_vocabulary(name: str, vocabulary: int) -> None:
    """Raise unless the model may have a vocabulary of so many entries.

    Raises:
        EdgepressError: the model's own weights know another vocabulary.
    """
    if vocabulary and name not in FROM_SCRATCH_ONLY:
        names = ", ".join(FROM_SCRATCH_ONLY)
        raise EdgepressError(
            f"{name} was trained with a vocabulary, which --vocabulary would take from it",
            f"leave it away, or name a model that is trained from scratch: {names}",
        )
