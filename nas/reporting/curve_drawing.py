"""The curve of a training as a picture: losses above, the score below, both over epochs."""

from __future__ import annotations

from collections.abc import Sequence

from nas.reporting.line_drawing import LEFT, TOP, Line, panel, picture
from trials.train import Epoch

_PANEL = 170


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
    height = len(panels) * (_PANEL + 2 * TOP) + TOP
    parts = list[str]()
    for number, lines in enumerate(panels):
        parts += panel(lines, TOP + number * (_PANEL + 2 * TOP), _PANEL)
    label = f"epochs 1 to {len(curve)}"
    return picture([*parts, f'<text x="{LEFT}" y="{height - 6}">{label}</text>'], height)
