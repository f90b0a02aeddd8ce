"""Run the pipeline from the command line."""

from typing import NoReturn

from edgepress.core import console
from edgepress.core.interruption import importing
from export.command.config import FormatsConfig
from export.core.config import ExportConfig, derive
from export.core.registry import find_format, formats


def run_format(name: str) -> NoReturn:
    """Run the command `python -m export.NAME`, and exit."""

    def verb(config: ExportConfig) -> None:
        with importing():
            from export.command.pipeline import export  # seconds of imports, after --help has answered

        export(config, [(find_format(name), config)])

    console.run(formats()[name].config, verb, f"python -m export.{name}")


def run_formats() -> NoReturn:
    """`python -m export`: several formats into one artifact."""

    def verb(config: FormatsConfig) -> None:
        names = dict.fromkeys(config.formats)
        wanted = [find_format(name) for name in names]
        with importing():
            from export.command.pipeline import export

        export(config, [(each, derive(each.config, config)) for each in wanted])

    console.run(FormatsConfig, verb, "python -m export")
