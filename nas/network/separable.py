"""TensorFlow's ``separable_conv2d`` in PyTorch: its layouts, its padding, its order of channels.

SAME pads max((ceil(n/s) - 1)*s + (k - 1)*rate + 1 - n, 0) rows or columns, the odd one at the
bottom or the right. VALID pads nothing. A stride and a rate above 1 together are refused, as
TensorFlow documents it; in eager mode 2.21 accepts them silently.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from torch import Tensor
from torch.nn import functional as F

Edges = Literal["SAME", "VALID"]
DataFormat = Literal["NHWC", "NCHW"]
Pair = tuple[int, int]
"""Of rows and of columns."""


def separable_conv2d(
    input: Tensor,
    depthwise_filter: Tensor,
    pointwise_filter: Tensor,
    strides: int | Sequence[int],
    padding: Edges,
    rate: int | Sequence[int] = 1,
    data_format: DataFormat = "NHWC",
) -> Tensor:
    """A convolution of each channel by itself, then a 1 x 1 over all, as ``tf.nn`` has it.

    Args:
        input: (N, H, W, C), or (N, C, H, W) with ``NCHW``.
        depthwise_filter: (kh, kw, C, m); channel q becomes channels q*m to q*m + m - 1.
        pointwise_filter: (1, 1, m*C, out).
        strides: of rows and columns: one number, two, or TensorFlow's four, one a dimension.
        padding: ``SAME``: ceil(H/s) rows come out; ``VALID``: nothing is padded.
        rate: from one tap of the depthwise filter to the next, one number or two.
        data_format: of input and output.

    Returns:
        (N, H', W', out), or (N, out, H', W') with ``NCHW``.

    Raises:
        ValueError: shapes that do not fit each other, or strides and a rate above 1: TensorFlow
            documents that as forbidden, and 2.21 accepts it silently in eager mode.
    """
    stride, taps = _steps(strides, padding, rate, data_format)
    _check_ranks(input, depthwise_filter, pointwise_filter)
    if data_format == "NHWC":
        input = input.permute(0, 3, 1, 2)
    _check_channels(input.shape[1], depthwise_filter, pointwise_filter)
    x = _padded(input, depthwise_filter, stride, taps, padding)  # (N, C, H, W)
    kernels = depthwise_filter.permute(2, 3, 0, 1).flatten(0, 1).unsqueeze(1)  # (C*m, 1, kh, kw)
    x = F.conv2d(x, kernels, stride=stride, dilation=taps, groups=x.shape[1])
    x = F.conv2d(x, pointwise_filter.permute(3, 2, 0, 1))
    return x.permute(0, 2, 3, 1) if data_format == "NHWC" else x


def _steps(
    strides: int | Sequence[int], padding: str, rate: int | Sequence[int], data_format: str
) -> tuple[Pair, Pair]:
    """Strides and rates of rows and columns, the other words checked."""
    for name, value, words in (
        ("padding", padding, Edges),
        ("data_format", data_format, DataFormat),
    ):
        if value not in get_args(words):
            raise ValueError(f"{name} is one of {', '.join(get_args(words))}; got {value!r}")
    if not isinstance(strides, int) and len(strides) == 4:
        rows = data_format.index("H")
        others = [*strides[:rows], *strides[rows + 2 :]]
        if others != [1, 1]:
            rule = f"strides over images and channels are 1 ({data_format})"
            raise ValueError(f"{rule}; got {list(strides)}")
        strides = strides[rows : rows + 2]
    stride, taps = _pair("strides", strides), _pair("rate", rate)
    if max(stride) > 1 and max(taps) > 1:
        rule = "strides or rate are above 1, not both (as TensorFlow documents)"
        raise ValueError(f"{rule}; got strides {stride} and rate {taps}")
    return stride, taps


def _pair(name: str, value: int | Sequence[int]) -> Pair:
    numbers = [value] * 2 if isinstance(value, int) else list(value)
    if len(numbers) != 2 or min(numbers) < 1:
        raise ValueError(f"{name} is one number from 1 on, or two; got {value!r}")
    return numbers[0], numbers[1]


def _check_ranks(image: Tensor, depthwise: Tensor, pointwise: Tensor) -> None:
    for name, tensor in {
        "input": image,
        "depthwise_filter": depthwise,
        "pointwise_filter": pointwise,
    }.items():
        if tensor.ndim != 4:
            raise ValueError(f"{name} has 4 dimensions; got shape {tuple(tensor.shape)}")


def _check_channels(channels: int, depthwise: Tensor, pointwise: Tensor) -> None:
    if depthwise.shape[2] != channels:
        rule = f"depthwise_filter is (kh, kw, {channels}, m) for {channels} channels"
        raise ValueError(f"{rule}; got {tuple(depthwise.shape)}")
    between = channels * depthwise.shape[3]
    if tuple(pointwise.shape[:3]) != (1, 1, between):
        rule = f"pointwise_filter is (1, 1, {between}, out) behind {between} channels"
        raise ValueError(f"{rule}; got {tuple(pointwise.shape)}")


def _padded(x: Tensor, depthwise: Tensor, stride: Pair, taps: Pair, padding: str) -> Tensor:
    """(N, C, H, W) with what the depthwise filter sees around it."""
    reach = [(k - 1) * tap + 1 for k, tap in zip(depthwise.shape[:2], taps, strict=True)]
    if padding == "VALID":
        if reach[0] > x.shape[2] or reach[1] > x.shape[3]:
            rule = "with VALID padding the filter reaches over at most"
            positions = f"{x.shape[2]} x {x.shape[3]} positions"
            raise ValueError(f"{rule} {positions}; got {reach[0]} x {reach[1]}")
        return x
    edges: list[int] = []  # left, right, top, bottom: the last dimension first
    for size, step, over in zip(x.shape[2:], stride, reach, strict=True):
        total = max((-(-size // step) - 1) * step + over - size, 0)
        edges = [total // 2, total - total // 2, *edges]
    return F.pad(x, edges)
