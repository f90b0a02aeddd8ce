"""Networks without attention through Core ML's conversion: recurrent and convolutional ones next to torch."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from export.core.registry import open_runner
from export.core.shapes import Shapes
from export.mlprogram.convert import convert


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> Iterator[None]:
    """coremltools collects garbage with each conversion: spare it all that torch and transformers loaded."""
    gc.freeze()
    yield
    gc.unfreeze()


class Recurrent(torch.nn.Module):
    """Embedding, LSTM, the largest of each feature over time, a linear layer."""

    def __init__(self, bidirectional: bool, layers: int = 1) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(50, 8)
        self.lstm = torch.nn.LSTM(8, 6, layers, batch_first=True, bidirectional=bidirectional)
        self.head = torch.nn.Linear(12 if bidirectional else 6, 3)

    def features(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.lstm(self.embedding(input_ids))[0]

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        hidden = self.features(input_ids)
        hidden = hidden.masked_fill(attention_mask[..., None] == 0, float("-inf"))
        return SimpleNamespace(logits=self.head(hidden.amax(dim=1)))


class LastState(Recurrent):
    """The LSTM's last state instead."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        state = self.lstm(self.embedding(input_ids) * attention_mask[..., None])[1][0][-1]
        return SimpleNamespace(logits=self.head(state))


class Convolutional(Recurrent):
    """Convolutions of several widths over tokens instead (Kim 2014)."""

    def __init__(self) -> None:
        super().__init__(bidirectional=True)
        self.filters = torch.nn.ModuleList(torch.nn.Conv1d(8, 4, width) for width in (2, 3, 5))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        embedded = (self.embedding(input_ids) * attention_mask[..., None]).transpose(1, 2)
        found = [torch.relu(one(embedded)).amax(dim=-1) for one in self.filters]
        return SimpleNamespace(logits=self.head(torch.cat(found, dim=-1)))


NETWORKS: dict[str, Callable[[], torch.nn.Module]] = {
    "one direction": lambda: Recurrent(bidirectional=False),
    "two directions": lambda: Recurrent(bidirectional=True),
    "two layers": lambda: Recurrent(bidirectional=True, layers=2),
    "last state": lambda: LastState(bidirectional=False),
    "convolutions": Convolutional,
}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("network", NETWORKS)
def test_networks_without_attention(network: str, precision: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model: Any = NETWORKS[network]().eval()
    model.config = SimpleNamespace(model_type="small", id2label={0: "a", 1: "b", 2: "c"}, problem_type=None)
    path = tmp_path / "model.mlpackage"
    convert(model, path, Shapes(1, (), 5, 40), precision, "iOS16")
    with open_runner(path) as runner:
        for length in (5, 9, 40):
            ids = np.random.default_rng(length).integers(0, 50, size=(3, length))
            mask = np.ones_like(ids)
            mask[0, (length + 1) // 2 :] = 0
            theirs = model(torch.from_numpy(ids), torch.from_numpy(mask)).logits.detach().numpy()
            ours = runner({"input_ids": ids, "attention_mask": mask})
            np.testing.assert_allclose(ours, theirs, atol=1e-5 if precision == "fp32" else 2e-3)
