"""Models and texts that claims are measured with.

Times do not depend on the weights, which are random; the texts are real.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from device_bench import stats
from device_bench.claims.passes import Side, parts_of, time_ratio
from device_bench.cpu import make_batch, timed_ms
from device_bench.measure import measure
from device_bench.plan import EAGER, Plan, Target
from device_bench.records import Measurement
from device_bench.stats import Interval
from device_bench.texts import save
from edgepress.core import console
from edgepress.core.loading import OpenedModel, open_model, save_model
from edgepress.core.models import find_model
from edgepress.core.pretrained import encode, load_config
from edgepress.core.splits import load_split
from edgepress.core.tasks import TASKS

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TRAINED_ROWS, TRAINED_LENGTH = 8, 64
STUDENT_LENGTH, STUDENT_BUDGET_S = 64, 20.0


@dataclass
class ClaimContext:
    """Measures once whatever several claims share."""

    work: Path
    data: Path | None
    sample: int
    passes: int
    steps: int = 15
    """Steps of training, and as many of evaluation, of each model."""
    records: Sequence[Measurement] = ()
    _opened: dict[str, OpenedModel] = field(default_factory=dict)
    _passes: dict[str, Interval] = field(default_factory=dict)
    _texts: dict[str, list[Path]] = field(default_factory=dict)

    def parameters(self, name: str) -> int:
        """Count the parameters of a zoo model's encoder, without the classifier; nothing is allocated."""
        import torch
        from transformers import AutoModel, AutoModelForSequenceClassification

        config = load_config(find_model(name, "random"))
        # The small classifiers have no encoder that stands alone.
        own = AutoModel if type(config) in AutoModel._model_mapping else AutoModelForSequenceClassification
        with torch.device("meta"):
            return int(own.from_config(config).num_parameters())

    def opened(self, name: str) -> OpenedModel:
        """A zoo model with random weights, and its folder below `work`."""
        if name not in self._opened:
            console.step(f"making {name} with random weights")
            found = self._opened[name] = open_model(name, "random")
            (self.work / name).mkdir(parents=True)
            save_model(found, self.work / name)
        return self._opened[name]

    def onnx(self, name: str) -> Path:
        """The model's ONNX file."""
        from export.onnx import export

        target = self.work / name / "model.onnx"
        opened = self.opened(name)
        if not target.exists():
            export(opened.model, target)
        return target

    def full_pass(self, runtime: str) -> Interval:
        """Return the ratio of BERT's time for STS-B's validation pairs, one by one, to DistilBERT's."""
        if runtime not in self._passes:
            title = f"{self.passes} x {self.sample} pairs of STS-B, bert and distilbert, {runtime}"
            slow, fast = (self._side(name, runtime) for name in ("bert", "distilbert"))
            self._passes[runtime] = time_ratio(slow, fast, self.passes, title)
        return self._passes[runtime]

    def _side(self, name: str, runtime: str) -> Side:
        file = self.onnx(name) if runtime == "onnxruntime" else self._weights(name)
        mode = "" if runtime == "onnxruntime" else EAGER
        return Side(Target(name, file, mode), self._parts(name))

    def _parts(self, name: str) -> list[Path]:
        """The pairs in a model's token ids; every n-th is in one part, for the split goes by source."""
        if name not in self._texts:
            opened = self.opened(name)
            pairs = load_split(replace(TASKS["stsb"], root=self.data), "validation").sample(self.sample).texts
            count = parts_of(len(pairs))
            self._texts[name] = [self.work / f"{name}-{part}.npz" for part in range(count)]
            for part, path in enumerate(self._texts[name]):
                save(path, encode(opened.tokenizer, pairs[part::count], opened.longest))
        return self._texts[name]

    def _weights(self, name: str) -> Path:
        self.opened(name)
        return self.work / name / "model.safetensors"

    @cached_property
    def latencies(self) -> dict[str, Measurement]:
        """Latencies of the small classifiers and their teachers in ONNX Runtime, interleaved."""
        names = ("bert", "distilbert", "bilstm", "bilstm_attention", "cnn")
        targets = [Target(name, self.onnx(name)) for name in names]
        console.step(f"timing {', '.join(names)} at {STUDENT_LENGTH} tokens")
        plan = Plan((STUDENT_LENGTH,), budget_s=STUDENT_BUDGET_S * len(names), vocabulary=30_000)
        return {record.name: record for record in measure(targets, plan)}

    def latency_ratio(self, slow: str, fast: str) -> Interval:
        """Return the latency of `slow` divided by that of `fast`."""
        return stats.paired_ratio(self.latencies[slow].launches_ms, self.latencies[fast].launches_ms)

    @cached_property
    def training(self) -> Interval:
        """Time of a training step of BERT divided by that of DistilBERT."""
        console.step("training steps of bert and distilbert in turn")
        return self._in_turn(training=True)

    @cached_property
    def evaluation(self) -> Interval:
        """Time of a forward pass over a batch of BERT divided by that of DistilBERT."""
        console.step("evaluation batches of bert and distilbert in turn")
        return self._in_turn(training=False)

    def _in_turn(self, training: bool) -> Interval:
        """Single steps at batch 8 and 64 tokens with AdamW, the models in turn, in this process."""
        steps = [_step(self.opened(name).model, training) for name in ("bert", "distilbert")]
        for step in steps:
            step()
        rounds = [[[timed_ms(step)] for step in steps] for _ in range(self.steps)]
        slow, fast = zip(*rounds, strict=True)
        return stats.paired_ratio([slow], [fast])


def _step(model: PreTrainedModel, training: bool) -> Callable[[], None]:
    """Run one step of training, or one batch without gradients."""
    import torch

    batch = make_batch(TRAINED_ROWS, TRAINED_LENGTH, model.config.vocab_size)
    inputs = {name: torch.from_numpy(batch[name]) for name in ("input_ids", "attention_mask")}
    labels = torch.zeros(TRAINED_ROWS, dtype=torch.long)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0)

    def train() -> None:
        optimizer.zero_grad()
        model(**inputs, labels=labels).loss.backward()
        optimizer.step()

    def run() -> None:
        with torch.inference_mode():
            model(**inputs)

    return train if training else run
