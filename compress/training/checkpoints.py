"""Where a run that was interrupted continues."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compress.training.config import TrainingFlags
from edgepress import console
from edgepress.files import writable_folder

SAME_RUN = "run.sha256"


@contextmanager
def checkpoint_folder(config: TrainingFlags, output: Path, *inputs: str) -> Iterator[Path]:
    """A folder beside `output` for the run's checkpoints; it stays where the run does not end well.

    What another configuration left there is not resumed from.

    Args:
        config: the run's flags.
        output: what the run will write.
        inputs: whatever else has to be the same for a run to be the same: hashes of its models.
    """
    folder = _matching_folder(config, output, inputs)
    try:
        yield folder
    except KeyboardInterrupt:
        console.warn("the same command resumes from the last checkpoint")
        raise


def _matching_folder(config: TrainingFlags, output: Path, inputs: tuple[str, ...]) -> Path:
    folder = output.with_name(f".{output.name}.training")
    content = json.dumps([config.identity(), *inputs], sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()
    mark = folder / SAME_RUN
    if folder.exists() and not (mark.exists() and mark.read_text() == digest):
        shutil.rmtree(folder, ignore_errors=True)  # other processes of the same launch do it as well
    writable_folder(folder)
    mark.write_text(digest)
    return folder
