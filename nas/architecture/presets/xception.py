"""Xception (Chollet 2016, figure 5), movable along the spectrum."""

from __future__ import annotations

from dataclasses import replace

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

    return Architecture(
        input_shape=(3, image_size, image_size),
        classes=classes,
        stem=Stem(scaled(32, 64), stride=2, valid=True),
        blocks=tuple(
            replace(block, channels=scaled(*block.channels), point=point)
            for block in _blocks(residual)
        ),
        padding=padding,
        norm_epsilon=norm_epsilon,
    )


def _blocks(residual: bool) -> tuple[Block, ...]:
    """Modules 2 to 14 of the figure."""
    return (
        *(Block((c, c), stride=2, residual=residual) for c in (128, 256, 728)),
        *(Block((728, 728, 728), residual=residual) for _ in range(8)),
        Block((728, 1024), stride=2, residual=residual),
        # Module 14: no shortcut, and no ReLU between the addition and its first convolution.
        Block((1536,), residual=False, leading_relu=False),
        Block((2048,), residual=False),
    )
