"""A trained network as a file is to compute it: what goes in, and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas.network.source import Provenance

Run = Callable[[Tensor], Tensor]
"""What a file computes: from the images that it takes, logits (N, classes)."""

LOGITS = "logits"
"""Name of the first output; feature maps follow under their own."""


@dataclass(frozen=True)
class Exportable:
    """What a format is written from.

    Attributes:
        network: in evaluation mode, with the outputs that are named.
        images: some, as the file is to take them; a format may keep them.
        calibration: others, to find the ranges of activations by.
        provenance: what goes into the metadata.
        outputs: their names.
    """

    network: nn.Module
    images: Tensor
    calibration: Tensor
    provenance: Provenance
    outputs: tuple[str, ...] = (LOGITS,)


class WithPreprocessing(nn.Module):
    """A network that takes images or clips as they are stored: channels last, uint8.

    Args:
        mean: of each channel, in units of 0 to 255.
        std: of each channel, in the same units.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        normalised = (images.float() - self.mean) / self.std
        outputs: Tensor | tuple[Tensor, ...] = self.network(normalised.movedim(-1, 1))
        return outputs


class WithFeatures(nn.Module):
    """A network that returns its feature maps behind the logits.

    Args:
        network: of an exported ``model.py``.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        maps: list[Tensor] = self.network.features(images)  # type: ignore[operator]
        return self.network.head(maps[-1]), *maps  # type: ignore[operator]


def joined(outputs: Sequence[Tensor]) -> Tensor:
    """All outputs side by side, (N, values), to compare them at once."""
    return torch.cat([output.flatten(1) for output in outputs], dim=1)
