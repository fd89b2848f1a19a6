"""What a search-space file fixes of a block, whatever is chosen for it."""

from __future__ import annotations

from dataclasses import dataclass

from nas.architecture.specification import MAX_CHANNELS, Downsample


@dataclass(frozen=True)
class BlockFrame:
    """A block without its choices.

    Attributes:
        orders: of the two steps of its convolutions, that it may be given.
    """

    in_channels: int
    channels: tuple[int, ...]
    stride: int
    downsample: Downsample
    orders: tuple[str, ...]

    @property
    def narrowest(self) -> int:
        """The fewest channels that any of its convolutions is segmented over in these orders."""
        inputs = min((self.in_channels, *self.channels[:-1]))
        widths = {
            "spatial_first": inputs,
            "mixture": inputs,
            "space_then_time": inputs,
            "pointwise_first": min(self.channels),
        }
        return min(widths.get(order, MAX_CHANNELS) for order in self.orders)
