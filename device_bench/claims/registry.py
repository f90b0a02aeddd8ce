"""The published claims. To add one: one entry in `CLAIMS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from device_bench import stats
from device_bench.claims.claim import (
    FEWER,
    LESS,
    MEGABYTES,
    PHONE,
    SHARE,
    SMALLER,
    WEIGHTS,
    Claim,
    Device,
    Finding,
    here,
)
from device_bench.records import Measurement
from device_bench.stats import Interval

if TYPE_CHECKING:
    from device_bench.claims.context import ClaimContext

DISTILBERT = "Sanh et al. 2019 (arXiv:1910.01108)"
# Told by its subject (BERT into BiLSTM, BiLSTM with attention and CNN on SST-2); its tables were not at hand.
STUDENTS = "Mangalwedhekar 2021 (arXiv:2105.06514)"
THESIS = (
    'Bueno Ulacia 2022, "DistilBERT, the alternative to massive models for natural language processing", '
    "master thesis, Tables 4.7-4.9"
)
# It has neither a title nor an author nor an address here: its figures came without.
SMALL_CORPUS = "a reproduction of DistilBERT on a small corpus, citation not known"
XEON, IPHONE, P100 = Device("cpu", "Xeon E5-2690 v3"), Device("phone", "iPhone 7 Plus"), Device("gpu", "P100")
# The thesis says half of what its tables have to the second: 45 % less is still about half.
HALF, ABOUT_HALF = 1 / (1 - 0.5), 1 / (1 - 0.45)
GLUE_TASKS = ("cola", "mrpc", "qnli", "rte", "sst2", "stsb", "wnli")


def _exactly(value: float) -> Interval:
    return Interval(value, value, value)


def _fewer_parameters(context: ClaimContext) -> Finding:
    return here(_exactly(1 - context.parameters("distilbert") / context.parameters("bert")))


def _parameter_ratio(student: str, teacher: str) -> Callable[[ClaimContext], Finding]:
    return lambda context: here(_exactly(context.parameters(teacher) / context.parameters(student)))


def _latency_ratio(student: str, teacher: str) -> Callable[[ClaimContext], Finding]:
    return lambda context: here(context.latency_ratio(teacher, student))


def _full_pass(runtime: str) -> Callable[[ClaimContext], Finding]:
    return lambda context: here(context.full_pass(runtime))


def _of(records: Sequence[Measurement], model: str) -> list[Measurement]:
    return [record for record in records if record.artifact.startswith(f"{model}-") and not record.error]


def _on_its_phone(record: Measurement, ours: Interval) -> Finding:
    return Finding(ours, Device("phone", record.environment.get("phone") or "phone"))


def _phone_ratio(context: ClaimContext) -> Finding | None:
    """Ratio of two models in the first case that one interleaved measurement has of both."""
    phones = [record for record in context.records if record.device == "phone"]
    phones.sort(key=lambda record: record.kind != "pass")
    for fast in _of(phones, "distilbert"):
        for slow in _of(phones, "bert"):
            same = ("run", "kind", "padding", "batch", "sequence_length", "threads", "precision")
            if all(getattr(slow, name) == getattr(fast, name) for name in same):
                return _on_its_phone(fast, stats.paired_ratio(slow.launches_ms, fast.launches_ms))
    return None


def _smallest_on_phone(context: ClaimContext) -> Finding | None:
    """Bytes of DistilBERT's smallest fp32 file on a phone."""
    found = [r for r in _of(context.records, "distilbert") if (r.device, r.precision) == ("phone", "fp32")]
    if not found:
        return None
    smallest = min(found, key=lambda record: record.size_bytes)
    return _on_its_phone(smallest, _exactly(smallest.size_bytes))


def _kept_score(context: ClaimContext) -> Finding | None:
    """DistilBERT's mean score over BERT's, over the GLUE tasks that the records have of both."""
    best = [
        {
            r.task: r.score
            for r in _of(context.records, model)
            if r.score is not None and r.precision == "fp32"
        }
        for model in ("distilbert", "bert")
    ]
    shared = [task for task in GLUE_TASKS if all(task in scores for scores in best)]
    if not shared:
        return None
    student, teacher = (float(np.mean([scores[task] for task in shared])) for scores in best)
    part = f"{len(shared)} of {len(GLUE_TASKS)} tasks" if len(shared) < len(GLUE_TASKS) else ""
    return Finding(_exactly(student / teacher), here(_exactly(1)).device, part)


