"""Deeper variants of Xception, "aligned" (Qi 2017; DeepLab: Chen 2018, section 4 and figure 4).

Three convolutions to a module, the last of which strides, with batch norm between their two steps.

Options of each: ``classes``, ``image_size``, ``segments`` of all spectrum convolutions (``C`` is
the published network), ``width`` that multiplies all channels, ``padding``, ``norm_epsilon``.
"""

from __future__ import annotations

from collections.abc import Callable
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

Entry = tuple[tuple[int, int], ...]
"""Channels and stride of each module before the middle ones."""


def _aligned(name: str, entry: Entry, middle: int) -> Callable[..., Architecture]:
    """A variant with so many middle modules."""

    def make(
        classes: int = 1000,
        image_size: int = 299,
        segments: Segments = "C",
        width: float = 1.0,
        padding: Padding = "symmetric",
        norm_epsilon: float = 1e-3,
    ) -> Architecture:
        return Architecture(
            input_shape=(3, image_size, image_size),
            classes=classes,
            stem=Stem(scaled((32, 64), width=width), stride=2),
            blocks=_blocks(entry, middle, segments, width),
            padding=padding,
            norm_epsilon=norm_epsilon,
        )

    make.__name__ = name
    return make


def _blocks(entry: Entry, middle: int, segments: Segments, width: float) -> tuple[Block, ...]:
    point = SpectrumPoint(segments, norm_between=True)
    channels = [*((c, c, c) for c, _ in entry), *((728,) * 3,) * middle, (728, 1024, 1024)]
    strides = [*(stride for _, stride in entry), *(1,) * middle, 2]
    residual = (
        Block(scaled(widths, width=width), point, stride, "last_convolution")
        for widths, stride in zip(channels, strides, strict=True)
    )
    # The last module has no shortcut, and ReLUs after both steps in place of one before them.
    last = replace(point, activation="relu")
    widest = scaled((1536, 1536, 2048), width=width)
    return (*residual, Block(widest, last, residual=False, leading_relu=False))


xception41 = _aligned("xception41", ((128, 2), (256, 2), (728, 2)), 8)
"""26,969,560 trainable parameters."""

xception65 = _aligned("xception65", ((128, 2), (256, 2), (728, 2)), 16)
"""39,916,312 trainable parameters."""

xception71 = _aligned("xception71", ((128, 2), (256, 1), (256, 2), (728, 1), (728, 2)), 16)
"""42,338,736 trainable parameters."""
