"""The convolutions that a block may be made of: one entry for each order of their steps.

To add one: its name in `Order`, a function from a unit to its steps, and an entry in `OPERATORS`.
Counting, building, printing and describing follow from the steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from nas.architecture.clips import convolution_along
from nas.architecture.mixture import segment_mixture
from nas.architecture.modules import (
    Layer,
    Padding,
    SegmentGroup,
    Shape,
    Steps,
    activation,
    batch_norm,
    channel_shuffle,
    pointwise_convolution,
    segment_groups,
    segmented_convolution,
    sequential,
)

if TYPE_CHECKING:
    from nas.architecture.point import SpectrumPoint

Order = Literal["spatial_first", "pointwise_first", "plain", "mixture", "space_then_time"]


@dataclass(frozen=True)
class Unit:
    """One convolution at a point of the separability spectrum, and where it stands.

    (C_in, H, W) -> (C_out, ceil(H / stride), ceil(W / stride)); of clips (C_in, T, H, W) with as
    many steps in time, the kernel as long in time as in space.
    """

    point: SpectrumPoint
    in_channels: int
    out_channels: int
    stride: int = 1
    padding: Padding = "symmetric"
    norm_epsilon: float = 1e-5

    def spatial(self, groups: tuple[SegmentGroup, ...]) -> Steps:
        """The k x k step in segments."""
        point = self.point
        return {
            "spatial": segmented_convolution(
                groups, point.kernel, self.stride, point.dilation, self.padding
            )
        }

    def pointwise(self, in_channels: int, out_channels: int) -> Steps:
        """The 1 x 1 step; in groups with a channel shuffle where the point says so."""
        groups = self.point.pointwise_groups
        if groups == 1:
            return {"pointwise": pointwise_convolution(out_channels)}
        return {
            "pointwise": segmented_convolution(segment_groups(in_channels, out_channels, groups)),
            "shuffle": channel_shuffle(groups),
        }

    def between(self) -> Steps:
        """What joins the two steps."""
        norm = {"norm": batch_norm(self.norm_epsilon)} if self.point.norm_between else {}
        if self.point.activation == "none":
            return norm
        return {**norm, "activation": activation(self.point.activation)}

    @property
    def widths(self) -> tuple[SegmentGroup, ...]:
        """Segments of the k x k step, before the channel multiplier."""
        channels = self.point.spatial_channels(self.in_channels, self.out_channels)
        return segment_groups(channels, channels, self.point.segment_count(channels))

    @property
    def multiplied(self) -> tuple[SegmentGroup, ...]:
        """Segments of a k x k step that comes first, with the channel multiplier."""
        multiplier = self.point.multiplier
        return tuple(
            group._replace(out_width=multiplier * group.out_width) for group in self.widths
        )


def _spatial_first(unit: Unit) -> Steps:
    """TensorFlow's ``separable_conv2d``, as in Xception."""
    pointwise = unit.pointwise(unit.point.multiplier * unit.in_channels, unit.out_channels)
    return {**unit.spatial(unit.multiplied), **unit.between(), **pointwise}


def _pointwise_first(unit: Unit) -> Steps:
    """Inception's order (Chollet 2016, figure 4): the 1 x 1 sees every position."""
    multiplier = unit.point.multiplier
    groups = tuple(group._replace(in_width=multiplier * group.in_width) for group in unit.widths)
    pointwise = unit.pointwise(unit.in_channels, multiplier * unit.out_channels)
    return {**pointwise, **unit.between(), **unit.spatial(groups)}


def _plain(unit: Unit) -> Steps:
    """A regular convolution, the control without a 1 x 1 step."""
    return unit.spatial(segment_groups(unit.in_channels, unit.out_channels, 1))


def _mixture(unit: Unit) -> Steps:
    """Spatial first, and each image has the segments that a gate chooses for it.

    One segment is no choice: such a unit has no gate, it is the one of ``spatial_first``.
    """
    groups, point = unit.multiplied, unit.point
    if sum(group.segments for group in groups) == 1:
        return _spatial_first(unit)
    spatial = segment_mixture(groups, point.kernel, unit.stride, point.dilation, unit.padding)
    return {**_spatial_first(unit), "spatial": spatial}


def _space_then_time(unit: Unit) -> Steps:
    """1 x k x k in segments, then k x 1 x 1 over all channels, in place of the 1 x 1 x 1.

    At one segment the factorisation of S3D (Xie 2018), and with a multiplier and batch norm and
    ReLU between that of R(2+1)D (Tran 2018), which chooses the channels between by its parameters.
    """
    point, groups = unit.point, unit.point.pointwise_groups
    size = point.kernel, unit.stride, point.dilation
    channels = segment_groups(point.multiplier * unit.in_channels, unit.out_channels, groups)
    return {
        "spatial": convolution_along("space", unit.multiplied, *size),
        **unit.between(),
        "time": convolution_along("time", channels, *size),
        **({"shuffle": channel_shuffle(groups)} if groups > 1 else {}),
    }


@dataclass(frozen=True)
class Operator:
    """One order of the steps.

    Attributes:
        steps: of a unit, by name.
        separable: whether there is a 1 x 1 step beside the k x k step.
        segmented: which channels the k x k step is segmented over.
        dims: of images 2, of clips 3: what it takes.
    """

    steps: Callable[[Unit], Steps]
    separable: bool = True
    segmented: Literal["input", "output"] = "input"
    dims: tuple[int, ...] = (2, 3)


OPERATORS: dict[Order, Operator] = {
    "spatial_first": Operator(_spatial_first),
    "pointwise_first": Operator(_pointwise_first, segmented="output"),
    "plain": Operator(_plain, separable=False),
    "mixture": Operator(_mixture, dims=(2,)),
    "space_then_time": Operator(_space_then_time, dims=(3,)),
}


@lru_cache(maxsize=1024)  # blocks and candidates of equal cost share most of theirs
def spectrum_convolution(unit: Unit, shape: Shape) -> Layer:
    """The steps of a unit in the order that its point names."""
    return sequential(OPERATORS[unit.point.order].steps(unit))(shape)
