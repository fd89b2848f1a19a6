"""How much training a search needs until its front is nearly the best there is.

    python benchmarks/search_quality.py [--repeats 100] [--figure docs/search-quality.png]

On a table of all trainings of a space (`studies/spectrum-bench`), so that nothing is trained. A
search sees the validation accuracy of single trainings, with seeds drawn at random. Its answer at
a time is the front of what it has trained with the longest schedule until then. The answer is
judged by its networks' mean accuracy over all seeds after that schedule: by the hypervolume up to
the reference point of a study's report, as a share of that of the table's best front.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

import search_figure
from child_processes import end_with_parent
from nas.api.benchmark import Benchmark, load_benchmark
from nas.cli import cli_errors
from nas.engine.environment import describe_environment
from nas.space.errors import InputError
from nas.statistics.pareto import hypervolume, pareto_front, reference_point
from nas.study.storage import quiet_optuna
from tabular_searches import CONTENDERS, DEFAULT, Contender, Finished, simulate

SHARE = 0.99
"""Of the best front's hypervolume that a search has to reach."""

DRAWS = 10_000
"""Of the bootstrap over repeats."""


@dataclass(frozen=True)
class Trajectory:
    """How good the answer of a search was over its training time.

    Attributes:
        spent_s: of all workers together, whenever a network with the longest schedule is finished.
        shares: of the best hypervolume, from then on, by how the answer is judged.
    """

    spent_s: NDArray[np.float64]
    shares: Mapping[str, NDArray[np.float64]]

    def time_to(self, share: float, judged: str) -> float:
        """Seconds until the share is reached for good; infinite where it is not at the end.

        An answer may get worse again: a network that was lucky takes the place of a better one.
        """
        below = np.flatnonzero(self.shares[judged] < share)
        first = below[-1] + 1 if len(below) else 0
        return float(self.spent_s[first]) if first < len(self.spent_s) else float("inf")

    def at(self, seconds: NDArray[np.float64], judged: str) -> NDArray[np.float64]:
        """Shares at these times; zero before the first network."""
        values = np.concatenate([[0.0], self.shares[judged]])
        return values[np.searchsorted(self.spent_s, seconds, side="right")]


class Judge:
    """Judges fronts of a table's networks.

    By ``seeds`` the accuracy of a network is its mean over all seeds on the validation images, by
    ``test`` the same on the test images, which chose nothing. ``seen`` is what the search saw
    itself: chance that it took for quality counts as quality.
    """

    def __init__(self, benchmark: Benchmark) -> None:
        self.benchmark = benchmark
        full, networks = benchmark.full, benchmark.networks
        self.macs = {n.key: float(n.macs) for n in networks}
        self.reference = reference_point(list(self.macs.values()))
        self.accuracies = {
            "seeds": {n.key: benchmark.mean_accuracy(n.key, full) for n in networks},
            "test": {n.key: benchmark.mean_accuracy(n.key, full, test=True) for n in networks},
        }
        self.everything_s = sum(benchmark.seconds(n.key, full) for n in networks)
        self.best = {name: self._volume(found) for name, found in self.accuracies.items()}

    def trajectory(self, finished: Sequence[Finished], replicates: Mapping[str, int]) -> Trajectory:
        """The shares of a search after each training with the longest schedule.

        Args:
            replicates: of the trainings that the search would see of all networks, by their keys.
        """
        seen = {
            key: self.benchmark.trainings[key, self.benchmark.full, replicate].accuracy or 0.0
            for key, replicate in replicates.items()
        }
        best = self.best | {"seen": self._volume(seen)}
        answer, spent_s = dict[str, float](), list[float]()
        shares: dict[str, list[float]] = {name: [] for name in best}
        for end in finished:
            if end.job.epochs != self.benchmark.full or end.accuracy is None:
                continue
            key = end.job.key
            answer = self._front(answer | {key: max(end.accuracy, answer.get(key, 0.0))})
            spent_s.append(end.spent_s)
            shares["seen"].append(self._volume(answer) / best["seen"])
            for name, accuracies in self.accuracies.items():
                shares[name].append(self._volume({k: accuracies[k] for k in answer}) / best[name])
        return Trajectory(np.array(spent_s), {name: np.array(s) for name, s in shares.items()})

    def _points(self, accuracies: Mapping[str, float]) -> list[tuple[float, float]]:
        return [(accuracy, self.macs[key]) for key, accuracy in accuracies.items()]

    def _front(self, accuracies: Mapping[str, float]) -> dict[str, float]:
        keys = list(accuracies)
        front = pareto_front(self._points(accuracies))
        return {keys[index]: accuracies[keys[index]] for index in front}

    def _volume(self, accuracies: Mapping[str, float]) -> float:
        return hypervolume(self._points(accuracies), self.reference)


def trajectory_of(judge: Judge, contender: Contender, seed: int) -> Trajectory:
    """One search, from its start until everything could have been trained in the same time."""
    benchmark = judge.benchmark
    rng = np.random.default_rng(seed)
    replicates = {n.key: int(rng.integers(benchmark.extent.seeds)) for n in benchmark.networks}
    with tempfile.TemporaryDirectory(prefix="nas-quality-") as folder:
        search = contender.start(benchmark, Path(folder), seed)
        with closing(search):
            finished = simulate(
                benchmark, search, contender.workers, replicates, judge.everything_s
            )
    return judge.trajectory(finished, replicates)


