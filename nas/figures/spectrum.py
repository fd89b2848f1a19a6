"""The figure that the paper asks for: accuracy at equal cost against the place on the spectrum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from nas.figures.style import INK, SERIES, styled
from nas.spectrum import PLAIN_POSITION, position
from nas.verdict.paired import mean_interval

if TYPE_CHECKING:  # a figure needs what was measured, not what reads it
    from nas.architecture import Architecture, Block
    from nas.verdict.evidence import Evidence

PLAIN_SHOWN = -0.12
"""Where a plain convolution is drawn: before the regular end, but not as far as it is sorted."""


@dataclass(frozen=True)
class SpectrumPlace:
    """One arm.

    Attributes:
        label: its segments as the file has them.
        x: from 0, one segment, to 1, a segment for each channel, in logarithms.
        accuracy: mean over the seeds, of the confirmation where the arm was confirmed.
        lower: of its 95% interval; of a single seed the accuracy itself.
        upper: likewise.
    """

    arm: str
    label: str
    x: float
    accuracy: float
    lower: float
    upper: float
    seeds: int
    is_end: bool
    confirmed: bool


@dataclass(frozen=True)
class SpectrumInfo:
    """Arms along the spectrum; controls left out.

    Attributes:
        cost: what is equal in all of them, in words; empty where nothing is.
        families: arms that differ in their segments alone, by the order of their two steps and
            whatever else varies.
    """

    cost: str
    families: tuple[tuple[str, tuple[SpectrumPlace, ...]], ...]


def spectrum_info(evidence: Evidence) -> SpectrumInfo:
    """What the figure shows."""
    screening, confirmation = evidence.of_stage("screening"), evidence.of_stage("confirmation")
    shown = [run.architecture for run in evidence.arms.values() if not run.of]
    families: dict[str, list[SpectrumPlace]] = {}
    for name, run in evidence.arms.items():
        measured = confirmation.get(name) or screening.get(name)
        if run.of or not measured:
            continue
        values = [m.accuracy for m in measured.values() if m.accuracy is not None]
        lower, upper = mean_interval(values)
        architecture = run.architecture
        place = position(architecture)
        families.setdefault(_family(architecture, shown), []).append(
            SpectrumPlace(
                name,
                _label(architecture),
                PLAIN_SHOWN if place == PLAIN_POSITION else place,
                fmean(values),
                lower,
                upper,
                len(values),
                run.role == "end",
                name in confirmation,
            )
        )
    units = {"macs": "MACs", "params": "parameters", "latency_ms": "latency"}
    return SpectrumInfo(
        f"equal {units[evidence.matched.cost]}" if evidence.matched else "",
        tuple(
            (family, tuple(sorted(places, key=lambda place: place.x)))
            for family, places in sorted(families.items())
        ),
    )


def _family(architecture: Architecture, shown: list[Architecture]) -> str:
    """The order of the two steps, and of activation and residual what not all arms share."""
    order = _of_blocks(architecture, lambda block: block.point.order.replace("_", " "))
    others = [other for other in shown if order != "plain" or other is architecture]
    varying = (
        _of_blocks(architecture, said)
        for said in (_activation, _residual)
        if len({_of_blocks(other, said) for other in others}) > 1
    )
    return ", ".join((order, *varying))


def _of_blocks(architecture: Architecture, said: Callable[[Block], str]) -> str:
    words = {said(block) for block in architecture.blocks}
    return words.pop() if len(words) == 1 else "mixed"


def _activation(block: Block) -> str:
    return "no activation" if block.point.activation == "none" else block.point.activation


def _residual(block: Block) -> str:
    return "residual" if block.residual else "no residual"


def _label(architecture: Architecture) -> str:
    """The segments where all blocks have the same."""
    if all(block.point.order == "plain" for block in architecture.blocks):
        return "plain"
    segments = {str(block.point.segments) for block in architecture.blocks}
    return segments.pop() if len(segments) == 1 else ""


def plot_spectrum(info: SpectrumInfo) -> go.Figure:
    """Draw it: a line for each family, hollow where nothing was confirmed, squares at the ends."""
    figure = go.Figure()
    for index, (family, places) in enumerate(info.families):
        color = SERIES[index % len(SERIES)]
        figure.add_scatter(
            x=[place.x for place in places],
            y=[place.accuracy for place in places],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [place.upper - place.accuracy for place in places],
                "arrayminus": [place.accuracy - place.lower for place in places],
                "thickness": 1.2,
                "width": 3,
            },
            mode="lines+markers+text",
            name=family,
            text=[place.label for place in places],
            textposition="top right",
            textfont={"size": 11, "color": INK},
            line={"color": color, "width": 1.2, "dash": "dot"},
            marker={
                "size": 11,
                "color": [color if place.confirmed else "white" for place in places],
                "symbol": ["square" if place.is_end else "circle" for place in places],
                "line": {"color": color, "width": 2},
            },
            customdata=[(place.arm, place.seeds) for place in places],
            hovertemplate="%{customdata[0]}: %{y:.4f}, %{customdata[1]} seeds<extra></extra>",
        )
    at = f" at {info.cost}" if info.cost else " (costs differ)"
    styled(
        figure,
        f"Accuracy{at} along the spectrum<br><sub>mean and 95% interval over seeds; "
        "squares: ends, filled: confirmed on fresh seeds</sub>",
        "log(segments) / log(channels): 0 regular, 1 depthwise separable; plain: no 1x1 step",
        "validation accuracy",
    )
    figure.update_layout(margin={"t": 70})
    return figure
