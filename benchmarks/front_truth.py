"""How much of a reported front is true: all networks of a search, trained again with fresh seeds.

    python benchmarks/front_truth.py --study runs/spectrum
    python benchmarks/front_truth.py

The first trains them and writes the table, or what is missing of it; both say what the table shows:
searches are drawn from it whose truth is known. What is true the seeds leave open, by .16 points
a network, so the true accuracies of each search are drawn from what they leave likely, and what a
seed adds is resampled from what seeds have added. One seed of each network is that of the search,
three are those of the confirmation.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import astuple, dataclass, fields
from math import sqrt
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from child_processes import end_with_parent
from nas.analysis.confirmed_front import CALLED_FRONT
from nas.api.benchmark import STUDIES
from nas.api.study import load_study
from nas.architecture.cost import count_cost
from nas.architecture.specification import Architecture
from nas.cli import cli_errors
from nas.engine.terminal import console, plain_table, print_table
from nas.network.subject import subject_of
from nas.statistics.front_probability import front_probabilities, likely_means
from nas.statistics.pareto import knee, pareto_front
from nas.statistics.proportion import share_deviation
from nas.study.confirmation import likely_rows
from nas.study.design import design_seeds
from nas.study.records import ROUNDING, Records
from trials.data import DataConfig, load, load_test
from trials.recipe import Recipe
from trials.train import Resident
from trials.trial import prepare_process, run_trial

FOLDER = STUDIES / "2026-11-27-digits-front"
SEEDS = 20
IMAGES = 287
"""That validate, of digits."""


@dataclass(frozen=True)
class Network:
    """A network of the search.

    Attributes:
        searched: its accuracy there, with one seed.
    """

    trial: int
    macs: int
    params: int
    searched: float
    architecture: str


@dataclass(frozen=True)
class Training:
    """One training of a network with a fresh seed."""

    trial: int
    seed: int
    accuracy: float
    validation_loss: float
    test_accuracy: float


@functools.cache  # once in each process
def images_of(config: DataConfig) -> tuple[str, Resident]:
    """Fingerprint and images of a data set, the test images with them."""
    data = load(config)
    return data.summary.fingerprint, Resident(data, torch.device("cpu"), load_test(config, data))


def start_process() -> None:
    """Set up a process of the pool."""
    prepare_process(1)
    end_with_parent()


def train(network: Network, seed: int, recipe: Recipe, config: DataConfig) -> Training:
    """Train a network as a trial of the search was trained."""
    fingerprint, images = images_of(config)
    architecture = Architecture.from_json(network.architecture)
    subject = subject_of(architecture, count_cost(architecture))
    (found,) = run_trial(subject, images, fingerprint, recipe, (seed,))
    assert found.accuracy is not None, found.reason
    assert found.validation_loss is not None
    assert found.test_accuracy is not None
    return Training(network.trial, seed, found.accuracy, found.validation_loss, found.test_accuracy)


def networks_of(records: Records) -> list[Network]:
    """The networks of a search, in the order of its trials."""
    return [
        Network(t.number, t.macs, t.params, t.score, t.architecture.to_json())
        for t in records.complete
    ]


def train_all(records: Records, folder: Path) -> None:
    """Train what is missing of the table, seed after seed, and keep each result at once."""
    networks, file = networks_of(records), records.file
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / "networks.csv", networks)
    table = folder / "trainings.csv"
    made = list(read_trainings(folder)) if table.is_file() else []
    known = {(training.trial, training.seed) for training in made}
    seeds = design_seeds(file.name, file.study.seed, "truth", SEEDS)
    missing = [(n, s) for s in seeds for n in networks if (n.trial, s) not in known]
    context = get_context("spawn")
    with (
        ProcessPoolExecutor(2, context, start_process) as pool,
        table.open("a", newline="") as out,
    ):
        writer = csv.writer(out, lineterminator="\n")
        if not made:
            writer.writerow([field.name for field in fields(Training)])
        recipe, config = file.training.full_recipe, file.data.config
        futures = [pool.submit(train, n, s, recipe, config) for n, s in missing]
        for done in as_completed(futures):
            writer.writerow(astuple(done.result()))
            out.flush()


def write_rows(path: Path, networks: list[Network]) -> None:
    """Write networks as CSV."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Network)])
        writer.writerows(map(astuple, networks))


def read_trainings(folder: Path) -> Iterator[Training]:
    """The trainings of the table."""
    with (folder / "trainings.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            yield Training(
                int(row["trial"]),
                int(row["seed"]),
                float(row["accuracy"]),
                float(row["validation_loss"]),
                float(row["test_accuracy"]),
            )


