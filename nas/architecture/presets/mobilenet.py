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

    def unit(channels: int, stride: int = 1) -> Block:
        widths = (max(1, round(width * channels)),)
        return Block(widths, point, stride=stride, downsample="convolution", residual=False)

    return Architecture(
        input_shape=(3, image_size, image_size),
        classes=classes,
        stem=Stem((max(1, round(width * 32)),), stride=2),
        blocks=(
            unit(64),
            unit(128, stride=2),
            unit(128),
            unit(256, stride=2),
            unit(256),
            unit(512, stride=2),
            *(unit(512) for _ in range(5)),
            unit(1024, stride=2),
            unit(1024),
        ),
        padding=padding,
        norm_epsilon=norm_epsilon,
    )
