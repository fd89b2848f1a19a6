"""What the knee of the front takes its images for."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from nas.reporting.figures.style import as_text, styled

MOST_COUNTS = 20
"""Classes up to which each cell has its count; of more only the colours are seen."""

_CELL, _FEWEST = 26, 8


@dataclass(frozen=True)
class ConfusionInfo:
    """Validation images of each class (rows) by the class that was guessed (columns).

    Attributes:
        trial: whose network guessed.
    """

    trial: int
    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @property
    def images(self) -> int:
        """All of them."""
        return sum(map(sum, self.counts))

    @property
    def right(self) -> int:
        """Those on the diagonal."""
        return sum(row[place] for place, row in enumerate(self.counts))

    @property
    def shares(self) -> list[list[float | None]]:
        """Of each class' images; nothing of a class without images."""
        return [[n / sum(row) if sum(row) else None for n in row] for row in self.counts]


def plot_confusion(info: ConfusionInfo) -> go.Figure:
    """Draw it: colours by the share of a class' images, counts where there is room for them."""
    figure = go.Figure()
    numbers = list(range(len(info.classes)))  # two classes may look alike once they are cut off
    few = len(numbers) <= MOST_COUNTS
    names = list(map(as_text, info.classes))
    figure.add_heatmap(
        x=numbers,
        y=numbers,
        z=info.shares,
        zmin=0,
        zmax=1,
        colorscale="Blues",
        colorbar={"title": {"text": "share of the class", "side": "right"}, "thickness": 14},
        text=[[n or "" for n in row] for row in info.counts] if few else None,
        texttemplate="%{text}" if few else None,
        customdata=[
            [(true, guess, n) for guess, n in zip(names, row, strict=True)]
            for true, row in zip(names, info.counts, strict=True)
        ],
        hovertemplate="%{customdata[0]} taken for %{customdata[1]}: %{customdata[2]} (%{z:.1%})"
        "<extra></extra>",
        xgap=1 if few else 0,
        ygap=1 if few else 0,
    )
    share = info.right / info.images if info.images else 0.0
    title = (
        f"What the knee, trial {info.trial}, takes images for<br><sub>{info.images:,} validation "
        f"images, {share:.2%} on the diagonal</sub>"
    )
    styled(figure, title, "guessed class", "class")
    labels = [as_text(name if len(name) <= 24 else f"{name[:23]}…") for name in info.classes]
    ticks = {"tickvals": numbers, "ticktext": labels, "showgrid": False, "automargin": True}
    if len(numbers) > 2 * MOST_COUNTS:
        ticks = {"showticklabels": False, "showgrid": False}
    figure.update_xaxes(ticklabeloverflow="allow", **ticks)
    figure.update_yaxes(autorange="reversed", **ticks)
    cells = min(max(len(numbers), _FEWEST), MOST_COUNTS)
    figure.update_layout(height=180 + _CELL * cells)
    return figure
