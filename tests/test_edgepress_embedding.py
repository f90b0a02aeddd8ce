"""Embedding models: pooling by hand, folders of sentence-transformers, what vectors say, and the losses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from alike import scored, sentence_folder, together, write_rows, write_splits
from conftest import Result
from queries import write_queries
from torch.nn import functional
from transformers import AutoModel, BertConfig, PreTrainedTokenizerFast

from edgepress.core.embedding_losses import SCALE, cosine_loss, pair_loss, ranking_loss
from edgepress.core.errors import EdgepressError
from edgepress.core.loading import open_model
from edgepress.core.matryoshka import record_dimensions, trained_dimensions
from edgepress.core.metrics import scores
from edgepress.core.own_split import split_beside
from edgepress.core.prediction import Reader
from edgepress.core.sentence_folder import RECORD, Pooling, find_pooling, read_pooling, write_folder
from edgepress.core.splits import load_split
from edgepress.core.task_discovery import find_task
from edgepress.core.tasks import TASKS, TaskOptions
from edgepress.core.tasks.kinds import kind_of
from edgepress.core.vectors import cosines_and_ranks, kept_neighbours, mean_cosine

Cli = Callable[..., Result]
KIND = kind_of("embedding")
POOLINGS: dict[str, dict[str, Any]] = {
    "mean": {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False},
    "cls": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
    "last": {"pooling_mode": "lasttoken", "embedding_dimension": 64},
}
EMBEDDING = TaskOptions(problem_type="embedding")


def vectors_by_hand(folder: Path, mode: str, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """What sentence-transformers computes, of transformers' own encoder."""
    encoder = AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        states = encoder(**batch).last_hidden_state
    mask = batch["attention_mask"]
    rows = []
    for own, kept in zip(states, mask.bool(), strict=True):
        seen = own[kept]
        rows.append({"mean": seen.mean(0), "cls": seen[0], "last": seen[-1]}[mode])
    return torch.stack(rows)


@pytest.mark.parametrize("mode", POOLINGS)
@pytest.mark.parametrize("normalize", [True, False])
def test_vectors_are_pooled_as_the_folder_says(
    bare_encoder: Path, tmp_path: Path, mode: str, normalize: bool
) -> None:
    modules = ("Transformer", "Pooling", "Normalize")[: 3 if normalize else 2]
    folder = sentence_folder(bare_encoder, tmp_path / "model", modules, POOLINGS[mode])
    opened = open_model(str(folder))
    assert (opened.problem_type, opened.head_trained, opened.labels) == ("embedding", True, ())
    assert opened.text_length == 32
    batch = opened.tokenizer(["the film", "her script falls apart"], padding=True, return_tensors="pt")
    wanted = vectors_by_hand(folder, mode, dict(batch))
    wanted = functional.normalize(wanted) if normalize else wanted
    with torch.no_grad():
        found = opened.model(**batch).sentence_embedding
    assert torch.allclose(found, wanted, atol=1e-6)


def test_a_plain_encoder_does_not_say_how(bare_encoder: Path) -> None:
    with pytest.raises(EdgepressError, match="nothing says how its token states become one vector"):
        open_model(str(bare_encoder), options=EMBEDDING)
    opened = open_model(str(bare_encoder), options=TaskOptions(problem_type="embedding", pooling="last"))
    assert getattr(opened.model.config, RECORD)["mode"] == "last"


@pytest.mark.parametrize("pooling", [Pooling("cls", normalize=False), Pooling("last"), Pooling()])
def test_a_written_folder_is_read_as_it_was(tmp_path: Path, pooling: Pooling) -> None:
    write_folder(tmp_path, pooling, width=64, max_length=48)
    assert read_pooling(tmp_path) == Pooling(pooling.mode, pooling.normalize, 48)


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "a dense layer": (lambda own: modules(own, "Transformer", "Pooling", "Dense"), "names the module Dense"),
    "no pooling": (lambda own: modules(own, "Transformer"), "has the modules Transformer, and not"),
    "two poolings": (
        lambda own: (own / "1_Pooling" / "config.json").write_text(
            json.dumps({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True})
        ),
        "pooled by mean_tokens and max_tokens",
    ),
    "the largest": (
        lambda own: (own / "1_Pooling" / "config.json").write_text('{"pooling_mode": "max"}'),
        "pooled by max",
    ),
    "no config": (lambda own: (own / "1_Pooling" / "config.json").unlink(), "unreadable"),
    "no list": (lambda own: (own / "modules.json").write_text("{}"), "is not what sentence-transformers"),
    "lower case": (
        lambda own: (own / "sentence_bert_config.json").write_text('{"do_lower_case": true}'),
        "lowers the case",
    ),
    "a prompt": (
        lambda own: (own / "config_sentence_transformers.json").write_text(
            '{"default_prompt_name": "query", "prompts": {"query": "query: "}}'
        ),
        "puts the prompt 'query'",
    ),
    "another folder": (
        lambda own: (own / "modules.json").write_text(
            (own / "modules.json").read_text().replace('"path": ""', '"path": "0_Transformer"')
        ),
        "lies in 0_Transformer",
    ),
}


