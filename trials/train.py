"""Train one network on one data set by one recipe, and evaluate it after each epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trials.accelerated import Accelerate, Accelerated, accelerated, plain
from trials.average_precision import mean_average_precision
from trials.data.folds import Fold
from trials.data.image_file import ImageFile
from trials.data.images import ImageData, Split
from trials.data.raw_split import Indices
from trials.data.resident import ResidentSplit, needs_streaming, place
from trials.data.streamed import StreamedPictures
from trials.device_lock import DeviceLock
from trials.graph import Replayed
from trials.layout import layout_of
from trials.measure import now
from trials.precision import autocast, check_convolutions, check_precision
from trials.recipe import Precision, Recipe
from trials.step import Step, loss_of

TOP5_ABOVE = 10
"""Classes above which it is told how often the right one is among the five best guesses: of ten,
five are half."""

EVALUATION_PIXELS = 2**20
"""Pixels of a batch without gradients to keep: a thousand images of 32 x 32."""


class Diverged(ArithmeticError):
    """The loss is no longer a finite number."""


class Evaluation(NamedTuple):
    """What a network makes of the images of a split.

    Attributes:
        loss: mean cross-entropy; of images with many labels the binary one, the sum over the
            classes.
        score: accuracy; of images with many labels the mean average precision.
        right: which images it was right on (N,), on the split's device; None where images have many
            labels. The accuracy is its mean.
        top5: share of images whose class is among the five best guesses; None of few classes, or
            where images have many labels.
    """

    loss: float
    score: float
    right: Tensor | None
    top5: float | None = None


@dataclass(frozen=True)
class Epoch:
    """One epoch's means over its images.

    Attributes:
        score: validation accuracy; of images with many labels the mean average precision.
    """

    train_loss: float
    validation_loss: float
    score: float


@dataclass(frozen=True)
class Training:
    """What a training gave.

    Attributes:
        network: with the weights that the last epoch was evaluated with.
        curve: one entry for each epoch.
        seconds: of training alone, evaluation and waiting for measurements left out.
        images: seen in that time.
        right: which validation images it was right on at the end; see `Evaluation`.
        kernels: that it was computed by, where those were not PyTorch's.
        top5: of the last evaluation; see `Evaluation`.
    """

    network: nn.Module
    curve: tuple[Epoch, ...]
    seconds: float
    images: int
    right: Tensor | None = None
    kernels: str | None = None
    top5: float | None = None


class Resident:
    """A data set on a device, ready for any number of trainings.

    Each of its batches makes way for a latency that is to be measured on the device.

    Args:
        test: the test split, where this is the one time that it is read.
        share: of a GPU, that is this process's.
        before_batch: called before each batch with what it is for.
    """

    def __init__(
        self,
        data: ImageData,
        device: torch.device,
        test: Split | None = None,
        share: float = 1.0,
        before_batch: Callable[[str], None] = lambda _: None,
    ) -> None:
        stream = needs_streaming(
            (*data.splits, *([test] if test is not None else [])), device, share
        )
        self.data, self.device, self.before_batch = data, device, before_batch
        self.lock = DeviceLock.of(device)
        self.classes, self.many_labels = len(data.classes), data.many_labels
        self._folds = dict[Fold, Resident]()
        # On the device once, however its images are split.
        self._pool = None if data.pool is None else place(data.pool, device, stream)
        train, validation = self._parts_of_pool()
        self.train = self._resident(data.train, "training", stream, placed=train)
        self.validation = self._resident(data.validation, "validation", stream, placed=validation)
        self.test = self._resident(test, "test", stream) if test is not None else None
        half = data.half
        self.half = self._resident(half, "half", stream) if half is not None else None

    def _parts_of_pool(self) -> tuple[Tensor | None, Tensor | None]:
        """Images to train on and to validate; a file's are parts of it already."""
        if not isinstance(self._pool, Tensor):
            return None, None
        count = len(self.data.train)
        return self._pool[:count], self._pool[count:]

    def _resident(
        self,
        split: Split,
        use: str,
        stream: bool = False,
        rows: Indices | None = None,
        placed: Tensor | ImageFile | StreamedPictures | None = None,
    ) -> ResidentSplit:
        def before() -> None:
            self.before_batch(use)
            self.lock.make_way()

        return ResidentSplit(split, self.data, self.device, before, stream, rows, placed)

    def of_fold(self, fold: Fold | None) -> Resident:
        """The same images, split in another way; as they are where that is None.

        They are normalised as before, and there once.
        """
        if fold is None:
            return self
        if fold not in self._folds:
            data, pool = self.data, self._pool
            assert data.pool is not None, "validation images that were cut off from the training's"
            assert pool is not None
            labels = np.concatenate([data.train.labels, data.validation.labels])
            train, judging = fold.rows(data)
            found = self._folds[fold] = copy(self)
            found.train = self._resident(
                Split(data.pool, labels[train]), "training", rows=train, placed=pool
            )
            found.validation = self._resident(
                Split(data.pool, labels[judging]), "validation", rows=judging, placed=pool
            )
        return self._folds[fold]


