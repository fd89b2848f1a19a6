"""Where a network is on the separability spectrum (Chollet 2016, section 1.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import log
from statistics import fmean
from typing import cast

from nas.architecture import Architecture, Block, Order, SpectrumPoint

PLAIN_POSITION = -1.0
"""Before the regular end: a plain convolution has no 1x1 step that could be decoupled."""


def block_position(block: Block, in_channels: int) -> float:
    """From 0, one segment, to 1, a segment per channel, in logarithms; plain is before both."""
    if block.point.order == "plain":
        return PLAIN_POSITION
    pairs = block.convolution_channels(in_channels)
    widths = [max(2, block.point.spatial_channels(*pair)) for pair in pairs]
    counts = block.segment_counts(in_channels)
    return fmean(log(count) / log(width) for count, width in zip(counts, widths, strict=True))


def position(architecture: Architecture) -> float:
    """Mean over the blocks."""
    return fmean(block_position(*block) for block in architecture.blocks_with_input())


def is_end(architecture: Architecture) -> bool:
    """Whether all blocks are at the same end: regular convolutions, or a segment per channel."""
    positions = {block_position(*block) for block in architecture.blocks_with_input()}
    return positions <= {PLAIN_POSITION, 0.0} or positions == {1.0}


def ends_of(architecture: Architecture, orders: Sequence[str]) -> dict[str, Architecture]:
    """The same network at both ends of the spectrum, by name; everything else stays as it is.

    Regular convolutions, and one segment for each channel in each of the orders.
    """
    regular = [
        replace(
            block,
            point=SpectrumPoint(
                1, order="plain", kernel=block.point.kernel, dilation=block.point.dilation
            ),
        )
        for block in architecture.blocks
    ]
    ends = {"plain": replace(architecture, blocks=tuple(regular))}
    for order in orders:
        blocks = [
            replace(block, point=replace(block.point, segments="C", order=cast("Order", order)))
            for block in architecture.blocks
        ]
        ends[f"C, {order.replace('_', ' ')}"] = replace(architecture, blocks=tuple(blocks))
    return ends
