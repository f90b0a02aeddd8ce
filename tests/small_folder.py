"""A folder of the small BERT that a test may spoil, opened as a model's source is."""

import shutil
from pathlib import Path

import pytest
from transformers import AutoModelForSequenceClassification

from edgepress.core.models import ModelSource
from edgepress.core.pretrained import load_model


@pytest.fixture
def no_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine's user has in the Hub's cache must not decide a test."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def model_copy(model_folder: Path, tmp_path: Path) -> Path:
    """A copy of the small BERT that a test may spoil."""
    return Path(shutil.copytree(model_folder, tmp_path / "copy"))


def local(folder: Path) -> ModelSource:
    """The folder as what a model comes from."""
    return ModelSource("small", "local", folder)


def load(
    folder: Path, labels: tuple[str, ...] | None = None
) -> tuple[AutoModelForSequenceClassification, bool]:
    """The model of the folder, and whether its head was trained."""
    return load_model(local(folder), labels, None, seed=0)
