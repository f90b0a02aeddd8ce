"""What a run leaves behind and shows: rows, records, chart, card, manifest."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from compress.quantize.checks import Order
from compress.quantize.config import QuantizeConfig
from compress.quantize.search import Found, Sensitivity
from compress.quantize.variants import Builder, Variant
from device_bench import charts, records, summary
from device_bench.records import Measurement
from device_bench.summary import Row
from edgepress import console
from edgepress.artifact import Draft, Manifest, Step
from edgepress.card import Card
from edgepress.files import sha256
from edgepress.loading import OpenedModel
from export.onnx import coverage

PARENT = "fp32"
MEASUREMENTS_FILE = "measurements.jsonl"
CHART_FILE = "chart.png"
SHOWN_LAYERS = 10


def rows(
    opened: OpenedModel, builder: Builder, found: Found, measurements: Sequence[Measurement]
) -> list[Row]:
    """One row for the parent, one for each variant that is kept."""
    parent = _row(opened, PARENT, builder.parent, 1.0, builder.judge.parent_score, measurements)
    return [parent, *(_variant_row(opened, variant, measurements) for variant in found.kept)]


def _variant_row(opened: OpenedModel, variant: Variant, measurements: Sequence[Measurement]) -> Row:
    verdict = variant.verdict
    return _row(opened, variant.name, variant.path, verdict.parity.agreement, verdict.score, measurements)


def _row(
    opened: OpenedModel,
    name: str,
    path: Path,
    agreement: float,
    score: float | None,
    measurements: Sequence[Measurement],
) -> Row:
    return Row(
        name=name,
        size_bytes=path.stat().st_size,
        parameters=opened.model.num_parameters(),
        agreement=agreement,
        score=score,
        quantized_matmuls=str(coverage(path)),
        measurements=tuple(m for m in measurements if m.name == name),
    )


def write(
    config: QuantizeConfig,
    order: Order,
    opened: OpenedModel,
    builder: Builder,
    found: Found,
    table: Sequence[Row],
    draft: Draft,
) -> None:
    """Everything besides the model files themselves."""
    for variant in found.kept:
        name = variant.path.relative_to(draft.folder).as_posix()
        draft.precisions[name] = variant.scheme.precision
        draft.parities[name] = variant.verdict.parity.to_dict()
    records.append(draft.folder / MEASUREMENTS_FILE, (m for row in table for m in row.measurements))
    metric, title = _metric(opened), f"{opened.source.short_name}, quantized"
    charts.trade_off_chart(table, metric, title, draft.folder / CHART_FILE)
    draft.manifest = _manifest(config, order, opened, builder, found)
    card = _card(opened, found, table, order.output.name)
    (draft.folder / "README.md").write_text(card, encoding="utf-8")


def _metric(opened: OpenedModel) -> str:
    return opened.text_task.metric


def _manifest(
    config: QuantizeConfig, order: Order, opened: OpenedModel, builder: Builder, found: Found
) -> Manifest:
    artifact = opened.artifact
    return Manifest(
        name=order.output.name,
        model=opened.record(),
        task=opened.task.name if opened.task else None,
        seed=config.seed,
        parent=sha256(artifact.manifest_path) if artifact else None,
        steps=(*(artifact.manifest.steps if artifact else ()), _step(config, order, builder, found)),
    )


def _step(config: QuantizeConfig, order: Order, builder: Builder, found: Found) -> Step:
    options = {**_portable(config), "target": order.target.name}
    metrics: dict[str, Any] = {
        "parent_score": builder.judge.parent_score,
        "variants": [_variant_metrics(variant) for variant in found.kept],
    }
    if found.tried:
        metrics["tried"] = [{"name": name, "loss_points": loss} for name, loss in found.tried]
    if found.sensitivities:
        metrics["sensitivities"] = [asdict(entry) for entry in found.sensitivities]
    return Step("quantize", options, sum(variant.seconds for variant in found.kept), metrics)


def _portable(config: QuantizeConfig) -> dict[str, Any]:
    """The config as JSON, without what concerns only this machine's folders."""
    content = asdict(config)
    for name in ("model", "task", "data", "output", "overwrite", "debug"):
        del content[name]
    return content


def _variant_metrics(variant: Variant) -> dict[str, Any]:
    return {
        "scheme": variant.scheme.name,
        "score": variant.verdict.score,
        "agreement": variant.verdict.parity.agreement,
        "quantized_matmuls": str(coverage(variant.path)),
        "kept_float": list(variant.kept_float),
    }


def _card(opened: OpenedModel, found: Found, table: Sequence[Row], name: str) -> str:
    return Card(
        name=name,
        record=opened.record(),
        task=opened.task,
        relation="quantized",
        license=opened.source.spec.license if opened.source.spec else None,
        score=table[-1].score,
        body=summary.markdown(table, _metric(opened))
        + f"\n{summary.caption(table)}\n\n![size, latency and quality]({CHART_FILE})\n"
        + _loading_text(found.kept[-1]),
    ).text()


def _loading_text(variant: Variant) -> str:
    return f"""
```python
from optimum.onnxruntime import ORTModelForSequenceClassification

model = ORTModelForSequenceClassification.from_pretrained(
    "FOLDER", subfolder="onnx", file_name="{variant.path.name}"
)
```
"""


def show(opened: OpenedModel, found: Found, table: Sequence[Row], output: Path) -> None:
    """The table, the layers' sensitivities if they were measured, and what to know about it."""
    title = f"{opened.source.short_name}: what quantizing bought"
    console.out.print(summary.table(table, _metric(opened), title))
    if found.sensitivities:
        console.out.print(_sensitivity_table(found.sensitivities))
    for warning in summary.slower_than_parent(table):
        console.warn(warning)
    console.step(f"written: {output} (chart: {output / CHART_FILE})")


def _sensitivity_table(sensitivities: Sequence[Sensitivity]) -> Table:
    shown = Table(title=f"most sensitive layers ({len(sensitivities)} measured)", title_justify="left")
    shown.add_column("layer")
    shown.add_column("logit RMS when it alone is int8", justify="right")
    for entry in sensitivities[:SHOWN_LAYERS]:
        shown.add_row(entry.layer, f"{entry.rms:.4f}")
    return shown
