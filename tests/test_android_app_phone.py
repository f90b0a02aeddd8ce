"""End to end: `device_bench run --device phone --apk` over a real adbd; the APK's own bytecode answers."""

import pytest
from phone_stand_in import Phone

from device_bench.phone import run as phone_run
from device_bench.phone.device import CoolDown
from device_bench.phone.grouping import Protocol
from device_bench.records import read
from tools.offline_apk.fetch import ORT_VERSION

pytest_plugins = ["android_app"]
pytestmark = [pytest.mark.android, pytest.mark.timeout(1800)]

SHORT = Protocol(warm_up_runs=2, runs=20, min_time_ms=10.0, cool_down=CoolDown(budget_s=0.0))


@pytest.fixture
def measured(bare: Phone, app, apk, cli, small_artifact, data_root, tmp_path, monkeypatch):
    """The records of both files of the artifact, and what the command said."""
    monkeypatch.setattr(phone_run, "Protocol", lambda: SHORT)
    bare.write("class-path", app.jars)
    output = tmp_path / "records.jsonl"
    flags = ("--device", "phone", "--apk", apk, "--sequence-lengths", 8, "--data", data_root)
    done = cli("device_bench.run", "--artifacts", small_artifact, *flags, "--output", output)
    assert done.code == 0, done.err
    return output, done


def test_pushed_run_pulled_recorded_and_drawn(bare, measured, cli, tmp_path):
    output, done = measured
    records = read(output)
    assert [(one.precision, one.sequence_length) for one in records] == [("fp32", 8), ("int8", 8)]
    for one in records:
        assert one.runtime == f"onnxruntime {ORT_VERSION}"
        assert one.score == 1.0  # the tokenizer is the app's own
        assert one.device == "phone"
        assert one.state["emulated"] is True
    assert "emulated device: its times are not a phone's" in done.err.replace("\n", " ")
    launched = [line for line in bare.calls if line.startswith("am instrument")]
    assert len(launched) >= 3 * len(records)
    assert bare.read("installed") == ""
    drawn = cli("device_bench.charts", "--records", output, "--output", tmp_path / "charts")
    assert drawn.code == 0, drawn.err
    assert list((tmp_path / "charts").glob("*.png"))
