"""mixup: networks are trained on mixtures of two images and of their labels.

Zhang et al. 2018 (arXiv:1710.09412), eq. 1: x = s x_i + (1 - s) x_j and y = s y_i + (1 - s) y_j,
where the share s is drawn from Beta(alpha, alpha). As in its authors' code there is one share for
each batch, and the loss of the mixed label is the mixture of the losses, which is the same: it is
linear in the label. The order of the images is random already, so each is mixed with the one before
it in its batch.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def draw_shares(alpha: float, count: int, generator: torch.Generator) -> Tensor:
    """A share for each of so many batches, (count,); the generator's are the same on any device."""
    seed = torch.randint(2**63 - 1, (), generator=generator).item()
    shares = np.random.default_rng(int(seed)).beta(alpha, alpha, count)
    return torch.from_numpy(shares).float()


def others(batch: Tensor) -> Tensor:
    """What each of a batch (B, ...) is mixed with."""
    return batch.roll(1, dims=0)


def mixed(own: Tensor, other: Tensor, share: Tensor) -> Tensor:
    """The share of the one and the rest of the other."""
    return torch.lerp(other, own, share)
