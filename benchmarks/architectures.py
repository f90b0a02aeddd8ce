"""The table of docs/architectures.md: every cell is a test of tests/test_every_architecture.py.

An environment with the extras test and litert has all of its columns (`make test-litert` makes one).

python -m benchmarks.architectures
"""

import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from benchmarks.goals import ROOT
from edgepress.core.console import step
from edgepress.core.errors import ExpectationError

TESTS = "tests/test_every_architecture.py"
PAGE = ROOT / "docs" / "architectures.md"
BEGIN, END = "<!-- table of python -m benchmarks.architectures -->", "<!-- end of the table -->"
# Columns -> test and what it is given; a test with more than one is a column for each.
COLUMNS = {
    "ONNX": "test_format[onnx-{}]",
    "TorchScript": "test_format[torchscript-{}]",
    "torch.export": "test_format[torch_export-{}]",
    "Core ML": "test_format[coreml-{}]",
    "OpenVINO": "test_format[openvino-{}]",
    "ExecuTorch": "test_format[executorch-{}]",
    "LiteRT": "test_format[litert-{}]",
    "int8-dynamic": "test_scheme[{}-int8-dynamic]",
    "int8-static": "test_scheme[{}-int8-static]",
    "int4-weights": "test_scheme[{}-int4-weights]",
    "fp16": "test_scheme[{}-fp16]",
    "finetune": "test_finetune[{}]",
    "distill": "test_distill[{}]",
    "narrow": "test_narrow[narrow-{}]",
    "heads": "test_prune[heads-{}]",
    "ffn": "test_prune[ffn-{}]",
    "hidden": "test_prune[hidden-{}]",
    "layers": "test_prune[layers-{}]",
    "sparsify": "test_sparsify[{}]",
    "pretrain": "test_pretrain[{}]",
}
FORMATS = 11
"""The first columns are of formats and schemes, the others of techniques."""


def main() -> None:
    """Run the tests and write the table.

    Raises:
        ExpectationError: a test failed.
    """
    with TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        typed = [sys.executable, "-m", "pytest", "-q", "-m", "slow", TESTS, f"--junitxml={report}"]
        subprocess.run(typed, cwd=ROOT, check=False)
        found = cells(report)
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{markdown(found)}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    step(f"written: {PAGE.relative_to(ROOT)}")


def cells(report: Path) -> dict[str, str]:
    """Name of a test -> "yes", or what is refused there.

    Raises:
        ExpectationError: a test failed.
    """
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            raise ExpectationError(f"{case.get('name')} failed", f"python -m pytest -m slow {TESTS}")
        if case.find("skipped") is not None:
            continue  # its library is not installed
        refused = [own.get("value", "") for own in case.iter("property") if own.get("name") == "refused"]
        found[case.get("name", "")] = refused[0] if refused else "yes"
    return found


def markdown(found: dict[str, str]) -> str:
    """Two tables, formats and techniques, and what each refusal says."""
    kinds = [
        name.removeprefix("test_distill[").rstrip("]") for name in found if name.startswith("test_distill")
    ]
    notes: dict[str, int] = defaultdict(lambda: len(notes) + 1)
    columns = list(COLUMNS)
    tables = [_table(found, kinds, own, notes) for own in (columns[:FORMATS], columns[FORMATS:])]
    return "\n\n".join([*tables, "\n".join(f"{number}. {said}" for said, number in notes.items())])


def _table(found: dict[str, str], kinds: list[str], columns: list[str], notes: dict[str, int]) -> str:
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for kind in kinds:
        said = (found.get(COLUMNS[column].format(kind), "-") for column in columns)
        lines.append(
            f"| {kind} | {' | '.join(one if one in ('yes', '-') else f'no {notes[one]}' for one in said)} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
