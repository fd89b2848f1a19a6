"""What one network is: a stem, blocks on the separability spectrum, and a linear head.

Everything here is frozen data with no dependency beyond the standard library, so that an
architecture can be hashed, compared, stored as JSON and sent to a worker without PyTorch.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from nas.architecture.modules import Activation as Activation
from nas.architecture.modules import Nonlinearity as Nonlinearity
from nas.architecture.modules import Padding as Padding
from nas.architecture.modules import Shape as Shape
from nas.architecture.operators import OPERATORS
from nas.architecture.operators import Order as Order
from nas.architecture.point import KERNELS, require, require_one_of
from nas.architecture.point import PLAIN_VALUES as PLAIN_VALUES
from nas.architecture.point import ArchitectureError as ArchitectureError
from nas.architecture.point import Segments as Segments
from nas.architecture.point import SpectrumPoint as SpectrumPoint
from nas.architecture.point import parse_segments as parse_segments
from nas.architecture.point import segment_count as segment_count
from nas.architecture.serialization import MAX_LENGTH, FormatError, dump, from_plain, to_plain
from trials.bounded_json import JsonError, parse_json

Downsample = Literal["max_pool", "convolution", "last_convolution"]
Shortcut = Literal["none", "identity", "projection"]

MAX_CHANNELS = 65_536
MAX_BLOCKS = 1024
MAX_STRIDE = 8
MAX_HIDDEN = 8


def _require_channels(channels: tuple[int, ...], what: str) -> None:
    require(bool(channels), f"a {what} has at least one convolution; got none")
    require(
        all(1 <= width <= MAX_CHANNELS for width in channels),
        f"{what} channels are 1 to {MAX_CHANNELS}; got {_first(channels)}",
    )


def _first(channels: tuple[int, ...]) -> str:
    """Of a message: there may be thousands."""
    shown = ", ".join(map(str, channels[:8]))
    return f"[{shown}, ...]" if len(channels) > 8 else f"[{shown}]"


def _require_stride(stride: int, what: str) -> None:
    require(1 <= stride <= MAX_STRIDE, f"{what} stride is 1 to {MAX_STRIDE}; got {stride}")


def _chain(in_channels: int, channels: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    return tuple(zip((in_channels, *channels[:-1]), channels, strict=True))


def require_dims(order: Order, dims: int) -> None:
    """Refuse an order that has no meaning for images (2 dimensions) or clips (3)."""
    known = OPERATORS[order].dims
    of = "images, and these are clips" if known == (2,) else "clips, and these are images"
    require(dims in known, f"order {order} is of {of}")


@dataclass(frozen=True)
class Stem:
    """Regular convolutions, each with batch norm and ReLU; the first one strided."""

    channels: tuple[int, ...]
    stride: int = 1
    kernel: int = 3
    valid: bool = False

    def __post_init__(self) -> None:
        _require_channels(self.channels, "stem")
        require(self.kernel in KERNELS, f"stem kernel is one of {KERNELS}; got {self.kernel}")
        _require_stride(self.stride, "stem")

    def convolution_channels(self, in_channels: int) -> tuple[tuple[int, int], ...]:
        """(input, output) channels of each convolution."""
        return _chain(in_channels, self.channels)

    def output_size(self, size: int) -> int:
        """Height or width after the stem; 0 or less where the image is too small."""
        for index in range(len(self.channels)):
            stride = self.stride if index == 0 else 1
            size = (size - self.kernel) // stride + 1 if self.valid else -(-size // stride)
        return size


@dataclass(frozen=True)
class Block:
    """Spectrum convolutions in sequence, each after a ReLU and before batch norm, and a shortcut.

    Attributes:
        channels: output channels of each convolution.
        point: where all convolutions of the block are on the spectrum.
        stride: of the whole block.
        downsample: how it strides: 3x3 max pooling at the end, its first convolution or its last.
        residual: identity, or 1x1 and batch norm where the shapes differ.
        leading_relu: a ReLU before the first convolution.
    """

    channels: tuple[int, ...]
    point: SpectrumPoint = SpectrumPoint()  # noqa: RUF009  # it is frozen
    stride: int = 1
    downsample: Downsample = "max_pool"
    residual: bool = True
    leading_relu: bool = True

    def __post_init__(self) -> None:
        _require_channels(self.channels, "block")
        _require_stride(self.stride, "block")
        require_one_of(self.downsample, Downsample, "downsample")
        require(
            self.convolution_stride == 1 or self.point.dilation == 1,
            "a convolution has a stride or a dilation above 1, not both (as in TensorFlow); "
            f"got stride {self.stride} and dilation {self.point.dilation}",
        )

    @property
    def convolution_stride(self) -> int:
        """Stride of the convolution that strides; 1 where pooling does."""
        return 1 if self.downsample == "max_pool" else self.stride

    def convolution_strides(self) -> tuple[int, ...]:
        """Stride of each convolution."""
        place = len(self.channels) - 1 if self.downsample == "last_convolution" else 0
        return tuple(
            self.convolution_stride if index == place else 1 for index in range(len(self.channels))
        )

    def convolution_channels(self, in_channels: int) -> tuple[tuple[int, int], ...]:
        """(input, output) channels of each convolution."""
        return _chain(in_channels, self.channels)

    def shortcut(self, in_channels: int) -> Shortcut:
        """What goes around the convolutions: a projection where the shapes differ."""
        if not self.residual:
            return "none"
        same = self.stride == 1 and in_channels == self.channels[-1]
        return "identity" if same else "projection"

    def check(self, in_channels: int) -> None:
        """Nothing, where its convolutions exist for so many channels.

        Raises:
            ArchitectureError: some convolution has more segments or groups than channels.
        """
        for pair in dict.fromkeys(self.convolution_channels(in_channels)):
            segmented = self.point.spatial_channels(*pair)
            segment_count(self.point.segments, segmented)
            groups = self.point.pointwise_groups
            channels = min(*pair, self.point.multiplier * segmented)
            message = f"{groups} pointwise groups are more than the {channels} channels"
            require(groups <= channels, message)

    def segment_counts(self, in_channels: int) -> tuple[int, ...]:
        """Segments of each convolution once the channels are known.

        Raises:
            ArchitectureError: more segments than some convolution has channels.
        """
        return tuple(
            segment_count(self.point.segments, self.point.spatial_channels(c_in, c_out))
            for c_in, c_out in self.convolution_channels(in_channels)
        )


@dataclass(frozen=True)
class Architecture:
    """One network. It is valid once constructed.

    Attributes:
        input_shape: (channels, height, width) of an image, (channels, frames, height, width) of a
            clip: all convolutions and poolings are then of three dimensions, as long in time as in
            space, and a stride is of frames as of rows and columns. One frame stays one.
        classes: outputs of the linear head, which follows a ReLU and global average pooling.
        padding: PyTorch's symmetric padding, or ``SAME`` as TensorFlow computes it; with
            ``floor`` a strided convolution of a block pads as ``SAME`` does where the stride
            divides the size, and drops what is left over where it does not (Keras' MobileNet).
        norm_epsilon: of every batch norm (1e-3 in Keras, 1e-5 in PyTorch).
        nonlinearity: wherever a ReLU is said above; ``relu6`` in Keras' MobileNet.
        hidden: widths of linear layers before the last one, each with a ReLU (Xception on JFT).
        dropout: before the last linear layer, where the recipe of a training has none.

    Raises:
        ArchitectureError: some layer cannot exist.
    """

    input_shape: Shape
    classes: int
    stem: Stem
    blocks: tuple[Block, ...]
    padding: Padding = "symmetric"
    norm_epsilon: float = 1e-5
    nonlinearity: Nonlinearity = "relu"
    hidden: tuple[int, ...] = ()
    dropout: float = 0.0

    def __post_init__(self) -> None:
        self._check_fields()
        self._check_blocks()
        if self.padding == "floor":
            self._check_floor()

    def _check_fields(self) -> None:
        self._check_input()
        require(2 <= self.classes <= 1_000_000, f"classes are 2 or more; got {self.classes}")
        require(bool(self.blocks), "an architecture has at least one block; got none")
        count = len(self.blocks)
        require(count <= MAX_BLOCKS, f"a network has at most {MAX_BLOCKS} blocks; got {count}")
        require_one_of(self.padding, Padding, "padding")
        require(0 < self.norm_epsilon < 1, f"norm_epsilon is in (0, 1); got {self.norm_epsilon}")
        require_one_of(self.nonlinearity, Nonlinearity, "nonlinearity")
        require(0 <= self.dropout < 1, f"dropout is 0 or more and below 1; got {self.dropout}")
        most = f"{MAX_HIDDEN} layers of 1 to {MAX_CHANNELS}"
        allowed = all(1 <= width <= MAX_CHANNELS for width in self.hidden)
        require(
            allowed and len(self.hidden) <= MAX_HIDDEN,
            f"hidden is at most {most}; got {_first(self.hidden)}",
        )

    def _check_input(self) -> None:
        shape, size = self.input_shape, self.input_shape[1:]
        axes = "(channels, height, width), or (channels, frames, height, width) of clips"
        require(len(size) in (2, 3), f"input_shape is {axes}; got {shape}")
        require(
            min(shape) >= 1 and max(size) <= 4096,
            f"an image has channels and a height and width up to 4096; got {shape}",
        )
        require(
            min(map(self.stem.output_size, size)) >= 1,
            f"a valid stem needs a larger image; got {' x '.join(map(str, size))}",
        )
        require(
            self.dims == 2 or self.padding == "symmetric",
            f"clips have symmetric padding; got {self.padding}",
        )

    @property
    def dims(self) -> int:
        """Of its convolutions: 2 of images, 3 of clips."""
        return len(self.input_shape) - 1

    def _check_blocks(self) -> None:
        checked: set[tuple[Block, int]] = set()  # a network of hundreds has few different ones
        for index, (block, in_channels) in enumerate(self.blocks_with_input()):
            if (block, in_channels) in checked:
                continue
            checked.add((block, in_channels))
            try:
                require_dims(block.point.order, self.dims)
                block.check(in_channels)
            except ArchitectureError as error:
                raise ArchitectureError(f"blocks[{index}]: {error}") from None

    def _check_floor(self) -> None:
        """Pooling and shortcuts keep the last row, which such a convolution drops."""
        sizes = [self.stem.output_size(size) for size in self.input_shape[1:]]
        for index, block in enumerate(self.blocks):
            require(
                block.stride == 1 or not (block.downsample == "max_pool" or block.residual),
                f"blocks[{index}]: padding floor is of blocks that stride by a convolution, "
                f"with no shortcut; got downsample {block.downsample}, residual {block.residual}",
            )
            sizes = [size // block.stride for size in sizes]
        _, height, width = self.input_shape
        require(min(sizes) >= 1, f"padding floor needs a larger image; got {height} x {width}")

    def blocks_with_input(self) -> tuple[tuple[Block, int], ...]:
        """Each block with the channels it receives."""
        widths = (self.stem.channels[-1], *(block.channels[-1] for block in self.blocks))
        return tuple(zip(self.blocks, widths, strict=False))

    @cached_property
    def key(self) -> str:
        """Sixteen hexadecimal digits that name the network, however its segments were written.

        Segments are resolved to counts first, so that ``3`` and ``C/8`` over 24 channels are the
        same network and have the same key; so do a mixture of one segment and ``spatial_first``.
        """
        resolved = to_plain(self)
        for plain, (block, in_channels) in zip(
            resolved["blocks"], self.blocks_with_input(), strict=True
        ):
            point = plain.setdefault("point", {})
            point["segments"] = counts = block.segment_counts(in_channels)
            if block.point.order == "mixture" and set(counts) == {1}:
                del point["order"]
        return hashlib.sha256(dump(resolved).encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces, fields at their default left out."""
        return dump(to_plain(self))

    @classmethod
    def from_json(cls, text: str) -> Architecture:
        """Read what `to_json` wrote.

        Raises:
            ArchitectureError: not JSON, an unknown field, a wrong type, or an invalid network.
        """
        try:
            return from_plain(cls, parse_json(text, most=MAX_LENGTH), "architecture")
        except (FormatError, JsonError) as error:
            raise ArchitectureError(str(error)) from None