def train(
    network: nn.Module,
    data: Resident,
    recipe: Recipe,
    seed: int,
    after_epoch: Callable[[Epoch], None] = lambda _epoch: None,
    accelerate: Accelerate | None = None,
) -> Training:
    """Train a network in place.

    The seed fixes the order of the images and the augmentation. On one CPU, with one number of
    threads, the same network and seed give the same weights again; on a GPU nearly so.

    Args:
        network: images (N, C, H, W) or clips (N, C, T, H, W) to logits (N, classes).
        after_epoch: called with each epoch's result.
        accelerate: gives the network on faster kernels, to train in place of it.

    Raises:
        Diverged: the loss of an epoch is not finite.
        Unsupported: the device has no arithmetic in the recipe's precision.
    """
    prepare(network, data, recipe)
    computed = accelerated(network, data.device, recipe, accelerate)
    step = Step(computed, data.train, recipe, (seed,))
    curve, seconds, found = list[Epoch](), 0.0, None
    with data.lock.training(), Replayed(step) as run:
        for epoch in range(recipe.epochs):
            (loss,), taken = train_epoch(step, run, data, epoch)
            seconds += taken
            found = evaluate(step.evaluated, data.validation, recipe.precision)
            curve.append(Epoch(loss, found.loss, found.score))
            if diverged := divergence(curve, recipe):
                raise diverged
            after_epoch(curve[-1])
    images = recipe.epochs * step.count * recipe.batch_size
    kernels = computed.kernels if isinstance(computed, Accelerated) else None
    right, top5 = (found.right, found.top5) if found is not None else (None, None)
    return Training(plain(step.evaluated), tuple(curve), seconds, images, right, kernels, top5)


def train_epoch(step: Step, run: Replayed, data: Resident, epoch: int) -> tuple[list[float], float]:
    """All steps of an epoch: the mean loss of each network, and the seconds that it took.

    Waits for the device only at the end.
    """
    started = now(data.device) - data.lock.waited_s
    step.begin_epoch(rates_of(step, epoch))
    for _ in range(step.count):
        data.train.before_batch()
        run()
    losses = [loss / step.count for loss in step.losses.tolist()]
    return losses, now(data.device) - data.lock.waited_s - started


def rates_of(step: Step, epoch: int) -> list[float]:
    """The learning rate of each step of an epoch."""
    recipe, steps = step.recipe, step.count
    return [
        recipe.learning_rate_at(number, steps * recipe.epochs, len(step.split))
        for number in range(epoch * steps, (epoch + 1) * steps)
    ]


def divergence(curve: Sequence[Epoch], recipe: Recipe) -> Diverged | None:
    """What is wrong with the losses of the last epoch, if they are not finite."""
    if not curve:
        return None
    last = curve[-1]
    if math.isfinite(last.train_loss) and math.isfinite(last.validation_loss):
        return None
    return Diverged(
        f"loss {last.train_loss} in training and {last.validation_loss} in validation "
        f"in epoch {len(curve)} of {recipe.epochs}"
    )


def seed_weights(recipe: Recipe, seed: int) -> None:
    """Seed the generator that a network's weights are drawn from: call it before building one."""
    # PyTorch's generator for CPUs takes the lowest 32 bits of a seed; `train` uses the next two.
    torch.manual_seed(seed + 2 + recipe.initialisation if recipe.initialisation else seed)


@torch.no_grad()
def evaluate(
    network: nn.Module, split: ResidentSplit, precision: Precision | None = None
) -> Evaluation:
    """Evaluate a network, in evaluation mode, on a whole split."""
    if split.labels.ndim == 2:
        logits, targets = map(torch.cat, zip(*outputs(network, split, "float32"), strict=True))
        entropy = loss_of(logits, targets)
        return Evaluation(float(entropy), mean_average_precision(logits, targets), None)
    device = split.labels.device
    loss = torch.zeros((), dtype=torch.float64, device=device)
    right, in_top5 = list[Tensor](), list[Tensor]()
    for logits, labels in outputs(network, split, precision):
        loss += F.cross_entropy(logits.float(), labels, reduction="sum")
        right.append(logits.argmax(dim=1) == labels)
        if logits.shape[1] > TOP5_ABOVE:
            in_top5.append((logits.topk(5, dim=1).indices == labels[:, None]).sum())
    answers, count = torch.cat(right), len(split)
    top5 = int(torch.stack(in_top5).sum()) / count if in_top5 else None
    return Evaluation(float(loss) / count, int(answers.sum()) / count, answers, top5)


def outputs(
    network: nn.Module, split: ResidentSplit, precision: Precision | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits (B, classes) and labels (B,) or (B, classes) of a whole split, in evaluation mode.

    Args:
        precision: a ranking wants float32: of the 8 bits of bfloat16 many of its scores are ties.
    """
    network.eval()
    device = split.labels.device
    batch = max(1, EVALUATION_PIXELS // math.prod(split.images.shape[1:-1]))
    for indices in torch.split(torch.arange(len(split), device=split.index_device), batch):
        split.before_batch()
        images, labels = split.batch(indices)
        with autocast(precision, device):
            logits = network(images)
        yield logits, labels


def prepare(network: nn.Module, data: Resident, recipe: Recipe) -> nn.Module:
    """The network itself, on the data's device and with the recipe's dropout, if it has any.

    Raises:
        Unsupported: the device has no arithmetic in the recipe's precision.
    """
    check_precision(recipe.precision, data.device)
    network.to(device=data.device, memory_format=layout_of(network))  # type: ignore[call-overload]
    for module in network.modules():
        if isinstance(module, nn.Dropout) and recipe.dropout:
            module.p = recipe.dropout
    if data.device.type == "cpu" and recipe.precision == "bfloat16":
        image, _ = data.train.batch(torch.zeros(1, dtype=torch.int64))
        check_convolutions(network, image)
    return network
