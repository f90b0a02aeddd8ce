"""The zoo's own weights and text: from the package index, and from local data sets if there are any."""

import os
from pathlib import Path

import numpy as np
import pytest

from edgepress.core.artifact import open_artifact
from edgepress.core.loading import open_model
from edgepress.core.models import find_model
from edgepress.core.splits import load_split
from edgepress.core.task_discovery import find_task
from edgepress.core.tasks import TASKS

REAL_DATA = Path(os.environ.get("EDGEPRESS_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.mark.parametrize("name", [name for name in TASKS if name != "movie_reviews"])
def test_local_data_sets_read_as_their_tasks(name):
    task = find_task(name, REAL_DATA)
    if not (REAL_DATA / name).is_dir():
        pytest.skip(f"no {name} in {REAL_DATA}")
    examples = load_split(task, task.evaluation_split)
    assert len(examples) > 50
    assert {len(text) for text in examples.texts} == {len(task.text_columns)}
    if task.problem_type == "single_label_classification":
        assert set(examples.labels) == set(range(len(task.labels)))


@pytest.mark.slow
def test_movie_reviews_splits_share_no_text():
    splits = {name: load_split(TASKS["movie_reviews"], name) for name in ("train", "validation", "test")}
    assert sum(len(split) for split in splits.values()) == 8530
    texts = [set(split.texts) for split in splits.values()]
    assert not texts[0] & texts[1]
    assert not texts[0] & texts[2]
    assert abs(np.mean(splits["train"].labels) - 0.5) < 0.02


@pytest.mark.slow
def test_minilm_comes_from_the_index_whole():
    assert find_model("minilm").origin == "index"
    opened = open_model("minilm")
    assert opened.model.num_parameters() == pytest.approx(22.7e6, rel=0.01)
    assert not opened.head_trained
    assert opened.tokenizer("unaffable!").tokens() == ["[CLS]", "una", "##ffa", "##ble", "!", "[SEP]"]


@pytest.mark.long  # the notebook does it as a slow one
@pytest.mark.timeout(900)
def test_fine_tune_then_quantize_without_the_hub(cli, tmp_path):
    tuned = tmp_path / "minilm-movie_reviews"
    flags = (
        "--task",
        "movie_reviews",
        "--train-samples",
        1000,
        "--learning-rate",
        2e-4,
        "--epochs",
        1,
        "--output",
        tuned,
    )
    assert cli("compress.finetune", "--model", "minilm", *flags).code == 0
    flags = ("--output", tmp_path / "out", "--eval-samples", 150, "--time-budget", 0)
    result = cli("compress.quantize", "--model", tuned, *flags)
    assert result.code == 0, result.err
    metrics = open_artifact(tmp_path / "out").manifest.steps[-1].metrics
    assert metrics["parent_score"] > 0.65
    assert metrics["variants"][0]["score"] > metrics["parent_score"] - 0.03
    assert metrics["variants"][0]["agreement"] > 0.95
