"""An architecture drawn with letters of one width, where no picture can be shown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from nas.architecture.drawing import Row, rows_of
from nas.architecture.mixture import chosen_experts
from nas.architecture.specification import Architecture

WIDTH = 72
_STRIP = 48
"""Letters of the widest convolution; the others in proportion to their channels."""

_STRIPES, _PALE, _PLAIN, _ONE_BY_ONE = "\u2588\u2592", "\u2591 ", "\u2588", "\u2500"


def draw_as_text(architecture: Architecture) -> str:
    """Lines from the stem to the head, as `nas.architecture.drawing` draws them.

    A line is a convolution, as wide as it has channels: of the k x k step a stripe for each
    segment, those of a mixture pale but for as many as an image has; thin the 1x1 step. The bracket
    at the left is the shortcut, dotted where it is a projection.
    """
    rows = list(rows_of(architecture))
    widest = max(channels for row in rows for _, _, channels in row.bars)
    return "\n".join(line for row in rows for line in _lines(row, _STRIP / widest))


def _lines(row: Row, scale: float) -> Iterator[str]:
    yield from textwrap.wrap(row.text, WIDTH, subsequent_indent="   ")
    for index, (kind, segments, channels) in enumerate(row.bars):
        bar = _bar(kind, segments, max(1, round(channels * scale)))
        yield f" {_bracket(row, index)} {bar.center(_STRIP)}".rstrip()


def _bar(kind: str, segments: int, width: int) -> str:
    if kind == "pointwise":
        return _ONE_BY_ONE * width
    if segments == 0:
        return _PLAIN * width
    count = min(segments, width)
    full = chosen_experts(count) if kind == "experts" else count
    stripes = [count * place // width for place in range(width)]
    return "".join((_STRIPES if stripe < full else _PALE)[stripe % 2] for stripe in stripes)


def _bracket(row: Row, index: int) -> str:
    if row.shortcut == "none":
        return " "
    if len(row.bars) == 1:
        return "["
    if index == 0:
        return "\u250c"
    if index == len(row.bars) - 1:
        return "\u2514"
    return "\u2506" if row.shortcut == "projection" else "\u2502"
