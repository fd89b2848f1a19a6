"""Layers that a network may need besides PyTorch's own.

The source of each class that an exported network uses is copied into its ``model.py``, so this file
imports nothing but PyTorch. Tensors are (N, C, H, W), or (N, C, T, H, W) of clips, in PyTorch's
``channels_last`` where it is to be fast, and so are the gradients: a sum with one that is not takes
everything before it off the fast kernels.
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

    def __init__(self, *convs: nn.Conv2d | nn.Conv3d) -> None:
        super().__init__(convs)
        self.widths = [conv.in_channels for conv in convs]

    def forward(self, x: Tensor) -> Tensor:
        pieces = torch.split(x, self.widths, dim=1)
        return torch.cat([conv(x) for conv, x in zip(self, pieces)], dim=1)  # noqa: B905  # as long as each other


class SegmentMixture(nn.Module):
    """Segments of a convolution as experts: each image has those that a gate weighs most.

    The output of a chosen expert is multiplied by its weight, that of the others is 0. Training
    computes all of them, and so does a graph that is exported; else the chosen ones are computed.

    Args:
        chosen: experts for each image.
        gate: (N, C, H, W) -> (N, experts), before the softmax.
        experts: a segmented convolution, perhaps after padding.
    """

    balance = 0.01  # of the loss that keeps all experts in use

    def __init__(self, chosen: int, gate: nn.Module, experts: nn.Sequential) -> None:
        super().__init__()
        self.chosen, self.gate, self.experts = chosen, gate, experts
        self.counts = [conv.groups for conv in self._convs()]  # the widest experts come first
        self.widths = [conv.out_channels // conv.groups for conv in self._convs()]

    def forward(self, x: Tensor) -> Tensor:
        weights = self.gate(x).softmax(1)
        if self.training or torch.compiler.is_compiling():
            return self.weighted(self.experts(x), weights)
        y = self._chosen_alone(self.experts[:-1](x), *weights.topk(self.chosen))
        return y.contiguous(memory_format=torch.channels_last)

    def weighted(self, y: Tensor, weights: Tensor) -> Tensor:
        """The output of all experts, (N, C, H, W), by their weights (N, experts)."""
        highest, chosen = weights.topk(self.chosen)
        kept = torch.zeros_like(weights).scatter(-1, chosen, highest)
        if self.training and weights.requires_grad:
            # The gradient of experts * sum(share of the choices * mean weight), which is the
            # load-balancing loss of Fedus 2021, equation 4: added here, no training knows of it.
            share = self.mean_over_batch((kept > 0).to(weights.dtype)) / self.chosen
            slope = self.balance * weights.shape[-1] / len(weights) * share
            weights.register_hook(lambda gradient: gradient + slope)  # type: ignore[no-untyped-call]  # in PyTorch
        parts = torch.split(kept, self.counts, dim=-1)
        factors = [x.repeat_interleave(width, -1) for x, width in zip(parts, self.widths)]  # noqa: B905  # as long
        return y * torch.cat(factors, -1).flatten(1).to(y.dtype)[:, :, None, None]

    def mean_over_batch(self, x: Tensor) -> Tensor:
        """(N, experts) -> (experts,), in training."""
        return x.mean(0)

    def _chosen_alone(self, x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        """One convolution with a group for each expert of each image."""
        conv, row = self._convs()[0], torch.arange(len(x), device=x.device)[:, None]
        inputs, kernels = self._by_expert(x)
        y = nn.functional.conv2d(
            inputs[row, chosen].flatten(0, 2)[None],
            kernels[chosen].flatten(0, 2),
            stride=conv.stride,
            padding=conv.padding,
            dilation=conv.dilation,
            groups=chosen.numel(),
        )
        y = y.reshape(*chosen.shape, -1, *y.shape[2:])
        every = y.new_zeros(len(x), sum(self.counts), *y.shape[2:])
        every[row, chosen] = y * weights.to(y.dtype)[..., None, None, None]
        parts = torch.split(every, self.counts, dim=1)
        outputs = [x[:, :, :width].flatten(1, 2) for x, width in zip(parts, self.widths)]  # noqa: B905  # as long
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, 1)

    def _by_expert(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs (N, experts, channels, H, W), kernels (experts, outputs, channels, k, k).

        Experts that are narrower than others are filled up with zeros.
        """
        convs = self._convs()
        pieces = torch.split(x, [conv.in_channels for conv in convs], dim=1)
        inputs = [x.reshape(len(x), n, -1, *x.shape[2:]) for x, n in zip(pieces, self.counts)]  # noqa: B905  # as long
        kernels = [conv.weight.reshape(conv.groups, -1, *conv.weight.shape[1:]) for conv in convs]
        if len(convs) == 1:
            return inputs[0], kernels[0]
        _, outputs, channels, _, _ = kernels[0].shape
        for i, kernel in enumerate(kernels):
            fill = (0, 0, 0, 0, 0, channels - kernel.shape[2])
            inputs[i] = nn.functional.pad(inputs[i], fill)
            kernels[i] = nn.functional.pad(kernel, (*fill, 0, outputs - kernel.shape[1]))
        return torch.cat(inputs, 1), torch.cat(kernels)

    def _convs(self) -> list[nn.Conv2d]:
        return [module for module in self.experts.modules() if isinstance(module, nn.Conv2d)]


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
        last = x.movedim(1, -1)  # (N, H, W, C), as it is in memory
        if not self.wider:
            return self._in_turn(last).movedim(-1, 1)
        start = self.wider * (self.width + 1)
        wide = last[..., :start].reshape(*last.shape[:-1], self.wider, self.width + 1)
        common = torch.cat((wide[..., : self.width].flatten(-2), last[..., start:]), dim=-1)
        in_turn = self._in_turn(common)
        return torch.cat((in_turn, wide[..., self.width]), dim=-1).movedim(-1, 1)

    def _in_turn(self, last: Tensor) -> Tensor:
        """Of groups of equal width."""
        grouped = last.reshape(*last.shape[:-1], self.groups, self.width)
        return grouped.transpose(-2, -1).flatten(-2)


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
    """Average over all positions: (N, C, H, W) or (N, C, T, H, W) -> (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        positions = tuple(range(1, x.ndim - 1))
        return x.movedim(1, -1).mean(dim=positions)  # whose gradient is in channels_last
