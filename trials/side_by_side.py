"""Several seeds of one network trained at once, as one network; each as if it were alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import torch
from torch import nn

from trials.graph import Replayed
from trials.recipe import Recipe
from trials.step import Step
from trials.train import (
    Diverged,
    Epoch,
    Evaluation,
    Resident,
    Training,
    divergence,
    evaluate,
    prepare,
    train_epoch,
)

Join = Callable[[Sequence[nn.Module]], nn.Module]
"""One network that computes several of equal structure, and mixes none of their channels.

From images (B, S * channels, H, W) to logits (B, S * classes). Each of its parameters and
statistics is theirs one after the other in the first dimension.
"""

MOST = 8
"""Seeds at once: with more, memory for their activations is what there is too little of."""


def worth_joining(device: torch.device, recipe: Recipe, measure: Collection[str]) -> bool:
    """Whether a few seeds at once are faster, and give what they would give alone.

    On a CPU they take 1.03 to 1.8 times as long. The memory of one is not that of several, dropout
    draws from one generator for all, and gradients are clipped by the norm of all together.
    """
    alone = recipe.dropout or recipe.clip or "peak_memory_bytes" in measure
    return device.type == "cuda" and not alone


def train_side_by_side(
    networks: Sequence[nn.Module], join: Join, data: Resident, recipe: Recipe, seeds: Sequence[int]
) -> list[Training | Diverged]:
    """Train networks in place, each with its seed: what `trials.train.train` gives for each.

    A loss that is not finite stays in the channels of its own network, unless a device multiplies
    the channels of others with zeros.

    Args:
        networks: equal but for their weights.

    Returns:
        For each seed its training, whose seconds are its share, or that it diverged.

    Raises:
        Unsupported: the device has no arithmetic in the recipe's precision.
    """
    for network in networks:
        prepare(network, data, recipe)
    step = Step(prepare(join(networks), data, recipe), data.train, recipe, seeds)
    curves: list[list[Epoch]] = [[] for _ in seeds]
    last = [Evaluation(0.0, 0.0, None) for _ in seeds]
    seconds = 0.0
    with data.lock.training(), Replayed(step) as run:
        for epoch in range(recipe.epochs):
            losses, taken = train_epoch(step, run, data, epoch)
            seconds += taken
            _separate(step.evaluated, networks)
            for seed, (network, curve) in enumerate(zip(networks, curves, strict=True)):
                if not divergence(curve, recipe):
                    last[seed] = found = evaluate(network, data.validation, recipe.precision)
                    curve.append(Epoch(losses[seed], found.loss, found.score))
            if all(divergence(curve, recipe) for curve in curves):
                break
    images, share = recipe.epochs * step.count * recipe.batch_size, seconds / len(seeds)
    return [
        divergence(curve, recipe)
        or Training(network, tuple(curve), share, images, found.right, top5=found.top5)
        for network, curve, found in zip(networks, curves, last, strict=True)
    ]


@torch.no_grad()
def _separate(joined: nn.Module, networks: Sequence[nn.Module]) -> None:
    """Copy what each network has of a joined one."""
    states = [network.state_dict() for network in networks]
    for name, tensor in joined.state_dict().items():
        parts = tensor.chunk(len(networks)) if tensor.ndim else [tensor] * len(networks)
        for state, part in zip(states, parts, strict=True):
            state[name].copy_(part)
