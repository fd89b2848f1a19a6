"""From an Inception module to a separable convolution (Chollet 2016, figures 1 to 4)."""

from __future__ import annotations

from nas.architecture.modules import (
    Layer,
    SegmentGroup,
    Step,
    activation,
    concatenation,
    convolution,
    segment_groups,
    segmented_convolution,
)
from nas.architecture.point import require
from nas.architecture.pooling import average_pool
from nas.architecture.references.steps import in_order
from nas.architecture.specification import MAX_CHANNELS

_WIDTH = 32
_TOWERS = {1: 4, 2: 3, 3: 3, 4: 3}


def inception_module(
    figure: int = 3, in_channels: int = 192, image_size: int = 35, widths: tuple[int, ...] = ()
) -> Layer:
    """One module, with a ReLU after each convolution and neither batch norm nor biases.

    Args:
        figure: 1, a canonical Inception module of four towers; 2, towers of a 1x1 and a 3x3
            convolution; 3, the same as one 1x1 and a 3x3 convolution in segments; 4, the same with
            a segment for each channel.
        in_channels: of its input.
        image_size: height and width of its input.
        widths: channels of each tower; towers of 32 where none are named, four in figure 1, else 3.
    """
    require(figure in _TOWERS, f"figure is 1 to 4; got {figure}")
    require(1 <= in_channels <= MAX_CHANNELS, f"in_channels is 1 to 65536; got {in_channels}")
    require(1 <= image_size <= 4096, f"image_size is 1 to 4096; got {image_size}")
    widths = widths or (_WIDTH,) * _TOWERS[figure]
    few = len(widths) == 4 if figure == 1 else len(widths) <= 64
    require(few, f"figure 1 has four towers, the others up to 64; got {len(widths)}")
    positive = all(1 <= width <= MAX_CHANNELS // 64 for width in widths)
    require(positive, f"widths are 1 to {MAX_CHANNELS // 64}; got {widths}")
    step = _figure_1(*widths) if figure == 1 else _later_figure(figure, widths)
    return step((in_channels, image_size, image_size))


def _figure_1(first: int, second: int, third: int, fourth: int) -> Step:
    """Average pooling in one of its towers."""
    relu = activation("relu")

    def spatial(width: int) -> Step:
        return convolution(width, 3, padding=1)

    return concatenation(
        in_order(convolution(first), relu),
        in_order(convolution(second), relu, spatial(second), relu),
        in_order(average_pool(), spatial(third), relu),
        in_order(convolution(fourth), relu, spatial(fourth), relu, spatial(fourth), relu),
    )


def _later_figure(figure: int, widths: tuple[int, ...]) -> Step:
    relu, channels = activation("relu"), sum(widths)
    if figure == 2:
        towers = (
            in_order(convolution(width), relu, convolution(width, 3, padding=1), relu)
            for width in widths
        )
        return concatenation(*towers)
    groups = tuple(SegmentGroup(width, width, 1) for width in widths)
    if figure == 4:
        groups = segment_groups(channels, channels, channels)
    elif len(set(widths)) == 1:
        groups = segment_groups(channels, channels, len(widths))
    return in_order(convolution(channels), relu, segmented_convolution(groups, 3), relu)
