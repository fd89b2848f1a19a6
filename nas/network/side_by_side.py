"""Several networks of one architecture as one network: their channels side by side.

On a GPU a step of a small network costs what it takes to start its kernels, so a few seeds of it
take as long as one. Tensors are (N, S * C, H, W) for S networks, all channels of the first before
those of the second, and no layer mixes channels of two networks.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nas.network.exported_layers import (
    GlobalMean,
    Interleave,
    Residual,
    SamePad,
    SegmentedConv2d,
    SegmentMixture,
    Subsample,
)

_AS_THEY_ARE = (
    *(nn.Sequential, Residual, nn.Identity, nn.ReLU, nn.ReLU6, nn.ELU, nn.GELU, nn.SiLU),
    *(nn.MaxPool2d, nn.AvgPool2d, SamePad, nn.ZeroPad2d, Subsample, GlobalMean, nn.Dropout),
)
"""Modules that do the same with each channel, however many there are."""


def side_by_side(networks: Sequence[nn.Module]) -> nn.Module:
    """One network that computes all of them in a pass, with copies of their weights.

    Each of its parameters and statistics is theirs one after the other in the first dimension.

    Args:
        networks: equal but for their weights.

    Returns:
        A module from images (N, S * channels, H, W) to logits (N, S * classes).

    Raises:
        TypeError: a module is of a kind that is not known here.
    """
    together = _widened(copy.deepcopy(networks[0]), len(networks))
    states = [network.state_dict() for network in networks]
    for name, tensor in together.state_dict().items():
        parts = [state[name] for state in states]
        tensor.copy_(torch.cat(parts) if tensor.ndim else parts[0])
    return together


def _widened(module: nn.Module, copies: int) -> nn.Module:
    for name, child in module.named_children():
        setattr(module, name, _widened(child, copies))
    match module:
        case nn.Conv2d(bias=None):
            channels = copies * module.in_channels, copies * module.out_channels
            options = {
                name: getattr(module, name)
                for name in ("kernel_size", "stride", "padding", "dilation")
            }
            return nn.Conv2d(*channels, **options, groups=copies * module.groups, bias=False)
        case nn.BatchNorm2d():
            return nn.BatchNorm2d(copies * module.num_features, module.eps)
        case nn.Linear():
            return _Linears(copies, module.in_features, module.out_features)
        case SegmentedConv2d():
            return _SegmentedConvs(copies, module)
        case SegmentMixture():
            return _Mixtures(copies, module)
        case Interleave():
            return _AtEachPosition(copies, module)
    if type(module) not in _AS_THEY_ARE:
        raise TypeError(f"how several networks compute {type(module).__name__} is not known")
    return module


class _Linears(nn.Module):
    """Linear layers: (N, S * C) -> (N, S * classes)."""

    def __init__(self, copies: int, channels: int, classes: int) -> None:
        super().__init__()
        self.copies = copies
        self.weight = nn.Parameter(torch.empty(copies * classes, channels))
        self.bias = nn.Parameter(torch.empty(copies * classes))

    def forward(self, x: Tensor) -> Tensor:
        inputs = x.reshape(len(x), self.copies, -1).transpose(0, 1)  # (S, N, C)
        weights = self.weight.reshape(self.copies, -1, inputs.shape[2]).transpose(1, 2)
        logits = torch.baddbmm(self.bias.reshape(self.copies, 1, -1), inputs, weights)
        return logits.transpose(0, 1).flatten(1)  # (N, S * classes)


class _SegmentedConvs(nn.ModuleList):
    """Convolutions over channels of their own: those of each network are in several places."""

    def __init__(self, copies: int, convs: SegmentedConv2d) -> None:
        super().__init__(convs)
        self.copies, self.widths = copies, convs.widths

    def forward(self, x: Tensor) -> Tensor:
        pieces = torch.split(_apart(x, self.copies), self.widths, dim=4)
        convolved = [conv(_joined([piece])) for conv, piece in zip(self, pieces, strict=True)]
        return _joined([_apart(y, self.copies) for y in convolved])


class _Mixtures(SegmentMixture):
    """Mixtures whose gate and experts have been widened: each network chooses for itself."""

    def __init__(self, copies: int, mixture: SegmentMixture) -> None:
        super().__init__(mixture.chosen, mixture.gate, mixture.experts)
        self.copies, self.counts, self.widths = copies, mixture.counts, mixture.widths

    def forward(self, x: Tensor) -> Tensor:
        weights = self.gate(x).unflatten(1, (self.copies, -1)).softmax(2)
        return self.weighted(self.experts(x), weights)


class _AtEachPosition(nn.Module):
    """What a module does with the channels of a position, for each network in turn."""

    def __init__(self, copies: int, module: nn.Module) -> None:
        super().__init__()
        self.copies, self.module = copies, module

    def forward(self, x: Tensor) -> Tensor:
        apart = _apart(x, self.copies)
        positions = apart.flatten(2, 3).permute(0, 3, 1, 2)  # (N, C, H, W * S)
        y: Tensor = self.module(positions)
        return _joined([y.permute(0, 2, 3, 1).reshape(apart.shape)])


def _apart(x: Tensor, copies: int) -> Tensor:
    """(N, S * C, H, W) -> (N, H, W, S, C), as it is in memory."""
    last = x.permute(0, 2, 3, 1)
    return last.reshape(*last.shape[:3], copies, -1)


def _joined(pieces: Sequence[Tensor]) -> Tensor:
    """Pieces (N, H, W, S, C_i) -> (N, S * sum of C_i, H, W)."""
    together = pieces[0] if len(pieces) == 1 else torch.cat(list(pieces), dim=4)
    return together.flatten(3).permute(0, 3, 1, 2)
