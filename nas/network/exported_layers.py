"""Layers that a network may need besides PyTorch's own.

The source of each class that an exported network uses is copied into its ``model.py``, so this file
imports nothing but PyTorch. Tensors are (N, C, H, W), in PyTorch's ``channels_last`` where it is to
be fast, and so are the gradients: a sum with one that is not takes everything before it off the
fast kernels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """The sum of a branch and a shortcut."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.branch(x) + self.shortcut(x)
        return y


class Concatenation(nn.ModuleList):
    """Towers side by side over the same input, their channels concatenated."""

    def __init__(self, *towers: nn.Module) -> None:
        super().__init__(towers)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([tower(x) for tower in self], dim=1)


class WithAuxiliary(nn.Module):
    """A network with a second head in the middle: in training, its logits come with the others."""

    def __init__(self, trunk: nn.Module, auxiliary: nn.Module, rest: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.auxiliary = auxiliary
        self.rest = rest

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = self.trunk(x)
        logits: Tensor = self.rest(x)
        return (logits, self.auxiliary(x)) if self.training else logits


class ShiftNorm2d(nn.BatchNorm2d):
    """Batch norm whose scale is 1 and not trained."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__(channels, eps)
        del self.weight
        self.register_buffer("weight", torch.ones(channels))


class SegmentedConv2d(nn.ModuleList):
    """Convolutions side by side, each over channels of its own."""

    def __init__(self, *convs: nn.Conv2d) -> None:
        super().__init__(convs)
        self.widths = [conv.in_channels for conv in convs]

    def forward(self, x: Tensor) -> Tensor:
        pieces = torch.split(x, self.widths, dim=1)
        return torch.cat([conv(x) for conv, x in zip(self, pieces)], dim=1)  # noqa: B905  # as long as each other


class Subsample(nn.Module):
    """Keep every n-th row and column; with a 1x1 convolution behind it, that one strided."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        # As x[..., ::stride, ::stride], whose gradient is not in channels_last.
        return nn.functional.avg_pool2d(x, 1, self.stride)


class Interleave(nn.Module):
    """Channels in turn from each group (ShuffleNet's channel shuffle).

    Groups that do not divide the channels differ by one, the wider ones first.
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.width, self.wider = divmod(channels, groups)

    def forward(self, x: Tensor) -> Tensor:
        last = x.permute(0, 2, 3, 1)  # (N, H, W, C), as it is in memory
        if not self.wider:
            return self._in_turn(last).permute(0, 3, 1, 2)
        start = self.wider * (self.width + 1)
        wide = last[..., :start].reshape(*last.shape[:3], self.wider, self.width + 1)
        common = torch.cat((wide[..., : self.width].flatten(3), last[..., start:]), dim=3)
        in_turn = self._in_turn(common)
        return torch.cat((in_turn, wide[..., self.width]), dim=3).permute(0, 3, 1, 2)

    def _in_turn(self, last: Tensor) -> Tensor:
        """Of groups of equal width."""
        grouped = last.reshape(*last.shape[:3], self.groups, self.width)
        return grouped.transpose(3, 4).flatten(3)


class SamePad(nn.Module):
    """TensorFlow's SAME padding; an odd pixel goes to the bottom or the right."""

    def __init__(self, kernel: int, stride: int = 1, dilation: int = 1, value: float = 0.0) -> None:
        super().__init__()
        self.kernel, self.stride, self.dilation, self.value = kernel, stride, dilation, value

    def forward(self, x: Tensor) -> Tensor:
        padding: list[int] = []
        for size in (x.shape[3], x.shape[2]):
            reach = (-(-size // self.stride) - 1) * self.stride + (self.kernel - 1) * self.dilation
            total = max(reach + 1 - size, 0)
            padding += [total // 2, total - total // 2]
        return nn.functional.pad(x, padding, value=self.value)


class GlobalMean(nn.Module):
    """Average over all positions: (N, C, H, W) -> (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).mean(dim=(1, 2))  # whose gradient is in channels_last
