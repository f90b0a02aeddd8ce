"""Records made by hand, for the tests of what is shown of them."""

from device_bench.records import Measurement

MACHINE = {
    "cpu": "Test CPU",
    "cores": 2,
    "system": "Linux 6",
    "flags": ["avx2"],
    "versions": {"python": "3.11"},
}
OTHER_MACHINE = {**MACHINE, "cpu": "Other CPU", "cores": 8}
ROUNDS = 12


def measured(name: str, milliseconds: float, length: int = 128, batch: int = 1) -> Measurement:
    """Rounds that each take a little longer than the one before, as on a machine that heats up."""
    return Measurement(
        name=name,
        file=f"{name}.onnx",
        file_sha256="ab" * 32,
        size_bytes=20_000_000 if "int8" in name else 90_000_000,
        runtime="onnxruntime 1.31.1",
        device="cpu",
        threads=1,
        batch=batch,
        sequence_length=length,
        load_ms=100.0,
        first_forward_ms=12.0,
        peak_memory_bytes=200_000_000,
        warm_up_runs=5,
        samples_ms=tuple((milliseconds * (1 + step / 1000),) * 3 for step in range(ROUNDS)),
        settled=True,
        environment=MACHINE,
    )
