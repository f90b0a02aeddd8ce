"""The command as a pipeline: read, sort by machine and task, draw, fill the page, write."""

import os
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from device_bench.charts.draw import DEVICES, charts
from device_bench.grouping import load, sections
from device_bench.report.config import ReportConfig
from device_bench.report.content import (
    CLAIM_KEYS,
    baseline,
    environments,
    picture,
    read_claims,
    settings_and_metrics,
    table,
)
from device_bench.report.lineage import find_artifacts
from device_bench.report.overview import overview, page_title
from edgepress.core import console
from edgepress.core.errors import EdgepressError
from edgepress.core.files import writable_folder


def run(config: ReportConfig) -> Path:
    """Run the command and return the page.

    Raises:
        EdgepressError: bad input (exit code 2); nothing is written.
    """
    if config.output.exists() and not config.overwrite:
        raise EdgepressError(f"{config.output} exists", "add --overwrite, or name another --output")
    found = sections(load(config.records), config.baseline)
    artifacts = find_artifacts(config.artifacts, config.records)
    text = _page().render(
        title=page_title(found, artifacts),
        sections=[
            {
                "title": own.title,
                "overview": overview(own, config.max_drop, config.minimize),
                "baseline": baseline(own),
                "table": table(own, artifacts),
                "environments": environments(own),
                "charts": [picture(chart) for chart in charts([own])],
            }
            for own in found
        ],
        machines=[picture(chart) for chart in charts(found) if chart.name.endswith(DEVICES)],
        artifacts=artifacts,
        settings_and_metrics=settings_and_metrics,
        claims=read_claims(config.claims) if config.claims else [],
        claim_keys=CLAIM_KEYS,
    )
    _write(text, config.output)
    console.step(f"written: {config.output}")
    return config.output


def _page() -> Template:
    """Render the page, with everything that records say escaped."""
    loader = PackageLoader("device_bench.report", "page")
    rooms = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return rooms.get_template("report.html")


def _write(text: str, target: Path) -> None:
    writable_folder(target.parent)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(target)
