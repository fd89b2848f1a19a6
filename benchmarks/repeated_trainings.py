"""Whether a search gains where its sampler's repeated proposals are trained again.

    python benchmarks/repeated_trainings.py

On a table of all trainings of a space (`studies/spectrum-bench`), so that nothing is trained. A
sampler that proposes a known network again gets a neighbour of it (*once*, as the engine does), or
where no cheaper one was better so far has it trained with a second seed and then knows its mean
(*again*). Both are compared at equal numbers of trainings, and with a search that spends the last
third of them on second seeds of what may be on its front (*then confirmed*).

What a search has *found* is the hypervolume of all networks that it has trained by their means over
all seeds, as a share of the best; its *answer* is the front of the means that it saw itself, judged
on the test images by the third seed, which it never sees.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from statistics import fmean
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState, create_trial

from child_processes import end_with_parent
from nas.api.benchmark import Benchmark, load_benchmark
from nas.architecture.specification import ArchitectureError
from nas.cli import cli_errors
from nas.engine.new_trials import REJECTIONS, REPEATS
from nas.engine.proposal import Proposal
from nas.engine.proposers import make_proposer
from nas.engine.terminal import console, plain_table, print_table
from nas.space.load import build_space
from nas.space.yaml_document import Document
from nas.statistics.pareto import hypervolume, pareto_front, reference_point
from nas.statistics.proportion import share_deviation
from nas.study.confirmation import likely_rows
from nas.study.storage import quiet_optuna

TRAININGS = (32, 48, 64, 96)
WAYS = ("once", "again", "then confirmed")
IMAGES = 800
"""That validate, of the table."""


@dataclass
class Search:
    """One search, a training after the other.

    Attributes:
        name: of the table.
        order: in which the seeds of each network are drawn, by its key.
        seen: accuracies of each network so far.
        known: the first proposal of each.
    """

    name: str
    sampler: str
    seed: int
    repeats: bool
    seen: dict[str, list[float]] = field(default_factory=dict)
    known: dict[str, Proposal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.table = table_of(self.name)
        document = Document("a benchmark's space", dict(self.table.space.document.value))
        document.value["study"] = {"sampler": self.sampler, "seed": self.seed}
        self.proposer = make_proposer(build_space(document), self.seed, ())
        rng, seeds = np.random.default_rng(self.seed), self.table.extent.seeds
        self.order = {n.key: rng.permutation(seeds) for n in self.table.networks}
        self.macs = {n.key: float(n.macs) for n in self.table.networks}

    def accuracy(self, key: str, replicate: int, test: bool = False) -> float:
        """Of a network with one of its seeds, in their order; 0 where that failed."""
        which = int(self.order[key][replicate])
        training = self.table.trainings[key, self.table.full, which]
        return (training.test_accuracy if test else training.accuracy) or 0.0

    def train_next(self) -> None:
        """Train what the sampler proposes, for the first or a second time."""
        proposal = self._proposal()
        key = proposal.architecture.key
        if key in self.seen:
            self.proposer.tell(proposal.ticket, None)
            self.seen[key].append(self.accuracy(key, 1))
            self.proposer.relearn([self._finished(each) for each in self.seen])
        else:
            self.known[key], self.seen[key] = proposal, [self.accuracy(key, 0)]
            self.proposer.tell(proposal.ticket, (self.seen[key][0], self.macs[key]))

    def _proposal(self) -> Proposal:
        """As `nas.engine.new_trials` takes one, but for what is to be trained again."""
        repeated, seen = 0, set(self.seen)
        for _ in range(REJECTIONS):
            try:
                proposal = self.proposer.propose()
            except ArchitectureError:
                continue
            assert proposal is not None
            if proposal.architecture.key not in seen or self._is_promising(proposal):
                return proposal
            self.proposer.tell(proposal.ticket, None)
            repeated += 1
            if repeated == REPEATS and (near := self.proposer.propose_near(proposal, seen)):
                return near
        other = self.proposer.propose_unseen(seen)
        assert other is not None, "the table has more networks than a search trains"
        return other

    def _is_promising(self, proposal: Proposal) -> bool:
        """Whether a known network has one training, and no cheaper one was better."""
        key = proposal.architecture.key
        if not self.repeats or len(self.seen[key]) > 1:
            return False
        rivals = (fmean(v) for k, v in self.seen.items() if self.macs[k] <= self.macs[key])
        return fmean(self.seen[key]) >= max(rivals)

    def _finished(self, key: str) -> FrozenTrial:
        """What the sampler is to know of a network: the mean of what it gave."""
        proposal = self.known[key]
        return create_trial(
            state=TrialState.COMPLETE,
            params=proposal.params,
            distributions=proposal.distributions,
            system_attrs=proposal.system_attrs,
            values=[fmean(self.seen[key]), self.macs[key]],
        )

    def confirmed(self, trainings: int) -> tuple[list[str], list[str]]:
        """Networks of a search of two thirds of so many trainings, and its confirmed front."""
        keys = list(self.seen)[: -(-2 * trainings // 3)]
        once = np.array([self.seen[key][0] for key in keys])
        costs = np.array([self.macs[key] for key in keys])
        rows = likely_rows(once, costs, share_deviation(float(once.mean()), IMAGES))
        again = [keys[row] for row in rows[: trainings - len(keys)]]
        return keys, self.front({k: [self.seen[k][0], self.accuracy(k, 1)] for k in again})

    def front(self, seen: Mapping[str, Sequence[float]]) -> list[str]:
        """By the means of what was seen."""
        keys = list(seen)
        return [keys[i] for i in pareto_front([(fmean(seen[k]), self.macs[k]) for k in keys])]

    def judged(self, networks: Sequence[str], answer: Sequence[str]) -> tuple[float, float]:
        """What was found, and the answer, as shares of the best hypervolumes."""
        means, tested = truths(self.name)
        found = self._volume({k: means[k] for k in networks}) / self._volume(means)
        unseen = {key: self.accuracy(key, 2, test=True) for key in answer}
        return found, self._volume(unseen) / self._volume(tested)

    def _volume(self, accuracies: Mapping[str, float]) -> float:
        points = [(accuracy, self.macs[key]) for key, accuracy in accuracies.items()]
        return hypervolume(points, reference_point(list(self.macs.values())))


@functools.cache
def truths(name: str) -> tuple[dict[str, float], dict[str, float]]:
    """Mean accuracies over all seeds of a table, on validation and on test images."""
    table = table_of(name)
    keys, full = [network.key for network in table.networks], table.full
    return (
        {key: table.mean_accuracy(key, full) for key in keys},
        {key: table.mean_accuracy(key, full, test=True) for key in keys},
    )


@functools.cache  # once in each process
def table_of(name: str) -> Benchmark:
    """The table of this name."""
    quiet_optuna()
    return load_benchmark(name)


def run(benchmark: str, sampler: str, seed: int) -> NDArray[np.float64]:
    """Found and answer of a search with each way (ways, trainings, 2)."""
    once, again = (Search(benchmark, sampler, seed, repeats) for repeats in (False, True))
    rows: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for trainings in range(1, TRAININGS[-1] + 1):
        once.train_next()
        again.train_next()
        if trainings in TRAININGS:
            for way, search in (("once", once), ("again", again)):
                rows[way].append(search.judged(list(search.seen), search.front(search.seen)))
            rows["then confirmed"].append(once.judged(*once.confirmed(trainings)))
    return np.array([rows[way] for way in WAYS])


def _against(first: NDArray[np.float64], second: NDArray[np.float64]) -> str:
    """Mean difference in percent of the best, with the 95% interval over searches."""
    apart = 100 * (first - second)
    half = 1.96 * apart.std(ddof=1) / len(apart) ** 0.5
    return f"{apart.mean():+.2f} ({apart.mean() - half:+.2f} to {apart.mean() + half:+.2f})"


app = typer.Typer()


@app.command()
def main(
    benchmark: Annotated[str, typer.Option(help="Folder of the table, or its name.")] = (
        "spectrum-bench"
    ),
    sampler: Annotated[str, typer.Option(help="As in a file: tpe, nsga2.")] = "tpe",
    searches: Annotated[int, typer.Option(min=2, help="With each way.")] = 60,
    processes: Annotated[int, typer.Option(min=1, help="Searches at once.")] = 2,
) -> None:
    """Compare what searches find and answer at equal numbers of trainings."""
    with (
        cli_errors(),
        ProcessPoolExecutor(processes, get_context("spawn"), end_with_parent) as pool,
    ):
        futures = [pool.submit(run, benchmark, sampler, seed) for seed in range(searches)]
        found = np.array([future.result() for future in futures])  # (searches, ways, trainings, 2)
    once, again, confirmed = np.moveaxis(found, 1, 0)
    shown = plain_table(
        left=("trainings",),
        right=("found: again - once", "answer: again - once", "answer: again - then confirmed"),
    )
    for column, trainings in enumerate(TRAININGS):
        pairs = ((again, once, 0), (again, once, 1), (again, confirmed, 1))
        cells = (_against(a[:, column, which], b[:, column, which]) for a, b, which in pairs)
        shown.add_row(str(trainings), *cells)
    print(f"{sampler}, {searches} searches, in percent of the best hypervolume")
    print_table(shown, console())


if __name__ == "__main__":
    app()
