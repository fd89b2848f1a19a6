"""Latency against MACs by the width of segments, where `nas.latency` has measured it."""

from __future__ import annotations

from dataclasses import dataclass
from math import log2
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from nas.architecture.position import segment_width
from nas.reporting.figures.style import MUTED, bars, log_ticks, styled
from nas.space.objectives import OBJECTIVES
from trials.timings import Timing

if TYPE_CHECKING:  # a figure needs the data of a study, not what reads it
    from nas.study.records import Records

SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up", "x", "star", "hexagon")


@dataclass(frozen=True)
class LatencyPoint:
    """One trial in one setting.

    Attributes:
        width: channels of a segment, geometric mean over the network.
        first_ms: first quartile of the milliseconds for an image; then the median and the third.
    """

    trial: int
    macs: int
    width: float
    first_ms: float
    median_ms: float
    third_ms: float


@dataclass(frozen=True)
class LatencyInfo:
    """Points by their setting: runtime, layout, threads and batch; the device where it differs."""

    settings: dict[str, tuple[LatencyPoint, ...]]


def latency_info(records: Records) -> LatencyInfo | None:
    """What the figure shows; None where nothing was measured."""
    if not records.timings:
        return None
    trials = {trial.architecture.key: trial for trial in reversed(records.complete)}
    measured = [timing for timing in records.timings if timing.architecture_key in trials]
    several = len({timing.device for timing in measured}) > 1
    settings: dict[str, list[LatencyPoint]] = {}
    for timing in measured:
        trial = trials[timing.architecture_key]
        times = (timing.first_ms, timing.median_ms, timing.third_ms)
        point = LatencyPoint(
            trial.number,
            trial.macs,
            segment_width(trial.architecture),
            *(time / timing.batch for time in times),
        )
        settings.setdefault(_in_words(timing, several), []).append(point)
    if not settings:
        return None
    return LatencyInfo({name: tuple(points) for name, points in settings.items()})


def _in_words(timing: Timing, with_device: bool) -> str:
    parts = [timing.runtime + (f" ({timing.layout.replace('_', ' ')})" if timing.layout else "")]
    parts.append(f"{timing.threads} thread{'s' if timing.threads > 1 else ''}")
    if timing.batch > 1:
        parts.append(f"batches of {timing.batch}")
    if with_device:
        parts.append(timing.device)
    return ", ".join(parts)


def plot_latency(info: LatencyInfo) -> go.Figure:
    """Draw it, both axes logarithmic: a symbol for each setting, colours by width."""
    figure = go.Figure()
    widths = [log2(point.width) for points in info.settings.values() for point in points]
    for index, (name, points) in enumerate(info.settings.items()):
        figure.add_scatter(
            x=[point.macs for point in points],
            y=[point.median_ms for point in points],
            error_y=bars([(p.first_ms, p.median_ms, p.third_ms) for p in points])
            | {"color": MUTED},
            mode="markers",
            name=name,
            marker={
                "symbol": SYMBOLS[index % len(SYMBOLS)],
                "size": 11,
                "color": [log2(point.width) for point in points],
                "coloraxis": "coloraxis",
                "line": {"color": "white", "width": 1},
            },
            text=[f"trial {point.trial}, {point.width:.3g} channels a segment" for point in points],
            hovertemplate=f"%{{text}}<br>%{{x}} MACs, %{{y:.3g}} ms<br>{name}<extra></extra>",
        )
    styled(
        figure, "Latency against MACs by segment width", OBJECTIVES["macs"].title, "ms for an image"
    )
    every = [point for points in info.settings.values() for point in points]
    macs = log_ticks([point.macs for point in every], OBJECTIVES["macs"].amount)
    times = [time for point in every for time in (point.first_ms, point.third_ms)]
    figure.update_xaxes(type="log", tickangle=0, **macs)
    figure.update_yaxes(type="log", **log_ticks(times, OBJECTIVES["latency_ms"].amount))
    figure.update_layout(coloraxis=_color_axis(min(widths), max(widths)))
    return figure


def _color_axis(low: float, high: float) -> dict[str, object]:
    """Of channels of a segment, by their logarithm to the base of 2."""
    ticks = [low + (high - low) * step / 4 for step in range(5)] if high > low else [low]
    return {
        "colorscale": "Cividis",
        "cmin": low,
        "cmax": high,
        "colorbar": {
            "title": {"text": "channels of a segment", "side": "right"},
            "tickvals": ticks,
            "ticktext": [f"{2**tick:.3g}" for tick in ticks],
            "thickness": 14,
        },
    }
