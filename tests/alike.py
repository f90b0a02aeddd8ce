"""Small data sets of texts that are alike, in words that the small tokenizer knows; and folders as
sentence-transformers writes them."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conftest import SUBJECTS, VERDICTS

TYPE = "sentence_transformers.models"
ALL = [(verdict, kind) for kind, verdicts in VERDICTS.items() for verdict in verdicts]
MEAN = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}


def scored() -> list[dict[str, Any]]:
    """Pairs of sentences: the score says whether they have one subject, and a little of their verdicts."""
    rows = []
    for number in range(96):
        subjects = SUBJECTS[number % 6], SUBJECTS[(number % 6 + (number // 6) % 2 * (1 + number % 5)) % 6]
        verdicts = ALL[number % 8], ALL[(number * 3 + number // 8) % 8]
        score = 4.0 * (subjects[0] == subjects[1]) + 0.5 * (verdicts[0][1] == verdicts[1][1])
        first, second = (f"{own} {verdict}" for own, (verdict, _) in zip(subjects, verdicts, strict=True))
        rows.append({"sentence1": first, "sentence2": second, "score": score})
    return rows


def together() -> list[dict[str, Any]]:
    """Anchors, each with what it says in more words, and the same of another subject."""
    rows = []
    for number in range(48):
        verdict = ALL[number // 6][0]
        subject, other = SUBJECTS[number % 6], SUBJECTS[(number + 1) % 6]
        more = f"{verdict} from its first minute to its very last one"
        rows.append(
            {"anchor": f"{subject} {verdict}", "positive": f"{subject} {more}", "negative": f"{other} {more}"}
        )
    return rows


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """A split file of JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    return path


def write_splits(folder: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """A data folder with train and validation."""
    write_rows(folder / "train.jsonl", rows[: len(rows) * 2 // 3])
    write_rows(folder / "validation.jsonl", rows[len(rows) * 2 // 3 :])
    return folder


def sentence_folder(
    encoder: Path,
    target: Path,
    modules: Sequence[str] = ("Transformer", "Pooling", "Normalize"),
    pooling: Mapping[str, Any] = MEAN,
    **lengths: Any,
) -> Path:
    """An encoder's folder with the files that sentence-transformers writes beside it."""
    shutil.copytree(encoder, target)
    paths = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    entries = [
        {"idx": number, "name": str(number), "path": paths.get(name, name), "type": f"{TYPE}.{name}"}
        for number, name in enumerate(modules)
    ]
    (target / "modules.json").write_text(json.dumps(entries))
    (target / "1_Pooling").mkdir()
    (target / "1_Pooling" / "config.json").write_text(json.dumps(dict(pooling)))
    (target / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 32, **lengths}))
    return target
