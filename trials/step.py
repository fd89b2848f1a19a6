"""One step of a training: everything that it reads and writes stays where it is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trials.average import Average
from trials.bfloat16_copies import Bfloat16Copies
from trials.data.resident import ResidentSplit
from trials.data_parallel import average, rolled
from trials.fused_sgd import FusedSGD
from trials.mixup import draw_shares, mixed, others
from trials.precision import autocast, in_bfloat16
from trials.recipe import Recipe
from trials.share import WHOLE, Share


class Step:
    """Gather a batch, augment it, forward, backward, update.

    Nothing of it is a number of Python's that changes from step to step: rates, indices and the
    position among them are on the device, so that the same kernels in the same memory do every
    step. They can be recorded once and replayed: see `trials.graph`.

    Networks side by side in one (`trials.side_by_side`) are trained by the same step, each with
    the images and the augmentation of its own seed.

    Args:
        network: images (B, S * channels, H, W) to logits (B, S * classes), where there are S seeds.
        split: to train with.
        seeds: each fixes an order of the images and an augmentation.
        share: of each batch, where other processes train the same network on the rest of it.

    Attributes:
        evaluated: the network, or the average of its weights.
        losses: (S,) sums over the steps of an epoch.
    """

    def __init__(
        self,
        network: nn.Module,
        split: ResidentSplit,
        recipe: Recipe,
        seeds: Sequence[int],
        share: Share = WHOLE,
    ) -> None:
        self.network, self.split, self.recipe, self.share = network, split, recipe, share
        bfloat16 = in_bfloat16(recipe.precision, split.device)
        copies = Bfloat16Copies(network) if bfloat16 else None
        # Of a network whose weights are no layers' autocast casts what it comes to.
        self.copies = copies if copies is not None and copies.by_name else None
        self.rate = torch.zeros((), device=split.device)
        self.optimizer = _optimizer(network, recipe, self.rate)
        self.average = Average(network, recipe.polyak) if recipe.polyak else None
        self.evaluated = self.average.network if self.average else network
        self.class_weights = _class_weights(split) if recipe.class_weights else None
        # Streams of their own: the initialisation has drawn from the one of the seed itself.
        self.orders = [torch.Generator().manual_seed(seed + 1) for seed in seeds]
        self.augmentations = [torch.Generator(split.device).manual_seed(seed + 2) for seed in seeds]
        self.count = len(split) // recipe.batch_size
        place = split.index_device
        self.indices = torch.zeros((len(seeds), self.count, recipe.batch_size), dtype=torch.int64)
        self.indices = self.indices.to(place)
        self.shares = torch.ones((len(seeds), self.count), device=place)  # of mixup
        self.rates = torch.zeros(self.count, device=place)
        self.position = torch.zeros(1, dtype=torch.int64, device=place)
        self.losses = torch.zeros(len(seeds), device=split.device)

    def begin_epoch(self, rates: Sequence[float]) -> None:
        """Shuffle: the order is drawn on the CPU, the same for every device.

        Args:
            rates: of each step.
        """
        self.network.train()
        for indices, shares, generator in zip(self.indices, self.shares, self.orders, strict=True):
            order = torch.randperm(len(self.split), generator=generator)
            indices.copy_(order[: indices.numel()].view_as(indices))
            if self.recipe.mixup:
                shares.copy_(draw_shares(self.recipe.mixup, self.count, generator))
        self.rates.copy_(torch.tensor(rates))
        self.position.zero_()
        self.losses.zero_()

    def __call__(self) -> None:
        """One step; the device is not waited for."""
        images, labels = self._batch()
        with autocast(self.recipe.precision, images.device):
            logits = (self.copies or self.network)(images)
        losses = self._losses(logits.float(), labels)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        losses = losses.detach()
        if self.copies:
            self.copies.hand_over_gradients()
        if self.share.count > 1:
            gradients = (p.grad for p in self.network.parameters() if p.grad is not None)
            average([losses, *gradients])
        self._update()
        self.losses += losses
        self.position += 1

    def _update(self) -> None:
        """Move the weights along their gradients, which are forgotten."""
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.rate.copy_(self.rates.index_select(0, self.position)[0])
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.copies:
            self.copies.refresh()
        if self.average:
            self.average.update()

    def begin_again(self, augmentations: Sequence[Tensor]) -> None:
        """Forget a step that was broken off before it computed anything.

        Args:
            augmentations: states of the generators before it, which goes on with new ones.
        """
        self.optimizer.zero_grad()
        if self.copies:
            self.copies.forget_gradients()
        self.augmentations = [torch.Generator(self.split.device) for _ in augmentations]
        for generator, state in zip(self.augmentations, augmentations, strict=True):
            generator.set_state(state)

    def _batch(self) -> tuple[Tensor, list[Tensor]]:
        """Images (B, S * channels, H, W), and labels (B,) or (B, classes) of each seed."""
        indices = self.indices.index_select(1, self.position)[:, 0]  # (S, B)
        crop, flip = self.recipe.crop, self.recipe.flip
        batches = [
            self.split.batch(chosen, crop, flip, generator, self.share)
            for chosen, generator in zip(indices, self.augmentations, strict=True)
        ]
        images = [images for images, _ in batches]
        if self.recipe.mixup:
            images = [
                mixed(x, self._others(x), s) for x, s in zip(images, self._share(), strict=True)
            ]
        together = images[0] if len(images) == 1 else torch.cat(images, dim=1)
        return together, [labels for _, labels in batches]

    def _losses(self, logits: Tensor, labels: Sequence[Tensor]) -> Tensor:
        """(S,): one that is not finite stays with its seed."""
        losses = self._losses_of(logits, labels)
        if not self.recipe.mixup:
            return losses
        of_others = self._losses_of(logits, [self._others(y) for y in labels])
        return mixed(losses, of_others, self._share())

    def _losses_of(self, logits: Tensor, labels: Sequence[Tensor]) -> Tensor:
        each = zip(logits.chunk(len(labels), dim=1), labels, strict=True)
        smoothing = self.recipe.label_smoothing
        losses = torch.stack([loss_of(*pair, self.class_weights, smoothing) for pair in each])
        if self.class_weights is None or self.share.count == 1:
            return losses
        # Each is a sum over the weights of its own images: to be one over those of the batch.
        own = torch.stack([self.class_weights[of_seed].sum() for of_seed in labels])
        average([mean := own.clone()])
        return losses * own / mean

    def _others(self, batch: Tensor) -> Tensor:
        """What each of the own part of a batch is mixed with."""
        return others(batch) if self.share.count == 1 else rolled(batch)

    def _share(self) -> Tensor:
        """(S,): what each seed's images keep of themselves in this step."""
        share = self.shares.index_select(1, self.position)[:, 0]
        return share.to(self.split.device, non_blocking=True)


def loss_of(
    logits: Tensor, labels: Tensor, weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
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


def _optimizer(
    network: nn.Module, recipe: Recipe, rate: Tensor
) -> torch.optim.Optimizer | FusedSGD:
    """Weight decay on weights of two or more dimensions only; the learning rate is a tensor."""
    weights = [p for p in network.parameters() if p.ndim >= 2]
    others = [p for p in network.parameters() if p.ndim < 2]
    groups = [
        {"params": weights, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    momentum = recipe.momentum
    if recipe.optimizer == "sgd":
        return FusedSGD(groups, rate, momentum, recipe.nesterov)
    on_gpu = rate.device.type == "cuda"  # elsewhere nothing is captured
    return torch.optim.RMSprop(groups, lr=rate, alpha=0.9, momentum=momentum, capturable=on_gpu)
