"""References as PyTorch modules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from nas.architecture.cost import Cost, count_cost
from nas.architecture.modules import Shape
from nas.architecture.references import reference_layers
from nas.network.build import build_network


@dataclass(frozen=True)
class ReferenceNetwork:
    """A published network that is no point of the spectrum.

    Attributes:
        network: with fresh weights, from PyTorch's global generator.
        input_shape: (channels, height, width) of an image.
        cost: counted on its layers.
    """

    network: nn.Module
    input_shape: Shape
    cost: Cost


def reference(name: str, **options: Any) -> ReferenceNetwork:  # noqa: ANN401  # each names its own
    """A published network to compare with: ``nas.reference("inception_v3", aux=True)``.

    Args:
        name: ``inception_v3``, or ``inception_module`` for the paper's figures 1 to 4.
        **options: of `nas.architecture.references.inception_v3.inception_v3` or
            `nas.architecture.references.inception_module.inception_module`.

    Raises:
        PresetError: no such reference, or an option or a type of one that it does not have.
        ArchitectureError: with these options some layer cannot exist.
    """
    described = reference_layers(name, **options)
    return ReferenceNetwork(build_network(described), described.input_shape, count_cost(described))
