"""Accuracy against cost, with the front."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import log10
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from nas.architecture.description import describe_architecture
from nas.reporting.figures.spread import Spread, images_spread, seeds_spread
from nas.reporting.figures.style import ACCENT, INK, MUTED, error_bars, log_ticks, styled, thinned
from nas.space.objectives import OBJECTIVES

if TYPE_CHECKING:  # a figure needs the data of a study, not what reads it
    from nas.analysis.confirmed_front import ConfirmedPoint
    from nas.analysis.results import StudyResults
    from nas.study.records import Records
    from nas.study.trial_record import TrialRecord


@dataclass(frozen=True)
class FrontPoint:
    """One complete trial.

    Attributes:
        cost: the objective that is minimized, the first of two.
        second_cost: the other one; None where there is none.
        values: score and costs in words.
        architecture: lines that describe it.
        spread: of the score, for points of the front, where something is known of it.
        confirmed: of an arm of a design, by fresh seeds.
    """

    trial: int
    score: float
    cost: float
    second_cost: float | None
    values: str
    architecture: tuple[str, ...]
    spread: Spread | None = None
    confirmed: Spread | None = None


@dataclass(frozen=True)
class FrontInfo:
    """The complete trials, those of the front by increasing cost, and the front's knee.

    Attributes:
        goal: name of the objective that is maximized.
        cost: name of the objective that is minimized; MACs where only the goal counts.
        second_cost: of the other one that is minimized; None where there is none.
        dominated: those that are drawn, of so many as ``beaten`` says; of a confirmed search what
            was not trained again.
        fresh: seeds of each point of the front and of ``others``; 0 without a confirmation.
        others: trained again, too, and not on the front by that.
        published: networks that are no part of it, by their names.
    """

    goal: str
    cost: str
    second_cost: str | None
    dominated: tuple[FrontPoint, ...]
    front: tuple[FrontPoint, ...]
    knee: int | None
    beaten: int = 0
    fresh: int = 0
    others: tuple[FrontPoint, ...] = ()
    published: tuple[tuple[str, FrontPoint], ...] = ()


def front_info(records: Records, results: StudyResults | None = None) -> FrontInfo:
    """What the figure shows.

    Args:
        results: the single trainings, which tell how much the seeds matter.
    """
    from nas.analysis.confirmed_front import ConfirmedFront  # and Optuna, which drawing needs not
    from nas.study.selection import choose

    costs = records.objectives[1:] or ("macs",)
    chosen = choose(records).number if records.complete else None
    found = ConfirmedFront.of(records)
    shown = {trial.number for trial in (records.confirmed or records.front)}
    dominated = [trial for trial in records.complete if trial.number not in shown]
    points = found.points if found else ()
    measured = [_fresh(records, point) for point in points if point.is_measured]
    return FrontInfo(
        records.objectives[0],
        costs[0],
        costs[1] if len(costs) > 1 else None,
        tuple(_point(records, trial) for trial in thinned(dominated)),
        tuple(measured or (_with_spread(records, results, trial) for trial in records.front)),
        chosen,
        len(dominated),
        found.seeds if found else 0,
        tuple(_fresh(records, point) for point in points if not point.is_measured),
        tuple((trial.arm, _point(records, trial)) for trial in records.published),
    )


def _fresh(records: Records, point: ConfirmedPoint) -> FrontPoint:
    """A confirmed trial with the interval of its mean."""
    value, seeds = point.trial.values[0], len(point.trial.seeds)
    words = (
        f"{point.place} (P {point.probability:.2f}): mean of {seeds} fresh seeds, "
        f"95% interval {point.low:.4f} to {point.high:.4f}"
    )
    spread = Spread(value, point.low, point.high, seeds, words)
    return replace(_point(records, point.trial), spread=spread)


def _point(records: Records, trial: TrialRecord) -> FrontPoint:
    costs = trial.values[1:] or (float(trial.macs),)
    told = dict.fromkeys((records.score, "macs", "params", *records.objectives))
    return FrontPoint(
        trial.number,
        trial.values[0],
        costs[0],
        costs[1] if len(costs) > 1 else None,
        ", ".join(OBJECTIVES[name].in_words(records.value(trial, name)) for name in told),
        () if trial.is_beside else describe_architecture(trial.architecture),
    )


def _with_spread(records: Records, results: StudyResults | None, trial: TrialRecord) -> FrontPoint:
    goal = records.objectives[0]
    return replace(
        _point(records, trial),
        spread=seeds_spread(results, trial, None, goal) or images_spread(records, trial),
        confirmed=seeds_spread(results, trial, "confirmation", goal),
    )


def plot_front(info: FrontInfo) -> go.Figure:
    """Draw it: cost on a logarithmic axis, the second cost of the front's points by colour.

    Points of a front with two costs are not joined: between them there are no steps that hold for
    both.
    """
    figure = go.Figure()
    for name, points, marker, mode in _groups(info):
        figure.add_scatter(
            x=[point.cost for point in points],
            y=[point.score for point in points],
            mode=mode,
            name=name,
            marker=marker,
            line={"color": ACCENT, "width": 1.5, "shape": "hv"},
            error_y=_error_bars(points),
            customdata=[point.trial for point in points],
            text=[_hover(point) for point in points],
            hovertemplate="%{text}<extra></extra>",
        )
    chosen = [point for point in info.front if point.trial == info.knee]
    figure.add_scatter(
        x=[point.cost for point in chosen],
        y=[point.score for point in chosen],
        mode="markers",
        name="knee",
        marker={"size": 17, "color": "rgba(0,0,0,0)", "line": {"color": "#d55e00", "width": 2.5}},
        hoverinfo="skip",
    )
    _add_confirmed(figure, info.front)
    _add_published(figure, info)
    goal = OBJECTIVES[info.goal]
    heading = "<br>".join((f"{goal.headline} against cost", *_legend(info)))
    styled(figure, heading, OBJECTIVES[info.cost].title, goal.title)
    figure.update_xaxes(type="log", tickangle=0, **_cost_ticks(info))
    return figure


def _groups(
    info: FrontInfo,
) -> Iterator[tuple[str, tuple[FrontPoint, ...], dict[str, Any], str]]:
    """Name, points, marker and mode of each group of points."""
    rest = "searched, one seed each" if info.fresh else "dominated"
    yield rest, info.dominated, {"color": MUTED, "size": 8}, "markers"
    joined = "lines+markers" if info.second_cost is None else "markers"
    yield "front", info.front, _front_marker(info), joined
    if info.others:
        diamond = {"symbol": "diamond", "size": 8, "color": INK}
        yield "confirmed", info.others, diamond, "markers"


def _cost_ticks(info: FrontInfo) -> dict[str, object]:
    published = (point for _, point in info.published)
    costs = [point.cost for point in (*info.dominated, *info.front, *published)]
    return log_ticks(costs, OBJECTIVES[info.cost].amount)


def _add_confirmed(figure: go.Figure, points: Sequence[FrontPoint]) -> None:
    """Fresh seeds of points of the front, where there are any."""
    confirmed = [(point, point.confirmed) for point in points if point.confirmed]
    if confirmed:
        figure.add_scatter(
            x=[point.cost for point, _ in confirmed],
            y=[spread.score for _, spread in confirmed],
            error_y=error_bars([spread for _, spread in confirmed]) | {"color": INK},
            mode="markers",
            name="confirmed",
            marker={"symbol": "diamond", "size": 8, "color": INK},
            customdata=[point.trial for point, _ in confirmed],
            text=[f"trial {point.trial}, confirmed: {spread.words}" for point, spread in confirmed],
            hovertemplate="%{text}<extra></extra>",
        )


def _add_published(figure: go.Figure, info: FrontInfo) -> None:
    """Labelled points."""
    if info.published:
        names, points = zip(*info.published, strict=True)
        figure.add_scatter(
            x=[point.cost for point in points],
            y=[point.score for point in points],
            mode="markers+text",
            name="published",
            marker={"symbol": "x", "size": 9, "color": INK},
            text=names,
            textposition="top center",
            hovertext=[f"<b>{name}</b>: {point.values}" for name, point in info.published],
            hovertemplate="%{hovertext}<extra></extra>",
        )


def _error_bars(points: Sequence[FrontPoint]) -> dict[str, object] | None:
    """Of all points, where each has a spread: dominated ones have none."""
    spreads = [point.spread for point in points if point.spread]
    return error_bars(spreads) if spreads and len(spreads) == len(points) else None


def _legend(info: FrontInfo) -> Iterator[str]:
    """What the bars are, and what is left out, as lines under the title."""
    seeds = {point.spread.seeds for point in info.front if point.spread}
    if info.fresh:
        yield f"<sub>bars: 95% interval of the mean of {info.fresh} fresh seeds;</sub>"
        yield "<sub>grey: as searched, where the best look better than they are</sub>"
    elif seeds == {1}:
        yield "<sub>bars: 95% interval by the number of validation images (binomial, Wilson);</sub>"
        yield "<sub>one seed each, others would vary too</sub>"
    elif seeds:
        yield f"<sub>bars: one standard deviation over {_counts(seeds)} seeds</sub>"
    if (drawn := len(info.dominated)) < info.beaten:
        yield f"<sub>{drawn:,} of {info.beaten:,} dominated trials, evenly over the search</sub>"
    fresh = {point.confirmed.seeds for point in info.front if point.confirmed}
    if fresh:
        yield f"<sub>diamonds: mean and standard deviation over {_counts(fresh)} fresh seeds</sub>"


def _counts(seeds: set[int]) -> str:
    return " to ".join(map(str, sorted({min(seeds), max(seeds)})))


def _front_marker(info: FrontInfo) -> dict[str, Any]:
    """One colour, or the second cost by its logarithm, with a bar that tells it."""
    costs = [point.second_cost for point in info.front if point.second_cost is not None]
    if info.second_cost is None or not costs:
        return {"color": ACCENT, "size": 10}
    objective = OBJECTIVES[info.second_cost]
    low, high = log10(min(costs)), log10(max(costs))
    ticks = [low + (high - low) * step / 4 for step in range(5)]
    return {
        "color": [log10(cost) for cost in costs],
        "colorscale": "Cividis",
        "size": 12,
        "line": {"color": "white", "width": 1},
        "colorbar": {
            "title": {"text": objective.title, "side": "right"},
            "tickvals": ticks,
            "ticktext": [objective.amount(10**tick) for tick in ticks],
            "thickness": 14,
        },
    }


def _hover(point: FrontPoint) -> str:
    spreads = [spread.words for spread in (point.spread, point.confirmed) if spread]
    return "<br>".join(
        [f"<b>trial {point.trial}</b>: {point.values}", *spreads, *point.architecture]
    )
