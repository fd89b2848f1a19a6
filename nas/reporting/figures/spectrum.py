"""The figure that the paper asks for: accuracy at equal cost against the place on the spectrum."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from nas.architecture.position import PLAIN_POSITION, position
from nas.reporting.figures.style import INK, SERIES, error_bars, styled
from nas.space.axes import AXES, AxisSpec
from nas.space.objectives import OBJECTIVES
from nas.statistics.paired import mean_interval, paired_intervals

if TYPE_CHECKING:  # a figure needs what was measured, not what reads it
    from nas.analysis.results import StudyResults
    from nas.architecture.specification import Architecture, Block
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
    """

    cost: str
    series: tuple[SpectrumSeries, ...]
    score: str = "accuracy"


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
    )


def _series(results: StudyResults, stage: Stage) -> Iterator[SpectrumSeries]:
    trainings = results.of_stage(stage, controls=False)
    if not trainings.common_seeds:
        return
    if stage == "race":  # some arms have more seeds than others
        table = [list(trainings.scores(arm)) for arm in trainings]
        lower, upper = zip(*map(mean_interval, table), strict=True)
    else:
        table = list(trainings.accuracies().values())
        lower, upper = map(tuple, paired_intervals(table))
    networks = {name: results.arms[name].architecture for name in trainings}
    varying = [p for p in _IN_WORDS if _varies(networks.values(), p)]
    families: dict[str, list[SpectrumPlace]] = {}
    for index, (name, network) in enumerate(networks.items()):
        x = position(network)
        families.setdefault(_family(network, varying), []).append(
            SpectrumPlace(
                name,
                _label(network),
                PLAIN_SHOWN if x == PLAIN_POSITION else x,
                fmean(table[index]),
                float(lower[index]),
                float(upper[index]),
                len(table[index]),
                results.arms[name].role == "end",
            )
        )
    for family, places in sorted(families.items()):
        yield SpectrumSeries(stage, family, tuple(sorted(places, key=lambda place: place.x)))


def _varies(networks: Iterable[Architecture], property_of: Callable[[Block], str]) -> bool:
    """Whether networks that have two steps differ in a property of their blocks."""
    two_steps = (n for n in networks if _of_blocks(n, _order) != "plain")
    return len({_of_blocks(network, property_of) for network in two_steps}) > 1


def _order(block: Block) -> str:
    return block.point.order.replace("_", " ")


def _family(network: Architecture, varying: Sequence[Callable[[Block], str]]) -> str:
    order = _of_blocks(network, _order)
    return ", ".join((order, *(_of_blocks(network, property_of) for property_of in varying)))


def _of_blocks(architecture: Architecture, property_of: Callable[[Block], str]) -> str:
    words = {property_of(block) for block in architecture.blocks}
    return words.pop() if len(words) == 1 else "mixed"


def _in_words(axis: AxisSpec) -> Callable[[Block], str]:
    return lambda block: axis.in_words(axis.of(block))


_IN_WORDS = [_in_words(axis) for name, axis in AXES.items() if name not in ("order", "segments")]
"""What else may vary."""


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


def plot_spectrum(info: SpectrumInfo) -> go.Figure:
    """Draw it: a line for each family by the screening seeds, filled where it was confirmed."""
    figure = go.Figure()
    families = list(dict.fromkeys(series.family for series in info.series))
    for series in info.series:
        color = SERIES[families.index(series.family) % len(SERIES)]
        confirmed, raced = series.stage == "confirmation", series.stage == "race"
        places = series.places
        figure.add_scatter(
            x=[place.x for place in places],
            y=[place.score for place in places],
            error_y=error_bars(places),
            mode="markers" if confirmed else "lines+markers+text",
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
    at = f" at {info.cost}" if info.cost else " (costs differ)"
    intervals = _OF_RACE if any(s.stage == "race" for s in info.series) else _OF_STAGES
    styled(
        figure,
        f"{OBJECTIVES[info.score].headline}{at} along the spectrum<br><sub>{intervals}</sub>",
        "log(segments) / log(channels): 0 regular, 1 depthwise separable; plain: no 1x1 step",
        OBJECTIVES[info.score].title,
    )
    return figure