def modules(folder: Path, *names: str) -> None:
    entries = [{"path": "", "type": f"sentence_transformers.models.{name}"} for name in names]
    (folder / "modules.json").write_text(json.dumps(entries))


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_taken_is_named(cli: Cli, bare_encoder: Path, tmp_path: Path, case: str) -> None:
    folder = sentence_folder(bare_encoder, tmp_path / "model")
    change, words = WRONG[case]
    change(folder)
    result = cli("export.onnx", "--model", folder, "--output", tmp_path / "out")
    assert (result.code, (tmp_path / "out").exists()) == (2, False)
    assert words in result.error


def test_a_pooling_that_contradicts_the_folder_is_refused(
    cli: Cli, bare_encoder: Path, model_folder: Path, tmp_path: Path
) -> None:
    folder = sentence_folder(bare_encoder, tmp_path / "model")
    flags = ("--output", tmp_path / "out", "--pooling", "cls")
    result = cli("export.onnx", "--model", folder, *flags)
    assert (result.code, (tmp_path / "out").exists()) == (2, False)
    assert "--pooling cls contradicts" in result.error
    classifier = cli("export.onnx", "--model", model_folder, *flags)
    assert (classifier.code, "it is of models that give vectors" in classifier.err) == (2, True)
    record = Pooling("cls").recorded
    with pytest.raises(EdgepressError, match=r"config\.json cls of the tokens"):
        find_pooling(folder, record, None, may_choose=False, name="it")


def test_cosines_and_ranks_by_hand() -> None:
    first = np.asarray([[1.0, 0], [0, 2], [1, 0]])
    second = np.asarray([[3.0, 0], [3, 4], [0, 1]])
    found = cosines_and_ranks(np.stack([first, second], axis=1))
    assert found[:, 0] == pytest.approx([1, 0.8, 0])
    assert found[:, 1].tolist() == [1, 2, 3]


def test_a_passage_of_another_batch_is_the_same_passage() -> None:
    query, passage = np.asarray([1.0, 0.2]), np.asarray([1.0, 0.1])
    rows = np.stack([np.stack([query, passage * (1 + 1e-7 * row)]) for row in range(4)])
    assert cosines_and_ranks(rows)[:, 1].tolist() == [1, 1, 1, 1]


def test_kept_neighbours_by_hand() -> None:
    parent = np.asarray([[1.0, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]])
    assert kept_neighbours(parent, parent * 7) == 1
    child = np.asarray([[1.0, 0], [0.9, 0.1], [0, 1], [0.8, 0.2]])
    assert kept_neighbours(parent, child) == 0.75  # the last one is among others now
    assert mean_cosine(parent, 2 * parent) == pytest.approx(1)
    assert kept_neighbours(parent[:2], child[:2]) is None


def test_metrics_of_pairs() -> None:
    vectors = np.stack([np.tile([1.0, 0], (3, 1)), np.asarray([[1.0, 0], [1, 1], [0, 1]])], axis=1)
    found = scores("spearman_cosine", vectors, np.asarray([5.0, 3.0, 0.0]), "embedding")
    assert found["spearman_cosine"] == pytest.approx(1)
    assert set(found) == {"spearman_cosine", "pearson_cosine"}
    truth = np.asarray([[1, 0, 0], [0, 0, 1], [1, 1, 2]])
    ranked = scores("map", vectors, truth, "embedding")
    # Of the third row's query all three passages are candidates: its own is the last.
    assert ranked["map"] == 1
    assert (ranked["recall_at_10"], set(ranked)) == (1, {"map", "mrr_at_10", "ndcg_at_10", "recall_at_10"})
    apart = scores("recall_at_1", vectors, truth, "embedding")
    assert apart["recall_at_1"] == 0.5


def test_the_loss_of_scored_pairs() -> None:
    torch.manual_seed(0)
    vectors, wanted = torch.randn(4, 2, 8), torch.tensor([0.0, 0.2, 0.6, 1.0])
    cosines = functional.cosine_similarity(vectors[:, 0], vectors[:, 1])
    assert cosine_loss(vectors, wanted).item() == pytest.approx(((cosines - wanted) ** 2).mean().item())


