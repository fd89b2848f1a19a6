"""A learning-rate range test as a picture: the loss over the rate, and what rates it suggests."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nas.reporting.line_drawing import GRID, INK, LEFT, TOP, Line, panel, picture, x_of
from trials.rate_range import SEVERAL, RateRange

_PANEL = 300
_BOTTOM = TOP + _PANEL


def draw_rates(found: RateRange) -> str:
    """SVG of at least one step; the rate is on a logarithmic scale.

    A loss of more than the test ends at is drawn there, or nothing else could be told apart.
    """
    most = max(found.smoothed[0], SEVERAL * min(found.smoothed))
    lines: tuple[Line, ...] = (
        ("loss of a batch", [min(loss, most) for loss in found.losses]),
        ("smoothed", [min(loss, most) for loss in found.smoothed]),
    )
    title = f'<text x="{LEFT}" y="{_BOTTOM + 40}">learning rate, risen at each step</text>'
    parts = *_decades(found), *panel(lines, TOP, _PANEL), *_suggestions(found), title
    return picture(parts, _BOTTOM + 3 * TOP)


def _decades(found: RateRange) -> Iterator[str]:
    """Each power of ten, where it is between the rates of two steps."""
    first, last = (math.log10(found.rates[place]) for place in (0, -1))
    span = last - first or 1.0
    for power in range(math.ceil(first - 1e-9), math.floor(last + 1e-9) + 1):
        x = x_of((power - first) / span, 2)
        yield _vertical(x, GRID)
        yield f'<text x="{x:.1f}" y="{_BOTTOM + 18}" text-anchor="middle">1e{power}</text>'


def _suggestions(found: RateRange) -> Iterator[str]:
    """What the two rules go by."""
    marked = ("falls fastest", found.steepest), ("lowest", found.lowest)
    for number, (name, rate) in enumerate(marked):
        if rate is None:
            continue
        x = x_of(found.rates.index(rate), len(found.rates))
        yield _vertical(x, INK)
        yield (
            f'<text x="{x - 4:.1f}" y="{TOP + 14 + 16 * number}" text-anchor="end">'
            f"{name}: {rate:.2g}</text>"
        )


def _vertical(x: float, colour: str) -> str:
    return f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{_BOTTOM}" stroke="{colour}"/>'
