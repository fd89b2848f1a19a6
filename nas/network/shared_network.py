"""One network that holds every point of a space: each step of its training is of one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from nas.architecture.layers import network_layers
from nas.architecture.specification import Architecture
from nas.network.build import build
from nas.network.slicing import dense_weights, slice_weights


class SharedNetwork(nn.Module):
    """Images (N, C, H, W) to logits (N, classes), of another point at each step (Guo 2020).

    Batch norm takes the statistics of the batch, also where the network is evaluated: there it is
    the point of the last step. One image, of which a map of one pixel has no variance, is computed
    as two of it: it has the same logits wherever it has some.

    Args:
        widest: see `nas.network.slicing.dense_weights`.
        draw: the point of the next step.
    """

    def __init__(self, widest: Sequence[Architecture], draw: Callable[[], Architecture]) -> None:
        super().__init__()
        dense = dense_weights(widest)
        self.names = tuple(dense)  # some with dots, which a module's parameters cannot have
        self.weights = nn.ParameterList(map(nn.Parameter, dense.values()))
        self.dropout = nn.Dropout(0.0)  # on which a recipe sets its own
        self.draw, self.point = draw, widest[0]

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.point = self.draw()
        network = self._skeleton()
        sliced = slice_weights(self.dense, self.point, [n for n, _ in network.named_parameters()])
        images = x if len(x) > 1 else x.repeat(2, 1, 1, 1)
        logits: Tensor = functional_call(network, sliced, (images,))
        return logits[: len(x)]

    @property
    def dense(self) -> dict[str, Tensor]:
        """All weights, by the names of `nas.network.slicing`."""
        return dict(zip(self.names, self.weights, strict=True))

    def _skeleton(self) -> nn.Module:
        """The network of the point, with neither weights nor statistics."""
        with torch.device("meta"):
            network = build(network_layers(self.point))
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean = module.running_var = module.num_batches_tracked = None
            if isinstance(module, nn.Dropout):
                module.p = self.dropout.p
        return network.train(self.training)
