"""The claims: verdicts worked out by hand, and the cheap ones measured."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Result
from test_device_bench_records import FIRST

from device_bench.claims.lab import Lab
from device_bench.claims.registry import CLAIMS, PHONE, WEIGHTS
from device_bench.records import Measurement, append
from device_bench.stats import Interval


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (Interval(1.7, 1.65, 1.75), "holds"),
        (Interval(1.6, 1.55, 1.64), "undecided"),  # 1.63 lies within it
        (Interval(1.5, 1.45, 1.55), "does not hold"),
    ],
)
def test_a_claim_holds_where_the_whole_interval_reaches_it(found: Interval, verdict: str) -> None:
    assert CLAIMS["stsb-torch"].verdict(found) == verdict


def test_what_is_not_here_is_said() -> None:
    assert CLAIMS["phone-latency"].verdict(None) == PHONE
    assert CLAIMS["glue"].verdict(None) == WEIGHTS


def test_what_was_not_published_is_only_measured() -> None:
    assert CLAIMS["bilstm-bert-latency"].verdict(Interval(9.0, 8.0, 10.0)) == "measured"


def lab(tmp_path: Path, *records: Measurement) -> Lab:
    return Lab(tmp_path, None, 10, 2, records)


def test_parameters_are_those_of_the_papers_models(tmp_path: Path) -> None:
    own = lab(tmp_path)
    assert round(own.parameters("distilbert") / 1e6) == 66
    assert round(own.parameters("bert") / 1e6) == 109
    assert own.parameters("bilstm") < own.parameters("distilbert")
    found = CLAIMS["parameters"].measure(own)
    assert found is not None
    assert found.value == pytest.approx(0.394, abs=0.001)


def scored(artifact: str, task: str, score: float, **rest: object) -> Measurement:
    own = {"artifact": artifact, "task": task, "score": score, "precision": "fp32", **rest}
    return replace(FIRST, **own)  # type: ignore[arg-type]


def test_kept_score_is_over_shared_tasks(tmp_path: Path) -> None:
    records = (
        scored("bert-sst2", "sst2", 0.9),
        scored("distilbert-sst2", "sst2", 0.88),
        scored("bert-rte", "rte", 0.7),
        scored("distilbert-rte", "rte", 0.6),
        scored("bert-cola", "cola", 0.1),
    )
    found = CLAIMS["glue"].measure(lab(tmp_path, *records))
    assert found is not None
    assert found.value == pytest.approx(1.48 / 1.6)
    assert CLAIMS["glue"].measure(lab(tmp_path, *records[:1])) is None


def test_phone_ratio_needs_both_of_one_run(tmp_path: Path) -> None:
    fast = scored("distilbert-x", "", 0, device="phone", run="a", samples_ms=((10.0,), (10.0,)))
    slow = scored("bert-x", "", 0, device="phone", run="a", samples_ms=((18.0,), (18.0,)))
    claim = CLAIMS["phone-latency"]
    found = claim.measure(lab(tmp_path, fast, slow))
    assert found is not None
    assert (found.value, claim.verdict(found)) == (pytest.approx(1.8), "holds")
    assert claim.measure(lab(tmp_path, fast, replace(slow, run="b"))) is None
    assert claim.measure(lab(tmp_path, replace(fast, device="cpu"), slow)) is None


def test_the_table_as_it_is_typed(cli: Callable[..., Result]) -> None:
    result = cli("device_bench.claims", "--only", "parameters,phone-size,glue")
    assert result.code == 0, result.err
    assert "0.394" in result.out
    assert all(word in result.out for word in ("holds", "phone", "weights"))


def test_the_table_as_json(cli: Callable[..., Result], tmp_path: Path) -> None:
    cli("device_bench.claims", "--only", "parameters,phone-size", "--output", tmp_path / "claims.json")
    first, second = json.loads((tmp_path / "claims.json").read_text())
    assert (first["claim"], first["verdict"], second["verdict"]) == ("parameters", "holds", PHONE)
    assert first["ours"] == pytest.approx(0.394, abs=1e-3)
    assert "--only parameters" in first["command"]


def test_a_claim_that_does_not_hold_is_exit_code_1(cli: Callable[..., Result], tmp_path: Path) -> None:
    append(tmp_path / "r.jsonl", [scored("bert-rte", "rte", 0.9), scored("distilbert-rte", "rte", 0.5)])
    result = cli("device_bench.claims", "--only", "glue", "--records", tmp_path / "r.jsonl")
    assert (result.code, result.error) == (1, "error: does not hold here: glue")


def test_unknown_claim(cli: Callable[..., Result]) -> None:
    result = cli("device_bench.claims", "--only", "parametres")
    assert (result.code, "did you mean 'parameters'" in result.err) == (2, True)


@pytest.mark.slow
def test_training_and_evaluation_are_measured(tmp_path: Path) -> None:
    own = lab(tmp_path)
    for name in ("training", "evaluation"):
        found = CLAIMS[name].measure(own)
        assert found is not None
        assert found.low <= found.value <= found.high
