"""Polyak averaging: what is evaluated is a mean of the weights of all steps."""

from __future__ import annotations

import copy
from itertools import chain

import torch
from torch import Tensor, nn


class Average:
    """An exponential average of a network's weights and statistics.

    Its decay rises with the steps, as TensorFlow's does: of the first update nothing but the
    weights themselves is left. PyTorch's `AveragedModel` asks the device at each update whether it
    is the first.

    Attributes:
        network: has the average.
        updates: how many there were, as a tensor on the network's device.
    """

    def __init__(self, source: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(source)
        self.decay = decay
        self._pairs = list(zip(_tensors(self.network), _tensors(source), strict=True))
        self.updates = torch.zeros((), device=self._pairs[0][0].device)

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are now."""
        count = self.updates
        decay = torch.clamp((1 + count) / (10 + count), max=self.decay) * (count > 0)
        for mean, value in self._pairs:
            mean.copy_(torch.lerp(value, mean, decay) if mean.is_floating_point() else value)
        count += 1


def _tensors(network: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in chain(network.parameters(), network.buffers())]
