"""Inception V3 (Szegedy 2015, figures 5 to 7), the paper's baseline.

Its modules mix factorized kernels that no point of the spectrum describes, so it is no
`Architecture`.
"""

from __future__ import annotations

from functools import partial

from nas.architecture.modules import (
    Layer,
    Step,
    activation,
    batch_norm,
    concatenation,
    convolution,
    dropout,
    global_mean,
    linear,
    sequential,
    with_auxiliary,
)
from nas.architecture.point import ArchitectureError, require
from nas.architecture.pooling import average_pool, valid_pool
from nas.architecture.presets.scaling import scaled
from nas.architecture.references.steps import in_order, rectangular_convolution

_SMALLEST = 75
_SMALLEST_WITH_AUX = 299
_EPSILON = 1e-3


def inception_v3(
    classes: int = 1000,
    image_size: int = 299,
    aux: bool = False,
    norm_scale: bool = True,
    pool_counts_padding: bool = True,
    width: float = 1.0,
) -> Layer:
    """23,834,568 trainable parameters, 5,713,216,096 MACs at 299 x 299.

    Args:
        classes: outputs of the linear layer.
        image_size: height and width of an RGB image.
        aux: the auxiliary head (27,161,264 parameters): in training the network gives the logits of
            both; MACs are those of its use.
        norm_scale: or batch norm has a shift alone, as in Keras (23,817,352 parameters).
        pool_counts_padding: in the mean of average pooling, as in PyTorch; not so in TensorFlow.
        width: what the channels of all convolutions are multiplied by.
    """
    least = _SMALLEST_WITH_AUX if aux else _SMALLEST
    require(least <= image_size <= 4096, f"image_size is {least} to 4096; got {image_size}")
    if not 2 <= classes <= 1_000_000:
        raise ArchitectureError(f"classes are 2 or more; got {classes}")
    made = _Modules(norm_scale, pool_counts_padding, width)
    trunk, last = in_order(*made.trunk()), made.last()
    rest = sequential(
        {
            **{str(index): step for index, step in enumerate(last)},
            "mean": global_mean(),
            "dropout": dropout(),
            "linear": linear(classes),
        }
    )
    whole = sequential({"trunk": trunk, "rest": rest})
    if aux:
        whole = with_auxiliary(trunk, made.auxiliary(classes), rest)
    return whole((3, image_size, image_size))


class _Modules:
    """Its modules, by the numbers of the figures."""

    def __init__(self, norm_scale: bool, pool_counts_padding: bool, width: float) -> None:
        self.width = width
        self.norm = partial(batch_norm, _EPSILON, norm_scale)
        self.pool = partial(average_pool, pool_counts_padding)

    def conv(
        self, channels: int, kernel: int | tuple[int, int] = 1, stride: int = 1, same: bool = True
    ) -> Step:
        """So many, times the width; batch norm and ReLU behind; no padding unless ``same``."""
        (channels,) = scaled((channels,), width=self.width)
        if isinstance(kernel, tuple):
            conv = rectangular_convolution(channels, kernel)
        else:
            conv = convolution(channels, kernel, stride, kernel // 2 if same else 0)
        return sequential({"conv": conv, "norm": self.norm(), "relu": activation("relu")})

    def trunk(self) -> list[Step]:
        """Up to the last module on the 17 x 17 grid, where the auxiliary head is."""
        return [
            self.conv(32, 3, 2, same=False),
            self.conv(32, 3, same=False),
            self.conv(64, 3),
            valid_pool("max pool", 3, 2),
            self.conv(80),
            self.conv(192, 3, same=False),
            valid_pool("max pool", 3, 2),
            *(self.module_35(pooled) for pooled in (32, 64, 64)),
            self.reduction_17(),
            *(self.module_17(inside) for inside in (128, 160, 160, 192)),
        ]

    def last(self) -> list[Step]:
        """Those on the 8 x 8 grid."""
        return [self.reduction_8(), self.module_8(), self.module_8()]

    def module_35(self, pooled: int) -> Step:
        """Figure 5 with a 5 x 5 tower, on the 35 x 35 grid."""
        return concatenation(
            self.conv(64),
            in_order(self.conv(48), self.conv(64, 5)),
            in_order(self.conv(64), self.conv(96, 3), self.conv(96, 3)),
            in_order(self.pool(), self.conv(pooled)),
        )

    def reduction_17(self) -> Step:
        """Figure 10: 35 x 35 to 17 x 17."""
        return concatenation(
            self.conv(384, 3, 2, same=False),
            in_order(self.conv(64), self.conv(96, 3), self.conv(96, 3, 2, same=False)),
            valid_pool("max pool", 3, 2),
        )

    def module_17(self, inside: int) -> Step:
        """Figure 6 with n = 7, on the 17 x 17 grid; so many channels inside its 7 x 7 towers."""
        row, column = (1, 7), (7, 1)
        return concatenation(
            self.conv(192),
            in_order(self.conv(inside), self.conv(inside, row), self.conv(192, column)),
            in_order(
                self.conv(inside),
                self.conv(inside, column),
                self.conv(inside, row),
                self.conv(inside, column),
                self.conv(192, row),
            ),
            in_order(self.pool(), self.conv(192)),
        )

    def reduction_8(self) -> Step:
        """17 x 17 to 8 x 8."""
        return concatenation(
            in_order(self.conv(192), self.conv(320, 3, 2, same=False)),
            in_order(
                self.conv(192),
                self.conv(192, (1, 7)),
                self.conv(192, (7, 1)),
                self.conv(192, 3, 2, same=False),
            ),
            valid_pool("max pool", 3, 2),
        )

    def module_8(self) -> Step:
        """Figure 7, on the 8 x 8 grid."""
        split = concatenation(self.conv(384, (1, 3)), self.conv(384, (3, 1)))
        return concatenation(
            self.conv(320),
            in_order(self.conv(384), split),
            in_order(self.conv(448), self.conv(384, 3), split),
            in_order(self.pool(), self.conv(192)),
        )

    def auxiliary(self, classes: int) -> Step:
        """Figure 8, as its authors' code has it: 17 x 17 pooled to 5 x 5."""
        return sequential(
            {
                "pool": valid_pool("average pool", 5, 3),
                "reduce": self.conv(128),
                "conv": self.conv(768, 5, same=False),
                "mean": global_mean(),
                "linear": linear(classes),
            }
        )
