"""Code shared by the measurements in results/: goals with a verdict, and commands."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from device_bench import stats

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
HELP_RUNS = 5


@dataclass(frozen=True)
class Goal:
    """One requirement, what was measured, and how."""

    goal: str
    limit: float
    measured: float
    at_least: bool
    command: str

    @property
    def holds(self) -> bool:
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


def run(*command: str) -> float:
    """Run a module of this Python and return its seconds."""
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", *command], check=True)
    return time.monotonic() - start


def help_goal(module: str) -> Goal:
    """The median time of --help."""
    command = [sys.executable, "-m", module, "--help"]
    times = []
    for _ in range(HELP_RUNS):
        start = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.monotonic() - start)
    return Goal("--help [s]", 0.5, stats.percentile(times, 50), False, f"python -m {module} --help")


def kept_goals(target: Path) -> list[Goal]:
    """Read the goals that `conclude` wrote."""
    entries = json.loads(target.read_text(encoding="utf-8"))
    return [Goal(**{name: value for name, value in entry.items() if name != "holds"}) for entry in entries]


def conclude(goals: Sequence[Goal], target: Path) -> int:
    """Write the goals, say which hold, and give the exit code: 1 where one does not."""
    content = [{**asdict(goal), "holds": goal.holds} for goal in goals]
    target.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    for goal in goals:
        sign = "at least" if goal.at_least else "at most"
        verdict = "holds" if goal.holds else "FAILS"
        print(f"{verdict}  {goal.goal}: {goal.measured:.4g} ({sign} {goal.limit:g})")
    return 0 if all(goal.holds for goal in goals) else 1
