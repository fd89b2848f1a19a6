"""MobileNet (Howard 2017, table 1): depthwise separable units with batch norm after each step."""

from __future__ import annotations

from nas.architecture.modules import Nonlinearity
from nas.architecture.point import require
from nas.architecture.presets.scaling import require_factor, scaled
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
    alpha: float = 1.0,
    rho: float = 1.0,
    width: float = 1.0,
    segments: Segments = "C",
    activation: Nonlinearity = "relu",
    separable: bool = True,
    padding: Padding = "tensorflow",
    norm_epsilon: float = 1e-3,
) -> Architecture:
    """MobileNet v1: 4,231,976 parameters and 568.7M MACs at alpha 1 and 224 x 224.

    Args:
        classes: outputs of the linear layer.
        image_size: height and width of an RGB image, before ``rho``.
        alpha: multiplies all channels (section 3.3 of the paper).
        rho: multiplies the image's size (section 3.4).
        width: multiplies all channels once more; what it is called for every preset.
        segments: of the 13 spectrum convolutions. One keeps the 1x1 step.
        activation: ``relu`` in the paper, ``relu6`` in its authors' code and in Keras.
        separable: or each unit is one 3x3 convolution (the baseline of table 4).
        padding: ``floor`` as in Keras; ``tensorflow`` is the same but for strides on odd sizes.
        norm_epsilon: 1e-3 in Keras.
    """
    require_factor(rho, "rho")
    fits = separable or segments == "C"
    require(fits, f"segments are of separable units; got {segments} with separable=false")
    size = round(rho * image_size)
    point = SpectrumPoint(segments, activation, norm_between=True)
    return Architecture(
        input_shape=(3, size, size),
        classes=classes,
        stem=Stem(scaled((32,), alpha=alpha, width=width), stride=2),
        blocks=_blocks(point if separable else SpectrumPoint(1, order="plain"), alpha, width),
        padding=padding,
        norm_epsilon=norm_epsilon,
        nonlinearity=activation,
    )


def _blocks(point: SpectrumPoint, alpha: float, width: float) -> tuple[Block, ...]:
    return tuple(
        Block(scaled((c,), alpha=alpha, width=width), point, stride, "convolution", residual=False)
        for c, stride in _UNITS
    )
