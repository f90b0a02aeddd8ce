"""The flags of `compress.distill`."""

from dataclasses import dataclass
from typing import Literal

from compress.training.config import ClassifierFlags
from edgepress.errors import EdgepressError, require_flags

Stage = Literal["task", "pretrain"]
Response = Literal["kl", "mse"]
Init = Literal["teacher", "random"]

# What nobody gave; of the pretrain stage as Sanh et al. 2019 trained DistilBERT.
WEIGHTS: dict[Stage, dict[str, float]] = {
    "task": {"response_weight": 0.5, "label_weight": 0.5, "cosine_weight": 0.0},
    "pretrain": {"response_weight": 5.0, "label_weight": 2.0, "cosine_weight": 1.0},
}


@dataclass(frozen=True, kw_only=True)
class DistillConfig(ClassifierFlags):
    """Train a small student to answer as a fine-tuned teacher does, and the same student without the
    teacher to compare; or, in the pretrain stage, to fill masks as a masked language model does. Run again to
    resume an interrupted run.

    python -m compress.distill --teacher outputs/minilm-sst2

    python -m compress.distill --teacher outputs/minilm-sst2 --student bilstm --vocabulary 10000

    python -m compress.distill --stage pretrain --teacher outputs/minilm-masked-lm --corpus imdb/unsupervised

    accelerate launch --module compress.distill --teacher outputs/minilm-sst2
    """

    teacher: str
    """The fine-tuned classifier, or the masked language model: local folder or Hub id."""
    stage: Stage = "task"
    """task: learn a task from its labelled texts; pretrain: learn from a corpus, before any task."""
    corpus: str | None = None
    """Of the pretrain stage: SET/SPLIT below the data root, of a zoo task or the Hub (imdb/unsupervised,
    wikitext2, movie_reviews/train, ORG/NAME/config/train), or a file with a text a line."""
    task: str | None = None
    """Zoo task or data folder; default: the one that the teacher was trained on."""
    student: str = "half"
    """half: a part of the teacher's layers; bilstm, bilstm_attention, cnn: from scratch; or the local folder
    or Hub id of an encoder, for example one that was distilled before."""
    layers: str = "alternate"
    """Teacher layers that --student half begins with: alternate, first, last, or their numbers (0,2,4)."""
    depth: int | None = None
    """How many layers that are; default: half of the teacher's."""
    init: Init = "teacher"
    """What --student half begins with: the teacher's weights, or random ones."""
    vocabulary: int = 0
    """Entries of a vocabulary built from the train split, for bilstm, bilstm_attention and cnn; 0: BERT's."""
    response: Response = "kl"
    """How logits are compared: kl at --temperature, or mse."""
    temperature: float = 2.0
    """What logits are divided by before they become probabilities."""
    response_weight: float | None = None
    """Of the loss between the two models' logits; default: 0.5, and 5 in the pretrain stage."""
    label_weight: float | None = None
    """Of the loss against the labels, or the masked tokens; default: 0.5, and 2 in the pretrain stage."""
    cosine_weight: float | None = None
    """Of the angle between the last hidden states (DistilBERT); default: 0, and 1 in the pretrain stage."""
    hidden_weight: float = 0.0
    """Of the squared difference of hidden states, layer by layer, through a learned projection (TinyBERT)."""
    attention_weight: float = 0.0
    """Of the squared difference of attention maps, layer by layer (TinyBERT)."""
    baseline: bool = True
    """Also train the same student without the teacher (task stage)."""

    def __post_init__(self) -> None:
        for name, weight in WEIGHTS[self.stage].items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, weight)

    @property
    def weights(self) -> dict[str, float]:
        """Flag -> weight of its loss."""
        return {
            "--response-weight": self.response_weight or 0.0,
            "--label-weight": self.label_weight or 0.0,
            "--cosine-weight": self.cosine_weight or 0.0,
            "--hidden-weight": self.hidden_weight,
            "--attention-weight": self.attention_weight,
        }

    @property
    def compares_states(self) -> bool:
        """Whether the teacher has to run beside the student: its logits alone would be kept."""
        return any((self.cosine_weight, self.hidden_weight, self.attention_weight))

    def check(self) -> None:
        """Raise for a flag that is out of range."""
        super().check()
        holds = {flag: weight >= 0 for flag, weight in self.weights.items()}
        require_flags({**holds, "--depth": self.depth is None or self.depth > 0})
        if self.temperature <= 0:
            raise EdgepressError(
                f"--temperature {self.temperature:g}: logits can only be divided by more than 0",
                "2 to 4 are usual",
            )
        if not any(self.weights.values()):
            raise EdgepressError(
                "the weights of all losses are 0: there is nothing to learn",
                f"give one of {', '.join(self.weights)}",
            )
        self._check_stage()

    def _may_stay_untrained(self) -> bool:
        return self.stage == "pretrain" and self.epochs == 0

    def _check_stage(self) -> None:
        if self.stage == "task":
            if self.corpus is not None:
                raise EdgepressError("--corpus belongs to --stage pretrain", "add it, or leave --corpus away")
            return
        if self.corpus is None:
            raise EdgepressError("--stage pretrain needs a --corpus", "for example imdb/unsupervised")
        foreign = {
            "--task": self.task is not None,
            "--vocabulary": bool(self.vocabulary),
            "--head": self.head != "own",
            "--thresholds": self.thresholds != "half",
            "--hidden-weight": bool(self.hidden_weight),
            "--attention-weight": bool(self.attention_weight),
        }
        for flag, given in foreign.items():
            if given:
                raise EdgepressError(f"{flag} belongs to --stage task", "leave it away")
