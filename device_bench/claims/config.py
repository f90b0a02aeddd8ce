"""The flags of `device_bench.claims`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from edgepress.core.console import Command
from edgepress.core.option_values import FROM_1, Range, Ranges


@dataclass(frozen=True, kw_only=True)
class ClaimsConfig(Command):
    """Measure what papers claim of small models, and say which claims hold here.

    python -m device_bench claims --data ROOT --output claims.json

    Says how long a pass will take before it begins. The same command continues what was interrupted: a claim
    that --output holds, measured in the same way on this machine, is not measured again.

    What needs a phone or pre-trained weights is taken from --records, where they have it. Exit code 1 if
    a claim does not hold on the kind of device that it was made on. What was claimed of a GPU is measured
    on the CPU here: both figures are shown, and nothing is refuted.
    """

    records: tuple[Path, ...] = ()
    """Records of `device_bench run` to take phones' times and scores from: of artifacts whose names begin
    with bert- and distilbert-."""
    data: Path | None = None
    """Folder of local data sets, one folder each (stsb); default: EDGEPRESS_DATA, then the Hub."""
    output: Path | None = None
    """JSON file to write the table to, claim by claim, for `device_bench report --claims`."""
    judge_only: bool = False
    """Measure nothing: judge what --output has by the claims as this version knows them."""
    measure_again: bool = False
    """Measure again what --output has already."""
    only: tuple[str, ...] = ()
    """Only these claims; default: all."""
    pass_samples: int = 1500
    """Pairs of STS-B's validation set in a pass; 1500 is all of them."""
    passes: int = 1
    """Number of times that each pair is run."""

    RANGES: ClassVar[Ranges] = {"pass_samples": Range(2), "passes": FROM_1}
