"""Widths that make an architecture cost what it should: in MACs, parameters or milliseconds.

Networks at different points of the spectrum can only be compared at equal cost: at equal width a
regular convolution costs eight to ten times a depthwise separable one.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice, pairwise

from nas.architecture.cost import Cost, count_cost
from nas.architecture.specification import MAX_CHANNELS, Architecture, ArchitectureError, Shortcut

MAX_CANDIDATES = 5_000
"""Width combinations tried around the uniform scaling before giving up."""

MAX_DEVIATION = 0.5
"""How far a stage may be from the uniform scaling, relative (or two channels, where that is more):
a network farther from it would not have the proportions that were asked for."""


MAX_MEASURED = 100
"""Width combinations whose latency is measured before giving up."""

MAX_MEASURED_PARAMS = 200_000_000
"""Parameters of a network whose latency is measured: a wider one may not fit into memory."""

ONE_CHANNEL = 1e-6
"""The factor is known when the widest stage's widths are known to this part of a channel."""


class MatchError(ArchitectureError):
    """No widths near a uniform scaling cost what was asked for."""


def match_macs(architecture: Architecture, macs: int, tolerance: float = 0.01) -> Architecture:
    """Scale the widths so that the network costs ``macs`` multiply-accumulates of one image.

    Raises:
        MatchError: no such widths; the message gives the nearest cost that was found.
    """
    return match_cost(architecture, macs, lambda cost: cost.macs, "MACs", tolerance)


def match_params(architecture: Architecture, params: int, tolerance: float = 0.01) -> Architecture:
    """Scale the widths so that the network has ``params`` trainable parameters.

    Raises:
        MatchError: no such widths; the message gives the nearest number that was found.
    """
    return match_cost(architecture, params, lambda cost: cost.params, "parameters", tolerance)


def match_cost(
    architecture: Architecture,
    wanted: float,
    of: Callable[[Cost], float],
    unit: str,
    tolerance: float = 0.01,
) -> Architecture:
    """Scale the widths so that the network costs what is wanted.

    Args:
        of: the part of a network's cost that is meant.
        unit: what that part is called.

    Raises:
        MatchError: no such widths; the message gives the nearest cost that was found.
    """
    if of(count_cost(architecture)) == wanted:  # other widths may cost the same
        return architecture
    least, most = _least_and_most(architecture, of)
    if not least <= (1 + tolerance) * wanted or not (1 - tolerance) * wanted <= most:
        raise _no_match(wanted, unit, tolerance, least if wanted < least else most)
    return _match(architecture, wanted, tolerance, lambda a: of(count_cost(a)), unit)


def _least_and_most(architecture: Architecture, of: Callable[[Cost], float]) -> tuple[float, float]:
    """What no widths cost less or more than; 0 where a single channel is too few to say."""
    stages = len(widths_of(architecture))
    narrowest = _at_widths(architecture, (1,) * stages)
    widest = _at_widths(architecture, (MAX_CHANNELS,) * stages)
    return (
        of(count_cost(narrowest)) if narrowest else 0,
        of(count_cost(widest)) if widest else math.inf,
    )


def cost_range(architecture: Architecture, of: Callable[[Cost], float]) -> tuple[float, float]:
    """Lowest and highest cost of a network whose widths are scaled by one factor.

    As far as it stays the network it is: at least one channel for each segment, and projections
    remain projections.

    Args:
        of: the part of a network's cost that is meant.
    """
    widths = widths_of(architecture)
    scales = [width / max(widths) for width in range(1, MAX_CHANNELS + 1)]
    valid = (a for a in (_scaled(architecture, widths, scale) for scale in scales) if a)
    lowest = next(valid, architecture)
    highest = _scaled(architecture, widths, scales[-1]) or architecture
    return of(count_cost(lowest)), of(count_cost(highest))


def _scaled(
    architecture: Architecture, widths: tuple[int, ...], scale: float
) -> Architecture | None:
    """The same network at other widths, or nothing where there is none."""
    scaled = _at_widths(architecture, _rounded([scale * width for width in widths]))
    same = scaled is not None and _shortcuts(scaled) == _shortcuts(architecture)
    return scaled if same else None


def match_latency(
    architecture: Architecture,
    latency_ms: float,
    tolerance: float,
    measure: Callable[[Architecture], float],
) -> tuple[Architecture, float]:
    """Scale the widths so that the network takes ``latency_ms``.

    Args:
        measure: latency of a network in milliseconds. It is asked once about each network, so that
            what is noisy about it cannot change in the course of the search.

    Returns:
        The network, and what was measured of it.

    Raises:
        MatchError: no such widths; the message gives the nearest latency that was found.
    """
    measured: dict[Architecture, float] = {}

    def cost(candidate: Architecture) -> float:
        if count_cost(candidate).params > MAX_MEASURED_PARAMS:
            return math.inf
        if candidate not in measured:
            measured[candidate] = measure(candidate)
        return measured[candidate]

    matched = _match(architecture, latency_ms, tolerance, cost, "ms", MAX_MEASURED)
    return matched, measured[matched]


