"""The published claims. To add one: one entry in `CLAIMS`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from device_bench import stats
from device_bench.records import Measurement
from device_bench.stats import Interval

if TYPE_CHECKING:
    from device_bench.claims.lab import Lab

DISTILBERT = "Sanh et al. 2019 (arXiv:1910.01108)"
# Told by its subject (BERT into BiLSTM, BiLSTM with attention and CNN on SST-2); its tables were not at hand.
STUDENTS = "Mangalwedhekar 2021 (arXiv:2105.06514)"
# Neither of these two has a title, an author or an address here: their figures came without.
THESIS = "a thesis on multiclass and multilabel classification, citation not known; Tables 4.7-4.9"
SMALL_CORPUS = "a reproduction of DistilBERT on a small corpus, citation not known"
HOLDS, FAILS = "holds", "does not hold"
PHONE, WEIGHTS = "needs a phone", "needs pre-trained weights"
GLUE_TASKS = ("cola", "mrpc", "qnli", "rte", "sst2", "stsb", "wnli")


@dataclass(frozen=True)
class Claim:
    """One published figure, and how it is measured here."""

    name: str
    source: str
    figure: str
    """As it was published."""
    what: str
    """What is measured here."""
    measure: Callable[[Lab], Interval | None]
    """Gives None where what it needs is not here."""
    limit: float | None = None
    """What our whole interval has to reach; None where nothing was published to compare with."""
    needs: str = ""
    """The verdict where `measure` gives None."""

    def verdict(self, found: Interval | None) -> str:
        """holds, does not hold, undecided (the limit lies within our interval), measured (nothing to compare
        with), or what it needs."""
        if found is None:
            return self.needs
        if self.limit is None:
            return "measured"
        if found.low >= self.limit:
            return HOLDS
        return FAILS if found.high < self.limit else "undecided"


def _exactly(value: float) -> Interval:
    return Interval(value, value, value)


def _fewer_parameters(lab: Lab) -> Interval:
    return _exactly(1 - lab.parameters("distilbert") / lab.parameters("bert"))


def _parameter_ratio(student: str, teacher: str) -> Callable[[Lab], Interval]:
    return lambda lab: _exactly(lab.parameters(teacher) / lab.parameters(student))


def _latency_ratio(student: str, teacher: str) -> Callable[[Lab], Interval]:
    return lambda lab: lab.latency_ratio(teacher, student)


def _of(records: Sequence[Measurement], model: str) -> list[Measurement]:
    return [record for record in records if record.artifact.startswith(f"{model}-") and not record.error]


def _phone_ratio(lab: Lab) -> Interval | None:
    """Of the first case that one interleaved measurement has of both: a pass over texts, else a shape."""
    phones = [record for record in lab.records if record.device == "phone"]
    phones.sort(key=lambda record: record.kind != "pass")
    for fast in _of(phones, "distilbert"):
        for slow in _of(phones, "bert"):
            same = ("run", "kind", "padding", "batch", "sequence_length", "threads", "precision")
            if all(getattr(slow, name) == getattr(fast, name) for name in same):
                return stats.paired_ratio(slow.launches_ms, fast.launches_ms)
    return None


def _megabytes(lab: Lab) -> Interval | None:
    """How many times DistilBERT's fp32 file on the phone goes into 207 MB."""
    sizes = [
        r.size_bytes for r in _of(lab.records, "distilbert") if (r.device, r.precision) == ("phone", "fp32")
    ]
    return _exactly(207e6 / min(sizes)) if sizes else None


def _kept_score(lab: Lab) -> Interval | None:
    """DistilBERT's mean score over BERT's, over the GLUE tasks that the records have of both."""
    best = [
        {r.task: r.score for r in _of(lab.records, model) if r.score is not None and r.precision == "fp32"}
        for model in ("distilbert", "bert")
    ]
    shared = [task for task in GLUE_TASKS if all(task in scores for scores in best)]
    if not shared:
        return None
    student, teacher = (float(np.mean([scores[task] for task in shared])) for scores in best)
    return _exactly(student / teacher)


CLAIMS: dict[str, Claim] = {
    claim.name: claim
    for claim in (
        Claim(
            "parameters",
            f"{DISTILBERT}, Table 3",
            "66 M against 110 M: 40 % fewer",
            "1 - DistilBERT / BERT, encoders, within a point",
            _fewer_parameters,
            0.39,
        ),
        *(
            Claim(
                f"stsb-{runtime}",
                f"{DISTILBERT}, Table 3",
                "668 s against 410 s: 60 % faster",
                f"time ratio 1.63 over STS-B validation, batch 1, {runtime}",
                lambda lab, runtime=runtime: lab.full_pass(runtime),  # type: ignore[misc]
                1.63,
            )
            for runtime in ("torch", "onnxruntime")
        ),
        Claim(
            "phone-latency",
            f"{DISTILBERT}, section 4.1",
            "71 % faster on a phone",
            "time ratio 1.71 in the app, tokenization excluded",
            _phone_ratio,
            1.71,
            PHONE,
        ),
        Claim(
            "phone-size",
            f"{DISTILBERT}, section 4.1",
            "207 MB",
            "207 MB / the fp32 file",
            _megabytes,
            1.0,
            PHONE,
        ),
        Claim(
            "glue",
            f"{DISTILBERT}, Table 1",
            "97 % of BERT on GLUE",
            "ratio of mean scores",
            _kept_score,
            0.97,
            WEIGHTS,
        ),
        Claim(
            "training",
            THESIS,
            "half the training time",
            "time ratio of a step",
            lambda lab: lab.training,
            2.0,
        ),
        Claim(
            "evaluation",
            THESIS,
            "half the evaluation time",
            "time ratio of a batch",
            lambda lab: lab.evaluation,
            2.0,
        ),
        Claim(
            "small-corpus",
            SMALL_CORPUS,
            "423.65 s against 215.79 s: ratio 1.96",
            "time ratio over STS-B validation, batch 1, torch; what the study timed is not known",
            lambda lab: lab.full_pass("torch"),
        ),
        *(
            claim
            for student in ("bilstm", "bilstm_attention", "cnn")
            for teacher in ("bert", "distilbert")
            for claim in (
                Claim(
                    f"{student}-{teacher}-parameters",
                    STUDENTS,
                    "-",
                    f"parameters, {teacher} / {student}",
                    _parameter_ratio(student, teacher),
                ),
                Claim(
                    f"{student}-{teacher}-latency",
                    STUDENTS,
                    "left to the reader",
                    f"time at 64 tokens in ONNX Runtime, {teacher} / {student}",
                    _latency_ratio(student, teacher),
                ),
            )
        ),
    )
}
