"""Error rates and power of the verdict, by simulated studies.

    python benchmarks/calibration.py [--studies 4000] [--noise 0.006] [--seeds 8]
    python benchmarks/calibration.py --published studies/2026-11-22-cifar10-cpu

No network is trained. Every simulated study has the ends and the interior points of a real one, a
level for each, what a seed does to all of them, and what it does to each. The verdict sees the
accuracies alone, exactly as it does those of a real study.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import stats

from nas.analysis.answer import answer
from nas.analysis.published import published_results
from nas.cli import cli_errors
from nas.statistics.decision import Claim, judge
from nas.statistics.paired import noise_components

LEVEL = 0.7


@dataclass(frozen=True)
class Design:
    """What the simulated studies have in common.

    Attributes:
        ends: arms at the ends of the spectrum.
        interior: arms between them.
        confirmed: interior arms that are confirmed: the best by the screening seeds.
        noise: standard deviation of one training around its architecture's and its seed's level.
        shared: standard deviation of what a seed does to all architectures.
        screening: seeds that choose.
        confirmation: seeds that judge.
    """

    ends: int = 5
    interior: int = 12
    confirmed: int = 12
    noise: float = 0.006
    shared: float = 0.006
    screening: int = 3
    confirmation: int = 8

    @property
    def end_names(self) -> tuple[str, ...]:
        """Names of the arms at the ends."""
        return tuple(f"end {index}" for index in range(self.ends))

    @property
    def interior_names(self) -> tuple[str, ...]:
        """Names of the arms between them."""
        return tuple(f"interior {index}" for index in range(self.interior))


COLLAPSE, COLLAPSE_RATE = 0.05, 0.1


@dataclass(frozen=True)
class Truth:
    """What is the case in simulated studies, and what a verdict must not say of it.

    Attributes:
        name: as it is printed.
        effects: accuracy by arm, added to the level; 0 for all others.
        wrong: the outcome that would be wrong; empty where both rates are of interest.
        collapsing: an arm that loses 5 points in one training of ten, and is better in the others,
            so that its mean is what its effect says.
    """

    name: str
    effects: Mapping[str, float]
    wrong: str = ""
    collapsing: str | None = None


def truths(design: Design, delta: float) -> tuple[Truth, ...]:
    """The hardest cases of each rule, then effects that are to be found."""
    one, end = design.interior_names[design.interior // 2], design.end_names[-1]
    by_more = {one: delta + 1e-6}
    others_behind = dict.fromkeys(design.interior_names, -0.1)
    all_behind = others_behind | dict.fromkeys(design.end_names, -0.1)
    only_rival = all_behind | {one: delta, end: 0.0}
    return (
        Truth("all arms are equal", {}, "supported"),
        Truth(
            "every interior point is better by exactly delta",
            dict.fromkeys(design.interior_names, delta),
            "supported",
        ),
        Truth("one interior point is better by exactly delta", {one: delta}, "supported"),
        Truth(
            "  and all ends but one are far behind: the hardest for supported",
            only_rival,
            "supported",
        ),
        Truth(
            "  and it collapses by 5 points in 1 of 10 trainings: not symmetric",
            only_rival,
            "supported",
            collapsing=one,
        ),
        Truth("one interior point is better by a little more than delta", by_more, "refuted"),
        Truth(
            "  and the other interior points are far behind: the hardest for refuted",
            others_behind | by_more,
            "refuted",
        ),
        *(
            Truth(f"one interior point is better by {factor} delta", {one: factor * delta})
            for factor in (2, 3, 4)
        ),
        Truth("one end is better by 2 delta", {end: 2 * delta}),
    )


def simulate(design: Design, truth: Truth, claim: Claim, studies: int, seed: int) -> dict[str, int]:
    """Outcomes of many studies, counted."""
    rng = np.random.default_rng(seed)
    counts = {"supported": 0, "refuted": 0, "inconclusive": 0}
    for _ in range(studies):
        screening = _runs(design, design.screening, truth.effects, rng)
        best = sorted(design.interior_names, key=lambda name: -screening[name].mean())
        confirmed = {*design.end_names, *best[: design.confirmed]}
        confirmation = _runs(design, design.confirmation, truth.effects, rng)
        if truth.collapsing is not None:
            collapses = rng.random(design.confirmation) < COLLAPSE_RATE
            confirmation[truth.collapsing] += COLLAPSE * (COLLAPSE_RATE - collapses)
        judged = {name: trainings for name, trainings in confirmation.items() if name in confirmed}
        counts[judge(screening, judged, claim).outcome] += 1
    return counts


def _runs(
    design: Design, seeds: int, effects: Mapping[str, float], rng: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Accuracies of each arm on the same seeds."""
    common = rng.normal(0, design.shared, seeds)
    return {
        arm: LEVEL + effects.get(arm, 0.0) + common + rng.normal(0, design.noise, seeds)
        for arm in (*design.end_names, *design.interior_names)
    }


