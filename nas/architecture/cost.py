"""What an architecture costs, in closed form: counted on the tree of its layers.

One MAC is one multiply-accumulate, which is two FLOPs. Convolutions and linear layers are counted;
biases, batch norm, activations and pooling are not.
"""

from __future__ import annotations

from dataclasses import dataclass

from nas.architecture.layers import block_layers, network_layers
from nas.architecture.modules import Layer, Shape
from nas.architecture.reference import Reference
from nas.architecture.specification import Architecture, Block


@dataclass(frozen=True)
class Cost:
    """Cost of one image or clip through a network.

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


def count_cost(architecture: Architecture | Reference) -> Cost:
    """Cost in closed form, without building the network."""
    return cost_of(network_layers(architecture))


def count_block_cost(block: Block, in_channels: int, size: Shape) -> Cost:
    """Cost of one block in closed form, for an input of this size: see `block_layers`."""
    return cost_of(block_layers(block, in_channels, size))


def cost_of(layer: Layer) -> Cost:
    """Cost of a layer with all inside it."""
    return Cost(layer.macs, layer.params, layer.activations)
