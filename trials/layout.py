"""How PyTorch lays tensors out in memory where it is to be fast: channels last."""

from __future__ import annotations

import torch
from torch import nn


def layout_of(network: nn.Module) -> torch.memory_format:
    """Channels last, of a network of images or of clips: PyTorch names them apart.

    Whatever of a network has another number of axes stays as it is.
    """
    clips = any(parameter.ndim == 5 for parameter in network.parameters())
    return torch.channels_last_3d if clips else torch.channels_last
