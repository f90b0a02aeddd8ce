"""The claims: verdicts worked out by hand, and the cheap ones measured."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Result
from test_device_bench_records import FIRST

from device_bench.claims.lab import Lab
from device_bench.claims.passes import Side, ratio_of_totals, time_ratio
from device_bench.claims.registry import CLAIMS, PHONE, WEIGHTS
from device_bench.plan import EAGER, Subject
from device_bench.process import Process
from device_bench.records import Measurement, append
from device_bench.stats import Interval
from device_bench.texts import save
from edgepress.pretrained import encode


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
    return Lab(tmp_path, None, 10, 2, 3, records)


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


def test_every_claim_says_where_it_is_published() -> None:
    for claim in CLAIMS.values():
        assert "arXiv:" in claim.source or "citation not known" in claim.source


def test_what_nobody_knows_the_meaning_of_is_not_judged() -> None:
    assert CLAIMS["small-corpus"].verdict(Interval(1.5, 1.4, 1.6)) == "measured"


def test_a_pass_on_the_phone_comes_before_a_shape(tmp_path: Path) -> None:
    shapes = phone_pair(10.0, 15.0, kind="latency", sequence_length=64)
    passes = phone_pair(10.0, 18.0, kind="pass", sequence_length=0)
    found = CLAIMS["phone-latency"].measure(lab(tmp_path, *shapes, *passes))
    assert found is not None
    assert found.value == pytest.approx(1.8)


def phone_pair(fast: float, slow: float, **rest: object) -> list[Measurement]:
    times = {"distilbert-x": fast, "bert-x": slow}
    return [
        scored(name, "", 0, device="phone", run="a", samples_ms=((ms,), (ms,)), **rest)
        for name, ms in times.items()
    ]


def test_ratio_of_totals() -> None:
    found = ratio_of_totals([30.0, 10.0, 20.0, 20.0], [10.0, 10.0, 10.0, 10.0])
    assert found.value == 2.0
    assert 1.0 < found.low < 2.0 < found.high < 3.0


@pytest.fixture
def sides(model_folder: Path, tokenizer, tmp_path: Path) -> list[Side]:
    """A model against itself, and against itself with each text eight times as long."""
    found = []
    for name, times in (("long", 8), ("short", 1)):
        paths = [tmp_path / f"{name}-{part}.npz" for part in range(6)]
        for path in paths:
            save(path, encode(tokenizer, [("the film is dull " * times,)] * 5, 64))
        found.append(Side(Subject(name, model_folder / "model.safetensors", EAGER), paths))
    return found


def test_passes_are_timed_in_turn_and_announced(
    sides: list[Side], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    order: list[tuple[str, str]] = []
    run = Process.run

    def note(process: Process, *arguments: object) -> list[float]:
        order.append((process.subject.name, process.subject.texts.stem.split("-")[1]))
        return run(process, *arguments)

    monkeypatch.setattr(Process, "run", note)
    found = time_ratio(*sides, passes=2, title="twelve parts")
    assert order[:4] == [("long", "0"), ("short", "0")] * 2  # warm-up and estimate
    assert order[4:8] == [("short", "0"), ("long", "0"), ("long", "1"), ("short", "1")]
    assert len(order) == 4 + 2 * 2 * 6
    assert found.low <= found.value <= found.high
    assert "twelve parts: about " in capsys.readouterr().err


def test_an_interrupted_table_continues(
    cli: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ("--only", "parameters,bilstm-bert-parameters", "--output", tmp_path / "claims.json")
    asked: list[str] = []
    parameters = Lab.parameters

    def interrupted(lab: Lab, name: str) -> int:
        asked.append(name)
        if name == "bilstm":
            raise KeyboardInterrupt
        return parameters(lab, name)

    monkeypatch.setattr(Lab, "parameters", interrupted)
    assert cli("device_bench.claims", *flags).code == 130
    assert [row["claim"] for row in json.loads((tmp_path / "claims.json").read_text())] == ["parameters"]
    asked.clear()
    monkeypatch.setattr(Lab, "parameters", lambda lab, name: (asked.append(name), parameters(lab, name))[1])
    done = cli("device_bench.claims", *flags)
    assert done.code == 0, done.err
    assert sorted(asked) == ["bert", "bilstm"]
    assert "has parameters: not measured again" in done.err
    assert len(json.loads((tmp_path / "claims.json").read_text())) == 2
    asked.clear()
    cli("device_bench.claims", *flags, "--sample", 100)  # another measurement
    assert len(asked) == 4
    asked.clear()
    cli("device_bench.claims", *flags, "--sample", 100, "--again")
    assert len(asked) == 4


def test_a_foreign_output_is_left_alone(cli: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text('{"mine": 1}')
    result = cli("device_bench.claims", "--only", "parameters", "--output", tmp_path / "notes.json")
    assert (result.code, "is no table of claims" in result.error) == (2, True)
    assert (tmp_path / "notes.json").read_text() == '{"mine": 1}'


@pytest.mark.slow
def test_training_and_evaluation_are_measured(tmp_path: Path) -> None:
    own = lab(tmp_path)
    for name in ("training", "evaluation"):
        found = CLAIMS[name].measure(own)
        assert found is not None
        assert found.low <= found.value <= found.high
