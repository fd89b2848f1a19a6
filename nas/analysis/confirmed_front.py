"""What a search has found by its fresh seeds: which points are on the front, and how surely."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from math import isinf, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nas.statistics.front_probability import OtherImages, front_probabilities
from nas.statistics.proportion import share_deviation
from nas.study.fresh_images import FreshImages
from nas.study.records import Records
from nas.study.trial_record import TrialRecord

CALLED_FRONT = 0.9
"""P(on the front) from which on a point is called so. Of those that are called so in searches drawn
from the table of `benchmarks/front_truth.py` more than four in five are on it."""

POSSIBLE = 0.05
"""P(on the front) below which a point that is not on the measured front is not shown as one."""

CONFIDENCE = 0.95

Place = Literal["front", "may be on the front", "hardly on the front"]


@dataclass(frozen=True)
class ConfirmedPoint:
    """A trial of a search by its fresh seeds.

    Attributes:
        trial: with the means of the fresh seeds.
        low, high: interval of the mean of what is maximized over seeds. Where these are judged on
            different images, without what those do to all networks alike.
        probability: of being on the front of all trials of the search, or of the confirmed ones of
            a warm search: that none of at most its costs is better by more than one image that
            judges, for what is within one is a tie.
        is_measured: whether no other dominates it by these means.
        ties: trials whose accuracy is within one image that judges of this one's.
    """

    trial: TrialRecord
    low: float
    high: float
    probability: float
    is_measured: bool
    ties: tuple[int, ...]

    @property
    def place(self) -> Place:
        """What it is called."""
        if self.probability >= CALLED_FRONT:
            return "front"
        possible = self.is_measured or self.probability >= POSSIBLE
        return "may be on the front" if possible else "hardly on the front"


@dataclass(frozen=True)
class ConfirmedFront:
    """All confirmed trials of a search, cheapest first.

    Attributes:
        seeds: fresh ones of each.
        noise: standard deviation of one training.
        freedom: degrees of freedom that the noise was found with; infinite where it is that of a
            share of so many images, for one seed tells nothing of it.
        images: that they were judged on.
        tie: what one of these images is of an accuracy.
        searched: trials of the search.
        lacking: trials that failed with a fresh seed.
        is_warm: whether the search's own trainings began with slices of a shared network. Fresh
            seeds did not, so nothing that they gave is compared with what those gave.
    """

    points: tuple[ConfirmedPoint, ...]
    seeds: int
    noise: float
    freedom: float
    images: FreshImages
    tie: float
    searched: int
    lacking: tuple[str, ...]
    is_warm: bool = False

    @classmethod
    def of(cls, records: Records) -> ConfirmedFront | None:
        """What fresh seeds say of a search; None where it is not confirmed."""
        trials, again = records.confirmed, records.confirmation
        if not trials or again is None:
            return None
        images, seeds = records.fresh_images, again.file.fresh_seeds
        noise, freedom = _noise(records, {trial.architecture.key for trial in trials})
        factor = stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * noise
        is_warm = records.file.study.warm is not None
        probability = _of_fresh(records, noise) if is_warm else _of_all(records, noise)
        measured = {trial.number for trial in records.front}
        points = [
            ConfirmedPoint(
                trial,
                max(0.0, trial.values[0] - factor / sqrt(len(trial.seeds))),
                min(1.0, trial.values[0] + factor / sqrt(len(trial.seeds))),
                probability[trial.number],
                trial.number in measured,
                tuple(other.number for other in trials if records.is_tie(trial, other)),
            )
            for trial in trials
        ]
        kept = {f"trial {trial.number}" for trial in trials}
        lacking = tuple(arm.name for arm in again.arms if arm.name not in kept)
        in_order = sorted(points, key=lambda p: (p.trial.values[1:], -p.trial.values[0]))
        count = len(records.complete)
        known = noise, freedom, images, records.tie
        return cls(tuple(in_order), seeds, *known, count, lacking, is_warm)

    @property
    def difference(self) -> float:
        """Least significant difference of two means: equal networks differ by less, in 95%."""
        quantile = stats.t.ppf((1 + CONFIDENCE) / 2, self.freedom)
        return float(quantile * self.noise * sqrt(2 / self.seeds))

    @property
    def is_of_images(self) -> bool:
        """Whether the noise is not that of the seeds, which are too few."""
        return isinf(self.freedom)

    def of_place(self, place: Place) -> tuple[ConfirmedPoint, ...]:
        """The points that are called so."""
        return tuple(point for point in self.points if point.place == place)

    def point(self, trial: int) -> ConfirmedPoint | None:
        """That of a trial; None where it was not confirmed."""
        return next((point for point in self.points if point.trial.number == trial), None)


def _noise(records: Records, keys: Collection[str]) -> tuple[float, float]:
    """Standard deviation of one training, pooled over the networks, and its degrees of freedom.

    Of what is left of the accuracies by networks or, where seeds are judged on different images, by
    networks and images, without what images do to all networks alike.
    """
    assert records.confirmation is not None
    of_networks = [
        trial
        for trial in records.confirmation.trials
        if trial.state == "complete" and trial.architecture.key in keys
    ]
    values = np.array([trial.values[0] for trial in of_networks])
    alike = _alike([trial.architecture.key for trial in of_networks])
    if records.fresh_images.folds:
        alike = np.hstack([alike, _alike([trial.fold for trial in of_networks])])
    fitted, _, rank, _ = np.linalg.lstsq(alike, values, rcond=None)
    freedom = len(values) - int(rank)
    if freedom:
        return sqrt(float(((values - alike @ fitted) ** 2).sum()) / freedom), freedom
    images = records.fresh_images.of_seed[0]
    return share_deviation(float(values.mean()), images), float("inf")


def _alike(groups: Sequence[Hashable]) -> NDArray[np.float64]:
    """A column for each group: which of the rows are in it."""
    columns = list(dict.fromkeys(groups))
    return np.array([[group == column for column in columns] for group in groups], dtype=np.float64)


def _of_fresh(records: Records, noise: float) -> dict[int, float]:
    """P(on the front of the confirmed trials) by trial, of their fresh trainings alone."""
    trials = records.confirmed
    costs = [trial.values[1:] or (1.0,) for trial in trials]
    errors = [noise / sqrt(len(trial.seeds)) for trial in trials]
    found = front_probabilities([t.values[0] for t in trials], errors, costs, records.tie)
    return {trial.number: float(p) for trial, p in zip(trials, found, strict=True)}


def _of_all(records: Records, noise: float) -> dict[int, float]:
    """P(on the front) by trial, of all trainings of all trials: the search's and the fresh ones."""
    confirmed = {trial.number: trial for trial in records.confirmed}
    means, counts, fresh, costs, differences, errors = [], [], [], [], [], []
    for trial in records.complete:
        count, total = len(trial.seeds), trial.values[0] * len(trial.seeds)
        again = confirmed.get(trial.number)
        if again is not None:
            differences.append(again.values[0] - trial.values[0])
            errors.append(noise * sqrt(1 / count + 1 / len(again.seeds)))
            count, total = count + len(again.seeds), total + again.values[0] * len(again.seeds)
        means.append(total / count)
        counts.append(count)
        fresh.append(len(again.seeds) if again is not None else 0)
        costs.append(trial.values[1:] or (1.0,))
    share = np.array(fresh) / np.array(counts)
    folds = records.fresh_images.folds
    other = OtherImages.of(share, differences, errors) if folds else None
    spread = noise / np.sqrt(counts)
    found = front_probabilities(means, spread, costs, records.tie, other=other)
    return {trial.number: float(p) for trial, p in zip(records.complete, found, strict=True)}
