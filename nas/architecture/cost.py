"""What an architecture costs: in closed form, and counted on the built network.

One MAC is one multiply-accumulate, which is two FLOPs. Convolutions and linear layers are counted;
biases, batch norm, activations and pooling are not.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

from torch import nn

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


def count_macs_with_ptflops(network: nn.Module, input_shape: tuple[int, int, int]) -> int:
    """MACs of one image as ptflops counts them on a copy of the network.

    ptflops adds one for each output of a layer with a bias; those are taken off again.

    Raises:
        RuntimeError: the network cannot run on this input.
    """
    from ptflops import get_model_complexity_info

    # A copy, because ptflops leaves hooks behind and switches the module to evaluation.
    probe = copy.deepcopy(network)
    for module in probe.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.bias = None
    macs, _ = get_model_complexity_info(
        probe, input_shape, as_strings=False, print_per_layer_stat=False, backend="aten"
    )
    if macs is None:
        raise RuntimeError(f"ptflops could not run the network on an input of {input_shape}")
    return int(macs)
