"""MobileNet (Howard 2017, table 1): depthwise separable units with batch norm after each step."""

from __future__ import annotations

from nas.architecture.specification import (
    Architecture,
    Block,
    Padding,
    Segments,
    SpectrumPoint,
    Stem,
)

_UNITS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1),) * 5,
    *((1024, 2), (1024, 1)),
)
"""Channels and stride of each depthwise separable unit."""


def mobilenet(
    classes: int = 1000,
    image_size: int = 224,
    width: float = 1.0,
    segments: Segments = "C",
    padding: Padding = "tensorflow",
    norm_epsilon: float = 1e-3,
) -> Architecture:
    """MobileNet v1: 4,231,976 parameters and 568.7M MACs at width 1.0 and 224 x 224.

    Args:
        classes: outputs of the linear layer.
        image_size: height and width of an RGB image.
        width: multiplies all channels (the paper's alpha).
        segments: of the 13 spectrum convolutions; ``C`` is the published network.
        padding: ``tensorflow`` as published, or ``symmetric``.
        norm_epsilon: 1e-3 in Keras.
    """
    point = SpectrumPoint(segments, "relu", norm_between=True)

    def scaled(channels: int) -> tuple[int]:
        return (max(1, round(width * channels)),)

    return Architecture(
        input_shape=(3, image_size, image_size),
        classes=classes,
        stem=Stem(scaled(32), stride=2),
        blocks=tuple(
            Block(scaled(channels), point, stride, "convolution", residual=False)
            for channels, stride in _UNITS
        ),
        padding=padding,
        norm_epsilon=norm_epsilon,
    )
