"""Steps that towers are made of."""

from __future__ import annotations

from math import prod

from nas.architecture.modules import Layer, Row, Shape, Step, sequential


def in_order(*steps: Step) -> Step:
    """Steps one after the other, by their numbers."""
    return sequential({str(index): step for index, step in enumerate(steps)})


def rectangular_convolution(out_channels: int, kernel: tuple[int, int]) -> Step:
    """One of odd height and width that keeps the size (Szegedy 2015, figures 6 and 7)."""
    padding = kernel[0] // 2, kernel[1] // 2
    options = {"padding": padding, "bias": False}

    def at(shape: Shape) -> Layer:
        channels, height, width = shape
        params, output = prod(kernel) * channels * out_channels, (out_channels, height, width)
        costs, arguments = (params, params * height * width, prod(output)), (channels, out_channels)
        row = Row("convolution", kernel)
        return Layer("Conv2d", shape, output, (*arguments, kernel), options, {}, *costs, row)

    return at
