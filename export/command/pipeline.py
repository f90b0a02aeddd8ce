"""The command as a pipeline: check, open, write and compare each file, keep them, show."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgepress.core import console
from edgepress.core.artifact import Draft, create_artifact
from edgepress.core.loading import OpenedModel, check_kind, open_model
from export.command import report
from export.command.checks import ExportRequest, FormatRequest, check
from export.command.session import ExportSession, Written
from export.core.config import ExportConfig
from export.core.format import Format
from export.core.scheme import Options, this_cpu


def export(config: ExportConfig, wanted: Sequence[tuple[Format, ExportConfig]]) -> Path:
    """Run the command and return the artifact's folder.

    Args:
        config: the flags that all formats share.
        wanted: the formats, each with its own flags.

    Raises:
        EdgepressError: bad input (exit code 2); nothing is written.
        ExpectationError: a file is too far from its parent (exit code 1); nothing is written.
    """
    request = check(config, wanted)
    opened = open_model(
        config.model, config.weights, config.task, config.data, config.seed, options=config.task_options
    )
    request.check_lengths(opened.longest)
    check_kind(opened)
    with create_artifact(request.output, config.overwrite) as draft:
        exported = write_files(opened, config, request, draft)
        exported.write(draft, request.output)
    console.step(f"written: {request.output}")
    report.show(exported)
    return request.output


def write_files(
    opened: OpenedModel, config: ExportConfig, request: ExportRequest, draft: Draft
) -> report.Exported:
    """Write a classifier in the formats of a request, each file compared with the model.

    Args:
        opened: the classifier.
        config: the flags that all formats share; its paths are not looked at.
        request: what the flags ask for, checked.
        draft: the folder that the files are written into.

    Raises:
        EdgepressError: a format cannot hold the model, or its library fails.
        ExpectationError: a file is too far from the model.
    """
    samples = config.eval_samples, config.calibration_samples
    session = ExportSession(opened, draft, *samples, config.seed, config.max_length)
    session.begin()
    written = [file for part in request.parts for file in _write(session, part)]
    session.record(written)
    parent = session.parent(config.shapes)
    return report.Exported(session.opened, parent, config.seed, config, request, written)


def _write(session: ExportSession, part: FormatRequest) -> Iterator[Written]:
    """The files of one format, each compared before the next."""
    console.step(f"{part.format.title}: writing, and comparing with torch")
    whole = session.write(part.format, part.config)
    options = Options(target=this_cpu())
    for scheme in part.schemes:
        if scheme is None:
            yield session.keep(whole)
        else:
            yield from session.quantize_for(whole, scheme, options, part.config)
    if None not in part.schemes:
        session.discard(whole)
