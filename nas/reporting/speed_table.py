"""The table of networks by accuracy, size and speed."""

from __future__ import annotations

from collections.abc import Sequence

from nas.analysis.speed import SpeedRow
from nas.reporting.answer_table import AnswerTable
from nas.reporting.formats import mean_and_deviation
from nas.space.objectives import OBJECTIVES
from nas.space.quantities import format_count


def speed_table(shown: Sequence[SpeedRow], score: str) -> AnswerTable:
    """Accuracy, size and speed, as in the paper's Tables 1 and 3."""
    optional = {
        "top-5 accuracy": [mean_and_deviation(row.top5) for row in shown],
        "ms": ["" if row.latency_ms is None else f"{row.latency_ms:.3g}" for row in shown],
    }
    columns = {
        "arm": [row.name for row in shown],
        OBJECTIVES[score].noun: [mean_and_deviation(row.scores) for row in shown],
        **{head: cells for head, cells in optional.items() if any(cells)},
        "parameters": [f"{row.params:,}" for row in shown],
        "MACs": [f"{row.macs:,}" for row in shown],
        "images/s": [_rate(row.images_per_second, ",.0f") for row in shown],
        "steps/s": [_rate(row.steps_per_second, ".1f") for row in shown],
        "peak memory": [_memory(row.peak_memory_bytes) for row in shown],
    }
    note = (
        "In percent: mean ± standard deviation (seeds). Images and steps a second are of training; "
        "ms is the latency of one image."
    )
    if "top-5 accuracy" in columns:
        note += " Top-5 accuracy is on the images that validate, whichever judge."
    cells = tuple(zip(*columns.values(), strict=True))
    return AnswerTable("Accuracy, size and speed", tuple(columns), cells, note)


def _rate(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _memory(peak_bytes: int | None) -> str:
    return "not measured on CPU" if peak_bytes is None else f"{format_count(peak_bytes)}B"
