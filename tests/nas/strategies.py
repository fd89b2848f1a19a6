"""Random architectures for property tests: small, but with every option of the format."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import get_args

from hypothesis import strategies as st

from nas.architecture.modules import Activation
from nas.architecture.operators import OPERATORS, Order
from nas.architecture.specification import Architecture, Block, SpectrumPoint, Stem

KERNELS = st.sampled_from([3, 5, 7])


def orders_of(dims: int) -> list[Order]:
    """Those that images have, or with three dimensions clips."""
    return [order for order, operator in OPERATORS.items() if dims in operator.dims]


@st.composite
def points(
    draw: st.DrawFn, in_channels: int, channels: tuple[int, ...], stride: int, dims: int = 2
):
    order = draw(st.sampled_from(orders_of(dims)))
    kernel = draw(KERNELS)
    dilation = draw(st.integers(1, 2)) if stride == 1 else 1
    if not OPERATORS[order].separable:
        return SpectrumPoint(1, order=order, kernel=kernel, dilation=dilation)
    over_outputs = OPERATORS[order].segmented == "output"
    narrowest = min(channels) if over_outputs else min((in_channels, *channels[:-1]))
    segments = draw(
        st.one_of(
            st.integers(1, narrowest),
            st.integers(1, narrowest).map(lambda width: f"C/{width}"),
            st.just("C"),
        )
    )
    return SpectrumPoint(
        segments,
        draw(st.sampled_from(get_args(Activation))),
        order,
        kernel=kernel,
        multiplier=draw(st.integers(1, 3)),
        dilation=dilation,
        pointwise_groups=draw(st.integers(1, min(in_channels, *channels))),
        norm_between=draw(st.booleans()),
    )


@st.composite
def blocks(draw: st.DrawFn, in_channels: int, dims: int = 2):
    channels = tuple(draw(st.lists(st.integers(1, 13), min_size=1, max_size=3)))
    stride = draw(st.integers(1, 3))
    downsample = draw(st.sampled_from(["max_pool", "convolution", "last_convolution"]))
    convolution_stride = 1 if downsample == "max_pool" else stride
    return Block(
        channels,
        draw(points(in_channels, channels, convolution_stride, dims)),
        stride=stride,
        downsample=downsample,
        residual=draw(st.booleans()),
        leading_relu=draw(st.booleans()),
    )


@st.composite
def architectures(draw: st.DrawFn, dims: int = 2):
    """Of images, or with three dimensions of clips."""
    stem = Stem(
        tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=2))),
        stride=draw(st.integers(1, 2)),
        kernel=draw(KERNELS),
        valid=draw(st.booleans()),
    )
    smallest = 19 if stem.valid else 1  # two 7 x 7 convolutions, the first of stride 2
    largest = 23 if dims == 2 or stem.valid else 11
    shape = (draw(st.integers(1, 4)), *(draw(st.integers(smallest, largest)) for _ in range(dims)))
    made: list[Block] = []
    for _ in range(draw(st.integers(1, 3))):
        made.append(draw(blocks(made[-1].channels[-1] if made else stem.channels[-1], dims)))
    paddings = ["symmetric", "tensorflow", "floor"] if dims == 2 else ["symmetric"]
    padding = draw(st.sampled_from(paddings))
    if padding == "floor":  # of strided convolutions without a shortcut, in images large enough
        made = [_floored(block) for block in made]
        shape = (shape[0], *(size + 2 * prod(b.stride for b in made) for size in shape[1:]))
    return Architecture(
        shape,
        draw(st.integers(2, 11)),
        stem,
        tuple(made),
        padding=padding,
        norm_epsilon=draw(st.sampled_from([1e-5, 1e-3])),
        nonlinearity=draw(st.sampled_from(["relu", "relu6"])),
        hidden=tuple(draw(st.lists(st.integers(1, 9), max_size=2))),
    )


def _floored(block: Block) -> Block:
    if block.stride == 1:
        return block
    point = replace(block.point, dilation=1)
    return replace(block, point=point, downsample="convolution", residual=False)


__all__ = ["architectures", "blocks", "orders_of", "points"]
