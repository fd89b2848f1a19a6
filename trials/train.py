"""Train one network on one data set by one recipe, and evaluate it after each epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from trials.average_precision import mean_average_precision
from trials.data.images import ImageData, Split
from trials.data.resident import ResidentSplit, needs_streaming
from trials.device_lock import DeviceLock
from trials.fused_sgd import FusedSGD
from trials.measure import now
from trials.precision import autocast, check_precision
from trials.recipe import Precision, Recipe

EVALUATION_PIXELS = 2**20
"""Pixels of a batch without gradients to keep: a thousand images of 32 x 32."""


class Diverged(ArithmeticError):
    """The loss is no longer a finite number."""


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
    """

    network: nn.Module
    curve: tuple[Epoch, ...]
    seconds: float
    images: int


class Resident:
    """A data set on a device, ready for any number of trainings.

    Each of its batches makes way for a latency that is to be measured on the device.

    Args:
        test: the test split, where this is the one time that it is read.
        share: of a GPU, that is this process's.
    """

    def __init__(
        self,
        data: ImageData,
        device: torch.device,
        test: Split | None = None,
        share: float = 1.0,
    ) -> None:
        splits = (data.train, data.validation, *([test] if test is not None else []))
        stream = needs_streaming(splits, device, share)
        self.device = device
        self.lock = DeviceLock.of(device)
        self.classes, self.many_labels = len(data.classes), data.many_labels

        def resident(split: Split) -> ResidentSplit:
            return ResidentSplit(split, data, device, self.lock.make_way, stream)

        self.train, self.validation = resident(data.train), resident(data.validation)
        self.test = resident(test) if test is not None else None


def train(
    network: nn.Module,
    data: Resident,
    recipe: Recipe,
    seed: int,
    after_epoch: Callable[[Epoch], None] = lambda _epoch: None,
) -> Training:
    """Train a network in place.

    The seed fixes the order of the images and the augmentation. On one CPU, with one number of
    threads, the same network and seed give the same weights again; on a GPU nearly so.

    Args:
        network: images (N, C, H, W) to logits (N, classes).
        after_epoch: called with each epoch's result.

    Raises:
        Diverged: the loss of an epoch is not finite.
        Unsupported: the device has no arithmetic in the recipe's precision.
    """
    _prepare(network, data.device, recipe)
    optimizer = _optimizer(network, recipe)
    averaged = _polyak(network, recipe) if recipe.polyak else None
    weights = _class_weights(data.train) if recipe.class_weights else None
    evaluated: nn.Module = averaged.module if averaged else network
    # Streams of their own: the initialisation has drawn from the one of the seed itself.
    order = torch.Generator().manual_seed(seed + 1)
    augmentation = torch.Generator(data.device).manual_seed(seed + 2)
    curve, seconds = list[Epoch](), 0.0
    rates = _learning_rates(recipe, len(data.train))
    with data.lock.training():
        for epoch_rates in rates:
            started = now(data.device) - data.lock.waited_s
            batches = _shuffled_batches(data.train, recipe, order, augmentation)
            loss = _train_epoch(network, averaged, optimizer, recipe, weights, batches, epoch_rates)
            seconds += now(data.device) - data.lock.waited_s - started
            curve.append(Epoch(loss, *evaluate(evaluated, data.validation, recipe.precision)))
            _check_finite(curve, recipe)
            after_epoch(curve[-1])
    return Training(evaluated, tuple(curve), seconds, sum(map(len, rates)) * recipe.batch_size)


def _learning_rates(recipe: Recipe, images: int) -> list[list[float]]:
    """The rate of each step of each epoch."""
    steps = images // recipe.batch_size
    return [
        [
            recipe.learning_rate_at(step, steps * recipe.epochs, images)
            for step in range(epoch * steps, (epoch + 1) * steps)
        ]
        for epoch in range(recipe.epochs)
    ]