def test_the_loss_of_texts_that_belong_together() -> None:
    torch.manual_seed(0)
    vectors = functional.normalize(torch.randn(3, 3, 8), dim=-1)
    truth = torch.tensor([[1, 0, 0, 3], [1, 1, 1, 4], [1, 2, 2, 5]])
    passages = torch.cat([vectors[:, 1], vectors[:, 2]])
    wanted = functional.cross_entropy(SCALE * vectors[:, 0] @ passages.T, torch.arange(3))
    assert ranking_loss(vectors, truth).item() == pytest.approx(wanted.item(), rel=1e-5)
    # Rows 0 and 1 have one query: the passage of either is no wrong one for the other.
    alike = torch.tensor([[1, 0, 0, 3], [1, 0, 1, 4], [1, 2, 2, 5]])
    near = SCALE * vectors[:, 0] @ passages.T
    near[0, 1] = near[1, 0] = -1e9
    assert ranking_loss(vectors, alike).item() == pytest.approx(
        functional.cross_entropy(near, torch.arange(3)).item(), rel=1e-5
    )
    assert ranking_loss(vectors, torch.zeros_like(truth)).item() == 0


@pytest.mark.parametrize("labels", [torch.tensor([0.0, 1.0]), torch.tensor([[1, 0, 0], [1, 1, 1]])])
def test_the_loss_of_widths_is_their_sum(labels: torch.Tensor) -> None:
    torch.manual_seed(0)
    vectors = torch.randn(4, 8)
    whole, cut = pair_loss(vectors, labels), pair_loss(vectors[:, :3].contiguous(), labels)
    assert pair_loss(vectors, labels, (8, 3)).item() == pytest.approx((whole + cut).item())


def test_cut_vectors_learn_the_cosines_of_whole_ones() -> None:
    torch.manual_seed(0)
    teacher, student = torch.randn(5, 6), torch.randn(5, 8)
    cosines = [
        functional.cosine_similarity(own[:, None], own[None], dim=-1) for own in (student[:, :3], teacher)
    ]
    wanted = ((cosines[0] - cosines[1]) ** 2).sum() / 20  # pairs of two texts; a text with itself is none
    assert KIND.cut_loss(student, teacher, (8, 3)).item() == pytest.approx(wanted.item(), rel=1e-5)
    turned = torch.cat([7 * teacher[:, [2, 0, 1, 5, 4, 3]], torch.randn(5, 2)], dim=1)
    assert KIND.cut_loss(turned, teacher, (8, 6)).item() == pytest.approx(0, abs=1e-10)
    assert KIND.cut_loss(student[:1], teacher[:1], (8, 3)).item() == 0
    assert kind_of("reranking").cut_loss(student, teacher, (8, 3)).item() == 0


def test_widths_stand_in_the_config() -> None:
    config = BertConfig(hidden_size=64)
    assert trained_dimensions(config) == ()
    record_dimensions(config, (16, 32, 16))
    assert config.to_dict()["matryoshka_dimensions"] == [64, 32, 16]
    config.hidden_size = 24  # as when it is cut
    record_dimensions(config)
    assert trained_dimensions(config) == (24, 16)
    record_dimensions(config, (24,))
    assert "matryoshka_dimensions" not in config.to_dict()
    for wrong in ("128", [64, 0], [True], [[8]]):
        config.matryoshka_dimensions = wrong
        with pytest.raises(EdgepressError, match=r"in config\.json is no list of widths"):
            trained_dimensions(config)


def test_vectors_are_cut_to_length_1() -> None:
    vectors = np.asarray([[3.0, 4.0, 12.0], [0.0, 0.0, 1.0]])
    assert KIND.cut(vectors, 2) == pytest.approx(np.asarray([[0.6, 0.8], [0, 0]]))
    assert kind_of("regression").cut(vectors, 2) is vectors


def test_tasks_of_the_zoo_are_read_as_pairs() -> None:
    stsb = find_task("stsb", options=EMBEDDING)
    assert (stsb.problem_type, stsb.metric, stsb.labels) == ("embedding", "spearman_cosine", ())
    assert find_task("wikiqa", options=EMBEDDING).metric == "map"
    assert find_task("stsb").problem_type == TASKS["stsb"].problem_type == "regression"
    with pytest.raises(EdgepressError, match="cola is a single_label"):
        find_task("cola", options=EMBEDDING)


