"""Make the tables of README and docs anew from what results/ keeps; nothing is measured.

python -m benchmarks.tables
"""

from benchmarks import device_bench, export, litert, pictures, prune, quantize
from benchmarks.goals import ROOT
from edgepress.core.console import step

BLOCKS = (quantize.TABLE, export.TABLE, litert.TABLE, prune.TABLE, device_bench.TABLE, pictures.PICTURES)


def main() -> None:
    """Update each block that its page shows otherwise."""
    for block in BLOCKS:
        if block.shown() != block.markdown().strip():
            block.update()
            step(f"{block.page.relative_to(ROOT)}: {block.kind} of {block.command}")


if __name__ == "__main__":
    main()
