"""Xception (Chollet 2016, figure 5), movable along the spectrum."""

from __future__ import annotations

from dataclasses import replace

from nas.architecture.point import require
from nas.architecture.presets.scaling import scaled
from nas.architecture.specification import (
    MAX_HIDDEN,
    Activation,
    Architecture,
    Block,
    Order,
    Padding,
    Segments,
    SpectrumPoint,
    Stem,
)

_FC_UNITS = 4096


def xception(
    classes: int = 1000,
    image_size: int = 299,
    segments: Segments = "C",
    activation: Activation = "none",
    order: Order = "spatial_first",
    residual: bool = True,
    width: float = 1.0,
    fc_layers: int = 0,
    dropout: float = 0.0,
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
        width: multiplies all channels of convolutions.
        fc_layers: of 4096 with ReLU, before the last linear layer; 2 in the paper, on JFT.
        dropout: before the last linear layer; .5 in the paper, on ImageNet, as in that recipe.
        padding: ``tensorflow`` as published, or ``symmetric`` as in PyTorch ports.
        norm_epsilon: 1e-3 in Keras, 1e-5 in PyTorch ports.
    """
    require(0 <= fc_layers <= MAX_HIDDEN, f"fc_layers is 0 to {MAX_HIDDEN}; got {fc_layers}")
    point = SpectrumPoint(segments, activation, order)
    return Architecture(
        input_shape=(3, image_size, image_size),
        classes=classes,
        stem=Stem(scaled((32, 64), width=width), stride=2, valid=True),
        blocks=_blocks(residual, point, width),
        padding=padding,
        norm_epsilon=norm_epsilon,
        hidden=(_FC_UNITS,) * fc_layers,
        dropout=dropout,
    )


def _blocks(residual: bool, point: SpectrumPoint, width: float) -> tuple[Block, ...]:
    """Modules 2 to 14 of the figure."""
    published = (
        *(Block((c, c), stride=2, residual=residual) for c in (128, 256, 728)),
        *(Block((728, 728, 728), residual=residual) for _ in range(8)),
        Block((728, 1024), stride=2, residual=residual),
        # Module 14: no shortcut, and no ReLU between the addition and its first convolution.
        Block((1536,), residual=False, leading_relu=False),
        Block((2048,), residual=False),
    )
    return tuple(
        replace(block, channels=scaled(block.channels, width=width), point=point)
        for block in published
    )
