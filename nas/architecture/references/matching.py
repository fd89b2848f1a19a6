"""A reference of a wanted cost: all its channels scaled alike, by its option ``width``."""

from __future__ import annotations

from bisect import bisect_left

from nas.architecture.cost import count_cost
from nas.architecture.matching import no_match
from nas.architecture.reference import Reference
from nas.architecture.references import with_options

MOST = 100
"""The widest that is tried, as a multiple of the published widths."""

DIGITS = (2, 3, 4, 6)
"""Behind the point of a width, in the order in which they are tried: its name tells it all."""


def match_reference(reference: Reference, macs: float, tolerance: float = 0.01) -> Reference:
    """Scale all channels by the factor with the fewest digits that gives so many MACs.

    Channels are whole, so the MACs rise with the factor in steps.

    Raises:
        PresetError: it has no width.
        MatchError: no factor does; the message gives the nearest cost that was found.
    """
    nearest = reference
    for digits in DIGITS:
        unit = 10**digits
        widths = range(1, MOST * unit + 1)

        def at(width: int, unit: int = unit) -> Reference:
            return with_options(reference, width=width / unit)

        first = bisect_left(widths, macs, key=lambda width: _macs(at(width)))
        around = [at(width) for width in widths[max(0, first - 1) : first + 1]]
        nearest = min(nearest, *around, key=lambda found: abs(_macs(found) - macs))
        if abs(_macs(nearest) - macs) <= tolerance * macs:
            return nearest
    raise no_match(macs, "MACs", tolerance, _macs(nearest))


def _macs(reference: Reference) -> int:
    return count_cost(reference).macs
