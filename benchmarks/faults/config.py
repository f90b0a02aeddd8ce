"""The flags of `benchmarks.faults`."""

from dataclasses import dataclass, replace
from pathlib import Path

from edgepress.core.console import Command
from edgepress.core.errors import unknown_name
from edgepress.core.option_values import require_numbers

INTERRUPTED = ("finetune", "distill", "prune", "quantize", "export", "recipe")
MUTATIONS = "mutations"
KEPT = Path("results/faults")
KNOWN = (*INTERRUPTED, MUTATIONS)


@dataclass(frozen=True, kw_only=True)
class FaultsConfig(Command):
    """Kill commands, fill their file systems, damage the files that they open, and look at what is left.

    python -m benchmarks.faults

    python -m benchmarks.faults --commands finetune quantize --moments 2 --sizes 1

    After each kill and each full file system the target has to be the old output or the new one, whole, and
    the same command has to give the weights of a run that nobody disturbed, byte for byte. Exit code 1 where
    something else came.
    """

    commands: tuple[str, ...] = KNOWN
    """What to try: finetune, distill, prune, quantize, export, recipe, mutations."""
    moments: int = 10
    """Moments at which each command is killed."""
    sizes: int = 5
    """Sizes of a file system that is too small for each command; mounting one needs root."""
    mutations: int = 200
    """Number of damaged files."""
    seed: int = 0
    """Seed of moments and mutations."""
    workers: int = 2
    """Cases at once, each on one thread."""
    quick: bool = False
    """Two commands, 2 moments, 1 size, 30 mutations."""
    output: Path = KEPT
    """Folder of the record; what is there is replaced. A quick one goes to outputs/faults."""

    def check(self) -> None:
        """Raise for a flag that is out of range, or an unknown command."""
        require_numbers(type(self), vars(self))
        for name in self.commands:
            if name not in KNOWN:
                raise unknown_name("command", name, KNOWN)


def shortened(config: FaultsConfig) -> FaultsConfig:
    """The quick form, where it was asked for."""
    if not config.quick:
        return config
    names = config.commands if config.commands != KNOWN else ("finetune", "quantize", MUTATIONS)
    output = Path("outputs/faults") if config.output == KEPT else config.output
    return replace(config, commands=names, moments=2, sizes=1, mutations=30, output=output)
