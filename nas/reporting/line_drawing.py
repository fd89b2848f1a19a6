"""Lines over places that are evenly apart, as SVG: what pictures of trainings are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

WIDTH = 720
"""Of a picture, in pixels; of all that follow, too."""

LEFT, RIGHT, TOP = 60, 150, 20
INK, GRID = "#24292f", "#d0d7de"
_COLOURS = ("#0072b2", "#e69f00")

Line = tuple[str, Sequence[float]]
"""Its name, and a value for each place."""


def picture(parts: Iterable[str], height: int) -> str:
    """SVG with these elements."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12" fill="{INK}">'
    )
    ground = f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
    return "\n".join([head, ground, *parts, "</svg>"])


def panel(lines: Sequence[Line], top: int, height: int) -> Iterator[str]:
    """Up to two lines on one scale, whose ends are shown, and their names."""
    values = [value for _, each in lines for value in each]
    low, high = min(values), max(values)
    span = high - low or 1.0
    end = WIDTH - RIGHT
    for value in (low, high):
        y = top + height * (high - value) / span
        yield f'<line x1="{LEFT}" x2="{end}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>'
    for number, (name, each) in enumerate(lines):
        points = [
            (x_of(place, len(each)), top + height * (high - value) / span)
            for place, value in enumerate(each)
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        colour = _COLOURS[number]
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>'
        x, y = points[-1]
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>'
        yield (
            f'<text x="{end + 8}" y="{top + 12 + 16 * number}" fill="{colour}">'
            f"{escape(name)}</text>"
        )


def x_of(place: float, count: int) -> float:
    """Of one of so many places, or between two of them, in pixels."""
    return LEFT + (WIDTH - RIGHT - LEFT) * place / max(1, count - 1)
