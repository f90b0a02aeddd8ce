"""Comparison of an output file's records with the measurement that is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from device_bench.plan import Case, Plan, Target
from device_bench.records import Measurement
from edgepress.core.environment import environment
from edgepress.core.identity import Difference, differences

MACHINE_KEYS = ("cpu", "cores", "system", "phone", "gpu", "build")
# Libraries that run files, as a record's runtime calls them; weights themselves run in transformers' code.
RUNTIMES = ("onnxruntime", "torch", "openvino", "executorch", "coremltools", "ai-edge-litert")
WEIGHTS = ".safetensors"


@dataclass(frozen=True)
class Asked:
    """A measurement that is to be taken."""

    targets: Sequence[Target]
    plan: Plan
    environment: Mapping[str, Any]
    """Facts of the machine at hand, as its records have them."""

    @classmethod
    def of(
        cls, targets: Sequence[Target], plan: Plan, machine_facts: Mapping[str, Any] | None = None
    ) -> Asked:
        """Return the measurement of some files.

        Args:
            targets: the files.
            plan: the cases.
            machine_facts: the `environment` of records of the machine at hand; None: this computer's.
        """
        return cls(targets, plan, machine_facts or environment().to_dict())

    def differing(self, record: Measurement) -> list[Difference] | None:
        """List the differences between a record and what is asked for of its file.

        None where the record is of none of the files. A file is known by name, which holds its mode, and
        SHA-256.
        """
        for target in self.targets:
            if (target.name, target.known.get("file_sha256", "")) == (record.name, record.file_sha256):
                return differences(self._of(record), self._wanted(record, target))
        return None

    def _of(self, record: Measurement) -> dict[str, Any]:
        own = record.environment
        return {
            **{key: own.get(key) for key in MACHINE_KEYS},
            "device": record.device,
            "threads": record.threads,
            "versions": _versions(own, record),
            "texts": record.texts_sha256,
            "texts of passes": record.pass_sha256,
            "launches": len(record.launches),
            "peak": bool(record.peak),
        }

    def _wanted(self, record: Measurement, target: Target) -> dict[str, Any]:
        """The same of a record that would do; what nobody asks for is as the record has it."""
        plan, passes = self.plan, record.kind == "pass"
        least = plan.passes if passes else plan.launches
        enough = record.error or plan.device == "phone" or len(record.launches) >= least
        return {
            **{key: self.environment.get(key) for key in MACHINE_KEYS},
            "device": plan.device,
            "threads": plan.threads,
            "versions": _versions(self.environment, record),
            "texts": target.known.get("texts_sha256") or record.texts_sha256,
            "texts of passes": target.known.get("pass_sha256", "") if passes else record.pass_sha256,
            "launches": len(record.launches) if enough else least,
            "peak": bool(record.peak) or (plan.peak and not record.error),
        }


def done_cases(
    known: Iterable[Measurement],
    targets: Sequence[Target],
    plan: Plan,
    machine_facts: Mapping[str, Any] | None = None,
) -> frozenset[Case]:
    """The cases that every target has a record of, in one interleaved measurement as it is asked for now.

    A record of a failure counts: the next try would fail as well.

    Args:
        known: what was measured.
        targets: the files.
        plan: what is to be measured.
        machine_facts: as `Asked.of`.
    """
    asked = Asked.of(targets, plan, machine_facts)
    groups: dict[tuple[str, Case], set[str]] = {}
    for record in known:
        if asked.differing(record) == []:
            groups.setdefault((record.run, Case.of(record)), set()).add(record.name)
    wanted = {target.name for target in targets}
    return frozenset(case for (_, case), found in groups.items() if wanted <= found)


def why_again(
    known: Iterable[Measurement],
    targets: Sequence[Target],
    plan: Plan,
    machine_facts: Mapping[str, Any] | None = None,
) -> list[Difference]:
    """List how the last record of a case that is to be measured differs from what is asked for.

    Empty where there is no record, or where only a file is missing beside it.

    Args:
        known: records of earlier measurements.
        targets: the files.
        plan: with the cases that are done already.
        machine_facts: as `Asked.of`.
    """
    asked = Asked.of(targets, plan, machine_facts)
    compared = (asked.differing(record) for record in known if Case.of(record) in plan.cases)
    return next((found for found in reversed([one for one in compared if one is not None])), [])


def _versions(environment: Mapping[str, Any], record: Measurement) -> dict[str, str]:
    """Versions of the libraries that a record's file ran in; a phone has its own in the app."""
    if record.device == "phone":
        return {}
    wanted = [name for name in RUNTIMES if name in record.runtime] or list(RUNTIMES)
    wanted += ["transformers"] if record.file.endswith(WEIGHTS) else []
    versions = environment.get("versions") or {}
    return {name: versions[name] for name in wanted if name in versions}
