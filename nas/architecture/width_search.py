"""Widths at which a network costs what is wanted, as near to proportion as they come.

A cost is no monotone function of the widths. With a segment width such as C/16, one channel more
than 16 makes two segments of one, and the network cheaper: bisection stops at the wrong side.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise

from nas.architecture.specification import MAX_CHANNELS
from nas.architecture.widths import Widths, deviation, of_ratios, rounded

MAX_DEVIATION = 0.5
"""How far a stage may be from the common factor, relative (or two channels, where that is more):
a network farther from it would not have the proportions that were asked for."""

MAX_UNIFORM = 200
"""Uniform scalings that are costed, those around where their cost crosses what is wanted."""

MAX_TRIED = 10_000
"""Different widths that are costed before giving up."""

STEP = 1.1
"""Between the factors at which crossings are looked for."""

FAR = 8
"""How many times cheaper or dearer than wanted a cost is that no crossing is beyond: it falls by
less where a stage gets another segment."""

WEIGHT = 1.0
"""What is tried next has the least sum of its deviation from proportion and this many times the
part by which its cost is off. By deviation alone, a large network's thousands of widths that are
nearly in proportion and cost a percent too much would all come before those that fit."""

ASIDE = 0.5
"""Part of what is wanted that a cost may be off by for its widths to be looked around, unless it is
nearer than those beside: from farther away nothing leads back that has no nearer way."""

UNCOUNTED = 0.05
"""Part of the cost that widths which cannot be built count as farther off than those beside."""


class WidthSearch:
    """A search for widths by what they cost.

    All stages are scaled by one factor first: of the uniform scalings within the tolerance, the
    one with the smallest residual is found. One factor is too coarse for small networks or small
    tolerances, so single stages are then moved by single channels from the uniform scalings of
    about the right cost, those first that deviate little from proportion and are off by little.

    Args:
        declared: widths whose proportions are kept.
        cost_of: what the network costs at some widths; None where it cannot have them.

    Attributes:
        nearest: of all costs that were seen, the nearest to what is wanted.
    """

    def __init__(
        self,
        declared: Widths,
        cost_of: Callable[[Widths], float | None],
        wanted: float,
        tolerance: float,
    ) -> None:
        self.declared, self.cost_of = declared, cost_of
        self.wanted, self.tolerated = wanted, tolerance * wanted
        self.nearest: float | None = None

    def find(self) -> Widths | None:
        """The widths; nothing where none were found."""
        scalings = self._uniform()
        if self.nearest is not None and self.nearest > FAR**2 * self.wanted:
            return None  # of all that could be built; a few channels do not make up for that
        uniform = [(widths, self._excess(widths)) for widths in scalings]
        fitting = [
            (abs(excess), widths)
            for widths, excess in uniform
            if excess is not None and abs(excess) <= self.tolerated
        ]
        if fitting:
            return min(fitting)[1]
        starts, off = [], UNCOUNTED * self.wanted
        for widths, excess in uniform:
            off = off if excess is None else abs(excess)
            starts.append((widths, off))
        return self._around(starts)

    def _excess(self, widths: Widths) -> float | None:
        """By how much widths cost more than what is wanted."""
        cost = self.cost_of(widths)
        if cost is None:
            return None
        if self.nearest is None or abs(cost - self.wanted) < abs(self.nearest - self.wanted):
            self.nearest = cost
        return cost - self.wanted

    def _at(self, factor: float) -> float | None:
        return self._excess(self._scaled(factor))

    def _scaled(self, factor: float) -> Widths:
        return rounded([factor * width for width in self.declared])

    def _uniform(self) -> list[Widths]:
        """Different uniform scalings, those around each crossing."""
        crossings = list(self._crossings())
        found: dict[Widths, None] = {}
        for crossing in crossings:
            most = MAX_UNIFORM / len(crossings)
            part = min(MAX_DEVIATION, most / (2 * crossing * sum(self.declared)))
            low, high = crossing * (1 - part), crossing * (1 + part)
            # Between them the widths stay as they are.
            changes = sorted(
                (channels + 0.5) / width
                for width in self.declared
                for channels in range(math.ceil(low * width - 0.5), math.ceil(high * width - 0.5))
            )
            for before, after in pairwise([low, *changes, high]):
                found[self._scaled((before + after) / 2)] = None
        return [widths for widths in found if max(widths) <= MAX_CHANNELS]

    def _crossings(self) -> Iterator[float]:
        """Factors at which the cost crosses what is wanted; the nearest one where it does not."""
        excess = self._excess_by_factor()
        crossed = [
            (low, high)
            for (low, at_low), (high, at_high) in pairwise(excess)
            if (at_low < 0) != (at_high < 0)
        ]
        if not crossed:
            at_one_channel = (1 / max(self.declared), 0.0)
            yield min(excess, key=lambda pair: abs(pair[1]), default=at_one_channel)[0]
        for low, high in crossed:
            yield self._crossing(low, high)

    def _excess_by_factor(self) -> list[tuple[float, float]]:
        """Factors at which all stages may be scaled, and by how much that costs more.

        Those from far too cheap to far too dear, for beyond them is no crossing.
        """
        widest = max(self.declared)
        steps = math.ceil(math.log(MAX_CHANNELS) / math.log(STEP))
        factors = [min(STEP**step, MAX_CHANNELS) / widest for step in range(steps + 1)]
        excess = cache(lambda step: self._at(factors[step]))
        dear = bisect_left(range(steps), True, key=lambda step: (excess(step) or -1) >= 0)
        first = last = dear
        while first > 0 and ((by := excess(first)) is None or by > self.wanted * (1 / FAR - 1)):
            first -= 1
        while last < steps and ((by := excess(last)) is None or by < self.wanted * (FAR - 1)):
            last += 1
        known = ((factors[step], excess(step)) for step in range(first, last + 1))
        return [(factor, by) for factor, by in known if by is not None]

    def _crossing(self, low: float, high: float) -> float:
        """Where between two factors the cost crosses what is wanted."""
        start = self._at(low)
        assert start is not None  # it was costed
        while (high - low) * max(self.declared) > 0.5:
            middle = (low * high) ** 0.5
            excess = self._at(middle)
            if excess is None or (excess < 0) == (start < 0):
                low = middle
            else:
                high = middle
        return high

    def _around(self, starts: list[tuple[Widths, float]]) -> Widths | None:
        """Widths around the uniform scalings that deviate little from proportion.

        Args:
            starts: with how far the cost of each is off.
        """
        weight = WEIGHT / self.wanted
        queue = [
            (deviation(self.declared, widths) + weight * off, widths, off) for widths, off in starts
        ]
        heapq.heapify(queue)
        seen = {widths for widths, _ in starts}
        while queue and len(seen) < MAX_TRIED:
            _, widths, off = heapq.heappop(queue)
            if off <= self.tolerated:
                return widths
            for deviates, moved in self._moves(widths):
                if moved in seen or not self._in_proportion(moved):
                    continue
                seen.add(moved)
                excess = self._excess(moved)
                moved_off = off + UNCOUNTED * self.wanted if excess is None else abs(excess)
                if moved_off > max(off, ASIDE * self.wanted):
                    continue
                heapq.heappush(queue, (deviates + weight * moved_off, moved, moved_off))
        fitting = [entry for entry in queue if entry[2] <= self.tolerated]
        return min(fitting)[1] if fitting else None

    def _moves(self, widths: Widths) -> Iterator[tuple[float, Widths]]:
        """Widths with one channel more or less in one stage, and their deviation."""
        ratios = [width / declared for width, declared in zip(widths, self.declared, strict=True)]
        total, squares = sum(ratios), sum([ratio * ratio for ratio in ratios])
        for stage, (width, declared) in enumerate(zip(widths, self.declared, strict=True)):
            for moved in (width - 1, width + 1):
                if 1 <= moved <= MAX_CHANNELS:
                    ratio, before = moved / declared, ratios[stage]
                    deviates = of_ratios(
                        len(widths),
                        total + ratio - before,
                        squares + ratio * ratio - before * before,
                    )
                    yield deviates, (*widths[:stage], moved, *widths[stage + 1 :])

    def _in_proportion(self, widths: Widths) -> bool:
        """Whether there is a common factor that no stage is farther from than it may be."""
        least, most = 0.0, math.inf
        for width, declared in zip(widths, self.declared, strict=True):
            least = max(least, min(width - 2, width / (1 + MAX_DEVIATION)) / declared)
            most = min(most, max(width + 2, width / (1 - MAX_DEVIATION)) / declared)
        return least <= most
