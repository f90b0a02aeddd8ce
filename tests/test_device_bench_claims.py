"""The claims: verdicts worked out by hand, and the cheap ones measured."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Result
from test_device_bench_records import FIRST

from device_bench.claims import table
from device_bench.claims.claim import PHONE, WEIGHTS, Claim, Device, Finding
from device_bench.claims.context import ClaimContext
from device_bench.claims.passes import Side, ratio_of_totals, time_ratio
from device_bench.claims.registry import CLAIMS, GLUE_TASKS
from device_bench.plan import EAGER, Target
from device_bench.process import Process
from device_bench.records import Measurement, append
from device_bench.stats import Interval
from device_bench.texts import save
from edgepress.core.pretrained import encode

CPU = Device("cpu", "Test CPU")


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (Interval(1.7, 1.65, 1.75), "holds"),
        (Interval(1.6, 1.55, 1.64), "undecided"),  # 1.60 lies within it
        (Interval(1.5, 1.45, 1.55), "does not hold"),
        (Interval(668 / 410, 668 / 410, 668 / 410), "holds"),  # the paper's own figures
    ],
)
def test_a_claim_holds_where_the_whole_interval_reaches_it(found: Interval, verdict: str) -> None:
    assert CLAIMS["stsb-torch"].verdict(Finding(found, CPU)) == verdict


# Half the training time, claimed on a P100; 45 % less is 1.82 times as fast.
@pytest.mark.parametrize(
    ("found", "device", "verdict"),
    [
        (Interval(1.82, 1.74, 1.90), "cpu", "other device"),  # an Intel CPU with AMX
        (Interval(1.10, 1.05, 1.15), "cpu", "other device"),
        (Interval(2.50, 2.40, 2.60), "cpu", "other device"),
        (Interval(1.10, 1.05, 1.15), "phone", "other device"),
        (Interval(1.95, 1.90, 2.00), "gpu", "holds"),
        (Interval(1.82, 1.74, 1.90), "gpu", "undecided"),
        (Interval(1.50, 1.45, 1.55), "gpu", "does not hold"),
    ],
)
def test_a_claim_is_refuted_on_its_own_kind_of_device_only(
    found: Interval, device: str, verdict: str
) -> None:
    for name in ("training", "evaluation"):
        assert CLAIMS[name].verdict(Finding(found, Device(device, "this one"))) == verdict  # type: ignore[arg-type]


def test_the_comparison_names_both_devices() -> None:
    found = Finding(Interval(1.82, 1.74, 1.90), CPU)
    expected = "45 % less [43, 47] on this CPU; 50 % less was claimed on a P100"
    assert CLAIMS["training"].comparison(found) == expected
    on_gpu = replace(found, device=Device("gpu", "H100"))
    assert "on this GPU; 50 % less was claimed on a P100" in CLAIMS["training"].comparison(on_gpu)
    on_phone = Finding(Interval(1.8, 1.7, 1.9), Device("phone", "Oppo [x]"))
    expected = "1.80x [1.70, 1.90] on an Oppo [x]; 1.71x was claimed on an iPhone 7 Plus"
    assert CLAIMS["phone-latency"].comparison(on_phone) == expected


def test_what_is_the_same_on_every_device_names_none() -> None:
    found = Finding(Interval(0.394, 0.394, 0.394), CPU)
    assert CLAIMS["parameters"].comparison(found) == "39.4 % fewer; 40 % fewer was claimed"


def test_every_judged_time_says_what_it_was_claimed_on() -> None:
    for claim in CLAIMS.values():
        assert claim.made_on or claim.form.anywhere or claim.holds_from is None


def test_every_published_figure_holds_for_itself() -> None:
    judged = [claim for claim in CLAIMS.values() if claim.holds_from is not None]
    assert len(judged) == 7
    for claim in judged:
        assert claim.published is not None
        own = Interval(claim.published, claim.published, claim.published)
        assert claim.verdict(Finding(own, claim.made_on or CPU)) == "holds"
        assert claim.limit.startswith("holds from ")


def test_a_size_of_unknown_precision_is_not_judged(tmp_path: Path) -> None:
    record = scored("distilbert-x", "", 0, device="phone", size_bytes=265_000_000)
    claim = CLAIMS["phone-size"]
    found = claim.measure(context(tmp_path, record))
    assert claim.verdict(found) == "measured"
    assert claim.comparison(found) == "265 MB on a phone; 207 MB was claimed on an iPhone 7 Plus"


def everything_found() -> list[tuple[Claim, Finding]]:
    phone = Device("phone", "Google Pixel 7")
    kinds = {None: CPU, "iPhone 7 Plus": phone}
    values = {"phone-size": 265e6, "parameters": 0.394, "glue": 0.961, "cnn-bert-latency": 1208.6}
    found = []
    for name, claim in CLAIMS.items():
        value = values.get(name, 1.8215)
        ours = Interval(value, 0.98 * value, 1.02 * value)
        found.append((claim, Finding(ours, kinds.get(claim.made_on and claim.made_on.name, CPU))))
    return found


@pytest.mark.parametrize("width", [80, 120])
def test_a_claim_is_two_lines_below_its_source(width: int) -> None:
    found = everything_found()
    for those in (found, [(claim, None) for claim, _ in found]):
        lines = [line.plain for line in table.screen_lines(those, width)]
        assert max(map(len, lines)) <= width
        for claim, own in those:
            first = next(at for at, line in enumerate(lines) if f" {claim.name}: " in line)
            assert lines[first] == f"{claim.verdict(own):15}{claim.name}: {claim.short}" + (
                f" ({claim.limit})" if claim.limit else ""
            )
            assert lines[first + 1].strip() == claim.comparison(own)
        text = " ".join(lines)
        for source in {claim.source for claim in CLAIMS.values()}:
            assert text.count(source) == 1


@pytest.mark.parametrize("width", [20, 40, 60])
def test_a_narrow_screen_breaks_no_word(width: int) -> None:
    lines = [line.plain for line in table.screen_lines(everything_found(), width)]
    words = {word for line in lines for word in line.split()}
    for claim, own in everything_found():
        assert {*claim.source.split(), *claim.comparison(own).split(), f"{claim.name}:"} <= words


def test_what_is_not_here_is_said() -> None:
    assert CLAIMS["phone-latency"].verdict(None) == PHONE
    assert CLAIMS["glue"].verdict(None) == WEIGHTS


def test_what_was_not_published_is_only_measured() -> None:
    assert CLAIMS["bilstm-bert-latency"].verdict(Finding(Interval(9.0, 8.0, 10.0), CPU)) == "measured"


def context(tmp_path: Path, *records: Measurement) -> ClaimContext:
    return ClaimContext(tmp_path, None, 10, 2, 3, records)


def test_parameters_are_those_of_the_papers_models(tmp_path: Path) -> None:
    own = context(tmp_path)
    assert round(own.parameters("distilbert") / 1e6) == 66
    assert round(own.parameters("bert") / 1e6) == 109
    assert own.parameters("bilstm") < own.parameters("distilbert")
    found = CLAIMS["parameters"].measure(own)
    assert found is not None
    assert found.ours.value == pytest.approx(0.394, abs=0.001)


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
    found = CLAIMS["glue"].measure(context(tmp_path, *records))
    assert found is not None
    assert found.ours.value == pytest.approx(1.48 / 1.6)
    assert found.part == "2 of 7 tasks"
    assert CLAIMS["glue"].verdict(found) == "in part"  # 92.5 % of two tasks refutes nothing
    assert CLAIMS["glue"].comparison(found) == "92.5 % over 2 of 7 tasks; 97 % was claimed"
    assert CLAIMS["glue"].measure(context(tmp_path, *records[:1])) is None


def test_phone_ratio_needs_both_of_one_run(tmp_path: Path) -> None:
    fast = scored("distilbert-x", "", 0, device="phone", run="a", samples_ms=((10.0,), (10.0,)))
    slow = scored("bert-x", "", 0, device="phone", run="a", samples_ms=((18.0,), (18.0,)))
    claim = CLAIMS["phone-latency"]
    found = claim.measure(context(tmp_path, fast, slow))
    assert found is not None
    assert (found.ours.value, claim.verdict(found)) == (pytest.approx(1.8), "holds")
    assert claim.measure(context(tmp_path, fast, replace(slow, run="b"))) is None
    assert claim.measure(context(tmp_path, replace(fast, device="cpu"), slow)) is None


def test_the_table_as_it_is_typed(cli: Callable[..., Result]) -> None:
    result = cli("device_bench.claims", "--only", "parameters", "phone-size", "glue")
    assert result.code == 0, result.err
    assert "39.4 % fewer; 40 % fewer was claimed" in result.out
    assert all(word in result.out for word in ("holds", "phone", "weights"))


def test_the_table_as_json(cli: Callable[..., Result], tmp_path: Path) -> None:
    cli("device_bench.claims", "--only", "parameters", "phone-size", "--output", tmp_path / "claims.json")
    first, second = json.loads((tmp_path / "claims.json").read_text())
    assert (first["claim"], first["verdict"], second["verdict"]) == ("parameters", "holds", PHONE)
    assert first["ours"] == pytest.approx(0.394, abs=1e-3)
    assert "--only parameters" in first["command"]


def test_a_claim_that_does_not_hold_is_exit_code_1(cli: Callable[..., Result], tmp_path: Path) -> None:
    scores = {"bert": 0.9, "distilbert": 0.5}
    records = [scored(f"{name}-{task}", task, scores[name]) for name in scores for task in GLUE_TASKS]
    append(tmp_path / "r.jsonl", records)
    result = cli("device_bench.claims", "--only", "glue", "--records", tmp_path / "r.jsonl")
    assert (result.code, result.error) == (1, "error: does not hold here: glue")


def test_unknown_claim(cli: Callable[..., Result]) -> None:
    result = cli("device_bench.claims", "--only", "parametres")
    assert (result.code, "did you mean 'parameters'" in result.err) == (2, True)


def test_every_claim_says_where_it_is_published() -> None:
    for claim in CLAIMS.values():
        assert any(word in claim.source for word in ("arXiv:", "citation not known", "Bueno Ulacia 2022"))


def test_what_nobody_knows_the_meaning_of_is_not_judged() -> None:
    assert CLAIMS["small-corpus"].verdict(Finding(Interval(1.5, 1.4, 1.6), CPU)) == "measured"


def test_a_pass_on_the_phone_comes_before_a_shape(tmp_path: Path) -> None:
    shapes = phone_pair(10.0, 15.0, kind="latency", sequence_length=64)
    passes = phone_pair(10.0, 18.0, kind="pass", sequence_length=0)
    found = CLAIMS["phone-latency"].measure(context(tmp_path, *shapes, *passes))
    assert found is not None
    assert found.ours.value == pytest.approx(1.8)


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
        found.append(Side(Target(name, model_folder / "model.safetensors", EAGER), paths))
    return found


@pytest.mark.slow
def test_passes_are_timed_in_turn_and_announced(
    sides: list[Side], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    order: list[tuple[str, str]] = []
    run = Process.run

    def note(process: Process, *arguments: object) -> list[float]:
        order.append((process.target.name, process.target.texts.stem.split("-")[1]))
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
    flags = ("--only", "parameters", "bilstm-bert-parameters", "--output", tmp_path / "claims.json")
    asked: list[str] = []
    parameters = ClaimContext.parameters

    def interrupted(context: ClaimContext, name: str) -> int:
        asked.append(name)
        if name == "bilstm":
            raise KeyboardInterrupt
        return parameters(context, name)

    monkeypatch.setattr(ClaimContext, "parameters", interrupted)
    assert cli("device_bench.claims", *flags).code == 130
    assert [row["claim"] for row in json.loads((tmp_path / "claims.json").read_text())] == ["parameters"]
    asked.clear()
    monkeypatch.setattr(
        ClaimContext, "parameters", lambda context, name: (asked.append(name), parameters(context, name))[1]
    )
    done = cli("device_bench.claims", *flags)
    assert done.code == 0, done.err
    assert sorted(asked) == ["bert", "bilstm"]
    assert "has parameters: not measured again" in done.err
    assert len(json.loads((tmp_path / "claims.json").read_text())) == 2
    asked.clear()
    cli("device_bench.claims", *flags, "--pass-samples", 100)  # another measurement
    assert len(asked) == 4
    asked.clear()
    cli("device_bench.claims", *flags, "--pass-samples", 100, "--measure-again")
    assert len(asked) == 4


def test_a_foreign_output_is_left_alone(cli: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text('{"mine": 1}')
    result = cli("device_bench.claims", "--only", "parameters", "--output", tmp_path / "notes.json")
    assert (result.code, "is no table of claims" in result.error) == (2, True)
    assert (tmp_path / "notes.json").read_text() == '{"mine": 1}'


def row(name: str, *figures: float, **rest: object) -> dict[str, object]:
    """Of a table as it was before it kept devices."""
    value, *interval = figures or (None,)
    machine = {"cpu": "Intel(R) Xeon(R) with AMX", "cores": 4}
    return {"claim": name, "ours": value, "interval": interval or None, "machine": machine, **rest}


def judged(cli: Callable[..., Result], path: Path, rows: list[dict[str, object]]) -> tuple[Result, list]:
    path.write_text(json.dumps(rows))
    names = [str(own["claim"]) for own in rows]
    result = cli("device_bench.claims", "--judge-only", "--output", path, "--only", *names)
    return result, json.loads(path.read_text())


def test_a_slower_cpu_refutes_no_claim_of_a_gpu(cli: Callable[..., Result], tmp_path: Path) -> None:
    rows = [row("training", 1.82, 1.74, 1.76), row("evaluation", 2.0, 1.95, 2.08), row("glue")]
    result, (training, evaluation, glue) = judged(cli, tmp_path / "c.json", rows)
    assert result.code == 0, result.err
    assert training["verdict"] == evaluation["verdict"] == "other device"
    assert training["measured_on"] == {"kind": "cpu", "name": "Intel(R) Xeon(R) with AMX"}
    assert training["made_on"] == {"kind": "gpu", "name": "P100"}
    assert training["machine"]["cores"] == 4
    assert glue["verdict"] == WEIGHTS
    assert "45 % less [43, 43] on this CPU; 50 % less was claimed on a P100" in result.out


def test_a_claim_of_a_gpu_that_fails_on_one(cli: Callable[..., Result], tmp_path: Path) -> None:
    gpu = {"kind": "gpu", "name": "NVIDIA H100"}
    result, _ = judged(cli, tmp_path / "c.json", [row("training", 1.2, 1.1, 1.3, measured_on=gpu)])
    assert (result.code, result.error) == (1, "error: does not hold here: training")


def test_a_claim_of_a_cpu_that_fails_on_one(cli: Callable[..., Result], tmp_path: Path) -> None:
    result, (own,) = judged(cli, tmp_path / "c.json", [row("stsb-torch", 1.2, 1.1, 1.3)])
    assert (result.code, own["verdict"]) == (1, "does not hold")


def test_judging_only_needs_a_table(cli: Callable[..., Result], tmp_path: Path) -> None:
    for flags in ((), ("--output", tmp_path / "none.json")):
        result = cli("device_bench.claims", "--judge-only", *flags)
        assert (result.code, result.error) == (2, "error: --judge-only needs the table of an earlier run")


@pytest.mark.parametrize("own", [{"interval": "wide"}, {"ours": None}, {"measured_on": {"kind": "cpu"}}])
def test_a_damaged_row_is_one_line(cli: Callable[..., Result], tmp_path: Path, own: dict) -> None:
    rows = [row("training", 1.8, 1.7, 1.9) | own]
    (tmp_path / "c.json").write_text(json.dumps(rows))
    result = cli("device_bench.claims", "--judge-only", "--output", tmp_path / "c.json", "--only", "training")
    assert (result.code, "training: no figures" in result.error) == (2, True)
    assert json.loads((tmp_path / "c.json").read_text()) == rows


def test_the_kept_table_is_judged_as_now(cli: Callable[..., Result], tmp_path: Path) -> None:
    kept = Path(__file__).parents[1] / "results" / "device_bench" / "claims.json"
    (tmp_path / "c.json").write_bytes(kept.read_bytes())
    result = cli("device_bench.claims", "--judge-only", "--output", tmp_path / "c.json")
    assert result.code == 0, result.err
    assert (tmp_path / "c.json").read_bytes() == kept.read_bytes()


@pytest.mark.long  # minutes of what passes show
def test_training_and_evaluation_are_measured(tmp_path: Path) -> None:
    own = context(tmp_path)
    for name in ("training", "evaluation"):
        found = CLAIMS[name].measure(own)
        assert found is not None
        assert found.ours.low <= found.ours.value <= found.ours.high
