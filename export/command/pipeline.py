"""The command as a pipeline: check, open, write and compare each file, keep them, show."""

from collections.abc import Sequence
from pathlib import Path

from edgepress import console
from edgepress.artifact import create_artifact
from edgepress.loading import check_classifier, open_model, save_model
from export.base.config import ExportConfig
from export.base.format import Format
from export.check.tokenizer import require_tokenizer_parity
from export.command import report
from export.command.checks import check
from export.command.writer import Writer


def export(config: ExportConfig, wanted: Sequence[tuple[Format, ExportConfig]]) -> Path:
    """Run the command and return the artifact's folder.

    Args:
        config: the flags that all formats share.
        wanted: the formats, each with its own flags.

    Raises:
        EdgepressError: bad input (exit code 2); nothing is written.
        ExpectationError: a file is too far from its parent (exit code 1); nothing is written.
    """
    order = check(config, wanted)
    opened = open_model(
        config.model, config.weights, config.task, config.data, config.seed, options=config.task_options
    )
    order.check_lengths(opened.longest)
    check_classifier(opened)
    with create_artifact(order.output, config.overwrite) as draft:
        save_model(opened, draft.folder)
        require_tokenizer_parity(draft.folder, opened.tokenizer, opened.longest)
        writer = Writer(opened, draft.folder)
        written = [file for part in order.parts for file in writer.write(part)]
        outcome = report.Outcome(config, order, opened, writer.judge(config).parent_score, written)
        report.write(outcome, draft)
        report.show(outcome)
    console.step(f"written: {order.output}")
    return order.output
