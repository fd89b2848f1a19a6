"""What an architecture costs: in closed form, and counted on the built network.

One MAC is one multiply-accumulate, which is two FLOPs. Convolutions and linear layers are counted;
biases, batch norm, activations and pooling are not.
"""

from __future__ import annotations

from dataclasses import dataclass

from nas.architecture.layers import unroll, unroll_block
from nas.architecture.specification import Architecture, Block


@dataclass(frozen=True)
class Cost:
    """Cost of one image through a network.

    Attributes:
        macs: multiply-accumulates.
        params: trainable parameters.
        activations: output elements of all convolutions and linear layers.
    """

    macs: int
    params: int
    activations: int

    @property
    def flops(self) -> int:
        """Floating-point operations: two for each multiply-accumulate."""
        return 2 * self.macs


def count_cost(architecture: Architecture) -> Cost:
    """Cost in closed form, without building the network."""
    layers = unroll(architecture)
    return Cost(
        macs=sum(layer.macs for layer in layers),
        params=sum(layer.params for layer in layers),
        activations=sum(layer.activations for layer in layers),
    )


def count_block_macs(block: Block, in_channels: int, size: tuple[int, int]) -> int:
    """MACs of one block in closed form, for an input of this (height, width)."""
    return sum(layer.macs for layer in unroll_block(block, in_channels, size))
