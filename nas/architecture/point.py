"""A point on the separability spectrum, and how it is written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, get_args

from nas.architecture.modules import Activation
from nas.architecture.operators import OPERATORS, Order

Segments = int | str
"""A count (``3``), a segment width (``"C/4"``: four channels) or ``"C"`` (one per channel)."""

KERNELS = (3, 5, 7)


class ArchitectureError(ValueError):
    """An architecture that cannot be built; the message states the rule, then the value."""


def require(holds: bool, message: str) -> None:
    """Refuse what breaks a rule, with this message."""
    if not holds:
        raise ArchitectureError(message)


def require_one_of(value: str, words: object, what: str) -> None:
    """Refuse what is none of the words of a `Literal`."""
    known = get_args(words)
    require(value in known, f"{what} is one of {', '.join(known)}; got {value!r}")


def parse_segments(text: str) -> Segments:
    """Read ``"3"``, ``"C/4"`` or ``"C"``.

    Raises:
        ArchitectureError: the text is none of the three forms.
    """
    if re.fullmatch(r"[1-9][0-9]{0,5}", text):
        return int(text)
    if text == "C" or re.fullmatch(r"C/[1-9][0-9]{0,5}", text):
        return text
    raise ArchitectureError(f"segments are a count, C, or a width such as C/4; got {text!r}")


def segment_count(segments: Segments, channels: int) -> int:
    """How many segments a convolution over ``channels`` channels is split into.

    A width ``C/n`` gives the fewest segments of at most ``n`` channels.

    Raises:
        ArchitectureError: more segments than channels, or a segment wider than all channels.
    """
    parsed = parse_segments(str(segments))
    if parsed == "C":
        return channels
    if isinstance(parsed, int):
        if parsed > channels:
            raise ArchitectureError(f"{parsed} segments are more than the {channels} channels")
        return parsed
    width = int(parsed.removeprefix("C/"))
    if width > channels:
        raise ArchitectureError(f"a segment of {width} channels is wider than all {channels}")
    return -(-channels // width)


PLAIN_VALUES: dict[str, Any] = {
    "segments": 1,
    "activation": "none",
    "multiplier": 1,
    "pointwise_groups": 1,
    "norm_between": False,
}
"""Values of the fields that say something of a 1x1 step, in a convolution that has none."""


@dataclass(frozen=True)
class SpectrumPoint:
    """One point on the spectrum, and how its two steps are joined (Chollet 2016, section 1.1).

    Attributes:
        segments: channel segments of the k x k step.
        activation: between the two steps.
        order: which step comes first; ``plain`` is a k x k convolution with no 1x1 step.
        kernel: k of the k x k step.
        multiplier: channels between the steps, as a multiple (TensorFlow's channel multiplier).
        dilation: of the k x k step.
        pointwise_groups: groups of the 1x1 step, with a channel shuffle (ShuffleNet).
        norm_between: batch norm between the steps (MobileNet), before the activation.
    """

    segments: Segments = "C"
    activation: Activation = "none"
    order: Order = "spatial_first"
    kernel: int = 3
    multiplier: int = 1
    dilation: int = 1
    pointwise_groups: int = 1
    norm_between: bool = False

    def __post_init__(self) -> None:
        parse_segments(str(self.segments))
        require_one_of(self.activation, Activation, "activation")
        require_one_of(self.order, Order, "order")
        require(self.kernel in KERNELS, f"kernel is one of {KERNELS}; got {self.kernel}")
        require(1 <= self.multiplier <= 64, f"multiplier is 1 to 64; got {self.multiplier}")
        require(1 <= self.dilation <= 64, f"dilation is 1 to 64; got {self.dilation}")
        require(
            self.pointwise_groups >= 1,
            f"pointwise_groups is 1 or more; got {self.pointwise_groups}",
        )
        if not OPERATORS[self.order].separable:
            for field, only in PLAIN_VALUES.items():
                value, what = getattr(self, field), f"order {self.order} has no 1x1 step"
                require(value == only, f"{what}: {field} is {only}; got {value}")

    def spatial_channels(self, in_channels: int, out_channels: int) -> int:
        """Channels that the k x k step is segmented over."""
        over_output = OPERATORS[self.order].segmented == "output"
        return out_channels if over_output else in_channels

    def segment_count(self, channels: int) -> int:
        """Segments of a k x k step over this many channels.

        Raises:
            ArchitectureError: more segments than channels.
        """
        return segment_count(self.segments, channels)
