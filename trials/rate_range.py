"""A learning-rate range test: by how much a network learns at each rate, from very low to high.

Smith 2015, "Cyclical Learning Rates for Training Neural Networks" (arXiv:1506.01186), section 3.3,
with the rates rising exponentially and the loss smoothed, as in fastai's ``lr_find``. How many
steps, from where to where, and how far the loss is smoothed are ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from trials.accelerated import Accelerate, accelerated
from trials.graph import Replayed
from trials.recipe import Recipe
from trials.resumable import read_ahead
from trials.step import Step
from trials.train import Diverged, Resident, prepare

LOWEST, HIGHEST = 1e-6, 10.0
STEPS = 400
"""From the lowest rate to the highest: 57 to each factor of ten."""

SMOOTHING = 0.95
"""Share of the smoothed loss that is kept at each step; it follows the loss 19 steps late, and a
third of a factor of ten."""

LEFT_OUT = 40
"""First steps, whose rates change nothing: their losses say how much those of batches differ."""

SEVERAL = 4.0
"""Times the lowest smoothed loss, above which the test ends: as in fastai."""

Counted = Callable[[Iterator[float], int], Iterator[float]]


@dataclass(frozen=True)
class RateRange:
    """What a range test has found.

    Attributes:
        losses: of each mini-batch, before the step at the rate of the same place; all finite.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def smoothed(self) -> tuple[float, ...]:
        """Exponential means of the losses up to each, corrected for beginning at none."""
        mean, found = 0.0, list[float]()
        for step, loss in enumerate(self.losses, start=1):
            mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
            found.append(mean / (1 - SMOOTHING**step))
        return tuple(found)

    @property
    def lowest(self) -> float | None:
        """The rate of the lowest smoothed loss; None where no rate has lowered the loss."""
        place = self._lowest_place()
        return None if place is None else self.rates[place]

    @property
    def steepest(self) -> float | None:
        """The rate up to the lowest loss at which it falls fastest, over the rate's logarithm."""
        place = self._lowest_place()
        if place is None:
            return None
        slopes = np.gradient(self.smoothed, np.log(self.rates))
        return self.rates[LEFT_OUT + int(np.argmin(slopes[LEFT_OUT : place + 1]))]

    def _lowest_place(self) -> int | None:
        """Below the losses of the first steps by more than twice the deviation among them."""
        first, counted = self.losses[:LEFT_OUT], self.smoothed[LEFT_OUT:]
        if not counted or min(counted) >= np.mean(first) - 2 * np.std(first):
            return None
        return LEFT_OUT + int(np.argmin(counted))


def rising_rates() -> tuple[float, ...]:
    """One for each step, each the same multiple of the one before."""
    return tuple(float(rate) for rate in np.geomspace(LOWEST, HIGHEST, STEPS))


def range_test(
    network: nn.Module,
    data: Resident,
    recipe: Recipe,
    seed: int,
    accelerate: Accelerate | None = None,
    counted: Counted = lambda losses, _count: losses,
) -> RateRange:
    """Train a network in place by a recipe, with rates that rise in place of the recipe's.

    The order of the images and their augmentation are those that a training with the seed begins
    with. It ends with the highest rate, or where the loss is several times its lowest or not
    finite.

    Args:
        network: images (N, C, H, W) to logits (N, classes).
        counted: passes the losses on, of which there are so many at most.

    Raises:
        Diverged: the loss of the first mini-batch is not finite.
        Unsupported: the device has no arithmetic in the recipe's precision.
    """
    recipe = replace(recipe, polyak=0.0)  # an average changes no training, and is not evaluated
    prepare(network, data, recipe)
    step = Step(accelerated(network, data.device, recipe, accelerate), data.train, recipe, (seed,))
    rates, found = rising_rates(), RateRange((), ())
    with data.lock.training(), Replayed(step) as run:
        for loss in counted(_losses(step, run, rates, seed), len(rates)):
            if not math.isfinite(loss):
                break
            losses = (*found.losses, loss)
            found = RateRange(rates[: len(losses)], losses)
            if found.smoothed[-1] > SEVERAL * min(found.smoothed):
                break
    if not found.losses:
        raise Diverged(f"loss {loss} of the first images, before any step")
    return found


def _losses(step: Step, run: Replayed, rates: tuple[float, ...], seed: int) -> Iterator[float]:
    """Of each mini-batch, epoch after epoch; the device is waited for."""
    for epoch, first in enumerate(range(0, len(rates), step.count)):
        some = rates[first : first + step.count]
        step.begin_epoch([*some, *[some[-1]] * (step.count - len(some))])
        read_ahead(step, seed, epoch, slice(0, len(some)))
        for _ in some:
            step.split.before_batch()
            step.losses.zero_()
            run()
            yield float(step.losses)
