"""Variants of one model: quantized from its unquantized file, and judged beside it on real sentences."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from edgepress.errors import EdgepressError
from export.base.format import Format
from export.base.scheme import Options, Scheme
from export.check import parity
from export.check.judge import Judge, Verdict


@dataclass(frozen=True)
class Variant:
    """One quantized file."""

    scheme: Scheme
    path: Path
    verdict: Verdict
    seconds: float
    """What quantizing took."""
    kept_float: tuple[str, ...]

    @property
    def name(self) -> str:
        """The scheme, and how many layers it left in float."""
        kept = f", {len(self.kept_float)} float" if self.kept_float else ""
        return self.scheme.name + kept


@dataclass(frozen=True)
class Builder:
    """Makes and judges variants of one unquantized file."""

    format: Format
    parent: Path
    judge: Judge
    options: Options
    atol: float | None

    def build(self, scheme: Scheme, keep_float: frozenset[str] = frozenset()) -> Variant:
        """Quantize beside the parent, judge, and compare with the parent.

        Raises:
            ExpectationError: the result is further from its parent than the tolerance allows.
        """
        kept = self.options.keep_float | keep_float
        target = self.target(scheme)
        start = time.perf_counter()
        self.quantize(scheme, kept, target)
        seconds = time.perf_counter() - start
        verdict = self.judge(target)
        parity.require(verdict.parity, self.format.name, scheme.precision, self.atol, target.name)
        return Variant(scheme, target, verdict, seconds, tuple(sorted(kept)))

    def target(self, scheme: Scheme) -> Path:
        """Where a scheme's file is written: beside the parent."""
        return self.parent.with_name(scheme.file_name)

    def quantize(self, scheme: Scheme, keep_float: frozenset[str], target: Path) -> None:
        """Write the quantized file only."""
        if scheme.calibrated and not self.options.calibration_batches:
            raise EdgepressError(
                f"{scheme.name} needs sentences to calibrate on", "name a --task that has a train split"
            )
        scheme.quantize(self.parent, target, replace(self.options, keep_float=keep_float))

    def drop(self, variant: Variant) -> float:
        """What a variant loses against the parent [points]."""
        return variant.verdict.drop(self.judge.parent_score)
