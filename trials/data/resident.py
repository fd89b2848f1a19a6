"""A split on the device: whole batches are gathered, augmented and normalised there."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from trials.data.images import ImageData, Split


class ResidentSplit:
    """uint8 images (N, H, W, C) and labels (N,) on a device.

    On CPU the tensors share the memory of the arrays, which may belong to several processes: they
    are only ever read.

    Args:
        before_batch: called before each batch.
    """

    def __init__(
        self,
        split: Split,
        data: ImageData,
        device: torch.device,
        before_batch: Callable[[], None] = lambda: None,
    ) -> None:
        self.before_batch = before_batch
        with warnings.catch_warnings():
            # Arrays shared between workers are read-only, which PyTorch cannot express.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            self.images = torch.from_numpy(split.images).to(device)
            self.labels = torch.from_numpy(split.labels).to(device)
        std = torch.tensor(data.std, device=device)
        self.scale = 1 / std  # (C,)
        self.shift = -torch.tensor(data.mean, device=device) / std  # (C,)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(
        self,
        indices: Tensor,
        crop: int = 0,
        flip: bool = False,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W), float32 in `channels_last`, and labels (B,).

        Args:
            indices: (B,), on the device.
            crop: pixels of zero padding before a random crop; 0 leaves images whole.
            flip: random horizontal flips.
            generator: on the device; draws the crops and flips.
        """
        self.before_batch()
        pixels = self.images.index_select(0, indices)  # (B, H, W, C)
        if crop or flip:
            pixels = _crop_and_flip(pixels, crop, flip, generator)
        x = pixels.float().mul_(self.scale).add_(self.shift)
        # Channels are last in memory already, so this is a view in PyTorch's channels_last.
        return x.permute(0, 3, 1, 2), self.labels.index_select(0, indices)


def _crop_and_flip(
    pixels: Tensor, crop: int, flip: bool, generator: torch.Generator | None
) -> Tensor:
    """One gather for the whole batch: (B, H, W, C) -> (B, H, W, C)."""
    count, height, width, _ = pixels.shape
    device = pixels.device

    def offsets() -> Tensor:
        return torch.randint(2 * crop + 1, (count, 1), device=device, generator=generator)

    rows = torch.arange(height, device=device) + offsets()  # (B, H)
    columns = torch.arange(width, device=device).expand(count, width)
    if flip:
        flipped = torch.rand((count, 1), device=device, generator=generator) < 0.5
        columns = torch.where(flipped, columns.flip(1), columns)
    columns = columns + offsets()  # (B, W)
    padded = F.pad(pixels, (0, 0, crop, crop, crop, crop))
    batch = torch.arange(count, device=device)
    return padded[batch[:, None, None], rows[:, :, None], columns[:, None, :]]
