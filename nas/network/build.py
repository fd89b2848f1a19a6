"""An architecture as a PyTorch module."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from nas.architecture.layers import network_layers
from nas.architecture.modules import Layer
from nas.architecture.reference import Reference
from nas.architecture.specification import Architecture, ArchitectureError
from nas.network import exported_layers

MAX_PARAMETERS = 2**31
"""Eight gigabytes of weights: anybody may have written the architecture that a study names."""


def build_network(architecture: Architecture | Reference) -> nn.Module:
    """The network of an architecture or a reference, its weights drawn from PyTorch's generator.

    Returns:
        A module from images (N, C, H, W) or clips (N, C, T, H, W), float, to logits (N, classes).
        Dropout is off until a recipe turns it on.

    Raises:
        ArchitectureError: it has more parameters than any memory is asked for.
    """
    layers = network_layers(architecture)
    if layers.params > MAX_PARAMETERS:
        rule = f"a network that is built has at most {MAX_PARAMETERS:,} parameters"
        raise ArchitectureError(f"{rule}; got {layers.params:,}")
    network = build(layers)
    with torch.no_grad():
        initialize(network)
    return network


def build(layer: Layer) -> nn.Module:
    """The module of a layer, with those of its children."""
    children = {name: build(child) for name, child in layer.children.items()}
    if layer.module == "Sequential":
        return nn.Sequential(OrderedDict(children))
    numbered = [child for name, child in children.items() if name.isdigit()]
    named = {name: child for name, child in children.items() if not name.isdigit()}
    return module_class(layer)(*layer.arguments, *numbered, **layer.options, **named)


def module_class(layer: Layer) -> type[nn.Module]:
    """PyTorch's own, or one of `nas.network.exported_layers`."""
    ours = vars(exported_layers).get(layer.module)
    found: type[nn.Module] = ours or getattr(nn, layer.module)
    return found


def initialize(network: nn.Module) -> None:
    """Draw fresh weights in place: He's normal for convolutions, by their fan-in.

    PyTorch's fan-out of a grouped convolution counts the channels of all groups; fan-in is right.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)
