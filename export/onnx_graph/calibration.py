"""Ranges of activations, found by running real sentences through the fp32 file one at a time.

Nothing is kept of a sentence but running statistics, so memory does not grow with their number.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime
from onnx import ModelProto, TensorProto, helper
from onnxruntime.quantization.calibrate import HistogramCollector

from export.core.runner import Batch
from export.core.scheme import Calibration

# Enough bins to place a clipping point to a thousandth of the range, and few enough for entropy's
# search, which is quadratic in them.
BINS = 1024
ENTROPY_LEVELS = 128
# Share of activations to keep [%]; the rest is split over both tails.
KEPT_PERCENTILE = 99.99


@dataclass(frozen=True)
class ChannelRange:
    """Smallest and largest value of each channel (last axis) of an activation."""

    low: np.ndarray
    high: np.ndarray

    @property
    def magnitude(self) -> np.ndarray:
        """Largest absolute value of each channel."""
        return np.maximum(np.abs(self.low), np.abs(self.high))


class Probe:
    """The model with some of its inner activations as outputs."""

    def __init__(self, model: ModelProto, activations: Sequence[str]) -> None:
        probed = ModelProto()
        probed.CopyFrom(model)
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in activations]
        del probed.graph.output[:]
        probed.graph.output.extend(outputs)
        self._session = onnxruntime.InferenceSession(
            probed.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        self._activations = list(activations)
        self._inputs = {entry.name for entry in self._session.get_inputs()}

    def run(self, batches: Sequence[Batch]) -> Iterator[dict[str, np.ndarray]]:
        """Return the activations of each sentence, (tokens, channels) each."""
        for batch in batches:
            feeds = {name: value for name, value in batch.items() if name in self._inputs}
            values = self._session.run(self._activations, feeds)
            yield {
                name: value.reshape(-1, value.shape[-1])
                for name, value in zip(self._activations, values, strict=True)
            }


def channel_ranges(probe: Probe, batches: Sequence[Batch]) -> dict[str, ChannelRange]:
    """Range of each channel of each probed activation."""
    found: dict[str, ChannelRange] = {}
    for values in probe.run(batches):
        for name, value in values.items():
            low, high = value.min(axis=0), value.max(axis=0)
            if name in found:
                low, high = np.minimum(low, found[name].low), np.maximum(high, found[name].high)
            found[name] = ChannelRange(low, high)
    return found


def tensor_ranges(
    probe: Probe,
    batches: Sequence[Batch],
    channels: Mapping[str, ChannelRange],
    smoothing: Mapping[str, np.ndarray],
    calibration: Calibration,
) -> dict[str, tuple[float, float]]:
    """Find a range for each activation after its channels were divided by `smoothing`.

    `minmax` needs no second pass over the sentences; `entropy` (Migacz 2017, "8-bit Inference with
    TensorRT") and `percentile` clip the tails of a histogram.
    """
    extremes = {
        name: (float((r.low / smoothing[name]).min()), float((r.high / smoothing[name]).max()))
        for name, r in channels.items()
    }
    if calibration == "minmax":
        return extremes
    limits = {name: max(abs(low), abs(high)) for name, (low, high) in extremes.items()}
    counts = {name: np.zeros(BINS, dtype=np.int64) for name in limits}
    for values in probe.run(batches):
        for name, value in values.items():
            limit = limits[name]
            counts[name] += np.histogram(value / smoothing[name], BINS, (-limit, limit))[0]
    clip = _entropy_range if calibration == "entropy" else _percentile_range
    return {name: clip(counts[name], limits[name]) for name in counts}


def _percentile_range(counts: np.ndarray, limit: float) -> tuple[float, float]:
    edges = np.linspace(-limit, limit, BINS + 1)
    share = np.cumsum(counts) / counts.sum()
    tail = (100 - KEPT_PERCENTILE) / 200
    low = edges[np.searchsorted(share, tail)]
    high = edges[min(int(np.searchsorted(share, 1 - tail)) + 1, BINS)]
    return float(low), float(high)


def _entropy_range(counts: np.ndarray, limit: float) -> tuple[float, float]:
    edges = np.linspace(-limit, limit, BINS + 1)
    collector = HistogramCollector("entropy", True, BINS, ENTROPY_LEVELS, KEPT_PERCENTILE, "same")
    histogram = (counts, edges, edges[0], edges[-1])
    low, high = collector.get_entropy_threshold(histogram, ENTROPY_LEVELS)
    return float(low), float(high)
