"""Pooling: the largest value or the mean of each neighbourhood."""

from __future__ import annotations

from typing import Literal

from nas.architecture.modules import Layer, Padding, Row, Shape, Step, named, padding_of, sequential


def max_pool(stride: int, padding: Padding = "symmetric") -> Step:
    """Max pooling, 3 x 3: (C, H, W) -> (C, ceil(H / stride), ceil(W / stride)); of clips alike."""
    pad, steps = padding_of(3, stride, 1, padding, value=float("-inf"))
    row = Row("max pool", 3, stride)
    return sequential({**steps, "pool": _pool("MaxPool", 3, stride, pad)}, row)


def valid_pool(kind: Literal["max pool", "average pool"], kernel: int, stride: int) -> Step:
    """Pooling of what there is a whole kernel of."""
    module = "MaxPool" if kind == "max pool" else "AvgPool"
    return sequential({"pool": _pool(module, kernel, stride, 0)}, Row(kind, kernel, stride))


def average_pool(counts_padding: bool = True) -> Step:
    """Average pooling, 3 x 3 with stride 1, as in Inception modules.

    Args:
        counts_padding: in the mean, as PyTorch does; TensorFlow leaves it out.
    """
    more = {} if counts_padding else {"count_include_pad": False}
    return sequential({"pool": _pool("AvgPool", 3, 1, 1, **more)}, Row("average pool", 3))


def _pool(kind: str, kernel: int, stride: int, padding: int, **more: bool) -> Step:
    options = {"stride": stride, "padding": padding, **more}

    def at(shape: Shape) -> Layer:
        size = [(n + 2 * padding - kernel) // stride + 1 for n in shape[1:]]
        return Layer(named(kind, shape), shape, (shape[0], *size), (kernel,), options)

    return at
