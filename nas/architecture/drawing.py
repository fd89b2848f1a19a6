"""An architecture as a picture: a strip for each block, its segments as stripes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from nas.architecture.description import describe_block, describe_head
from nas.architecture.mixture import chosen_experts
from nas.architecture.specification import Architecture, Block

WIDTH = 720
"""Of the picture, in pixels."""

_STRIP = 300
"""Of the widest convolution; the others in proportion to their channels."""

_LEFT, _TEXT = 60, 400
_KERNEL, _POINTWISE, _GAP, _LINE_HEIGHT = 14, 5, 4, 13
_MOST_STRIPES = 75
"""More of them could not be told apart; the text says how many there are."""

_COLOURS = ("#0072b2", "#56b4e9")
_PALE = ("#b3d4e8", "#d5ecf9")
_PLAIN, _ONE_BY_ONE, _INK, _LINE = "#004a75", "#e69f00", "#24292f", "#8c959f"


@dataclass(frozen=True)
class Row:
    """A block, or the stem, with what is drawn of it.

    Attributes:
        start: of the room that it has, in pixels from the top.
        bars: kind (``kernel``, ``experts`` of a mixture or ``pointwise``), segments and channels,
            from top to bottom.
    """

    start: int
    bars: tuple[tuple[str, int, int], ...]
    text: str
    shortcut: str

    @property
    def height(self) -> int:
        """Of all bars, in pixels."""
        heights = [_POINTWISE if kind == "pointwise" else _KERNEL for kind, _, _ in self.bars]
        return sum(heights) + _GAP * (len(heights) - 1)

    @property
    def lines(self) -> list[str]:
        """The text, as much in a line as fits beside the bars."""
        lines = [""]
        for part in self.text.split(", "):
            longer = f"{lines[-1]}, {part}" if lines[-1] else part
            if len(longer) > 50 and lines[-1]:
                lines[-1] += ","
                lines.append(part)
            else:
                lines[-1] = longer
        return lines

    @property
    def room(self) -> int:
        """Height of the bars or of the text, whichever needs more."""
        return max(self.height, _LINE_HEIGHT * len(self.lines))

    @property
    def top(self) -> float:
        """Of the first bar: bars and text have the same middle."""
        return self.start + (self.room - self.height) / 2


def draw_architecture(architecture: Architecture) -> str:
    """An SVG, from the stem at the top to the last block, and linear layers before the last one.

    A bar is a convolution, as wide as it has channels: blue the k x k step, in a stripe for each
    segment, those of a mixture pale but for as many as an image has; dark a plain convolution;
    yellow the 1x1 step, before or after it by its order, or the step in time. The line at the
    left is the shortcut, dashed where it is a projection.
    """
    rows = list(rows_of(architecture))
    widest = max(channels for row in rows for _, _, channels in row.bars)
    height = rows[-1].start + rows[-1].room + 14
    parts = [part for row in rows for part in _row(row, _STRIP / widest)]
    title = f"{len(architecture.blocks)} blocks: {'; '.join(row.text for row in rows)}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" font-family="system-ui, sans-serif" '
        f'font-size="11"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    )


def rows_of(architecture: Architecture) -> Iterator[Row]:
    """The stem, each block and the linear layers before the last one, from top to bottom."""
    stem = architecture.stem.channels
    row = Row(14, tuple(("kernel", 0, channels) for channels in stem), "stem", "none")
    yield row
    for index, (block, in_channels) in enumerate(architecture.blocks_with_input()):
        about = f"{index}: {describe_block(block, in_channels, architecture.dims)}"
        if block.stride > 1:
            about += f", stride {block.stride}"
        row = Row(
            row.start + row.room + 16,
            tuple(_bars(block, in_channels)),
            about,
            block.shortcut(in_channels),
        )
        yield row
    if architecture.hidden:
        bars = tuple(("pointwise", 1, width) for width in architecture.hidden)
        about = f"head: {describe_head(architecture)}"
        yield Row(row.start + row.room + 16, bars, about, "none")


def _bars(block: Block, in_channels: int) -> Iterator[tuple[str, int, int]]:
    counts = block.segment_counts(in_channels)
    pairs = block.convolution_channels(in_channels)
    for (c_in, c_out), segments in zip(pairs, counts, strict=True):
        if block.point.order == "plain":
            yield "kernel", 0, c_out
            continue
        kernel = ("kernel", segments, block.point.spatial_channels(c_in, c_out))
        pointwise = ("pointwise", 1, c_out)
        if block.point.order == "mixture":
            kernel = ("experts", *kernel[1:])
        first = block.point.order != "pointwise_first"
        yield from (kernel, pointwise) if first else (pointwise, kernel)


def _row(row: Row, scale: float) -> Iterator[str]:
    top = row.top
    for kind, segments, channels in row.bars:
        width = max(2.0, channels * scale)
        left = _LEFT + (_STRIP - width) / 2
        height = _POINTWISE if kind == "pointwise" else _KERNEL
        if kind == "pointwise":
            yield _rectangle(left, top, width, height, _ONE_BY_ONE)
        elif segments == 0:
            yield _rectangle(left, top, width, height, _PLAIN)
        else:
            count = min(segments, _MOST_STRIPES)
            full = chosen_experts(count) if kind == "experts" else count
            yield from _stripes(left, top, width, height, count, full)
        top += height + _GAP
    if row.shortcut != "none":
        yield _shortcut(row, scale)
    yield from _words(row)


def _stripes(
    left: float, top: float, width: float, height: int, count: int, full: int
) -> Iterator[str]:
    each = width / count
    for index in range(count):
        colour = (_COLOURS if index < full else _PALE)[index % 2]
        yield _rectangle(left + index * each, top, each, height, colour)


def _shortcut(row: Row, scale: float) -> str:
    """Around the bars, from where their input comes to where it is added again."""
    dashes = ' stroke-dasharray="3 3"' if row.shortcut == "projection" else ""
    top, bottom, side = row.top - 5, row.top + row.height + 5, _LEFT - 22
    middle = _LEFT + _STRIP / 2
    widest = max(channels for _, _, channels in row.bars) * scale
    inside = middle - widest / 2 + min(12.0, widest / 2)
    return (
        f'<path d="M {inside:.1f} {top:.1f} H {side} V {bottom:.1f} H {inside:.1f}" fill="none" '
        f'stroke="{_LINE}" stroke-width="1.5"{dashes}/>'
    )


def _words(row: Row) -> Iterator[str]:
    first = row.start + (row.room - _LINE_HEIGHT * len(row.lines)) / 2 + 10
    for index, line in enumerate(row.lines):
        y = first + _LINE_HEIGHT * index
        yield f'<text x="{_TEXT}" y="{y:.1f}" fill="{_INK}">{escape(line)}</text>'


def _rectangle(x: float, y: float, width: float, height: float, colour: str) -> str:
    return (
        f'<rect x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}" fill="{colour}"/>'
    )
