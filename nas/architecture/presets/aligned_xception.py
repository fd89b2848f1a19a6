"""Deeper variants of Xception, "aligned" (Qi 2017; DeepLab: Chen 2018, section 4 and figure 4).

Three convolutions to a module, the last of which strides, with batch norm between their two steps.
"""

from __future__ import annotations

from dataclasses import replace

from nas.architecture.presets.scaling import scaled
from nas.architecture.specification import (
    Architecture,
    Block,
    Padding,
    Segments,
    SpectrumPoint,
    Stem,
)


def xception41(
    classes: int = 1000,
    image_size: int = 299,
    segments: Segments = "C",
    width: float = 1.0,
    padding: Padding = "symmetric",
    norm_epsilon: float = 1e-3,
) -> Architecture:
    """Aligned Xception with 41 layers: 26,969,560 trainable parameters.

    Args:
        classes: outputs of the linear layer.
        image_size: height and width of an RGB image.
        segments: of all spectrum convolutions; ``C`` is the published network.
        width: multiplies all channels.
        padding: ``symmetric``, or ``tensorflow``.
        norm_epsilon: 1e-3 as published.
    """
    entry = ((128, 2), (256, 2), (728, 2))
    return _aligned(entry, 8, classes, image_size, segments, width, padding, norm_epsilon)


def xception65(
    classes: int = 1000,
    image_size: int = 299,
    segments: Segments = "C",
    width: float = 1.0,
    padding: Padding = "symmetric",
    norm_epsilon: float = 1e-3,
) -> Architecture:
    """Aligned Xception with 65 layers: 39,916,312 trainable parameters; options of `xception41`."""
    entry = ((128, 2), (256, 2), (728, 2))
    return _aligned(entry, 16, classes, image_size, segments, width, padding, norm_epsilon)


def xception71(
    classes: int = 1000,
    image_size: int = 299,
    segments: Segments = "C",
    width: float = 1.0,
    padding: Padding = "symmetric",
    norm_epsilon: float = 1e-3,
) -> Architecture:
    """Aligned Xception with 71 layers: 42,338,736 trainable parameters; options of `xception41`."""
    entry = ((128, 2), (256, 1), (256, 2), (728, 1), (728, 2))
    return _aligned(entry, 16, classes, image_size, segments, width, padding, norm_epsilon)


def _aligned(
    entry: tuple[tuple[int, int], ...],
    middle: int,
    classes: int,
    image_size: int,
    segments: Segments,
    width: float,
    padding: Padding,
    norm_epsilon: float,
) -> Architecture:
    """Entry modules by width and stride, so many of 728, and the exit."""
    point = SpectrumPoint(segments, norm_between=True)
    strided = [*((c, c, c) for c, _ in entry), *((728,) * 3,) * middle, (728, 1024, 1024)]
    strides = [*(stride for _, stride in entry), *(1,) * middle, 2]
    blocks = [
        Block(scaled(channels, width=width), point, stride, "last_convolution")
        for channels, stride in zip(strided, strides, strict=True)
    ]
    # ReLU after both steps, none before: the last module is no residual one.
    last = replace(point, activation="relu")
    channels = scaled((1536, 1536, 2048), width=width)
    blocks.append(Block(channels, last, residual=False, leading_relu=False))
    return Architecture(
        input_shape=(3, image_size, image_size),
        classes=classes,
        stem=Stem(scaled((32, 64), width=width), stride=2),
        blocks=tuple(blocks),
        padding=padding,
        norm_epsilon=norm_epsilon,
    )
