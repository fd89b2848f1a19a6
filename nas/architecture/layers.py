"""An architecture unrolled into its layers, each with shapes, parameters and MACs in closed form.

Written from the formulas, not from the PyTorch modules, so that each can be checked by the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from nas.architecture.specification import Architecture, Block, Order, segment_count, segment_widths


@dataclass(frozen=True)
class Layer:
    """One layer that has parameters, or pooling.

    Attributes:
        name: of the module in the built network.
        segments: independent channel segments (groups).
        size: (height, width) of its output.
        params: trainable parameters, a linear layer's bias included.
        macs: multiply-accumulates for one image; padding counts, biases and batch norm do not.
    """

    name: str
    kind: Literal["convolution", "batch norm", "max pool", "linear"]
    in_channels: int
    out_channels: int
    size: tuple[int, int]
    kernel: int = 1
    stride: int = 1
    segments: int = 1
    params: int = 0
    macs: int = 0

    @property
    def activations(self) -> int:
        """Output elements of a convolution or linear layer (Radosavovic 2020, section 3.1)."""
        counted = self.kind in ("convolution", "linear")
        return self.out_channels * self.size[0] * self.size[1] if counted else 0


def unroll(architecture: Architecture) -> tuple[Layer, ...]:
    """All layers in the order in which an image passes them, shortcuts after their branch."""
    return tuple(_layers(architecture))


def unroll_block(block: Block, in_channels: int, size: tuple[int, int]) -> tuple[Layer, ...]:
    """The layers of one block alone, for an input of this (height, width)."""
    return tuple(_block("block", block, in_channels, size))


def _layers(architecture: Architecture) -> Iterator[Layer]:
    channels, *size = architecture.input_shape
    stem = architecture.stem
    height_width = (size[0], size[1])
    for index, (c_in, c_out) in enumerate(stem.convolution_channels(channels)):
        stride = stem.stride if index == 0 else 1
        height_width = (
            _valid(height_width, stem.kernel, stride) if stem.valid else _same(height_width, stride)
        )
        name = f"stem.conv{index}"
        yield _convolution(name, (c_in,), (c_out,), height_width, stem.kernel, stride)
        yield _norm(f"stem.norm{index}", c_out, height_width)
    for index, (block, in_channels) in enumerate(architecture.blocks_with_input()):
        yield from _block(f"blocks.{index}", block, in_channels, height_width)
        height_width = _same(height_width, block.stride)
    last = architecture.blocks[-1].channels[-1]
    classes = architecture.classes
    yield Layer(
        "linear", "linear", last, classes, (1, 1), params=(last + 1) * classes, macs=last * classes
    )


def _block(name: str, block: Block, in_channels: int, size: tuple[int, int]) -> Iterator[Layer]:
    block_input = size
    for index, (c_in, c_out) in enumerate(block.convolution_channels(in_channels)):
        stride = block.convolution_stride if index == 0 else 1
        yield from _spectrum_convolution(
            f"{name}.branch.conv{index}", block, c_in, c_out, size, stride
        )
        size = _same(size, stride)
        yield _norm(f"{name}.branch.norm{index}", c_out, size)
    out_channels = block.channels[-1]
    if block.stride > 1 and block.downsample == "max_pool":
        size = _same(size, block.stride)
        yield Layer(
            f"{name}.branch.pool", "max pool", out_channels, out_channels, size, 3, block.stride
        )
    if block.residual and (block.stride > 1 or in_channels != out_channels):
        size = _same(block_input, block.stride)
        yield _convolution(
            f"{name}.shortcut.conv", (in_channels,), (out_channels,), size, 1, block.stride
        )
        yield _norm(f"{name}.shortcut.norm", out_channels, size)


def _spectrum_convolution(
    name: str, block: Block, c_in: int, c_out: int, size: tuple[int, int], stride: int
) -> Iterator[Layer]:
    """The two steps of `nas.network.operators.SpectrumConv2d`, section 3 of the design."""
    point = block.point
    channels = point.spatial_channels(c_in, c_out)
    widths = segment_widths(channels, segment_count(point.segments, channels))
    multiplied = tuple(width * point.multiplier for width in widths)
    between = channels * point.multiplier
    groups = point.pointwise_groups
    strided = _same(size, stride)
    order: Order = point.order
    if order == "plain":
        yield _convolution(f"{name}.spatial", (c_in,), (c_out,), strided, point.kernel, stride)
    elif order == "spatial_first":
        yield _convolution(f"{name}.spatial", widths, multiplied, strided, point.kernel, stride)
        if point.norm_between:
            yield _norm(f"{name}.norm", between, strided)
        yield _grouped(f"{name}.pointwise", between, c_out, groups, strided)
    else:
        yield _grouped(f"{name}.pointwise", c_in, between, groups, size)
        if point.norm_between:
            yield _norm(f"{name}.norm", between, size)
        yield _convolution(f"{name}.spatial", multiplied, widths, strided, point.kernel, stride)


def _grouped(name: str, c_in: int, c_out: int, groups: int, size: tuple[int, int]) -> Layer:
    return _convolution(name, segment_widths(c_in, groups), segment_widths(c_out, groups), size)


def _convolution(
    name: str,
    in_widths: tuple[int, ...],
    out_widths: tuple[int, ...],
    size: tuple[int, int],
    kernel: int = 1,
    stride: int = 1,
) -> Layer:
    params = kernel**2 * sum(i * o for i, o in zip(in_widths, out_widths, strict=True))
    return Layer(
        name,
        "convolution",
        sum(in_widths),
        sum(out_widths),
        size,
        kernel,
        stride,
        len(in_widths),
        params,
        params * size[0] * size[1],
    )


def _norm(name: str, channels: int, size: tuple[int, int]) -> Layer:
    return Layer(name, "batch norm", channels, channels, size, params=2 * channels)


def _same(size: tuple[int, int], stride: int) -> tuple[int, int]:
    return -(-size[0] // stride), -(-size[1] // stride)


def _valid(size: tuple[int, int], kernel: int, stride: int) -> tuple[int, int]:
    return (size[0] - kernel) // stride + 1, (size[1] - kernel) // stride + 1