def design_of(folder: Path) -> tuple[Design, Claim]:
    """Arms, seeds, noise and claim of a published study."""
    results = published_results(folder)
    found = answer(results)
    if found.verdict is None:
        raise typer.BadParameter(f"{folder}: {found.reason}")
    judged = sorted(found.verdict.against_best_end)
    trainings = results.of_stage("confirmation").of(judged)
    noise, shared = noise_components(list(trainings.accuracies().values()))
    ends = len(found.verdict.claim.ends)
    design = Design(
        ends=ends,
        interior=sum(row.role == "interior" for row in found.rows),
        confirmed=len(judged) - ends,
        noise=noise,
        shared=shared,
        screening=results.plans[-1].plan.screening_seeds,
        confirmation=len(trainings.common_seeds),
    )
    return design, found.verdict.claim


def main(
    studies: Annotated[int, typer.Option(min=1, help="Simulated studies for each row.")] = 4000,
    noise: Annotated[
        float, typer.Option(min=0, help="Standard deviation of one training.")
    ] = 0.006,
    shared: Annotated[
        float, typer.Option(min=0, help="Standard deviation of a seed, the same in all arms.")
    ] = 0.006,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds that judge.")] = 8,
    screening: Annotated[int, typer.Option(min=1, help="Seeds that choose.")] = 3,
    delta: Annotated[
        float, typer.Option(min=0, max=20, help="Delta of the claim, in percentage points.")
    ] = 0.5,
    alpha: Annotated[float, typer.Option(min=0.001, max=0.4, help="Alpha of the claim.")] = 0.05,
    published: Annotated[
        Path | None, typer.Option(help="A study whose arms, seeds, noise and claim are taken.")
    ] = None,
) -> None:
    """Print the rates of all verdicts with their intervals."""
    design = Design(noise=noise, shared=shared, screening=screening, confirmation=seeds)
    claim = Claim(design.end_names, delta / 100, alpha)
    if published is not None:
        with cli_errors():
            design, of_study = design_of(published)
        claim = replace(of_study, ends=design.end_names)
    Console(width=140).print(rates_table(design, claim, studies))


def rates_table(design: Design, claim: Claim, studies: int) -> Table:
    """Rates of the verdicts of so many studies, a row for each truth."""
    table = Table(
        title=f"{studies:,} studies a row: {design.ends} ends, {design.interior} interior points "
        f"({design.confirmed} confirmed), {design.screening} + {design.confirmation} seeds, noise "
        f"{design.noise:.2%} of a training and {design.shared:.2%} of a seed, "
        f"delta {claim.delta:.2%}"
    )
    for heading in ("truth", "supported", "refuted", "wrong at most"):
        table.add_column(heading, justify="left" if heading == "truth" else "right")
    for index, truth in enumerate(truths(design, claim.delta)):
        counts = simulate(design, truth, claim, studies, index)
        table.add_row(
            truth.name,
            _rate(counts["supported"], studies),
            _rate(counts["refuted"], studies),
            f"{truth.wrong}: {claim.alpha:.0%}" if truth.wrong else "",
        )
    return table


def _rate(count: int, studies: int) -> str:
    """A share with its exact interval (Clopper and Pearson 1934)."""
    interval = stats.binomtest(count, studies).proportion_ci(0.95)
    return f"{count / studies:.1%} ({interval.low:.1%} to {interval.high:.1%})"


if __name__ == "__main__":
    typer.run(main)
