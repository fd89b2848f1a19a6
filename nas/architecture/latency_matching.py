"""Widths at which a network takes as long as it should: measured, so few networks are tried."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator
from itertools import islice

from nas.architecture.cost import count_cost
from nas.architecture.matching import no_match
from nas.architecture.specification import MAX_CHANNELS, Architecture
from nas.architecture.width_search import MAX_DEVIATION
from nas.architecture.widths import Widths, at_widths, rounded, same_at_widths, widths_of

MAX_MEASURED = 100
"""Width combinations tried around the uniform scaling before giving up."""

MAX_MEASURED_PARAMS = 200_000_000
"""Parameters of a network whose latency is measured: a wider one may not fit into memory."""

ONE_CHANNEL = 1e-6
"""The factor is known when the widest stage's widths are known to this part of a channel."""


def match_latency(
    architecture: Architecture,
    latency_ms: float,
    tolerance: float,
    measure: Callable[[Architecture], float],
) -> tuple[Architecture, float]:
    """Scale the widths so that the network takes ``latency_ms``.

    All stages are scaled by one factor first, which is found by bisection: few are measured. Single
    stages are then moved by single channels, in order of increasing distance from the uniform
    scaling (relative, squared, summed over stages).

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

    matched = _solved(architecture, latency_ms, tolerance, cost)
    return matched, measured[matched]


def _solved(
    architecture: Architecture,
    latency_ms: float,
    tolerance: float,
    cost: Callable[[Architecture], float],
) -> Architecture:
    nearest: float | None = None
    widths = widths_of(architecture)
    scale = _uniform_scale(architecture, widths, latency_ms, cost)
    ideal = [scale * width for width in widths]
    for candidate in islice(_by_distance(ideal), MAX_MEASURED):
        scaled = same_at_widths(architecture, candidate)
        if scaled is None:
            continue
        found = cost(scaled)
        if abs(found - latency_ms) <= tolerance * latency_ms:
            return scaled
        if nearest is None or abs(found - latency_ms) < abs(nearest - latency_ms):
            nearest = found
    raise no_match(latency_ms, "ms", tolerance, nearest)


def _by_distance(ideal: list[float]) -> Iterator[Widths]:
    """Widths around the ideal ones, by increasing distance as far as single channels lead."""

    def distance(candidate: tuple[int, ...]) -> float:
        return sum(((c - i) / i) ** 2 for c, i in zip(candidate, ideal, strict=True))

    start = rounded(ideal)
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
    widths: Widths,
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
    widths: Widths,
    scale: float,
    wanted: float,
    cost_of: Callable[[Architecture], float],
) -> bool:
    scaled = at_widths(architecture, rounded([scale * width for width in widths]))
    # Widths that are too narrow for the segments count as too cheap.
    return scaled is None or cost_of(scaled) < wanted
