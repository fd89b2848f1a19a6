"""The spectrum convolution and its parts, as PyTorch layers.

All tensors are (N, C, H, W). Layers without a bias: batch norm follows every convolution.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.architecture.specification import (
    Activation,
    Padding,
    SpectrumPoint,
    segment_count,
    segment_widths,
)

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "none": nn.Identity,
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """TensorFlow's ``SAME`` padding of one axis, as (before, after): the odd one is after."""
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def pad_same(x: Tensor, kernel: int, stride: int, dilation: int = 1, value: float = 0.0) -> Tensor:
    """Pad height and width as TensorFlow's ``SAME`` does: (N, C, H, W) -> (N, C, H', W')."""
    top, bottom = same_padding(x.shape[2], kernel, stride, dilation)
    left, right = same_padding(x.shape[3], kernel, stride, dilation)
    return F.pad(x, (left, right, top, bottom), value=value)


class SegmentedConv2d(nn.Module):
    """A k x k convolution whose channel segments do not see each other: (N, C_in, H, W) ->
    (N, C_out, ceil(H / stride), ceil(W / stride)).

    Segments of equal width are one grouped convolution, so there is one part where the segments
    divide the channels, and otherwise one part for the wider segments and one for the others.

    Args:
        in_widths: input channels of each segment.
        out_widths: output channels of each segment.
        padding: symmetric, or TensorFlow's ``SAME``.
    """

    def __init__(
        self,
        in_widths: tuple[int, ...],
        out_widths: tuple[int, ...],
        kernel: int,
        stride: int = 1,
        dilation: int = 1,
        padding: Padding = "symmetric",
    ) -> None:
        super().__init__()
        self.pad_same = padding == "tensorflow"
        runs = [
            (width_in, width_out, len(list(run)))
            for (width_in, width_out), run in groupby(zip(in_widths, out_widths, strict=True))
        ]
        self.in_channels = [width_in * groups for width_in, _, groups in runs]
        self.kernel, self.stride, self.dilation = kernel, stride, dilation
        self.parts = nn.ModuleList(
            nn.Conv2d(
                width_in * groups,
                width_out * groups,
                kernel,
                stride,
                padding=0 if self.pad_same else dilation * (kernel - 1) // 2,
                dilation=dilation,
                groups=groups,
                bias=False,
            )
            for width_in, width_out, groups in runs
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.pad_same:
            x = pad_same(x, self.kernel, self.stride, self.dilation)
        if len(self.parts) == 1:
            y: Tensor = self.parts[0](x)
            return y
        pieces = torch.split(x, self.in_channels, dim=1)
        return torch.cat([part(piece) for part, piece in zip(self.parts, pieces, strict=True)], 1)


class PointwiseConv2d(nn.Module):
    """A 1x1 convolution; a strided one drops positions first and convolves what is left.

    A strided 1x1 in oneDNN has wrong weight gradients on CPU in `channels_last` with fewer than
    eight input channels (uxlfoundation/oneDNN#6035, PyTorch 2.13). Slicing gives the same result.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride > 1:
            x = x[..., :: self.stride, :: self.stride]
        y: Tensor = self.conv(x)
        return y


class ChannelShuffle(nn.Module):
    """Interleave the channels of groups, so that the next groups mix (ShuffleNet, section 3.1).

    For groups of equal width this is the usual reshape and transpose; others are interleaved alike.
    """

    source: Tensor

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        place = [
            (position, group) for group, width in enumerate(widths) for position in range(width)
        ]
        source = sorted(range(len(place)), key=place.__getitem__)
        self.register_buffer("source", torch.tensor(source), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x.index_select(1, self.source)


class MaxPool2d(nn.Module):
    """3x3 max pooling: (N, C, H, W) -> (N, C, ceil(H / stride), ceil(W / stride))."""

    def __init__(self, stride: int, padding: Padding = "symmetric") -> None:
        super().__init__()
        self.stride, self.pad_same = stride, padding == "tensorflow"

    def forward(self, x: Tensor) -> Tensor:
        if self.pad_same:
            x = pad_same(x, 3, self.stride, value=float("-inf"))
            return F.max_pool2d(x, 3, self.stride)
        return F.max_pool2d(x, 3, self.stride, padding=1)


class SpectrumConv2d(nn.Sequential):
    """A convolution at one point of the separability spectrum (Chollet 2016, section 1.1).

    (N, C_in, H, W) -> (N, C_out, ceil(H / stride), ceil(W / stride)). The two steps, ``spatial``
    (k x k in segments) and ``pointwise`` (1x1), come in the point's order, its activation between.
    With ``pointwise_first`` the 1x1 sees every position and the k x k step has the stride.

    Raises:
        ArchitectureError: the point has more segments than channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        point: SpectrumPoint,
        stride: int = 1,
        padding: Padding = "symmetric",
        norm_epsilon: float = 1e-5,
    ) -> None:
        channels = point.spatial_channels(in_channels, out_channels)
        widths = segment_widths(channels, segment_count(point.segments, channels))
        multiplied = tuple(width * point.multiplier for width in widths)
        between = channels * point.multiplier

        def spatial(ins: tuple[int, ...], outs: tuple[int, ...]) -> nn.Module:
            return SegmentedConv2d(ins, outs, point.kernel, stride, point.dilation, padding)

        joint: dict[str, nn.Module] = {}
        if point.norm_between:
            joint["norm"] = nn.BatchNorm2d(between, eps=norm_epsilon)
        if point.activation != "none":
            joint["activation"] = ACTIVATIONS[point.activation]()

        if point.order == "plain":
            steps = {"spatial": spatial((in_channels,), (out_channels,))}
        elif point.order == "spatial_first":
            steps = {"spatial": spatial(widths, multiplied)} | joint
            steps |= _pointwise(between, out_channels, point.pointwise_groups)
        else:
            steps = _pointwise(in_channels, between, point.pointwise_groups) | joint
            steps |= {"spatial": spatial(multiplied, widths)}
        super().__init__(OrderedDict(steps))


def _pointwise(in_channels: int, out_channels: int, groups: int) -> dict[str, nn.Module]:
    if groups == 1:
        return {"pointwise": PointwiseConv2d(in_channels, out_channels)}
    out_widths = segment_widths(out_channels, groups)
    return {
        "pointwise": SegmentedConv2d(segment_widths(in_channels, groups), out_widths, kernel=1),
        "shuffle": ChannelShuffle(out_widths),
    }
