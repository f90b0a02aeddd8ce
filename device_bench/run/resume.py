"""What an output file already holds of a measurement that is to be taken."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from device_bench.plan import Case, Plan, Subject
from device_bench.records import Measurement
from edgepress.environment import environment

MACHINE_KEYS = ("cpu", "cores", "system", "phone")


def done_cases(
    known: Iterable[Measurement],
    subjects: Sequence[Subject],
    plan: Plan,
    machine_facts: Mapping[str, Any] | None = None,
) -> frozenset[Case]:
    """The cases that every subject has a record of, in one interleaved measurement on the machine at hand.

    A file is known by name, mode and SHA-256. A record of a failure counts: the next try would fail as well.

    Args:
        known: what was measured.
        subjects: the files.
        plan: what is to be measured.
        machine_facts: the `environment` of records of the machine at hand; None: this computer's.
    """
    machine = _machine(machine_facts or environment().to_dict())
    groups: dict[tuple[str, Case], set[tuple[str, str]]] = {}
    for record in known:
        if (record.device, record.threads) == (plan.device, plan.threads) and (
            _machine(record.environment) == machine
        ):
            groups.setdefault((record.run, Case.of(record)), set()).add((record.name, record.file_sha256))
    wanted = {(subject.name, str(subject.known.get("file_sha256", ""))) for subject in subjects}
    return frozenset(case for (_, case), found in groups.items() if wanted <= found)


def _machine(content: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(content.get(key) for key in MACHINE_KEYS)
