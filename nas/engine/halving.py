"""Successive halving over whole trainings: which trial is to be trained for longer.

A rung is a number of epochs, and a training at it is a whole schedule, annealed to its own end:
nothing is continued. A trial begins at the lowest rung; of each rung the best ``1/reduction`` are
trained again at the next one. No rung is waited for (Li et al. 2020, ASHA, algorithm 2): whenever a
worker is free, a trial that is among the best of its rung *so far* is promoted, from the highest
rung that has one, and a new trial begins where there is none. The best are those of the first
fronts, and within a front those with the largest hypervolume contributions (as in the
multi-objective ASHA of Schmucker et al. 2021, with contributions in place of its epsilon-net).

Unlike there, no more than the share of a rung is promoted while new trials begin: a front moves
with each better trial, and all that were on it for a while are up to three times as many. Once no
trial will begin any more, what is then among the best is promoted, too.

Nothing here trains, writes or imports Ray or Optuna, so that a search can be simulated on a table
of results::

    halving = Halving(rungs=(2, 6, 18), reduction=3)
    new = itertools.count()
    while spent < budget:  # with `closing` once there are no new ones
        trial, rung = halving.next_promotion() or (next(new), 0)
        halving.start(trial, rung)
        epochs = halving.rungs[rung]
        spent += seconds(trial, epochs)
        halving.record(trial, rung, (accuracy(trial, epochs), macs(trial)))

Several workers call `start` for each before `record` is called for the first.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from nas.statistics.pareto import nondominated_order


class Promotion(NamedTuple):
    """A trial, and the rung, counted from zero, that it is to be trained at."""

    trial: int
    rung: int


class Halving:
    """The rungs of a search, with the results that each has.

    Args:
        rungs: epochs of a training at each, increasing.
        reduction: of so many trials at a rung one is promoted to the next.
    """

    def __init__(self, rungs: Sequence[int], reduction: int) -> None:
        self.rungs, self.reduction = tuple(rungs), reduction
        self.results: list[dict[int, tuple[float, ...]]] = [{} for _ in self.rungs]
        self.entered: list[set[int]] = [set() for _ in self.rungs]
        self.running: dict[int, int] = {}  # rung by trial
        self._orders: list[tuple[int, ...] | None] = [()] * len(self.rungs)

    @property
    def top(self) -> int:
        """The last rung, whose results are those of the search."""
        return len(self.rungs) - 1

    def start(self, trial: int, rung: int) -> None:
        """A trial is being trained at a rung."""
        self.entered[rung].add(trial)
        self.running[trial] = rung

    def record(self, trial: int, rung: int, values: Sequence[float]) -> None:
        """What a training gave.

        Args:
            values: of the objectives: the first is maximized, the others are minimized.
        """
        self.entered[rung].add(trial)
        self.running.pop(trial, None)
        self.results[rung][trial] = tuple(values)
        self._orders[rung] = None

    def drop(self, trial: int) -> None:
        """A training came to nothing: its trial goes no further, and keeps its earlier results."""
        self.running.pop(trial, None)

    def reached(self, trial: int) -> int:
        """The highest rung at which a trial has a result; -1 where it has none."""
        return max((rung for rung, of in enumerate(self.results) if trial in of), default=-1)

    def next_promotion(self, closing: bool = False, highest: int | None = None) -> Promotion | None:
        """The trial to promote now, or nothing: it is time for a new trial, or to wait.

        Args:
            closing: no trial will begin any more. Then all of the best are promoted, and a rung
                that is too small for its share to be a whole trial promotes its best one, once
                nothing runs: a search ends with a result.
            highest: rung to promote to, where time is short; the last unless given.
        """
        most = self.top if highest is None else highest
        for rung in reversed(range(most)):
            if not closing and len(self.entered[rung + 1]) >= self._share(rung):
                continue
            for trial in self._best(rung):
                if trial not in self.entered[rung + 1]:
                    return Promotion(trial, rung + 1)
        if closing and not self.running:
            hope = self.hope()
            return hope if hope is not None and hope.rung <= most else None
        return None

    def epochs_to_close(self, workers: int, queued: Sequence[int] = (), new: int = 0) -> int:
        """Epochs that promotions take once no trial will begin any more, about.

        Rung after rung, as if each waited for all of the one below, and as if the trials that have
        no result at a rung yet made its share larger, but no other the best.

        Args:
            workers: that train at once.
            queued: rungs that trials wait to be trained at.
            new: trials that would begin before.
        """
        unfinished, waiting = Counter([*self.running.values(), *queued]), Counter(queued)
        epochs, promoted = 0, new
        for rung in range(self.top):
            share = (len(self.results[rung]) + unfinished[rung] + promoted) // self.reduction
            has_trials = unfinished[rung] or promoted or self.results[rung]
            missed = sum(trial not in self.entered[rung + 1] for trial in self._best(rung))
            promoted = share - self._share(rung) + missed
            if has_trials and not (promoted or self.results[rung + 1] or unfinished[rung + 1]):
                promoted = 1  # the only hope
            trainings = promoted + waiting[rung + 1]
            epochs += math.ceil(trainings / workers) * self.rungs[rung + 1]
        return epochs

    def hope(self) -> Promotion | None:
        """The best trial below the lowest rung without results; nothing where all have some."""
        for rung in range(self.top):
            if self.results[rung] and not self.results[rung + 1]:
                rest = self.results[rung].keys() - self.entered[rung + 1]
                order = self._order(rung, len(self.results[rung]))
                best = next((trial for trial in order if trial in rest), None)
                return None if best is None else Promotion(best, rung + 1)
        return None

    def _best(self, rung: int) -> tuple[int, ...]:
        """The trials of a rung that may be promoted, best first."""
        found = self._orders[rung]
        if found is None:
            found = self._order(rung, self._share(rung))
            self._orders[rung] = found
        return found

    def _share(self, rung: int) -> int:
        """How many of a rung's trials are its best."""
        return len(self.results[rung]) // self.reduction

    def _order(self, rung: int, count: int) -> tuple[int, ...]:
        results = self.results[rung]
        trials = sorted(results)  # so that it does not matter in which order results came
        order = nondominated_order([results[trial] for trial in trials], count)
        return tuple(trials[place] for place in order)
