"""Architectures in words."""

from __future__ import annotations

from nas.architecture import Block


def describe_block(block: Block, in_channels: int) -> str:
    """One line: ``2 convolutions in 6 segments, pointwise first, relu between``."""
    point = block.point
    convolutions = len(block.channels)
    noun = "convolution" if convolutions == 1 else "convolutions"
    if point.order == "plain":
        return f"{convolutions} plain {noun}"
    counts = block.segment_counts(in_channels)
    shown = str(counts[0]) if len(set(counts)) == 1 else " and ".join(map(str, counts))
    segments = "segment" if set(counts) == {1} else "segments"
    activation = "nothing" if point.activation == "none" else point.activation
    order = point.order.replace("_", " ")
    return f"{convolutions} {noun} in {shown} {segments}, {order}, {activation} between"
