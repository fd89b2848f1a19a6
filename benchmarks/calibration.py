"""How often the verdict is wrong, and how often it finds what is there: simulated studies.

    python benchmarks/calibration.py [--studies 4000] [--noise 0.006] [--seeds 8]

No network is trained. Every simulated study has the ends and the interior points of a real one, a
level for each, what a seed does to all of them, and what it does to each. The verdict sees the
accuracies alone, exactly as it does those of a real study.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from scipy import stats

from nas.verdict import Claim, judge

ENDS = ("plain", "spatial_first 1", "spatial_first C", "pointwise_first 1", "pointwise_first C")
INTERIOR = tuple(
    f"{order} {segments}"
    for order in ("spatial_first", "pointwise_first")
    for segments in ("2", "4", "C/16", "C/8", "C/4", "C/2")
)
LEVEL = 0.7


@dataclass(frozen=True)
class Design:
    """What the simulated studies have in common.

    Attributes:
        noise: standard deviation of one training around its architecture's and its seed's level.
        shared: standard deviation of what a seed does to all architectures.
        screening: seeds that choose.
        confirmation: seeds that judge.
    """

    noise: float
    shared: float
    screening: int
    confirmation: int


def simulate(
    design: Design, effects: Mapping[str, float], claim: Claim, studies: int, seed: int
) -> dict[str, int]:
    """Outcomes of many studies, counted."""
    rng = np.random.default_rng(seed)
    counts = {"supported": 0, "refuted": 0, "inconclusive": 0}
    for _ in range(studies):
        screening = _runs(design, design.screening, effects, rng)
        confirmation = _runs(design, design.confirmation, effects, rng)
        counts[judge(screening, confirmation, claim).outcome] += 1
    return counts


def _runs(
    design: Design, seeds: int, effects: Mapping[str, float], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    shared = rng.normal(0, design.shared, seeds)
    return {
        arm: LEVEL + effects.get(arm, 0.0) + shared + rng.normal(0, design.noise, seeds)
        for arm in (*ENDS, *INTERIOR)
    }


def main(
    studies: Annotated[int, typer.Option(help="Simulated in each row.")] = 4000,
    noise: Annotated[float, typer.Option(help="Of one training, as a fraction.")] = 0.006,
    shared: Annotated[float, typer.Option(help="Of a seed, in all arms alike.")] = 0.006,
    seeds: Annotated[int, typer.Option(help="That judge.")] = 8,
    screening: Annotated[int, typer.Option(help="Seeds that choose.")] = 3,
    delta: Annotated[float, typer.Option(help="Of the claim, in percentage points.")] = 0.5,
    alpha: Annotated[float, typer.Option(help="Of the claim.")] = 0.05,
) -> None:
    """Print the rates of all verdicts with their intervals."""
    claim = Claim(ENDS, delta / 100, alpha)
    design = Design(noise, shared, screening, seeds)
    table = Table(
        title=f"{studies:,} studies a row: {len(ENDS)} ends, {len(INTERIOR)} interior points, "
        f"{screening} + {seeds} seeds, noise {noise:.2%}"
    )
    for heading in ("truth", "supported", "refuted", "wrong at most"):
        table.add_column(heading, justify="left" if heading == "truth" else "right")
    step = delta / 100
    truths: dict[str, tuple[dict[str, float], str]] = {
        "all arms are equal": ({}, "supported"),
        "every interior point is better by exactly delta": (
            dict.fromkeys(INTERIOR, step),
            "supported",
        ),
        "one interior point is better by exactly delta": ({INTERIOR[4]: step}, "supported"),
        "one is better by delta and a little (no refutation)": (
            {INTERIOR[4]: step * 1.001},
            "refuted",
        ),
    }
    for factor in (2, 3, 4):
        truths[f"one interior point is better by {factor} delta"] = (
            {INTERIOR[4]: factor * step},
            "",
        )
    truths["one end is better by 2 delta"] = ({ENDS[2]: 2 * step}, "")
    for index, (truth, (effects, wrong)) in enumerate(truths.items()):
        counts = simulate(design, effects, claim, studies, seed=index)
        table.add_row(
            truth,
            _rate(counts["supported"], studies),
            _rate(counts["refuted"], studies),
            f"{wrong}: {alpha:.0%}" if wrong else "",
        )
    Console(width=120).print(table)


def _rate(count: int, studies: int) -> str:
    """A share with its exact interval (Clopper and Pearson 1934)."""
    interval = stats.binomtest(count, studies).proportion_ci(0.95)
    return f"{count / studies:.1%} ({interval.low:.1%} to {interval.high:.1%})"


if __name__ == "__main__":
    typer.run(main)