def interval_of(
    statistic: Callable[[NDArray[np.intp]], NDArray[np.float64]], repeats: int
) -> tuple[float, float, float]:
    """A statistic of repeats, with its 95% bootstrap interval.

    Args:
        statistic: of the repeats with these indices (..., repeats), not negative. Where it is not a
            number in a draw it may be any: that widens the interval on both sides.
    """
    drawn = np.random.default_rng(0).integers(0, repeats, (DRAWS, repeats))
    draws = statistic(drawn)
    unknown = np.isnan(draws)
    # Infinite where a median is of searches that never got there: nothing to interpolate between.
    low, high = (
        float(np.quantile(np.where(unknown, extreme, draws), q, method="closest_observation"))
        for q, extreme in ((0.025, 0.0), (0.975, np.inf))
    )
    return float(statistic(np.arange(repeats))), low, high


def add_row(
    table: Table, name: str, times: NDArray[np.float64], against: NDArray[np.float64]
) -> None:
    """Median time of the repeats, and the default search's as a multiple of it.

    Repeats of both with the same number saw the same seeds, and are drawn together. Where half of
    either never got there nothing is known of how much faster one of them is.
    """
    repeats = len(times)
    minutes = interval_of(lambda drawn: _median(times[drawn]) / 60, repeats)
    ratio = "-"
    if times is against:
        ratio = "1"
    elif np.isfinite([_median(times), _median(against)]).all():
        found = interval_of(lambda drawn: _ratio(against[drawn], times[drawn]), repeats)
        ratio = "{:.2f} ({:.2f} to {:.2f})".format(*found)
    table.add_row(
        name,
        "{:.1f} ({:.1f} to {:.1f})".format(*minutes),
        f"{np.isfinite(times).sum()} of {repeats}",
        ratio,
    )


def _median(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the last axis: the lower of the two in the middle, for one of them may be infinite."""
    middle: NDArray[np.float64] = np.sort(times, axis=-1)[..., (times.shape[-1] - 1) // 2]
    return middle


def _ratio(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of medians of the last axis; not a number where both are infinite."""
    with np.errstate(invalid="ignore"):
        return _median(first) / _median(second)


JUDGED = {
    "seeds": "judged on validation images, by the mean over seeds",
    "test": "judged on test images, by the mean over seeds",
    "seen": "judged by what the search saw itself",
}


CAPTION = "intervals are of the repeats on this one table, not of other seeds of its trainings"

AGAIN = {contender.name for contender in CONTENDERS if contender.again}
"""What they saw of a network is the best of several trainings, more than there is to see in one."""


@functools.cache  # once in each process
def judge_of(benchmark: str) -> Judge:
    """The judge of a table that is complete.

    Raises:
        InputError: it is not.
    """
    table = load_benchmark(benchmark)
    if table.missing:
        raise InputError.of("--benchmark", f"every training is needed; there is {table!r}")
    return Judge(table)


def run(benchmark: str, name: str, seed: int) -> Trajectory:
    """One search of the contender of this name, in a process of the pool."""
    quiet_optuna()
    (contender,) = (contender for contender in CONTENDERS if contender.name == name)
    return trajectory_of(judge_of(benchmark), contender, seed)


def main(
    benchmark: Annotated[
        str, typer.Option(help="Folder of the table, or its name under studies/.")
    ] = "spectrum-bench",
    repeats: Annotated[int, typer.Option(min=2, help="Searches of each kind.")] = 100,
    share: Annotated[
        float, typer.Option(min=0.5, max=1, help="Of the best hypervolume, to be reached.")
    ] = SHARE,
    figure: Annotated[Path | None, typer.Option(help="Where the figure is written.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Searches at once.")] = 2,
) -> None:
    """Print the training time that each kind of search needs, and draw how its answer grows."""
    console = Console(width=110)
    with cli_errors():
        judge = judge_of(benchmark)
    names = [contender.name for contender in CONTENDERS]
    with ProcessPoolExecutor(processes, get_context("spawn"), end_with_parent) as pool:
        futures = {
            name: [pool.submit(run, benchmark, name, seed) for seed in range(repeats)]
            for name in names
        }
        found = {
            name: [future.result() for future in track(futures[name], name, console=console)]
            for name in names
        }
    for judged, words in JUDGED.items():
        console.print(
            table_of(found, judged, f"to {share:.0%} of the best hypervolume, {words}", share)
        )
    environment = describe_environment()
    console.print(f"{judge.benchmark!r}; {environment['processor']}, {environment['date']}")
    if figure is not None:
        search_figure.write(search_figure.draw(*curves_of(judge, found)), figure)


def curves_of(
    judge: Judge, found: Mapping[str, Sequence[Trajectory]]
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """Minutes, and the shares of all repeats at these, judged by the mean over all seeds."""
    seconds = np.geomspace(judge.everything_s / 200, judge.everything_s, 200)
    return seconds / 60, {
        name: np.array([run.at(seconds, "seeds") for run in runs]) for name, runs in found.items()
    }


def table_of(
    found: Mapping[str, Sequence[Trajectory]], judged: str, title: str, share: float
) -> Table:
    """A row for each kind of search."""
    table = Table(title=f"Minutes of training {title}", caption=CAPTION)
    for heading in ("search", "median (95%)", "reached", "the default's, as a multiple (95%)"):
        table.add_column(heading, justify="left" if heading == "search" else "right")
    times = {
        name: np.array([run.time_to(share, judged) for run in runs])
        for name, runs in found.items()
        if judged != "seen" or name not in AGAIN
    }
    for name, seconds in times.items():
        add_row(table, name, seconds, times[DEFAULT.name])
    return table


if __name__ == "__main__":
    typer.run(main)
