"""Networks that are computed by other kernels than PyTorch's while they are trained."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from trials.recipe import Recipe

FEWEST_IMAGES = 16
"""In a batch."""


class Accelerated(nn.Module):
    """Computes what a plain network does, with that one's parameters and statistics.

    Attributes:
        network: the plain one, which is what is left of a training.
        kernels: which ones, for the record of a training.
    """

    network: nn.Module
    kernels: str


Accelerate = Callable[[nn.Module], Accelerated | None]
"""The same network on faster kernels; None where there are none for it."""


def accelerated(
    network: nn.Module, device: torch.device, recipe: Recipe, accelerate: Accelerate | None
) -> nn.Module:
    """The network as it is to be trained: on the kernels where those compute what is asked for.

    That is float32 on one thread of a CPU. With several threads PyTorch uses them all, and of
    batches below a vector's images the kernels compute more than there is.
    """
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    fitting = recipe.precision != "bfloat16" and recipe.batch_size >= FEWEST_IMAGES
    if accelerate is None or not alone or not fitting:
        return network
    return accelerate(network) or network


def plain(network: nn.Module) -> nn.Module:
    """The network whose parameters a training has changed, in PyTorch's ``channels_last``."""
    if isinstance(network, Accelerated):
        network = network.network
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