def _students() -> Iterator[Claim]:
    """Claims of both teachers and each small classifier; what was published of them is not at hand."""
    for student in ("bilstm", "bilstm_attention", "cnn"):
        for teacher in ("bert", "distilbert"):
            yield Claim(
                name=f"{student}-{teacher}-parameters",
                source=STUDENTS,
                figure="-",
                short="parameter ratio",
                what=f"parameters, {teacher} / {student}",
                measure=_parameter_ratio(student, teacher),
                form=SMALLER,
            )
            yield Claim(
                name=f"{student}-{teacher}-latency",
                source=STUDENTS,
                figure="left to the reader",
                short="ONNX Runtime, 64 tokens",
                what=f"time at 64 tokens in ONNX Runtime, {teacher} / {student}",
                measure=_latency_ratio(student, teacher),
            )


CLAIMS: dict[str, Claim] = {
    claim.name: claim
    for claim in (
        Claim(
            name="parameters",
            source=f"{DISTILBERT}, Table 3",
            figure="66 M against 110 M: 40 % fewer",
            short="DistilBERT against BERT",
            what="1 - DistilBERT / BERT, encoders",
            measure=_fewer_parameters,
            form=FEWER,
            published=0.40,
            holds_from=0.39,  # both counts are rounded
        ),
        *(
            Claim(
                name=f"stsb-{runtime}",
                source=f"{DISTILBERT}, Table 3",
                figure="668 s against 410 s: 60 % faster",
                short="STS-B validation, batch 1",
                what=f"time ratio over STS-B validation, batch 1, {runtime}",
                measure=_full_pass(runtime),
                published=1.63,
                holds_from=1.60,  # as the paper rounds it in words
                made_on=XEON,
            )
            for runtime in ("torch", "onnxruntime")
        ),
        Claim(
            name="phone-latency",
            source=f"{DISTILBERT}, section 4.1",
            figure="71 % faster on a phone",
            short="without tokenization",
            what="time ratio in the app, tokenization excluded",
            measure=_phone_ratio,
            published=1.71,
            holds_from=1.70,  # it is rounded
            made_on=IPHONE,
            needs=PHONE,
        ),
        Claim(
            name="phone-size",
            source=f"{DISTILBERT}, section 4.1",
            figure="207 MB",
            # 66 M weights are 265 MB in fp32 and 133 MB in fp16.
            short="fp32 file; their precision is not said",
            what="size of the fp32 file; of which precision the published one is is not said",
            measure=_smallest_on_phone,
            form=MEGABYTES,
            published=207e6,
            made_on=IPHONE,
            needs=PHONE,
        ),
        Claim(
            name="glue",
            source=f"{DISTILBERT}, Table 1",
            figure="97 % of BERT on GLUE",
            short="ratio of mean scores",
            what="ratio of mean scores over the GLUE tasks that both have",
            measure=_kept_score,
            form=SHARE,
            published=0.97,
            holds_from=0.965,  # 77.0 of 79.5 is 96.9 %, told as 97 %
            needs=WEIGHTS,
        ),
        Claim(
            name="training",
            source=THESIS,
            figure="half the training time",
            short="time of a step",
            what="time ratio of a step, BERT / DistilBERT, 8 x 64 tokens",
            measure=lambda context: here(context.training),
            form=LESS,
            published=HALF,
            holds_from=ABOUT_HALF,
            made_on=P100,
        ),
        Claim(
            name="evaluation",
            source=THESIS,
            figure="half the evaluation time",
            short="time of a batch",
            what="time ratio of a batch, BERT / DistilBERT, 8 x 64 tokens",
            measure=lambda context: here(context.evaluation),
            form=LESS,
            published=HALF,
            holds_from=ABOUT_HALF,
            made_on=P100,
        ),
        Claim(
            name="small-corpus",
            source=SMALL_CORPUS,
            figure="423.65 s against 215.79 s: ratio 1.96",
            short="STS-B, batch 1, torch; theirs is not known",
            what="time ratio over STS-B validation, batch 1, torch; what the study timed is not known",
            measure=_full_pass("torch"),
            published=1.96,
        ),
        *_students(),
    )
}
