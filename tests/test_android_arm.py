"""Exported files under qemu with ONNX Runtime for aarch64: on a phone's instruction set the same answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from conftest import SENTENCES
from transformers import AutoTokenizer

from edgepress.core.artifact import open_artifact
from edgepress.core.pretrained import encode
from export.onnx import OnnxRunner

if TYPE_CHECKING:  # pytest is the first to import it
    from pathlib import Path

    from android.arm import Arm

pytestmark = [pytest.mark.android, pytest.mark.slow, pytest.mark.timeout(1200)]
pytest_plugins = ["android.arm", "android_app"]  # the fixtures `arm` and `small_artifact`

LONGEST = 64


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_logits_on_arm(arm: Arm, small_artifact: Path, tmp_path: Path, precision: str) -> None:
    model = open_artifact(small_artifact).file(precision)
    texts = [(text,) for text, _ in SENTENCES[::3]]
    batches = encode(AutoTokenizer.from_pretrained(small_artifact), texts, LONGEST)
    with OnnxRunner(model) as runner:
        here = np.concatenate([runner(batch) for batch in batches])
    there = arm.logits(model, batches, tmp_path)
    print(f"{precision}: logits differ by up to {np.abs(here - there).max():.1e}")
    if precision == "fp32":
        np.testing.assert_allclose(there, here, atol=1e-5, rtol=0)
    assert there.argmax(1).tolist() == here.argmax(1).tolist()
