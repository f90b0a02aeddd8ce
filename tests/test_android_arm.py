"""Exported files under qemu with runtimes for aarch64: on a phone's instruction set the same answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from conftest import SENTENCES, run_well, skip_without
from transformers import AutoTokenizer

from edgepress.core.artifact import open_artifact
from edgepress.core.pretrained import encode
from export.core.registry import open_runner

if TYPE_CHECKING:  # pytest is the first to import it
    from collections.abc import Callable
    from pathlib import Path

    from android.arm import Arm

pytestmark = [pytest.mark.android, pytest.mark.slow, pytest.mark.timeout(1200)]
pytest_plugins = ["android.arm", "android_app"]  # the fixtures `arm` and `small_artifact`

LONGEST = 64


@pytest.fixture(scope="module")
def litert_artifact(model_folder: Path, data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small trained model as .tflite files with two signatures."""
    skip_without("litert")
    target = tmp_path_factory.mktemp("artifacts") / "small"
    flags = ("--scheme", "fp32", "int8", "--signatures", 16, LONGEST, "--task", data_root / "verdicts")
    run_well("export.litert", "--model", model_folder, *flags, "--output", target)
    return target


def same_answers(artifact: Path, precision: str, form: str, arm: Arm, scratch: Path) -> None:
    """Compare a file's answers on this machine and on arm64."""
    model = open_artifact(artifact).file(precision, form)
    texts = [(text,) for text, _ in SENTENCES[::3]]
    batches = encode(AutoTokenizer.from_pretrained(artifact), texts, LONGEST)
    with open_runner(model) as runner:
        here = np.concatenate([runner(batch) for batch in batches])
    there = arm.logits(model, batches, scratch)
    print(f"{model.name}: logits differ by up to {np.abs(here - there).max():.1e}")
    if precision == "fp32":
        np.testing.assert_allclose(there, here, atol=1e-5, rtol=0)
    assert there.argmax(1).tolist() == here.argmax(1).tolist()


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_logits_on_arm(
    arm: Callable[[str], Arm], small_artifact: Path, tmp_path: Path, precision: str
) -> None:
    same_answers(small_artifact, precision, "onnx", arm("onnxruntime"), tmp_path)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_litert_on_arm(
    arm: Callable[[str], Arm], litert_artifact: Path, tmp_path: Path, precision: str
) -> None:
    same_answers(litert_artifact, precision, "litert", arm("ai-edge-litert"), tmp_path)