def _train_epoch(
    network: nn.Module,
    averaged: AveragedModel | None,
    optimizer: torch.optim.Optimizer | FusedSGD,
    recipe: Recipe,
    weights: Tensor | None,
    batches: Iterable[tuple[Tensor, Tensor]],
    rates: Sequence[float],
) -> float:
    """One step for each batch, at its rate; the mean loss. Waits for the device only at the end."""
    network.train()
    losses: Tensor | float = 0.0
    for (images, labels), rate in zip(batches, rates, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate
        with autocast(recipe.precision, images.device):
            logits = network(images)
        loss = _loss(logits.float(), labels, weights, recipe.label_smoothing)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        if averaged:
            averaged.update_parameters(network)
        losses += loss.detach()
    return float(losses) / len(rates)


def _loss(logits: Tensor, labels: Tensor, weights: Tensor | None, smoothing: float) -> Tensor:
    """Mean cross-entropy; of many labels (B, C) the sum of the classes' binary ones.

    The sum is what each image's labels cost, as the cross-entropy is, so that the same learning
    rates do: with the mean over classes a short training learns little. Smoothing draws targets
    towards a half, as in Keras: 0.1 leaves 0.05 and 0.95.
    """
    if labels.ndim == 1:
        return F.cross_entropy(logits, labels, weights, label_smoothing=smoothing)
    targets = labels.float() * (1 - smoothing) + smoothing / 2
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
    return entropy / len(labels)


def _class_weights(split: ResidentSplit) -> Tensor:
    """One over the images of each class, so that all classes count alike: (C,), mean 1.

    A class without images, which a training split never has, would weigh nothing.
    """
    counts = torch.bincount(split.labels).float()
    weights = torch.where(counts > 0, len(split) / counts.clamp(min=1), 0.0)
    return weights / weights.mean()


def _check_finite(curve: Sequence[Epoch], recipe: Recipe) -> None:
    last = curve[-1]
    if not (math.isfinite(last.train_loss) and math.isfinite(last.validation_loss)):
        raise Diverged(
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
) -> tuple[float, float]:
    """Mean cross-entropy and accuracy of a network in evaluation mode.

    Of images with many labels the binary cross-entropy, the sum over the classes, and the mean
    average precision.
    """
    if split.labels.ndim == 2:
        logits, targets = map(torch.cat, zip(*outputs(network, split, "float32"), strict=True))
        entropy = _loss(logits, targets, None, smoothing=0.0)
        return float(entropy), mean_average_precision(logits, targets)
    device = split.labels.device
    loss = torch.zeros((), dtype=torch.float64, device=device)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    for logits, labels in outputs(network, split, precision):
        loss += F.cross_entropy(logits.float(), labels, reduction="sum")
        correct += (logits.argmax(dim=1) == labels).sum()
    return float(loss) / len(split), float(correct) / len(split)


def outputs(
    network: nn.Module, split: ResidentSplit, precision: Precision | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits (B, classes) and labels (B,) or (B, classes) of a whole split, in evaluation mode.

    Args:
        precision: a ranking wants float32: of the 8 bits of bfloat16 many of its scores are ties.
    """
    network.eval()
    device = split.labels.device
    height, width = split.images.shape[1:3]
    batch = max(1, EVALUATION_PIXELS // (height * width))
    for indices in torch.split(torch.arange(len(split), device=split.index_device), batch):
        images, labels = split.batch(indices)
        with autocast(precision, device):
            logits = network(images)
        yield logits, labels


def _shuffled_batches(
    split: ResidentSplit, recipe: Recipe, order: torch.Generator, augmentation: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """All full batches of an epoch; the order is drawn on the CPU, the same for every device."""
    indices = torch.randperm(len(split), generator=order).to(split.index_device)
    for start in range(0, len(split) - recipe.batch_size + 1, recipe.batch_size):
        batch = indices[start : start + recipe.batch_size]
        yield split.batch(batch, recipe.crop, recipe.flip, augmentation)


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer | FusedSGD:
    """Weight decay on weights of two or more dimensions only."""
    weights = [p for p in network.parameters() if p.ndim >= 2]
    others = [p for p in network.parameters() if p.ndim < 2]
    groups = [
        {"params": weights, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if recipe.optimizer == "sgd":
        return FusedSGD(groups, recipe.learning_rate, recipe.momentum, recipe.nesterov)
    return torch.optim.RMSprop(groups, lr=recipe.learning_rate, alpha=0.9, momentum=recipe.momentum)


def _polyak(network: nn.Module, recipe: Recipe) -> AveragedModel:
    """Exponential average; its decay rises to the recipe's with the steps, as TensorFlow's does."""

    def average(mean: Tensor, value: Tensor, updates: Tensor | int) -> Tensor:
        if not mean.is_floating_point():
            return value
        count = torch.as_tensor(updates, dtype=mean.dtype)  # stays on its device
        decay = torch.clamp((1 + count) / (10 + count), max=recipe.polyak)
        return torch.lerp(value, mean, decay)

    return AveragedModel(network, avg_fn=average, use_buffers=True)


def _prepare(network: nn.Module, device: torch.device, recipe: Recipe) -> None:
    check_precision(recipe.precision, device)
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = recipe.dropout
