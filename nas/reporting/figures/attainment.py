"""How the front varies from seed to seed: attainment surfaces (Grunert da Fonseca 2001)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from nas.reporting.figures.style import SERIES, styled
from nas.space.objectives import OBJECTIVES
from nas.statistics.pareto import attainment_surface

if TYPE_CHECKING:  # a figure needs what was measured, not what reads it
    from nas.analysis.results import StudyResults

PERCENTILES = (90, 50, 10)


@dataclass(frozen=True)
class AttainmentInfo:
    """For each percentile the (score, MACs) that so many of the seeds' fronts reach.

    Attributes:
        seeds: that confirmed all arms.
    """

    seeds: int
    surfaces: tuple[tuple[int, tuple[tuple[float, float], ...]], ...]
    score: str = "accuracy"


def attainment_info(results: StudyResults) -> AttainmentInfo | None:
    """What the figure shows; None where one seed is all there is, or all arms cost the same."""
    trainings = results.of_stage("confirmation", others=False)
    seeds = trainings.common_seeds
    if results.file.matched is not None or len(seeds) < 2:
        return None
    costs = [results.arms[name].measurement.macs for name in trainings]
    by_seed = zip(*trainings.accuracies().values(), strict=True)
    fronts = [list(zip(accuracies, costs, strict=True)) for accuracies in by_seed]
    return AttainmentInfo(
        len(seeds),
        tuple(
            (percentile, tuple((float(a), float(c)) for a, c in surface))
            for percentile in PERCENTILES
            for surface in [attainment_surface(fronts, percentile)]
        ),
        results.score,
    )


def plot_attainment(info: AttainmentInfo) -> go.Figure:
    """Draw each surface as steps."""
    figure = go.Figure()
    for index, (percentile, points) in enumerate(info.surfaces):
        figure.add_scatter(
            x=[cost for _, cost in points],
            y=[accuracy for accuracy, _ in points],
            mode="lines+markers",
            name=f"{percentile}% of seeds reach",
            line={"color": SERIES[index], "shape": "hv", "width": 1.6},
            marker={"size": 6},
        )
    styled(
        figure,
        f"Attainment of the confirmed front over {info.seeds} seeds",
        OBJECTIVES["macs"].title,
        OBJECTIVES[info.score].title,
    )
    figure.update_xaxes(type="log")
    return figure
