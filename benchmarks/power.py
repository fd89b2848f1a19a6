"""How many trainings a right answer takes, as a race and as a fixed design.

    python benchmarks/power.py [--studies 400] [--figure power.png]
    python benchmarks/power.py --published studies/2026-11-22-cifar10-cpu

By simulated studies with normal noise: of a race what it has decided at each look, of a fixed
design what it decides with more and more confirmation seeds, each number of them a design of its
own. What a fixed design refutes it refutes of its confirmed arms alone, a race of all.
"""

from __future__ import annotations

import functools
import os
import zlib
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Annotated

import numpy as np
import plotly.graph_objects as go
import typer
from rich.console import Console
from rich.table import Table

from calibration import (
    LOOKS,
    Setting,
    outcome_of_fixed,
    outcome_of_race,
    race_plan,
    setting_of,
    trainings,
)
from nas.analysis.published import published_results
from nas.analysis.results import score_of
from nas.cli import cli_errors
from nas.reporting.figures.style import SERIES, styled
from nas.statistics.race import Race, run_race
from simulated_studies import NOISES, SimulatedStudies, Truth, truths

CONFIRMATION = (4, 8, 12, 16, 24, 32, 44)
"""Seeds that judge in a fixed design, beside those that screen."""


@dataclass(frozen=True)
class Curve:
    """Of one truth and one method.

    Attributes:
        trainings: mean of what was spent.
        right: share of studies that had the right answer by then.
    """

    truth: str
    method: str
    trainings: tuple[float, ...]
    right: tuple[float, ...]


def right_answer(truth: Truth, delta: float) -> str:
    """The outcome that is true of the claim."""
    return "supported" if truth.advantage > delta else "refuted"


def spent_and_decided(race: Race) -> Iterator[tuple[int, str]]:
    """Trainings and outcome by each look of the plan; after its end a race stays as it is."""
    last = (0, "inconclusive")
    for number in range(len(race.plan.looks)):
        if number < len(race.looks):
            so_far = replace(race, looks=race.looks[: number + 1])
            last = (trainings(so_far), outcome_of_race(so_far))
        yield last


def truth_of(folder: Path) -> Truth:
    """The means of all trainings of a published study, as if they were true."""
    results = published_results(folder)
    found: dict[str, list[float]] = defaultdict(list)
    for run in results.trainings:
        if run.is_complete and not run.control_of:
            found[run.arm].append(score_of(run.measurement))
    interior, ends = (
        np.array([fmean(found[arm]) for arm in found if results.arms[arm].role == role])
        for role in ("interior", "end")
    )
    effects = np.concatenate([interior, ends]) - ends.max()
    return Truth(f"means of {results.name}", float(interior.max() - ends.max()), effects)


def curves(setting: Setting, studies: int, truth: Truth) -> tuple[Curve, Curve]:
    """Race and fixed design of one truth."""
    seeds = setting.screening + CONFIRMATION[-1]
    arms = (setting.interior, setting.ends)
    simulated = SimulatedStudies(*arms, truth, NOISES[0], setting.deviation, seeds)
    plan, right = race_plan(setting, simulated.arms), right_answer(truth, setting.delta)
    rng = np.random.default_rng(zlib.crc32(truth.name.encode()))  # another one for each truth
    spent, raced, fixed = [], [], []
    for _ in range(studies):
        scores, failed = simulated.draw(rng)
        race = run_race(plan, {arm: values.tolist() for arm, values in scores.items()})
        looks = list(spent_and_decided(race))
        spent.append([so_far for so_far, _ in looks])
        raced.append([outcome == right for _, outcome in looks])
        fixed.append(
            [
                outcome_of_fixed(replace(setting, confirmation=n), scores, failed) == right
                for n in CONFIRMATION
            ]
        )
    planned = sum(arms) * setting.screening
    judged = setting.confirmed + setting.ends
    return (
        Curve(truth.name, "race", _means(spent), _means(raced)),
        Curve(
            truth.name,
            f"fixed, {setting.confirmed} interior arms confirmed",
            tuple(float(planned + judged * n) for n in CONFIRMATION),
            _means(fixed),
        ),
    )


def _means(values: list[list[int]] | list[list[bool]]) -> tuple[float, ...]:
    return tuple(np.mean(values, axis=0).tolist())


def draw(found: list[Curve]) -> go.Figure:
    """A colour for each truth; races are drawn through, fixed designs dashed."""
    figure = go.Figure()
    names = list(dict.fromkeys(curve.truth for curve in found))
    for curve in found:
        color = SERIES[names.index(curve.truth) % len(SERIES)]
        figure.add_scatter(
            x=curve.trainings,
            y=curve.right,
            name=f"{curve.truth}: {curve.method}",
            mode="lines+markers",
            line={"color": color, "width": 2, "dash": "solid" if curve.method == "race" else "dot"},
        )
    title = "Probability of the right answer over the trainings that were spent"
    styled(figure, title, "trainings (of a race the mean)", "right answers")
    figure.update_yaxes(range=[0, 1.02], tickformat=".0%")
    figure.update_layout(legend={"orientation": "h", "y": -0.18, "font": {"size": 11}})
    return figure


def table(found: list[Curve]) -> Table:
    """The points of the curves."""
    shown = Table(title="right answers (trainings spent)")
    for heading in ("truth", "method", *(f"look {n}" for n in range(1, len(LOOKS) + 1))):
        shown.add_column(heading)
    for curve in found:
        cells = [
            f"{right:.0%} ({mean:.0f})"
            for mean, right in zip(curve.trainings, curve.right, strict=True)
        ]
        shown.add_row(curve.truth, curve.method, *cells)
    return shown


def main(
    studies: Annotated[int, typer.Option(min=1, help="Simulated studies of each truth.")] = 400,
    noise: Annotated[
        float, typer.Option(min=0, help="Standard deviation of one training, in points.")
    ] = 0.67,
    published: Annotated[
        Path | None, typer.Option(help="A study whose arms, noise, claim and means are taken.")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="File for the curves; needs Chrome or Chromium.")
    ] = None,
) -> None:
    """Print how often either method is right, by the trainings that it takes."""
    setting = Setting(deviation=noise / 100)
    if published is None:
        known = truths(setting.interior, setting.ends, setting.delta)
        # What is at the border of the claim has no right answer.
        wanted = [truth for truth in known if truth.advantage != setting.delta]
    else:
        with cli_errors():
            setting, wanted = setting_of(published), [truth_of(published)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        pairs = list(pool.map(functools.partial(curves, setting, studies), wanted))
    found = [curve for pair in pairs for curve in pair]
    Console(width=180).print(table(found))
    if figure is not None:
        draw(found).write_image(figure, width=900, height=620)


if __name__ == "__main__":
    typer.run(main)