def _match(
    architecture: Architecture,
    wanted: float,
    tolerance: float,
    cost_of: Callable[[Architecture], float],
    unit: str,
    candidates: int = MAX_CANDIDATES,
) -> Architecture:
    """Scale the widths so that the network costs what is wanted.

    All stages are scaled by one factor first. One factor is too coarse for small networks, so
    single stages are then moved by single channels, in order of increasing distance from the
    uniform scaling (relative, squared, summed over stages), until the cost is within the tolerance.
    A stage is consecutive convolutions of equal width, together with those at the other end of an
    identity shortcut; it stays equally wide, and projections stay projections.

    Args:
        architecture: the network whose proportions are kept.
        tolerance: largest relative difference from what is wanted.
        candidates: how many are tried.
    """
    shortcuts = _shortcuts(architecture)
    nearest: float | None = None
    widths = widths_of(architecture)
    scale = _uniform_scale(architecture, widths, wanted, cost_of)
    for candidate in islice(_by_distance([scale * width for width in widths]), candidates):
        scaled = _at_widths(architecture, candidate)
        if scaled is None or _shortcuts(scaled) != shortcuts:
            continue
        cost = cost_of(scaled)
        if abs(cost - wanted) <= tolerance * wanted:
            return scaled
        if nearest is None or abs(cost - wanted) < abs(nearest - wanted):
            nearest = cost
    raise _no_match(wanted, unit, tolerance, nearest)


def _no_match(wanted: float, unit: str, tolerance: float, nearest: float | None) -> MatchError:
    found = "no widths are valid" if nearest is None else f"the nearest found is {nearest:,}"
    return MatchError(f"no widths cost {wanted:,} {unit} within {tolerance:.2%}; {found}")


def _by_distance(ideal: list[float]) -> Iterator[tuple[int, ...]]:
    """Widths around the ideal ones, by increasing distance as far as single channels lead."""

    def distance(candidate: tuple[int, ...]) -> float:
        return sum(((c - i) / i) ** 2 for c, i in zip(candidate, ideal, strict=True))

    start = _rounded(ideal)
    queue, seen = [(distance(start), start)], {start}
    while queue:
        _, candidate = heapq.heappop(queue)
        yield candidate
        for stage, width in enumerate(candidate):
            for moved in (width - 1, width + 1):
                neighbour = (*candidate[:stage], moved, *candidate[stage + 1 :])
                near = abs(moved - ideal[stage]) <= max(2.0, MAX_DEVIATION * ideal[stage])
                if near and 1 <= moved <= MAX_CHANNELS and neighbour not in seen:
                    seen.add(neighbour)
                    heapq.heappush(queue, (distance(neighbour), neighbour))


def _uniform_scale(
    architecture: Architecture,
    widths: tuple[int, ...],
    wanted: float,
    cost_of: Callable[[Architecture], float],
) -> float:
    """The factor on all widths whose cost, rounded to whole channels, crosses what is wanted."""
    low, high = 1 / max(widths), MAX_CHANNELS / max(widths)
    # Up from a single channel: the widest networks would take seconds to measure.
    while 2 * low < high and _is_cheaper(architecture, widths, 2 * low, wanted, cost_of):
        low *= 2
    high = min(high, 2 * low)
    while (high - low) * max(widths) > ONE_CHANNEL:
        middle = (low * high) ** 0.5
        if _is_cheaper(architecture, widths, middle, wanted, cost_of):
            low = middle
        else:
            high = middle
    return high


def _is_cheaper(
    architecture: Architecture,
    widths: tuple[int, ...],
    scale: float,
    wanted: float,
    cost_of: Callable[[Architecture], float],
) -> bool:
    scaled = _at_widths(architecture, _rounded([scale * width for width in widths]))
    # Widths that are too narrow for the segments count as too cheap.
    return scaled is None or cost_of(scaled) < wanted


def _rounded(widths: Sequence[float]) -> tuple[int, ...]:
    return tuple(max(1, round(width)) for width in widths)


def _shortcuts(architecture: Architecture) -> list[Shortcut]:
    """The kind of each: a projection whose ends become equally wide would be an identity."""
    return [block.shortcut(in_channels) for block, in_channels in architecture.blocks_with_input()]


def _stages(architecture: Architecture) -> list[int]:
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


def widths_of(architecture: Architecture) -> tuple[int, ...]:
    """Width of each stage, the stem first."""
    widths = dict(zip(_stages(architecture), _channels(architecture), strict=True))
    return tuple(widths.values())


def _channels(architecture: Architecture) -> list[int]:
    blocks = (width for block in architecture.blocks for width in block.channels)
    return [*architecture.stem.channels, *blocks]


def _at_widths(architecture: Architecture, widths: tuple[int, ...]) -> Architecture | None:
    """The architecture with these widths of its stages, or nothing where that cannot be built."""
    channels = iter([widths[stage] for stage in _stages(architecture)])
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
