"""Data in memory, as the folder that everything else reads."""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pandas as pd
from datasets import Dataset
from pyarrow import parquet

from edgepress.core.errors import EdgepressError
from edgepress.core.identity import digest_of
from edgepress.core.tasks.task import IN_MEMORY

FORMS = "a zoo task, a data folder, a datasets.DatasetDict, or {'train': frame, 'validation': frame}"


def data_folder(task: Any) -> str | None:
    """Convert a task to what `open_model` takes: a name, or the path of a table or folder; None stays None.

    Splits in memory become Parquet files in a folder that lives as long as this process; it has a place by
    their content, so that other data are another task.

    Raises:
        EdgepressError: it is nothing of that kind.
    """
    if task is None or isinstance(task, str):
        return task
    if isinstance(task, Path):
        return str(task)
    if isinstance(task, Dataset | pd.DataFrame):
        raise EdgepressError("a table alone does not say which rows are judged on", f"give {FORMS}")
    if not isinstance(task, Mapping) or not task:
        raise EdgepressError(f"{type(task).__name__} is no task", f"give {FORMS}")
    splits = {str(name): _dataset(rows) for name, rows in task.items()}
    digest = digest_of([(name, rows.column_names, list(rows)) for name, rows in splits.items()])
    folder = _scratch() / digest[:12] / IN_MEMORY
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in splits.items():
        # Not `to_parquet`, which shows a bar.
        table = rows.with_format("arrow")[:].replace_schema_metadata(rows.features.arrow_schema.metadata)
        parquet.write_table(table, folder / f"{name}.parquet")
    return str(folder)


def _dataset(rows: Any) -> Dataset:
    if isinstance(rows, Dataset):
        return rows
    if isinstance(rows, pd.DataFrame):
        return Dataset.from_pandas(rows, preserve_index=False)
    raise EdgepressError(f"{type(rows).__name__} is no split", f"give {FORMS}")


@cache
def _scratch() -> Path:
    folder = Path(mkdtemp(prefix="edgepress-data-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
