"""Widths that make an architecture cost what it should: in MACs or parameters.

Networks at different points of the spectrum can only be compared at equal cost: at equal width a
regular convolution costs eight to ten times a depthwise separable one.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from nas.architecture.cost import Cost, count_cost
from nas.architecture.specification import MAX_CHANNELS, Architecture, ArchitectureError
from nas.architecture.width_costs import WidthCosts
from nas.architecture.width_search import WidthSearch
from nas.architecture.widths import at_widths, rounded, same_at_widths, widths_of

MAX_TILT = 2.0
"""How much more the last stage may be scaled than the first, or the first than the last."""

TILTS = 14
"""Steps to it."""


class MatchError(ArchitectureError):
    """No widths near a uniform scaling cost what was asked for."""


class ParamsError(ArchitectureError):
    """No widths near proportion have the cost and the number of parameters that were asked for."""


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


def match_macs_and_params(
    architecture: Architecture,
    macs: int,
    params: tuple[float, float],
    tolerance: float = 0.01,
) -> Architecture:
    """Scale the widths so that the network costs ``macs``, with parameters in a range.

    A late stage has few positions, so that its channels cost many parameters and few MACs. The
    widths are therefore tilted, with the factor of each stage a power of its place, as little as
    brings the parameters into the range: late stages wider for more, early ones for fewer.

    Args:
        params: least and most parameters.

    Raises:
        ParamsError: no such widths; the message gives the nearest number of parameters.
    """
    found: list[int] = []
    for step in sorted(range(-TILTS, TILTS + 1), key=abs):
        tilted = _tilted(architecture, MAX_TILT ** (step / TILTS))
        if tilted is None:
            continue
        try:
            matched = match_macs(tilted, macs, tolerance)
        except MatchError:
            continue
        found.append(count_cost(matched).params)
        if params[0] <= found[-1] <= params[1]:
            return matched
    nearest = min(found, key=lambda count: abs(count - sum(params) / 2), default=None)
    closest = "no widths cost that" if nearest is None else f"the nearest has {nearest:,}"
    raise ParamsError(
        f"no widths cost {macs:,} MACs with {params[0]:,.0f} to {params[1]:,.0f} parameters, "
        f"where stages are scaled by up to {MAX_TILT:g} times as much as others; {closest}"
    )


def _tilted(architecture: Architecture, tilt: float) -> Architecture | None:
    """The same network, its last stage scaled by ``tilt`` times as much as its first."""
    declared = widths_of(architecture)
    places = [place / max(1, len(declared) - 1) for place in range(len(declared))]
    fine = min(8.0, MAX_CHANNELS / (MAX_TILT * max(declared)))  # whole channels are coarse
    return same_at_widths(
        architecture,
        rounded([fine * w * tilt**place for w, place in zip(declared, places, strict=True)]),
    )


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
    if wanted <= 0 or least > (1 + tolerance) * wanted or most < (1 - tolerance) * wanted:
        raise no_match(wanted, unit, tolerance, least if wanted < least else most)
    costs = WidthCosts(architecture, of)
    search = WidthSearch(widths_of(architecture), costs, wanted, tolerance)
    found = search.find()
    matched = None if found is None else at_widths(architecture, found)
    if matched is None:
        raise no_match(wanted, unit, tolerance, search.nearest)
    return matched


def _least_and_most(architecture: Architecture, of: Callable[[Cost], float]) -> tuple[float, float]:
    """What no widths cost less or more than; 0 where a single channel is too few to say."""
    stages = len(widths_of(architecture))
    narrowest = at_widths(architecture, (1,) * stages)
    widest = at_widths(architecture, (MAX_CHANNELS,) * stages)
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
    scaled = (rounded([scale * width for width in widths]) for scale in scales)
    valid = (a for a in (same_at_widths(architecture, at) for at in scaled) if a)
    lowest = next(valid, architecture)
    widest = rounded([scales[-1] * width for width in widths])
    highest = same_at_widths(architecture, widest) or architecture
    return of(count_cost(lowest)), of(count_cost(highest))


def no_match(wanted: float, unit: str, tolerance: float, nearest: float | None) -> MatchError:
    """The error, with the nearest cost that was found."""
    found = "no widths are valid" if nearest is None else f"the nearest found is {nearest:,}"
    return MatchError(f"no widths cost {wanted:,} {unit} within {tolerance:.2%}; {found}")
