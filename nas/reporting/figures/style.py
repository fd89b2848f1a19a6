"""One look for all figures: colours that stay apart for colour-blind readers, few lines."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from math import ceil, floor, log10
from typing import Any, Protocol, TypeVar

import plotly.graph_objects as go

Item = TypeVar("Item")

ACCENT = "#0072b2"
MUTED = "#b4bcc6"
INK = "#24292f"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
"""Okabe and Ito's palette."""

HEIGHT = 430
"""Of a figure in pixels, unless it sets another."""


MOST_POINTS = 2000
"""Of one kind in a figure: of more, every so many is drawn, and the figure says so."""


def thinned(items: Sequence[Item]) -> Sequence[Item]:
    """At most `MOST_POINTS`, at even distances in their order."""
    count = len(items)
    if count <= MOST_POINTS:
        return items
    return [items[place * count // MOST_POINTS] for place in range(MOST_POINTS)]


class Bounded(Protocol):
    """A mean score with its interval."""

    @property
    def score(self) -> float:
        """The mean."""

    @property
    def lower(self) -> float:
        """Lower bound of the interval."""

    @property
    def upper(self) -> float:
        """Upper bound of the interval."""


def error_bars(means: Sequence[Bounded]) -> dict[str, object]:
    """Plotly's error bars for mean scores."""
    return bars([(mean.lower, mean.score, mean.upper) for mean in means])


def bars(intervals: Sequence[tuple[float, float, float]]) -> dict[str, object]:
    """Plotly's error bars for (lower bound, middle, upper bound)."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [upper - middle for _, middle, upper in intervals],
        "arrayminus": [middle - lower for lower, middle, _ in intervals],
        "thickness": 1.2,
        "width": 3,
    }


def as_text(name: str) -> str:
    """A name that a user gave, as it is: Plotly takes tags in it for markup."""
    return html.escape(name, quote=False)


def epoch_band(lower: Sequence[float], upper: Sequence[float], color: str) -> dict[str, Any]:
    """Plotly's arguments for a band between two curves over epochs, behind a line of its colour."""
    return band(range(1, len(lower) + 1), lower, upper, color)


def band(
    x: Sequence[float], lower: Sequence[float], upper: Sequence[float], color: str
) -> dict[str, Any]:
    """Plotly's arguments for a band between two curves, behind a line of its colour."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return {
        "x": [*x, *x[::-1]],
        "y": [*upper, *lower[::-1]],
        "mode": "lines",
        "fill": "toself",
        "fillcolor": f"rgba({red},{green},{blue},0.15)",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def log_ticks(values: Iterable[float], amount: Callable[[float], str]) -> dict[str, object]:
    """Plotly's ticks for a logarithmic axis, as many as its range has room for, each in full.

    Plotly's own name all digits beside each other, or digits without their power; over less than a
    factor of four they are in even steps, and stay.
    """
    shown = [value for value in values if value > 0]
    if not shown or (factor := max(shown) / min(shown)) < 4:
        return {}
    digits = (1, 1.5, 2, 3, 5, 7) if factor < 10 else (1, 2, 5) if factor < 1000 else (1,)
    powers = range(floor(log10(min(shown))), ceil(log10(max(shown))) + 1)
    ticks = [float(f"{digit}e{power}") for power in powers for digit in digits]
    return {"tickvals": ticks, "ticktext": list(map(amount, ticks))}


def title_room(title: str) -> int:
    """Pixels above a figure for its title."""
    return 72 + 18 * title.count("<br>")


def styled(figure: go.Figure, title: str, x: str, y: str) -> go.Figure:
    """Titles, fonts and grid lines; room for as many lines as the title has."""
    figure.update_layout(
        title={
            "text": title,
            "font": {"size": 16},
            **{"x": 0, "xanchor": "left", "y": 1, "yanchor": "top"},
            "pad": {"l": 20, "t": 28},
        },
        template="plotly_white",
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        margin={"l": 84, "r": 20, "t": title_room(title), "b": 60},
        height=HEIGHT,
        hoverlabel={"align": "left"},
        legend={"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0.015, "x": 0},
    )
    figure.update_xaxes(automargin=True, title=x, gridcolor="#edf0f3", zeroline=False)
    figure.update_yaxes(title=y, gridcolor="#edf0f3", zeroline=False)
    return figure