def test_data_that_show_their_form(tmp_path: Path) -> None:
    triples = find_task(str(write_splits(tmp_path / "together", together())))
    assert (triples.problem_type, triples.metric) == ("embedding", "recall_at_1")
    assert triples.text_columns == ("anchor", "positive", "negative")
    examples = load_split(triples, "train")
    assert examples.labels.shape == (32, 4)
    pairs = find_task(str(write_splits(tmp_path / "scored", scored())), options=EMBEDDING)
    assert (pairs.metric, pairs.label_columns) == ("spearman_cosine", ("score",))
    ranked = find_task(str(write_queries(tmp_path / "ranked")), options=EMBEDDING)
    assert ranked.metric == "map"
    assert find_task(str(tmp_path / "scored")).problem_type == "regression"


SCORES: dict[str, tuple[float, float, str]] = {
    "above the others": (0.2, 1.7, "train, row 4: score 1.7 beside 63 of another scale"),
    "no score yet": (1, -1, "train, row 4: score -1 beside 63"),
    "beyond all scales": (1, 400, "train, row 4: score 400 beside 63"),
}


@pytest.mark.parametrize("case", SCORES)
def test_a_score_of_another_scale_is_named(tmp_path: Path, case: str) -> None:
    factor, odd, words = SCORES[case]
    rows = [
        {**row, "score": odd if place == 3 else factor * row["score"]} for place, row in enumerate(scored())
    ]
    task = find_task(str(write_splits(tmp_path / "data", rows)), options=EMBEDDING)
    with pytest.raises(EdgepressError, match=words):
        load_split(task, "train")


def test_cosines_and_few_of_the_highest_score_are_a_scale(tmp_path: Path) -> None:
    for name, odd in (("cosines", -0.3), ("one of five", 5)):
        rows = [
            {**row, "score": odd if place == 3 else row["score"] / 5} for place, row in enumerate(scored())
        ]
        task = find_task(str(write_splits(tmp_path / name, rows)), options=EMBEDDING)
        assert load_split(task, "train").labels[3] == pytest.approx(odd)


def test_a_row_of_a_table_of_triples_is_named_as_the_table_numbers_it(tmp_path: Path) -> None:
    rows = [
        {**row, "negative": "" if place == 40 else row["negative"]} for place, row in enumerate(together())
    ]
    table = write_rows(tmp_path / "all.jsonl", rows)
    with pytest.raises(EdgepressError, match=r"all\.jsonl, row 41: no text in column 'negative'"):
        split_beside(table, tmp_path / "out", TaskOptions(), overwrite=False)


def test_a_table_is_split_by_its_first_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = write_rows(tmp_path / "all.jsonl", together())
    task = find_task(str(split_beside(table, tmp_path / "out", TaskOptions(), overwrite=False)))
    assert "rows held out, at random (seed 0)" in capsys.readouterr().err
    assert (task.problem_type, task.text_columns) == ("embedding", ("anchor", "positive", "negative"))
    sides = [{row[0] for row in load_split(task, own).texts} for own in ("train", "validation")]
    assert sides[1]
    assert not sides[0] & sides[1]


def test_relevant_passages_are_learned_with_another_of_their_query(tmp_path: Path) -> None:
    task = find_task(str(write_queries(tmp_path / "ranked")), options=EMBEDDING)
    examples = load_split(task, "train")
    learned = KIND.to_learn(task, examples)
    assert len(learned) == int(examples.labels[:, 0].sum())
    relevant = {row for row, own in zip(examples.texts, examples.labels, strict=True) if own[0]}
    wrong = {row for row, own in zip(examples.texts, examples.labels, strict=True) if not own[0]}
    assert all(own[:2] in relevant and (own[0], own[2]) in wrong for own in learned.texts)


@pytest.mark.parametrize(
    ("shape", "words"),
    [((1, 3), "gives 3 numbers, and config.json says 64"), ((1, 5, 64), "the states of tokens")],
)
def test_a_file_of_something_else_gives_no_vector(
    tokenizer: PreTrainedTokenizerFast, shape: tuple[int, ...], words: str
) -> None:
    width = KIND.width(BertConfig(hidden_size=64))
    reader = Reader(lambda _: np.zeros(shape), tokenizer, (), 16, width=width)
    with pytest.raises(EdgepressError, match=words):
        KIND.answer(reader, ("the film",))


def test_each_text_is_read_once(bare_encoder: Path, tmp_path: Path) -> None:
    opened = open_model(str(sentence_folder(bare_encoder, tmp_path / "model")))
    rows = [("the film", "its ending"), ("the film", "her script"), ("her script", "the film")]
    batches = KIND.batches(opened.tokenizer, rows, 16)
    assert len(batches) == 3
    raw = [np.full(2, number, dtype=np.float32) for number in range(3)]
    found = KIND.collect(raw, KIND.places(opened.tokenizer, rows, 16), ())
    assert found[..., 0].tolist() == [[0, 1], [0, 2], [2, 0]]
