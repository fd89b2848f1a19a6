"""A network at other widths: its stages, and how far they are from the declared proportions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise

from nas.architecture.specification import Architecture, ArchitectureError, Shortcut

Widths = tuple[int, ...]
"""Channels of each stage, the stem's first.

A stage is consecutive convolutions of equal width, together with those at the other end of an
identity shortcut: whatever its width, it stays equally wide.
"""


def widths_of(architecture: Architecture) -> Widths:
    """Width of each stage, the stem first."""
    widths = dict(zip(stages_of(architecture), _channels(architecture), strict=True))
    return tuple(widths.values())


def stages_of(architecture: Architecture) -> list[int]:
    """The stage, counted from 0, of each convolution in stem and blocks."""
    channels = _channels(architecture)
    stages = [0]
    for before, after in pairwise(channels):
        stages.append(stages[-1] + (before != after))
    end = len(architecture.stem.channels) - 1
    for block, in_channels in architecture.blocks_with_input():
        start, end = end, end + len(block.channels)
        if block.shortcut(in_channels) == "identity" and stages[start] != stages[end]:
            stages = [stages[start] if stage == stages[end] else stage for stage in stages]
    places = {stage: place for place, stage in enumerate(dict.fromkeys(stages))}
    return [places[stage] for stage in stages]


def _channels(architecture: Architecture) -> list[int]:
    blocks = (width for block in architecture.blocks for width in block.channels)
    return [*architecture.stem.channels, *blocks]


def at_widths(architecture: Architecture, widths: Widths) -> Architecture | None:
    """The architecture with these widths of its stages, or nothing where that cannot be built."""
    channels = iter([widths[stage] for stage in stages_of(architecture)])
    stem = replace(
        architecture.stem, channels=tuple(next(channels) for _ in architecture.stem.channels)
    )
    replaced = cache(lambda block, widths: replace(block, channels=widths))  # of equal blocks once
    blocks = tuple(
        replaced(block, tuple(next(channels) for _ in block.channels))
        for block in architecture.blocks
    )
    try:
        return replace(architecture, stem=stem, blocks=blocks)
    except ArchitectureError:
        return None


def same_at_widths(architecture: Architecture, widths: Widths) -> Architecture | None:
    """The same network at other widths: nothing also where a shortcut would be of another kind.

    A projection whose ends become equally wide would be an identity.
    """
    scaled = at_widths(architecture, widths)
    same = scaled is not None and _shortcuts(scaled) == _shortcuts(architecture)
    return scaled if same else None


def _shortcuts(architecture: Architecture) -> list[Shortcut]:
    return [block.shortcut(in_channels) for block, in_channels in architecture.blocks_with_input()]


def rounded(widths: Sequence[float]) -> Widths:
    """Whole channels, one at least."""
    return tuple(max(1, round(width)) for width in widths)


def deviation_from(architecture: Architecture, matched: Architecture) -> float:
    """How far widths are from proportion: see `deviation`.

    Args:
        matched: the same network at other widths.
    """
    stages, channels = stages_of(architecture), _channels(matched)
    widths = dict(zip(stages, channels, strict=True))
    return deviation(widths_of(architecture), tuple(widths.values()))


def deviation(declared: Widths, widths: Widths) -> float:
    """Root mean square, over the stages, of how far each is from the best common factor, relative.

    0 where all stages are scaled alike; rounding to whole channels alone makes some percent of
    narrow stages.
    """
    ratios = [width / as_declared for width, as_declared in zip(widths, declared, strict=True)]
    return of_ratios(len(ratios), sum(ratios), sum(ratio * ratio for ratio in ratios))


def of_ratios(count: int, total: float, squares: float) -> float:
    """The deviation from the stages' ratios: how many, their sum and that of their squares.

    Ratios x are nearest to the factor f that minimizes sum((x / f - 1)^2), which is squares /
    total; what is left is count - total^2 / squares.
    """
    return float(max(0.0, 1 - total * total / squares / count) ** 0.5)
