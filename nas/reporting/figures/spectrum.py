"""The figure that the paper asks for: accuracy at equal cost against the place on the spectrum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from statistics import fmean
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from nas.analysis.families import families
from nas.analysis.spectrum_curves import SpectrumCurve, spectrum_curves
from nas.architecture.position import PLAIN_POSITION, position
from nas.reporting.figures.style import INK, SERIES, band, error_bars, styled
from nas.space.objectives import OBJECTIVES
from nas.statistics.paired import mean_interval, paired_intervals

if TYPE_CHECKING:  # a figure needs what was measured, not what reads it
    from nas.analysis.results import StudyResults
    from nas.architecture.specification import Architecture
    from nas.study.design import Stage

PLAIN_SHOWN = -0.12
"""Where a plain convolution is drawn: before the regular end, but not as far as it is sorted."""


@dataclass(frozen=True)
class SpectrumPlace:
    """One arm by one stage's seeds.

    Attributes:
        label: its segments as the file has them.
        x: from 0, one segment, to 1, a segment for each channel, in logarithms.
        score: mean over the seeds.
        lower: of its 95% interval, what a seed does to all arms taken out.
        upper: of the same interval.
    """

    arm: str
    label: str
    x: float
    score: float
    lower: float
    upper: float
    seeds: int
    is_end: bool


@dataclass(frozen=True)
class SpectrumSeries:
    """Arms that differ in their segments alone, along the spectrum.

    Attributes:
        family: the order of their two steps and whatever else varies.
    """

    stage: Stage
    family: str
    places: tuple[SpectrumPlace, ...]


@dataclass(frozen=True)
class SpectrumInfo:
    """Arms along the spectrum, each stage by its own seeds; controls left out.

    Attributes:
        cost: what is equal in all of them, in words; empty where nothing is.
        curves: of families with arms at enough places.
    """

    cost: str
    series: tuple[SpectrumSeries, ...]
    score: str = "accuracy"
    curves: tuple[SpectrumCurve, ...] = ()


def spectrum_info(results: StudyResults) -> SpectrumInfo:
    """What the figure shows: of a search the confirmed arms, of a design all."""
    stages: tuple[Stage, ...] = (results.first_stage, "confirmation")
    matched = results.file.matched
    return SpectrumInfo(
        f"equal {OBJECTIVES[matched.cost].noun}" if matched else "",
        tuple(
            series
            for stage in (stages if results.is_design else stages[1:])
            for series in _series(results, stage)
        ),
        results.score,
        tuple(spectrum_curves(results)),
    )


def _series(results: StudyResults, stage: Stage) -> Iterator[SpectrumSeries]:
    trainings = results.of_stage(stage, others=False)
    if not trainings.common_seeds:
        return
    if stage == "race":  # some arms have more seeds than others
        table = [list(trainings.scores(arm)) for arm in trainings]
        lower, upper = zip(*map(mean_interval, table), strict=True)
    else:
        table = list(trainings.accuracies().values())
        lower, upper = map(tuple, paired_intervals(table))
    networks = {name: results.arms[name].architecture for name in trainings}
    places = {}
    for index, (name, network) in enumerate(networks.items()):
        x = position(network)
        places[name] = SpectrumPlace(
            name,
            _label(network),
            PLAIN_SHOWN if x == PLAIN_POSITION else x,
            fmean(table[index]),
            float(lower[index]),
            float(upper[index]),
            len(table[index]),
            results.arms[name].role == "end",
        )
    for family, arms in families(networks).items():
        yield SpectrumSeries(stage, family, tuple(places[arm] for arm in arms))


def _label(architecture: Architecture) -> str:
    """The segments where all blocks have the same."""
    if all(block.point.order == "plain" for block in architecture.blocks):
        return "plain"
    segments = {str(block.point.segments) for block in architecture.blocks}
    return segments.pop() if len(segments) == 1 else ""


_DONE = {"screening": "screening", "confirmation": "confirmed"}
_OF_STAGES = (
    "mean and 95% interval, what a seed does to all arms taken out; squares: ends; hollow: "
    "screening seeds, filled: fresh seeds"
)
_OF_RACE = "mean and 95% interval (Student) of the seeds that each arm has; squares: ends"
_CURVES = "; curves: quadratics with their simultaneous 95% bands"


def plot_spectrum(info: SpectrumInfo) -> go.Figure:
    """Draw it: a curve or a line for each family by the screening seeds, filled if confirmed."""
    figure = go.Figure()
    names = dict.fromkeys(series.family for series in info.series)
    colors = {name: SERIES[index % len(SERIES)] for index, name in enumerate(names)}
    for curve in info.curves:
        _draw_curve(figure, curve, colors[curve.family])
    curved = {curve.family for curve in info.curves}
    for series in info.series:
        _draw_arms(figure, series, colors[series.family], joined=series.family not in curved)
    at = f" at {info.cost}" if info.cost else " (costs differ)"
    words = _OF_RACE if any(s.stage == "race" for s in info.series) else _OF_STAGES
    words += _CURVES if info.curves else ""
    styled(
        figure,
        f"{OBJECTIVES[info.score].headline}{at} along the spectrum<br><sub>{words}</sub>",
        "log(segments) / log(channels): 0 regular, 1 depthwise separable; plain: no 1x1 step",
        OBJECTIVES[info.score].title,
    )
    return figure


def _draw_arms(figure: go.Figure, series: SpectrumSeries, color: str, joined: bool) -> None:
    """Means with their intervals; joined by a dotted line where no curve is drawn."""
    confirmed, raced = series.stage == "confirmation", series.stage == "race"
    places = series.places
    named = "lines+markers+text" if joined else "markers+text"
    figure.add_scatter(
        x=[place.x for place in places],
        y=[place.score for place in places],
        error_y=error_bars(places) | {"color": color},
        mode="markers" if confirmed else named,
        name=series.family if raced else f"{series.family}, {_DONE[series.stage]}",
        text=[place.label for place in places],
        textposition="top right",
        textfont={"size": 11, "color": INK},
        line={"color": color, "width": 1.2, "dash": "dot"},
        marker={
            "size": 11,
            "color": color if confirmed or raced else "white",
            "symbol": ["square" if place.is_end else "circle" for place in places],
            "line": {"color": color, "width": 2},
        },
        customdata=[(place.arm, place.seeds) for place in places],
        hovertemplate="%{customdata[0]}: %{y:.4f}, %{customdata[1]} seeds<extra></extra>",
    )


def _draw_curve(figure: go.Figure, curve: SpectrumCurve, color: str) -> None:
    """A thin line in its band; no band where the seeds are too few for one."""
    fit = curve.fit
    middle, lower, upper = (list(numbers) for numbers in zip(*fit.curve, strict=True))
    if all(map(isfinite, upper)):
        figure.add_scatter(**band(fit.places, lower, upper, color))
    figure.add_scatter(
        x=list(fit.places),
        y=middle,
        mode="lines",
        line={"color": color, "width": 1.2, "simplify": False},
        hoverinfo="skip",
        showlegend=False,
    )
