"""Where a network is on the separability spectrum (Chollet 2016, section 1.2)."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from statistics import fmean

from nas.architecture.specification import Architecture, Block

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
    """Mean position of the blocks."""
    return fmean(block_position(*block) for block in architecture.blocks_with_input())


def segment_width(architecture: Architecture) -> float:
    """Channels of a segment, geometric mean over all convolutions of the blocks."""
    logarithms = []
    for block, in_channels in architecture.blocks_with_input():
        pairs = block.convolution_channels(in_channels)
        counts = block.segment_counts(in_channels)
        widths = [block.point.spatial_channels(*pair) for pair in pairs]
        logarithms += [log(width / count) for width, count in zip(widths, counts, strict=True)]
    return exp(fmean(logarithms))


def is_end(architecture: Architecture) -> bool:
    """Whether all blocks are at the same end: regular convolutions, or a segment per channel."""
    positions = {block_position(*block) for block in architecture.blocks_with_input()}
    return positions <= {PLAIN_POSITION, 0.0} or positions == {1.0}


def end_names(orders: Sequence[str]) -> tuple[str, ...]:
    """Names of the ends: regular convolutions, and one segment per channel in each order."""
    return ("plain", *(f"C, {order.replace('_', ' ')}" for order in orders))
