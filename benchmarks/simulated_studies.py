"""Accuracies of studies that were never trained: what is true of their arms, and their noise.

Every case is one that a test of means may fail on: unequal noise, heavy tails, skew, collapses,
seeds that are no independent draws, trainings that fail, accuracies on few images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal, stats

LEVEL = 0.7
CHANCE = 0.1
"""What a training that fails scores."""

Draw = Callable[[np.random.Generator, tuple[int, int], int], NDArray[np.float64]]
"""Errors (arms, seeds) in standard deviations of a training; given which arm is the odd one."""


@dataclass(frozen=True)
class Noise:
    """How trainings differ from their arm's mean.

    Attributes:
        fails: probability that a training fails: of every arm, and of the odd one.
        images: that accuracies are measured on; 0 where they are no fractions of a few.
        at_end: whether the odd arm is an end; otherwise it is the best interior one.
    """

    name: str
    draw: Draw
    fails: tuple[float, float] = (0.0, 0.0)
    images: int = 0
    at_end: bool = False


def _normal(rng: np.random.Generator, shape: tuple[int, int], _odd: int) -> NDArray[np.float64]:
    return rng.normal(size=shape)


def _louder(rng: np.random.Generator, shape: tuple[int, int], odd: int) -> NDArray[np.float64]:
    errors = rng.normal(size=shape)
    errors[odd] *= 3
    return errors


def _student(freedom: int) -> Draw:
    # The quartiles of a normal distribution: of few degrees of freedom there is no variance.
    scale = stats.norm.ppf(0.75) / stats.t.ppf(0.75, freedom)
    return lambda rng, shape, _odd: scale * rng.standard_t(freedom, shape)


def _skewed(sign: int) -> Draw:
    return lambda rng, shape, _odd: sign * (rng.standard_exponential(shape) - 1)


COLLAPSE, COLLAPSES = 7.5, 0.1
"""How deep an arm falls in one training of ten, in standard deviations: 5 points of 0.67."""


def _collapsing(all_arms: bool) -> Draw:
    def draw(rng: np.random.Generator, shape: tuple[int, int], odd: int) -> NDArray[np.float64]:
        errors = rng.normal(size=shape)
        arms = slice(None) if all_arms else slice(odd, odd + 1)
        collapses = rng.random(shape)[arms] < COLLAPSES
        errors[arms] += COLLAPSE * (COLLAPSES - collapses)  # the mean stays
        return errors

    return draw


def _correlated(correlation: float) -> Draw:
    def draw(rng: np.random.Generator, shape: tuple[int, int], _odd: int) -> NDArray[np.float64]:
        fresh = rng.normal(size=(shape[0], shape[1] + 50)) * np.sqrt(1 - correlation**2)
        found: NDArray[np.float64] = signal.lfilter([1], [1, -correlation], fresh)[:, 50:]
        return found

    return draw


def _in_blocks(rng: np.random.Generator, shape: tuple[int, int], _odd: int) -> NDArray[np.float64]:
    """Every four seeds something is different for all arms, as another machine is."""
    blocks = np.repeat(rng.normal(size=-(-shape[1] // 4)), 4)[: shape[1]]
    return rng.normal(size=shape) + blocks


NOISES = (
    Noise("normal", _normal),
    Noise("best interior arm 3x noisier", _louder),
    Noise("best end 3x noisier", _louder, at_end=True),
    Noise("Student, 3 degrees of freedom", _student(3)),
    Noise("Student, 2 degrees of freedom", _student(2)),
    Noise("Cauchy", _student(1)),
    Noise("skewed to the better", _skewed(1)),
    Noise("skewed to the worse", _skewed(-1)),
    Noise("best interior arm collapses in 1 of 10", _collapsing(all_arms=False)),
    Noise("every arm collapses in 1 of 10", _collapsing(all_arms=True)),
    Noise("seeds correlated by 0.3", _correlated(0.3)),
    Noise("seeds correlated by 0.6", _correlated(0.6)),
    Noise("blocks of four seeds", _in_blocks),
    Noise("1 of 50 trainings fails", _normal, fails=(0.02, 0.02)),
    Noise("best interior arm fails in 1 of 50", _normal, fails=(0.0, 0.02)),
    Noise("accuracy on 287 images", _normal, images=287),
)


@dataclass(frozen=True)
class Truth:
    """What is true of a study's arms.

    Attributes:
        advantage: of the best interior arm over the best end, as a fraction.
        effects: (arms,) added to the level; interior arms first.
    """

    name: str
    advantage: float
    effects: NDArray[np.float64]

    def is_wrong(self, outcome: str, delta: float) -> bool:
        """Whether a verdict, or an outcome of a race beside it, must not be said of it."""
        match outcome:
            case "supported" | "wins by more than delta":
                return self.advantage <= delta
            case "refuted" | "no win by delta":
                return self.advantage >= delta
            case "wins":
                return self.advantage <= 0
            case "ends win":
                return self.advantage >= 0
            case "equivalent within delta":
                return abs(self.advantage) >= delta
            case "inconclusive" | "open" | "void":
                return False
        raise ValueError(f"no outcome: {outcome}")


def truths(interior: int, ends: int, delta: float) -> tuple[Truth, ...]:
    """Arms that are equal, a smooth peak, one that is better, ends that are; the hardest cases.

    The best interior arm is the middle one, the best end the first.
    """
    middle = interior // 2
    position = (np.arange(interior) + 1) / (interior + 1)
    peak = 1 - ((position - position[middle]) / max(position)) ** 2
    found = [_truth("all arms are equal", 0.0, np.zeros(interior), ends)]
    for multiple in (1, 2):
        height = multiple * delta
        one = np.zeros(interior)
        one[middle] = height
        found += [
            _truth(f"a smooth peak of {multiple} delta", height, height * peak, ends),
            _truth(f"one interior arm better by {multiple} delta", height, one, ends),
            _truth(f"ends better by {multiple} delta", -height, np.full(interior, -height), ends),
        ]
    alone = np.full(interior, -0.1)
    alone[middle] = delta
    found.append(
        _truth("one better by delta, all others but an end far behind", delta, alone, ends)
    )
    found[-1].effects[interior + 1 :] = -0.1
    return tuple(found)


def _truth(name: str, advantage: float, interior: NDArray[np.float64], ends: int) -> Truth:
    return Truth(name, advantage, np.concatenate([interior, np.zeros(ends)]))


@dataclass(frozen=True)
class SimulatedStudies:
    """Studies with the same arms, truth and noise.

    Attributes:
        deviation: of a training, as a fraction.
        seeds: of each arm.
    """

    interior: int
    ends: int
    truth: Truth
    noise: Noise
    deviation: float
    seeds: int

    @property
    def arms(self) -> tuple[str, ...]:
        """Names, interior ones first."""
        interior = tuple(f"interior {k}" for k in range(self.interior))
        return (*interior, *(f"end {k}" for k in range(self.ends)))

    def draw(
        self, rng: np.random.Generator
    ) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.bool_]]]:
        """One study: scores (seeds,) of each arm, and which of its trainings have failed.

        A training that fails scores at chance, and the mean of its arm is what the truth says all
        the same: what an arm is worth includes that it fails.
        """
        arms = self.arms
        odd = self.interior if self.noise.at_end else self.interior // 2
        errors = self.noise.draw(rng, (len(arms), self.seeds), odd)
        rates = np.full((len(arms), 1), self.noise.fails[0])
        rates[odd] = self.noise.fails[1]
        wanted = LEVEL + self.truth.effects[:, None]
        come_through = (wanted - rates * CHANCE) / (1 - rates)
        failed = rng.random(errors.shape) < rates
        scores = np.where(failed, CHANCE, come_through + self.deviation * errors)
        if self.noise.images:
            scores = np.round(scores * self.noise.images) / self.noise.images
        return dict(zip(arms, scores, strict=True)), dict(zip(arms, failed, strict=True))
