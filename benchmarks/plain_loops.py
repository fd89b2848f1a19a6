"""What a user would write instead: a tutorial's search, and the shortest loop over tensors."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import optuna
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from nas.architecture.cost import count_cost
from nas.architecture.specification import Architecture
from nas.network.build import build_network
from trials.data import ImageData
from trials.data.images import Split, chunks
from trials.recipe import Recipe

Batches = Iterable[tuple[Tensor, Tensor]]
"""What a `DataLoader` gives: images and labels."""


class PlainImages(Dataset[tuple[Tensor, int]]):
    """Images as PIL, transformed one at a time: crop with padding, flip, to tensor, normalise."""

    def __init__(self, split: Split, data: ImageData, recipe: Recipe | None) -> None:
        each = (image for images in chunks(split.images) for image in images)
        self.images = [Image.fromarray(image) for image in each]
        self.labels = [int(label) for label in split.labels]
        self.recipe = recipe
        self.mean = torch.tensor(data.mean).view(3, 1, 1) / 255
        self.std = torch.tensor(data.std).view(3, 1, 1) / 255

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = self.images[index]
        if self.recipe is not None:
            size, crop = image.size, self.recipe.crop
            image = ImageOps.expand(image, border=crop)
            left, top = random.randint(0, 2 * crop), random.randint(0, 2 * crop)
            image = image.crop((left, top, left + size[0], top + size[1]))
            if random.random() < 0.5:
                image = ImageOps.mirror(image)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div(255)
        return (pixels - self.mean) / self.std, self.labels[index]


@dataclass(frozen=True)
class PlainSplits:
    """Both splits as data sets of PIL images, made once."""

    train: PlainImages
    validation: PlainImages


def plain_training(
    architecture: Architecture,
    splits: PlainSplits,
    recipe: Recipe,
    device: torch.device,
    loaders: int,
) -> float:
    """Train and validate as a tutorial does; returns the validation accuracy."""
    network = build_network(architecture).to(device)
    batches = DataLoader(
        splits.train,
        batch_size=recipe.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=loaders,
        persistent_workers=loaders > 0,
    )
    validation = DataLoader(splits.validation, batch_size=256)
    optimizer = torch.optim.SGD(
        network.parameters(), recipe.learning_rate, recipe.momentum,
        weight_decay=recipe.weight_decay, nesterov=True,
    )  # fmt: skip
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: recipe.learning_rate_at(
            step, recipe.epochs * len(batches), len(splits.train)
        ) / recipe.learning_rate,
    )  # fmt: skip
    accuracy = 0.0
    for _ in range(recipe.epochs):
        _train_one_epoch(network, batches, optimizer, schedule, recipe, device)
        accuracy = _correct(network, validation, device) / len(splits.validation)
    return accuracy


def _train_one_epoch(
    network: nn.Module,
    batches: Batches,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    recipe: Recipe,
    device: torch.device,
) -> None:
    network.train()
    for images, labels in batches:
        optimizer.zero_grad()
        with autocast(device):
            loss = F.cross_entropy(
                network(images.to(device)),
                labels.to(device),
                label_smoothing=recipe.label_smoothing,
            )
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()


def _correct(network: nn.Module, validation: Batches, device: torch.device) -> int:
    """Images whose class the network gets right."""
    network.eval()
    with torch.no_grad(), autocast(device):
        return sum(
            int((network(images.to(device)).argmax(1).cpu() == labels).sum())
            for images, labels in validation
        )


def plain_search(
    architectures: Sequence[Architecture],
    splits: PlainSplits,
    recipe: Recipe,
    device: torch.device,
    loaders: int,
) -> None:
    """`study.optimize` over the architectures, in order."""
    with tempfile.TemporaryDirectory() as scratch:
        study = optuna.create_study(
            storage=f"sqlite:///{scratch}/plain.db", directions=["maximize", "minimize"]
        )

        def objective(trial: optuna.Trial) -> tuple[float, float]:
            architecture = architectures[trial.number]
            accuracy = plain_training(architecture, splits, recipe, device, loaders)
            return accuracy, float(count_cost(architecture).macs)

        study.optimize(objective, n_trials=len(architectures))


def bare_training(
    network: nn.Module, images: Tensor, labels: Tensor, recipe: Recipe, steps: int
) -> None:
    """The shortest loop: tensors are ready, nothing is augmented or evaluated."""
    network.train()
    optimizer = torch.optim.SGD(
        network.parameters(), recipe.learning_rate, recipe.momentum,
        weight_decay=recipe.weight_decay, nesterov=True, fused=True,
    )  # fmt: skip
    batches = len(labels) // recipe.batch_size
    for step in range(steps):
        if step % batches == 0:
            order = torch.randperm(len(labels), device=labels.device)
        start = step % batches * recipe.batch_size
        batch = order[start : start + recipe.batch_size]
        with autocast(labels.device):
            loss = F.cross_entropy(
                network(images[batch]), labels[batch], label_smoothing=recipe.label_smoothing
            )
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


@contextmanager
def autocast(device: torch.device) -> Iterator[None]:
    """The precision that trials have: bfloat16 on GPUs."""
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        yield
