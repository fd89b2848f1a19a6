"""Space and time apart: convolutions of clips within frames, and from frame to frame."""

from __future__ import annotations

from functools import partial
from typing import Literal

from nas.architecture.modules import Row, SegmentGroup, Step, convolution, in_segments

Axes = Literal["space", "time"]


def convolution_along(
    axes: Axes, groups: tuple[SegmentGroup, ...], kernel: int, stride: int = 1, dilation: int = 1
) -> Step:
    """A convolution in segments along some axes of clips: 1 x k x k in space, k x 1 x 1 in time.

    (C_in, T, H, W) -> (C_out, T, ceil(H / stride), ceil(W / stride)) in space, and (C_out,
    ceil(T / stride), H, W) in time (Tran 2018, section 3.5; Xie 2018, section 4).
    """
    kernels = _along(axes, kernel)
    part = partial(
        convolution,
        kernel=kernels,
        stride=_along(axes, stride) if stride > 1 else 1,
        padding=_along(axes, dilation * (kernel - 1) // 2, 0),
        dilation=_along(axes, dilation) if dilation > 1 else 1,
    )
    return in_segments(groups, part, Row("convolution", kernels, stride))


def _along(axes: Axes, size: int, other: int = 1) -> tuple[int, int, int]:
    """One size along these axes, another along the others."""
    return (other, size, size) if axes == "space" else (size, other, other)
