"""Xception (Chollet 2016, figure 5), movable along the spectrum."""

from __future__ import annotations

from nas.architecture.specification import (
    Activation,
    Architecture,
    Block,
    Order,
    Padding,
    Segments,
    SpectrumPoint,
    Stem,
)


def xception(
    classes: int = 1000,
    image_size: int = 299,
    segments: Segments = "C",
    activation: Activation = "none",
    order: Order = "spatial_first",
    residual: bool = True,
    width: float = 1.0,
    padding: Padding = "tensorflow",
    norm_epsilon: float = 1e-3,
) -> Architecture:
    """Xception as Keras has it: 22,855,952 trainable parameters, 8,357,403,496 MACs.

    Args:
        classes: outputs of the linear layer.
        image_size: height and width of an RGB image.
        segments: of all 34 spectrum convolutions; ``C`` is the published network.
        activation: between their two steps (figure 10 of the paper).
        order: of their two steps.
        residual: shortcuts of modules 2 to 13 (figure 9 of the paper).
        width: multiplies all channels.
        padding: ``tensorflow`` as published, or ``symmetric`` as in PyTorch ports.
        norm_epsilon: 1e-3 in Keras, 1e-5 in PyTorch ports.
    """
    point = SpectrumPoint(segments, activation, order)

    def scaled(*channels: int) -> tuple[int, ...]:
        return tuple(max(1, round(width * count)) for count in channels)

    def module(*channels: int, stride: int = 2) -> Block:
        return Block(scaled(*channels), point, stride=stride, residual=residual)

    def plain_flow(channels: int, leading_relu: bool) -> Block:
        return Block(scaled(channels), point, residual=False, leading_relu=leading_relu)

    return Architecture(
        input_shape=(3, image_size, image_size),
        classes=classes,
        stem=Stem(scaled(32, 64), stride=2, valid=True),
        blocks=(
            module(128, 128),
            module(256, 256),
            module(728, 728),
            *(module(728, 728, 728, stride=1) for _ in range(8)),
            module(728, 1024),
            # Module 14: no shortcut, and no ReLU between the addition and its first convolution.
            plain_flow(1536, leading_relu=False),
            plain_flow(2048, leading_relu=True),
        ),
        padding=padding,
        norm_epsilon=norm_epsilon,
    )
