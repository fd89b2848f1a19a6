"""Combinations of a design that are the same network, or nearly the same, under several names.

Two that are can beat each other only by chance, and each costs as many trainings as any other arm.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

from nas.architecture.specification import Architecture, ArchitectureError
from nas.space.search_space import SearchSpace

_Counts = tuple[tuple[int, ...], ...]


def alike_arms(space: SearchSpace) -> Iterator[str]:
    """A line about each pair: the same network, or one but for a segment in one block.

    Nearly the same are those that have equally many segments in all blocks, or in all but one,
    which has one more, and are otherwise equal; their widths are solved for the same cost.
    """
    names: dict[str, list[str]] = defaultdict(list)
    networks: dict[str, Architecture] = {}
    for combination, architecture in space.architectures:
        if not isinstance(architecture, ArchitectureError):
            names[architecture.key].append(space.name_of(combination))
            networks[architecture.key] = architecture
    for same in names.values():
        if len(same) > 1:
            yield f"{' and '.join(same)} are the same network: one arm"
    of_kind: dict[Architecture, list[tuple[str, _Counts]]] = defaultdict(list)
    for key, network in networks.items():
        of_kind[_without_segments(network)].append((names[key][0], _segments(network)))
    for alike in of_kind.values():
        for (one, counts), (other, others) in combinations(alike, 2):
            if (blocks := _differing(counts, others)) is not None:
                where = "in all blocks" if blocks == 0 else "but for one segment in one block"
                yield f"{one} and {other} have as many segments {where}"


def _segments(network: Architecture) -> _Counts:
    return tuple(block.segment_counts(channels) for block, channels in network.blocks_with_input())


def _without_segments(network: Architecture) -> Architecture:
    """What else a network is, but for its widths: those of equal cost follow from the segments."""
    blocks = tuple(
        replace(
            block,
            channels=(1,) * len(block.channels),
            point=replace(block.point, segments=1, pointwise_groups=1),
        )
        for block in network.blocks
    )
    stem = replace(network.stem, channels=(1,) * len(network.stem.channels))
    return replace(network, stem=stem, blocks=blocks)


def _differing(counts: _Counts, others: _Counts) -> int | None:
    """How many blocks have other segments, if it is at most one, and that by one; else None."""
    pairs = [pair for pair in zip(counts, others, strict=True) if pair[0] != pair[1]]
    near = all(max(abs(a - b) for a, b in zip(*pair, strict=True)) <= 1 for pair in pairs)
    return len(pairs) if len(pairs) <= 1 and near else None
