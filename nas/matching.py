"""Widths that make an architecture cost a given number of MACs.

Networks at different points of the spectrum can only be compared at equal cost: at equal width a
regular convolution costs eight to ten times a depthwise separable one.
"""

from __future__ import annotations

import heapq
from dataclasses import replace
from itertools import groupby, pairwise

from nas.architecture import MAX_CHANNELS, Architecture, ArchitectureError, Stem
from nas.cost import count_cost

MAX_CANDIDATES = 5_000
"""Width combinations tried around the uniform scaling before giving up."""

MAX_DEVIATION = 0.5
"""Of a stage from the uniform scaling, relative (or two channels, where that is more): a network
farther from it would not have the proportions that were asked for."""


class MatchError(ArchitectureError):
    """No widths near a uniform scaling cost what was asked for."""


def match_macs(architecture: Architecture, macs: int, tolerance: float = 0.01) -> Architecture:
    """Scale the widths so that the network costs ``macs`` multiply-accumulates.

    All stages are scaled by one factor first. One factor is too coarse for small networks, so
    single stages are then moved by single channels, in order of increasing distance from the
    uniform scaling (relative, squared, summed over stages), until the cost is within the tolerance.
    A stage is a run of convolutions of equal width: it stays one, so identity shortcuts stay.

    Args:
        architecture: the network whose proportions are kept.
        macs: wanted multiply-accumulates of one image.
        tolerance: largest relative difference from ``macs``.

    Raises:
        MatchError: no such widths; the message gives the nearest cost that was found.
    """
    widths = _widths(architecture)
    scale = _uniform_scale(architecture, widths, macs)
    ideal = [scale * width for width in widths]
    start = tuple(max(1, round(width)) for width in ideal)

    def distance(candidate: tuple[int, ...]) -> float:
        return sum(((c - i) / i) ** 2 for c, i in zip(candidate, ideal, strict=True))

    queue = [(distance(start), start)]
    seen = {start}
    nearest = None
    for _ in range(MAX_CANDIDATES):
        if not queue:
            break
        _, candidate = heapq.heappop(queue)
        cost = _macs(architecture, candidate)
        if cost is not None:
            if abs(cost - macs) <= tolerance * macs:
                return _with_widths(architecture, candidate)
            if nearest is None or abs(cost - macs) < abs(nearest - macs):
                nearest = cost
        for stage, width in enumerate(candidate):
            for moved in (width - 1, width + 1):
                neighbour = (*candidate[:stage], moved, *candidate[stage + 1 :])
                near = abs(moved - ideal[stage]) <= max(2.0, MAX_DEVIATION * ideal[stage])
                if near and 1 <= moved <= MAX_CHANNELS and neighbour not in seen:
                    seen.add(neighbour)
                    heapq.heappush(queue, (distance(neighbour), neighbour))
    found = "no widths are valid" if nearest is None else f"the nearest found is {nearest:,}"
    raise MatchError(f"no widths cost {macs:,} MACs within {tolerance:.2%}; {found}")


def _uniform_scale(architecture: Architecture, widths: tuple[int, ...], macs: int) -> float:
    """The factor on all widths whose cost, rounded to whole channels, crosses ``macs``."""
    low, high = 1 / max(widths), MAX_CHANNELS / max(widths)
    for _ in range(60):
        middle = (low * high) ** 0.5
        cost = _macs(architecture, tuple(max(1, round(middle * width)) for width in widths))
        # Widths that are too narrow for the segments count as too cheap.
        if cost is None or cost < macs:
            low = middle
        else:
            high = middle
    return high


def _widths(architecture: Architecture) -> tuple[int, ...]:
    """Width of each stage: runs of equal channels through stem and blocks."""
    return tuple(width for width, _ in groupby(_all_channels(architecture)))


def _all_channels(architecture: Architecture) -> list[int]:
    blocks = (width for block in architecture.blocks for width in block.channels)
    return [*architecture.stem.channels, *blocks]


def _with_widths(architecture: Architecture, widths: tuple[int, ...]) -> Architecture:
    """The architecture with the channels of each stage replaced."""
    runs = groupby(_all_channels(architecture))
    channels = iter([width for width, (_, run) in zip(widths, runs, strict=True) for _ in run])
    stem: Stem = replace(
        architecture.stem, channels=tuple(next(channels) for _ in architecture.stem.channels)
    )
    blocks = tuple(
        replace(block, channels=tuple(next(channels) for _ in block.channels))
        for block in architecture.blocks
    )
    return replace(architecture, stem=stem, blocks=blocks)


def _macs(architecture: Architecture, widths: tuple[int, ...]) -> int | None:
    """Cost at these widths, or nothing where they do not give the same kind of network.

    That is where the segments need more channels, or where two stages become equally wide, which
    would turn the projection between them into an identity shortcut.
    """
    if any(left == right for left, right in pairwise(widths)):
        return None
    try:
        return count_cost(_with_widths(architecture, widths)).macs
    except ArchitectureError:
        return None
