"""Reranking as a user types it: fine-tune, distil, compress, quantize, predict; metrics by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from conftest import Result, manifest_of
from huggingface_hub import ModelCard
from queries import pairs, write_pairs
from transformers import AutoModelForSequenceClassification, pipeline

import edgepress
from edgepress.core.errors import EdgepressError
from edgepress.core.intervals import drop_bounds, score_bounds
from edgepress.core.metrics import scores
from edgepress.core.own_split import split_beside
from edgepress.core.splits import load_split
from edgepress.core.task_discovery import find_task
from edgepress.core.tasks import TASKS, TaskOptions

Cli = Callable[..., Result]
LEARN = ("--epochs", 8, "--learning-rate", 1e-3, "--batch-size", 8, "--max-length", 32)
QUERY = "the film is a quiet delight"
PASSAGES = ("its ending falls apart", "the film is a tedious mess", "her script falls apart")
ASKED = [word for passage in PASSAGES for word in (QUERY, passage)]


@pytest.fixture(autouse=True)
def _data(own_cache: None, monkeypatch: pytest.MonkeyPatch, queries: Path) -> None:
    monkeypatch.setenv("EDGEPRESS_DATA", str(queries.parent))  # where models find what they were trained on


def judged(values: list[float], truth: list[tuple[int, int]]) -> dict[str, float | None]:
    return scores("map", np.asarray([values]).T, np.asarray(truth), "reranking")


def test_metrics_are_of_each_query() -> None:
    # Query 0: relevant at ranks 1 and 3; query 1: at rank 2. Rows of the two are mixed.
    values = [9.0, 1.0, 5.0, 8.0, 3.0]
    truth = [(1, 0), (0, 0), (0, 1), (0, 0), (1, 1)]
    truth[1] = (1, 0)
    found = judged(values, truth)
    first = (1 / 1 + 2 / 3) / 2
    assert found["map"] == pytest.approx((first + 1 / 2) / 2)
    assert found["mrr_at_10"] == pytest.approx((1 + 1 / 2) / 2)
    gain = (1 + 1 / np.log2(4)) / (1 + 1 / np.log2(3))
    assert found["ndcg_at_10"] == pytest.approx((gain + 1 / np.log2(3)) / 2)


def test_beyond_the_tenth_nothing_is_gained() -> None:
    values = [float(-place) for place in range(12)]
    found = judged(values, [(int(place == 10), 0) for place in range(12)])
    assert (found["mrr_at_10"], found["ndcg_at_10"]) == (0, 0)
    assert found["map"] == pytest.approx(1 / 11)


def test_equal_scores_are_no_merit() -> None:
    found = judged([1.0, 1.0, 1.0, 1.0], [(1, 0), (0, 0), (0, 0), (0, 0)])
    assert found["mrr_at_10"] == found["map"] == 1 / 4
    assert found["ndcg_at_10"] < 1


def test_queries_without_a_relevant_passage_are_left_out_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    monkeypatch.setattr("edgepress.core.ranking.warn_once", said.append)
    truth = [(0, 0), (1, 0), (0, 1), (0, 1), (1, 2)]
    found = judged([1.0, 2.0, 3.0, 4.0, 5.0], truth)
    assert all(own.startswith("1 of 3 queries have no relevant passage") for own in said)
    assert said
    assert set(found.values()) == {1.0}
    values = np.asarray([[1.0, 2.0, 3.0, 4.0, 5.0]]).T
    bounds = score_bounds("map", values, np.asarray(truth), "reranking")
    lost = drop_bounds("map", values, -values, np.asarray(truth), "reranking")
    assert bounds is not None
    assert lost is not None
    assert (bounds.low, bounds.high) == (1, 1)
    assert 0 <= lost.low <= lost.high <= 0.5  # of query 2 alone nothing can be lost


def test_a_model_learns_to_rank(ranking_model: Path) -> None:
    manifest = manifest_of(ranking_model)
    metrics = manifest.steps[-1].metrics
    assert metrics["map"] > 0.8
    assert {"mrr_at_10", "ndcg_at_10", "interval"} <= metrics.keys()
    assert metrics["history"][-1]["map"] == pytest.approx(metrics["map"])
    assert manifest.data is not None
    assert (manifest.data["problem_type"], manifest.data["labels"]) == ("reranking", ["relevance"])
    card = ModelCard.load(ranking_model / "README.md")
    assert card.data.pipeline_tag == "text-ranking"
    assert "MRR@10" in card.text


def test_the_loss_is_binary_cross_entropy(ranking_model: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(ranking_model)
    ids = torch.tensor([[2, 10, 3, 11, 3], [2, 12, 3, 13, 3]])
    labels = torch.tensor([[1.0], [0.0]])
    with torch.no_grad():
        found = model(input_ids=ids, labels=labels)
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(found.logits, labels)
    assert (model.config.num_labels, found.loss.item()) == (1, pytest.approx(wanted.item()))


def test_transformers_gives_the_same_scores(cli: Cli, ranking_model: Path) -> None:
    ours = edgepress.load(ranking_model).predict([(QUERY, passage) for passage in PASSAGES])
    assert all(isinstance(own, edgepress.RankPrediction) for own in ours)
    assert sorted(own.rank for own in ours) == [1, 2, 3]
    assert ours[1].rank == 1
    classify = pipeline("text-classification", str(ranking_model), device="cpu")
    asked = [{"text": QUERY, "text_pair": passage} for passage in PASSAGES]
    theirs = [own["score"] for own in classify(asked)]
    assert theirs == pytest.approx([own.score for own in ours], abs=1e-5)


def test_predict_ranks_the_passages_of_a_query(cli: Cli, ranking_model: Path, tmp_path: Path) -> None:
    said = cli("export.predict", ranking_model, "--text", *ASKED, "its ending", "its ending", "--json")
    assert said.code == 0, said.err
    found = [json.loads(line) for line in said.out.splitlines()]
    assert [own["rank"] for own in found] == [1, 2, 3, 1]
    assert found[0]["text"] == [QUERY, PASSAGES[1]]
    assert [own["score"] for own in found[:3]] == sorted((own["score"] for own in found[:3]), reverse=True)
    table = cli("export.predict", ranking_model, "--text", *ASKED)
    assert "rank" in table.out


@pytest.mark.parametrize(
    ("verb", "flags"),
    [
        ("prune", ("--ffn", 0.25, "--importance", "taylor", *LEARN)),
        pytest.param("qat", ("--max-drop", 0, *LEARN), marks=pytest.mark.long),
        pytest.param("trim_vocab", ("--size", 200, *LEARN), marks=pytest.mark.long),
        pytest.param("sparsify", ("--sparsity", 0.3, "--time-budget", 0.5, *LEARN), marks=pytest.mark.long),
    ],
)
def test_techniques_keep_the_order(
    cli: Cli, ranking_model: Path, tmp_path: Path, verb: str, flags: tuple[object, ...]
) -> None:
    out = tmp_path / verb
    result = cli(f"compress.{verb}", "--model", ranking_model, "--output", out, *flags)
    assert result.code == 0, result.err
    step = manifest_of(out).steps[-1]
    assert (step.metrics.get("map") or step.metrics["rounded"]["score"]) > 0.7
    assert edgepress.load(out).predict([(QUERY, PASSAGES[0])])[0].rank == 1


def test_a_student_learns_from_its_teacher(cli: Cli, ranking_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "student"
    flags = ("--no-train-baseline", *LEARN, "--epochs", 12)
    result = cli("compress.distill", "--teacher", ranking_model, "--output", out, *flags)
    assert result.code == 0, result.err
    metrics = manifest_of(out).steps[-1].metrics
    assert metrics["teacher"]["map"] == pytest.approx(manifest_of(ranking_model).steps[-1].metrics["map"])
    assert metrics["map"] > 0.6
    assert {sample["label"] for sample in metrics["samples"]} <= {0, 1}
    assert edgepress.load(out).opened.model.config.problem_type == "multi_label_classification"


def test_files_rank_the_same(cli: Cli, ranking_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    flags = ("--output", out, "--eval-samples", 16, "--formats", "onnx", "torchscript")
    result = cli("export", "--model", ranking_model, *flags)
    assert result.code == 0, result.err
    (further,) = (line for line in result.out.splitlines() if line.startswith("MRR@10"))
    assert "onnx/model.onnx" in further
    assert further.endswith("torchscript/model.pt")
    metrics = manifest_of(out).steps[-1].metrics
    assert metrics["evaluation_set"]["texts"] == 16
    assert [record["file"] for record in metrics["files"]] == ["model.onnx", "model.pt"]
    for record in metrics["files"]:
        assert record["score"] == pytest.approx(metrics["parent_score"])
        said = cli("export.predict", next(out.rglob(record["file"])), "--text", *ASKED, "--json")
        assert json.loads(said.out.splitlines()[0])["text"] == [QUERY, PASSAGES[1]]


@pytest.mark.slow
def test_quantizing_is_judged_by_map(cli: Cli, ranking_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "int8"
    flags = ("--scheme", "int8-dynamic", "--time-budget", 0.3, "--sequence-lengths", 16)
    result = cli("compress.quantize", "--model", ranking_model, "--output", out, *flags)
    assert result.code == 0, result.err
    (variant,) = manifest_of(out).steps[-1].metrics["variants"]
    assert variant["score"] > 0.6
    assert variant["agreement"] > 0.9  # the rank correlation of its scores


def test_whole_queries_are_drawn(queries: Path) -> None:
    examples = load_split(find_task(str(queries)), "validation")
    drawn = examples.sample(11, seed=3)
    assert len(drawn) == 8
    assert len({query for query, _ in drawn.texts}) == 2
    assert len(examples.sample(1)) == 4  # one query at least


def test_queries_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    rows = [("the film", "its ending", 1), ("the film", "her script", 0), ("the film", "the acting", 1)]
    for split in ("train", "validation"):
        write_pairs(tmp_path / f"{split}.jsonl", rows, query_id=["q7", "q7", "q9"])
    examples = load_split(find_task(str(tmp_path)), "train")
    assert examples.labels.tolist() == [[1, 0], [0, 0], [1, 1]]


def test_a_table_is_split_by_query(tmp_path: Path) -> None:
    table = write_pairs(tmp_path / "all.jsonl", pairs())
    task = find_task(str(split_beside(table, tmp_path / "out", TaskOptions(), overwrite=False)))
    sides = [{query for query, _ in load_split(task, own).texts} for own in ("train", "validation")]
    assert sides[1]
    assert not sides[0] & sides[1]


@pytest.mark.parametrize("kind", ["reranking", "embedding"])
def test_where_every_order_is_right_nothing_is_ranked(tmp_path: Path, kind: str) -> None:
    rows = [(query, passage, int(query != pairs()[0][0])) for query, passage, _ in pairs()]
    for split in ("train", "validation"):
        write_pairs(tmp_path / f"{split}.jsonl", rows)
    task = find_task(str(tmp_path), options=TaskOptions(problem_type=kind))
    with pytest.raises(EdgepressError, match=r"no query has a relevant passage .* beside one that is not"):
        load_split(task, "validation")


@pytest.mark.parametrize(("label", "word"), [(2, "not 2"), (0.5, "not 0.5"), (None, "not by nothing")])
def test_labels_that_are_no_relevance_are_asked_about(tmp_path: Path, label: float | None, word: str) -> None:
    table = write_pairs(tmp_path / "all.jsonl", [*pairs(), ("the film", "its ending", cast("int", label))])
    with pytest.raises(EdgepressError, match=word) as error:
        find_task(str(table), options=TaskOptions(split="all"))
    assert "--problem-type single_label_classification or regression" in error.value.with_hint
    if label == 2:
        asked = TaskOptions(split="all", problem_type="single_label_classification")
        assert find_task(str(table), options=asked).labels == ("0", "1", "2")


def test_a_row_is_named_as_the_table_numbers_it(tmp_path: Path) -> None:
    table = write_pairs(tmp_path / "all.jsonl", [*pairs(), ("the film", "its ending", 3)])
    asked = TaskOptions(problem_type="reranking")
    with pytest.raises(EdgepressError, match=rf"all\.jsonl, row {len(pairs()) + 1}: flag 3 is neither"):
        split_beside(table, tmp_path / "out", asked, overwrite=False)


def test_wikiqa_is_read_by_the_names_of_the_hub_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "wikiqa"
    for name in ("sentence", "answer"):
        lines = [
            json.dumps({"question_id": "Q1", "question": query, name: passage, "label": label})
            for query, passage, label in pairs()[:8]
        ]
        folder.mkdir(exist_ok=True)
        (folder / "test.jsonl").write_text("\n".join(lines))
        task = find_task("wikiqa", tmp_path)
        examples = load_split(task, "test")
        assert examples.texts[0] == pairs()[0][:2]
        assert len(np.unique(examples.labels[:, 1])) == 1  # one id
    assert TASKS["wikiqa"].hub_id == "microsoft/wiki_qa"


def test_pairs_of_other_names_are_ranked_where_the_flag_says_so(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        lines = [
            json.dumps({"question": query, "sentence": passage, "label": label})
            for query, passage, label in pairs()
        ]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))
    assert find_task(str(tmp_path)).problem_type == "single_label_classification"
    ranked = find_task(str(tmp_path), options=TaskOptions(problem_type="reranking"))
    assert (ranked.problem_type, ranked.metric) == ("reranking", "map")


BROKEN: dict[str, tuple[list[Any], str]] = {
    "no positive": ([("the film", "its ending", 0)], "no passage is relevant to its query"),
    "grades": ([("the film", "its ending", 1), ("the film", "her script", 3)], "neither 0 nor 1"),
    "no number": ([("the film", "its ending", 1), ("the film", "her script", "nan")], "is not a number"),
    "no passage": ([("the film", " ", 1)], "no text in column 'passage'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_bad_input_is_one_line_and_nothing_is_written(
    cli: Cli, bare_encoder: Path, queries: Path, tmp_path: Path, case: str
) -> None:
    rows, word = BROKEN[case]
    folder = tmp_path / "data"
    write_pairs(folder / "train.jsonl", pairs())
    write_pairs(folder / "validation.jsonl", rows)
    flags = ("--task", folder, "--output", tmp_path / "out", "--problem-type", "reranking", "--epochs", 1)
    result = cli("compress.finetune", "--model", bare_encoder, *flags)
    assert (result.code, (tmp_path / "out").exists()) == (2, False), result.err
    assert word in result.error


def test_classes_are_not_ranked(cli: Cli, model_folder: Path, queries: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = cli("export.onnx", "--model", model_folder, "--task", queries, "--output", out)
    assert result.code == 2
    assert "reranking" in result.error or "classes" in result.error
    assert not out.exists()
