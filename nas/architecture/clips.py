"""Space and time apart: convolutions of clips within frames, and from frame to frame."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Literal

from nas.architecture.modules import Layer, Row, SegmentGroup, Shape, Step, in_segments

Axes = Literal["space", "time"]


def convolution_along(
    axes: Axes, groups: tuple[SegmentGroup, ...], kernel: int, stride: int = 1, dilation: int = 1
) -> Step:
    """A convolution in segments along some axes of clips: 1 x k x k in space, k x 1 x 1 in time.

    (C_in, T, H, W) -> (C_out, T, ceil(H / stride), ceil(W / stride)) in space, and (C_out,
    ceil(T / stride), H, W) in time (Tran 2018, section 3.5; Xie 2018, section 4).
    """
    row = Row("convolution", _along(axes, kernel), stride)
    part = partial(_convolution, axes=axes, kernel=kernel, stride=stride, dilation=dilation)
    return in_segments(groups, part, row)


def _along(axes: Axes, size: int, other: int = 1) -> tuple[int, int, int]:
    """One size along these axes, another along the others."""
    return (other, size, size) if axes == "space" else (size, other, other)


def _convolution(
    out_channels: int, groups: int, axes: Axes, kernel: int, stride: int, dilation: int
) -> Step:
    kernels, strides = _along(axes, kernel), _along(axes, stride)
    steps = {"stride": stride, "dilation": dilation}
    options: dict[str, object] = {n: _along(axes, step) for n, step in steps.items() if step > 1}
    padding = _along(axes, dilation * (kernel - 1) // 2, 0)
    options |= {"padding": padding, "groups": groups, "bias": False}
    row = Row("convolution", kernels, stride, groups)

    def at(shape: Shape) -> Layer:
        size = [-(-n // step) for n, step in zip(shape[1:], strides, strict=True)]
        params, positions = prod(kernels) * shape[0] * out_channels // groups, prod(size)
        costs = params, params * positions, out_channels * positions
        arguments = shape[0], out_channels, kernels
        return Layer("Conv3d", shape, (out_channels, *size), arguments, options, {}, *costs, row)

    return at