@dataclass(frozen=True)
class Table:
    """What the networks gave.

    Attributes:
        costs: MACs (n,).
        accuracies: (n, seeds).
        losses: on the validation images (n, seeds).
    """

    costs: NDArray[np.float64]
    accuracies: NDArray[np.float64]
    losses: NDArray[np.float64]

    @classmethod
    def read(cls, folder: Path) -> Table:
        """The published table, by seeds that all networks have."""
        with (folder / "networks.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        trials = [int(row["trial"]) for row in rows]
        found = {(t.trial, t.seed): t for t in read_trainings(folder)}
        seeds = [
            s for s in sorted({seed for _, seed in found}) if all((t, s) in found for t in trials)
        ]
        pick = [[found[trial, seed] for seed in seeds] for trial in trials]
        return cls(
            np.array([float(row["macs"]) for row in rows]),
            np.array([[t.accuracy for t in row] for row in pick]),
            np.array([[t.validation_loss for t in row] for row in pick]),
        )


@dataclass(frozen=True)
class Found:
    """What a drawn search reports, held against its truth.

    Attributes:
        called: how many points it calls front.
        right: how many of them no network dominates in truth.
        within: how many of them no network of at most its cost beats by more than one image.
        optimism: accuracy as reported minus the true one, mean over the front.
        regret: of the knee: what the best network of at most its cost has more.
    """

    called: int
    right: int
    within: int
    optimism: float
    regret: float


def judge(
    truth: NDArray[np.float64],
    costs: NDArray[np.float64],
    shown: NDArray[np.float64],
    front: NDArray[np.intp],
    called: NDArray[np.intp],
    middle: int,
) -> Found:
    """Hold a reported front against the truth.

    Args:
        truth: accuracies (n,).
        costs: (n,).
        shown: accuracies as reported (n,).
        front: rows of the reported front.
        called: those that are called front.
        middle: its knee.
    """
    best = np.array([truth[costs <= cost].max() for cost in costs])
    on_front = set(pareto_front(np.column_stack([truth, costs])))
    return Found(
        len(called),
        sum(row in on_front for row in called),
        int((truth[called] >= best[called] - 1 / IMAGES).sum()),
        float((shown[front] - truth[front]).mean()),
        float(best[middle] - truth[middle]),
    )


def drawn_search(
    table: Table, truth: NDArray[np.float64], rng: np.random.Generator
) -> tuple[Found, Found]:
    """What a search reports before, by one seed each, and after, by three fresh ones."""
    count, seeds = table.accuracies.shape
    costs = table.costs
    picked = rng.integers(0, seeds, (count, 4))
    residuals = table.accuracies - table.accuracies.mean(axis=1, keepdims=True)
    added = np.take_along_axis(residuals, picked, axis=1) * sqrt(seeds / (seeds - 1))
    accuracies = truth[:, None] + added
    losses = np.take_along_axis(table.losses, picked[:, 1:], axis=1).mean(axis=1)
    once, fresh = accuracies[:, 0], accuracies[:, 1:].mean(axis=1)
    points = np.column_stack([once, costs])
    front = pareto_front(points)
    before = judge(truth, costs, once, front, front, knee(points))
    chosen = likely_rows(once, costs, share_deviation(once.mean(), IMAGES))
    measured = chosen[pareto_front(np.column_stack([fresh[chosen], costs[chosen]]))]
    noise = sqrt(accuracies[chosen, 1:].var(axis=1, ddof=1).mean())
    known = np.isin(np.arange(count), chosen)
    means = np.where(known, accuracies.mean(axis=1), once)
    errors = noise / np.sqrt(np.where(known, 4, 1))
    sure = front_probabilities(means, errors, costs, 1 / IMAGES)
    middle = measured[knee(np.column_stack([fresh[measured], costs[measured]]))]
    ties = np.abs(fresh[measured] - fresh[middle]) <= 1 / IMAGES + ROUNDING
    tied = measured[ties & (costs[measured] <= costs[middle])]
    best = int(tied[np.argmin(losses[tied])])
    called = chosen[sure[chosen] >= CALLED_FRONT]
    return before, judge(truth, costs, fresh, measured, called, best)


def report(table: Table, searches: int) -> None:
    """Print what the reported fronts are worth, before and after."""
    rng = np.random.default_rng(0)
    count, seeds = table.accuracies.shape
    variances = np.full(count, table.accuracies.var(axis=1, ddof=1).mean() / seeds)
    truths = likely_means(table.accuracies.mean(axis=1), variances, rng)
    drawn = [drawn_search(table, truth, rng) for truth in truths[:searches]]
    shown = plain_table(left=("",), right=("before: one seed", "after: three fresh seeds"))
    sides = list(zip(*drawn, strict=True))
    for name, value in (
        ("points called front, a search", lambda f: f"{fmean(x.called for x in f):.2f}"),
        ("of them truly on it, ties within one image", lambda f: share_of(f, "within")),
        ("of them truly on it, to the last digit", lambda f: share_of(f, "right")),
        ("optimism, points", lambda f: spread_of([100 * x.optimism for x in f])),
        ("regret of the knee, points", lambda f: spread_of([100 * x.regret for x in f])),
    ):
        shown.add_row(name, *map(value, sides))
    print(f"{count} networks, {seeds} seeds each, {searches} searches drawn")
    print_table(shown, console())


def share_of(found: Sequence[Found], name: str) -> str:
    """Of all points that are called front, with the interval that drawing the searches leaves."""
    hits = np.array([getattr(f, name) for f in found], dtype=float)
    called = np.array([f.called for f in found])
    if not called.sum():
        return "none is called so"
    rows = np.random.default_rng(0).integers(0, len(found), (1000, len(found)))
    shares = hits[rows].sum(axis=1) / np.maximum(called[rows].sum(axis=1), 1)
    low, high = np.quantile(shares, [0.025, 0.975])
    return f"{hits.sum() / called.sum():.0%} ({low:.0%} to {high:.0%})"


def spread_of(values: Sequence[float]) -> str:
    """Mean, and between which 95% of the searches are."""
    low, high = np.quantile(values, [0.025, 0.975])
    return f"{fmean(values):.2f} ({low:.2f} to {high:.2f})"


app = typer.Typer()


@app.command()
def main(
    study: Annotated[Path | None, typer.Option(help="Folder of the search, to train.")] = None,
    folder: Annotated[Path, typer.Option(help="Folder of the table.")] = FOLDER,
    searches: Annotated[int, typer.Option(help="Searches that are drawn from it.")] = 2000,
) -> None:
    """Train the networks of a search with fresh seeds, and say how true its front is."""
    with cli_errors():
        if study is not None:
            train_all(load_study(study).records, folder)
        report(Table.read(folder), searches)


if __name__ == "__main__":
    app()
