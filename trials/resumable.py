"""Train one network for long: with checkpoints, from which the same call goes on.

On one CPU, with one number of threads, what comes out is what a training that was never interrupted
gives, bit for bit: the steps, their order and the evaluations are those of `trials.train.train`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from torch import Tensor, nn

from trials.accelerated import Accelerate, Accelerated, accelerated, plain
from trials.checkpoint import Checkpoint, Checkpoints, OtherTraining, Progress
from trials.data.streamed import random_crops
from trials.graph import Replayed
from trials.measure import now
from trials.recipe import Recipe
from trials.share import WHOLE, Share
from trials.step import Step
from trials.train import (
    Epoch,
    Evaluation,
    Resident,
    Training,
    divergence,
    evaluate,
    prepare,
    rates_of,
)
from trials.training_state import OtherState, put_back, state_of


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Watch:
    """What a training is asked and tells meanwhile.

    Attributes:
        asked_to_stop: looked at between two steps.
        after_step: called with the epoch, counted from zero, and how many of its steps are done.
        after_epoch: called with all epochs so far: also with those of before, when it goes on.
    """

    asked_to_stop: Callable[[], bool] = _never
    after_step: Callable[[int, int], None] = lambda _epoch, _steps: None
    after_epoch: Callable[[Sequence[Epoch]], None] = lambda _curve: None


def train_resumably(
    network: nn.Module,
    data: Resident,
    recipe: Recipe,
    seed: int,
    checkpoints: Checkpoints,
    training: Mapping[str, str],
    every_s: float = inf,
    watch: Watch = Watch(),
    accelerate: Accelerate | None = None,
    share: Share = WHOLE,
) -> Training | None:
    """Train a network in place, from its last checkpoint where there is one.

    Args:
        network: images (N, C, H, W) to logits (N, classes), with the weights to begin with.
        training: what decides what comes out, for the checkpoints.
        every_s: seconds between two checkpoints; there is one at the end of each epoch in any case.
        share: of each batch; see `trials.data_parallel`. All processes have to stop at the same
            step, and one has the checkpoints that are written.

    Returns:
        What came out; None where it was asked to stop before, of which there is a checkpoint.

    Raises:
        Diverged: the loss of an epoch is not finite.
        NotWritten, OtherTraining, Damaged: see `trials.checkpoint`.
        Unsupported: the device has no arithmetic in the recipe's precision.
    """
    prepare(network, data, recipe)
    computed = accelerated(network, data.device, recipe, accelerate)
    step = Step(computed, data.train, recipe, (seed,), share)
    run = _Run(step, data, seed, checkpoints, training, every_s, watch)
    run.begin()
    with data.lock.training(share):
        return run.outcome() if run.all_epochs() else None


def read_ahead(step: Step, seed: int, epoch: int, steps: slice) -> None:
    """Say which steps of an epoch come next, for pictures that take time to read."""
    least, batch = step.recipe.resized_crop, step.recipe.batch_size
    part, starts = step.share.part(batch), range(0, step.count * batch, batch)[steps]
    places = (start + place for start in starts for place in range(batch)[part])
    crops = random_crops(least, seed, epoch, places) if least else None
    step.split.read_ahead(step.indices[0, steps, part], crops)


class _Run:
    """A training under way.

    Attributes:
        progress: as of the last checkpoint.
        found: by the last evaluation, if there was one.
    """

    def __init__(
        self,
        step: Step,
        data: Resident,
        seed: int,
        checkpoints: Checkpoints,
        training: Mapping[str, str],
        every_s: float,
        watch: Watch,
    ) -> None:
        self.step, self.data, self.seed, self.watch = step, data, seed, watch
        self.checkpoints, self.training, self.every_s = checkpoints, training, every_s
        self.progress = Progress()
        self.found: Evaluation | None = None
        self.orders = list[Tensor]()
        self.started_s = 0.0
        self.written_s = time.monotonic()

    def begin(self) -> None:
        """From the last checkpoint or, with one that says what the folder is of, from the start."""
        saved = self.checkpoints.last(self.training)
        if saved is None:
            self.orders = [generator.get_state() for generator in self.step.orders]
            self._write(self.progress)
            return
        try:
            put_back(self.step, saved.tensors)
        except OtherState as error:
            raise OtherTraining(str(error)) from None
        self.progress = saved.progress

    def all_epochs(self) -> bool:
        """Train what is left; False where it was asked to stop before the end."""
        self._tell()
        with Replayed(self.step) as replayed:
            while len(self.progress.curve) < self.step.recipe.epochs:
                if not self._epoch(replayed) or self._stopped():
                    return False
        return True

    def outcome(self) -> Training:
        """What has come out at the end."""
        step, recipe, computed = self.step, self.step.recipe, self.step.network
        curve = tuple(Epoch(*each) for each in self.progress.curve)
        images = recipe.epochs * step.count * recipe.batch_size
        kernels = computed.kernels if isinstance(computed, Accelerated) else None
        right, top5 = (self.found.right, self.found.top5) if self.found else (None, None)
        trained = plain(step.evaluated)
        return Training(trained, curve, self.progress.seconds, images, right, kernels, top5)

    def _stopped(self) -> bool:
        left = self.step.recipe.epochs - len(self.progress.curve)
        return left > 0 and self.watch.asked_to_stop()

    def _epoch(self, replayed: Replayed) -> bool:
        """The rest of an epoch, its evaluation, and a checkpoint; False where it was to stop."""
        epoch, step = len(self.progress.curve), self.step
        self._begin_epoch(epoch)
        for done in range(self.progress.position + 1, step.count + 1):
            self.data.train.before_batch()
            replayed()
            self.watch.after_step(epoch, done)
            if done == step.count:
                break
            asked = self.watch.asked_to_stop()
            if asked or time.monotonic() - self.written_s > self.every_s:
                self._write(replace(self.progress, position=done, seconds=self._seconds()))
            if asked:
                return False
        self._end_epoch(epoch)
        return True

    def _begin_epoch(self, epoch: int) -> None:
        step, position = self.step, self.progress.position
        self.started_s = self._now()
        self.orders = [generator.get_state() for generator in step.orders]
        losses = step.losses.clone()
        step.begin_epoch(rates_of(step, epoch))
        if position:
            step.losses.copy_(losses)
            step.position.fill_(position)
        read_ahead(step, self.seed, epoch, slice(position, None))

    def _end_epoch(self, epoch: int) -> None:
        step, progress = self.step, self.progress
        (loss,) = (loss / step.count for loss in step.losses.tolist())
        seconds = self._seconds()
        found = evaluate(step.evaluated, self.data.validation, step.recipe.precision)
        self.found = found
        curve = (*progress.curve, (loss, found.loss, found.score))
        if diverged := divergence([Epoch(*each) for each in curve], step.recipe):
            raise diverged
        self.orders = [generator.get_state() for generator in step.orders]
        self._write(replace(progress, position=0, curve=curve, seconds=seconds))
        self._tell()

    def _write(self, progress: Progress) -> None:
        tensors = state_of(self.step, self.orders)
        self.checkpoints.write(Checkpoint(self.training, progress, tensors))
        self.progress = progress
        self.written_s, self.started_s = time.monotonic(), self._now()

    def _tell(self) -> None:
        self.watch.after_epoch([Epoch(*each) for each in self.progress.curve])

    def _seconds(self) -> float:
        """Of training, up to now."""
        return self.progress.seconds + self._now() - self.started_s

    def _now(self) -> float:
        """On a clock that has waited for the device and stands while others measure."""
        return now(self.data.device) - self.data.lock.waited_s
