"""The curve of a training as a picture: losses above, the score below, both over epochs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from trials.train import Epoch

WIDTH = 720
"""Of the picture, in pixels."""

_PANEL, _LEFT, _RIGHT, _TOP = 170, 60, 150, 20
_INK, _GRID = "#24292f", "#d0d7de"
_COLOURS = ("#0072b2", "#e69f00")

Line = tuple[str, Sequence[float]]
"""Its name, and a value for each epoch."""


def draw_curve(curve: Sequence[Epoch], score: str) -> str:
    """SVG of at least one epoch.

    Args:
        score: what it is called.
    """
    losses: tuple[Line, ...] = (
        ("training loss", [epoch.train_loss for epoch in curve]),
        ("validation loss", [epoch.validation_loss for epoch in curve]),
    )
    panels = losses, ((f"validation {score}", [epoch.score for epoch in curve]),)
    height = len(panels) * (_PANEL + 2 * _TOP) + _TOP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12" fill="{_INK}">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    for number, lines in enumerate(panels):
        parts += _panel(lines, _TOP + number * (_PANEL + 2 * _TOP))
    label = f"epochs 1 to {len(curve)}"
    parts.append(f'<text x="{_LEFT}" y="{height - 6}">{label}</text>')
    return "\n".join([*parts, "</svg>"])


def _panel(lines: Sequence[Line], top: int) -> Iterator[str]:
    values = [value for _, each in lines for value in each]
    low, high = min(values), max(values)
    span = high - low or 1.0
    end = WIDTH - _RIGHT
    for value in (low, high):
        y = top + _PANEL * (high - value) / span
        yield f'<line x1="{_LEFT}" x2="{end}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_GRID}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>'
    for number, (name, each) in enumerate(lines):
        steps = max(1, len(each) - 1)
        points = [
            (_LEFT + (end - _LEFT) * place / steps, top + _PANEL * (high - value) / span)
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
