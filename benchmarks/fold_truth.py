"""What judging fresh seeds on other images changes: how much of a confirmed front is true.

    python benchmarks/fold_truth.py

Simulated, from `studies/2026-11-27-digits-front`: 48 networks with 20 seeds each, judged on the 287
validation images and on 360 others, the test images. What is alike of both is how far networks
differ in truth; what differs is that of so many images; what is left is the seeds. In each search
drawn by that, one seed each chooses on the validation images whom three fresh seeds confirm: on the
same images, or each on as many other ones, which are harder or easier for all networks alike. The
truth that both are held against is the accuracy on images of this kind, of which none was seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import fmean
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from front_truth import FOLDER, IMAGES, Found, Table, judge, read_trainings, share_of, spread_of
from nas.analysis.confirmed_front import CALLED_FRONT
from nas.cli import cli_errors
from nas.engine.terminal import console, plain_table, print_table
from nas.statistics.front_probability import OtherImages, front_probabilities
from nas.statistics.pareto import knee, pareto_front
from nas.statistics.proportion import share_deviation
from nas.study.confirmation import likely_rows

SEEDS = 3


@dataclass(frozen=True)
class Deviations:
    """Standard deviations of accuracies, as fractions.

    Attributes:
        networks: of the true accuracies.
        images: of what validation images add to those, differently for each network.
        seeds: of one training.
        level: mean accuracy.
    """

    networks: float
    images: float
    seeds: float
    level: float


def deviations(table: Table, test: NDArray[np.float64]) -> Deviations:
    """By the moments of the table.

    Args:
        test: accuracies on the test images (n, seeds).
    """
    count = table.accuracies.shape[1]
    found, other = table.accuracies - table.accuracies.mean(), test - test.mean()
    within = table.accuracies.var(axis=1, ddof=1).mean()
    left, right = (a - a.mean(axis=1, keepdims=True) for a in (found, other))
    alike = (left * right).sum(axis=1).mean() / (count - 1)  # of a training, on both splits
    networks = np.cov(found.mean(axis=1), other.mean(axis=1))[0, 1] - alike / count
    total = found.mean(axis=1).var(ddof=1) - within / count
    images = max(0.0, total - networks)
    return Deviations(sqrt(max(0.0, networks)), sqrt(images), sqrt(within), table.accuracies.mean())


def drawn_search(
    costs: NDArray[np.float64], sizes: Deviations, rng: np.random.Generator
) -> tuple[Found, Found]:
    """What a search reports, confirmed on the images that it has chosen by, and on others."""
    count = len(costs)
    truth = sizes.level + sizes.networks * rng.standard_normal(count)
    validation = truth + sizes.images * rng.standard_normal(count)
    once = validation + sizes.seeds * rng.standard_normal(count)
    luck = sizes.seeds * rng.standard_normal((count, SEEDS))
    parts = truth[:, None] + sizes.images * rng.standard_normal((count, SEEDS))
    harder = share_deviation(sizes.level, IMAGES) * rng.standard_normal(SEEDS)
    chosen = likely_rows(once, costs, share_deviation(once.mean(), IMAGES))
    same = _reported(once, validation[:, None] + luck, costs, chosen, truth, 1 / IMAGES, False)
    tie = 1 / (SEEDS * IMAGES)
    return same, _reported(once, parts + luck + harder, costs, chosen, truth, tie, True)


def _reported(
    once: NDArray[np.float64],
    again: NDArray[np.float64],
    costs: NDArray[np.float64],
    chosen: NDArray[np.intp],
    truth: NDArray[np.float64],
    tie: float,
    elsewhere: bool,
) -> Found:
    """As `nas.analysis.confirmed_front` has it, held against the truth."""
    fresh, left = again.mean(axis=1), again[chosen] - again[chosen].mean(axis=1, keepdims=True)
    freedom = left.size - len(left)
    if elsewhere:
        left, freedom = left - left.mean(axis=0), freedom - SEEDS + 1
    noise = sqrt((left**2).sum() / freedom)
    known = np.isin(np.arange(len(costs)), chosen)
    means = np.where(known, (once + SEEDS * fresh) / (1 + SEEDS), once)
    errors = noise / np.sqrt(np.where(known, 1 + SEEDS, 1))
    share = np.where(known, SEEDS / (1 + SEEDS), 0.0)
    both = np.full(len(chosen), noise * sqrt(1 + 1 / SEEDS))
    other = OtherImages.of(share, (fresh - once)[chosen], both) if elsewhere else None
    sure = front_probabilities(means, errors, costs, tie, other=other)
    points = np.column_stack([fresh[chosen], costs[chosen]])
    measured = chosen[pareto_front(points)]
    middle = measured[knee(np.column_stack([fresh[measured], costs[measured]]))]
    called = chosen[sure[chosen] >= CALLED_FRONT]
    return judge(truth, costs, fresh, measured, called, int(middle))


app = typer.Typer()


@app.command()
def main(
    searches: Annotated[int, typer.Option(help="Searches that are drawn.")] = 2000,
) -> None:
    """Say how true the front of a confirmed search is, by which images judge its fresh seeds."""
    with cli_errors():
        table, rng = Table.read(FOLDER), np.random.default_rng(0)
        tested = {(t.trial, t.seed): t.test_accuracy for t in read_trainings(FOLDER)}
        trials, seeds = (sorted({key[i] for key in tested}) for i in (0, 1))
        test = np.array([[tested[trial, seed] for seed in seeds] for trial in trials])
        sizes = deviations(table, test)
        sides = list(
            zip(*(drawn_search(table.costs, sizes, rng) for _ in range(searches)), strict=True)
        )
    print(
        f"standard deviations in points: networks {100 * sizes.networks:.2f}, what {IMAGES} images "
        f"add to each {100 * sizes.images:.2f}, a training {100 * sizes.seeds:.2f}"
    )
    shown = plain_table(left=("",), right=("on the same images", "each on others"))
    for name, value in (
        ("points called front, a search", lambda f: f"{fmean(x.called for x in f):.2f}"),
        ("of them truly on it, within .35 points", lambda f: share_of(f, "within")),
        ("of them truly on it, to the last digit", lambda f: share_of(f, "right")),
        ("regret of the knee, points", lambda f: spread_of([100 * x.regret for x in f])),
    ):
        shown.add_row(name, *map(value, sides))
    print_table(shown, console())


if __name__ == "__main__":
    app()
