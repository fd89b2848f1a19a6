"""A split on the device: whole batches are gathered, augmented and normalised there."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from trials.data.image_file import ImageFile
from trials.data.images import ImageData, Images, Split, chunks
from trials.data.raw_split import Crop, Indices
from trials.data.streamed import StreamedPictures
from trials.share import WHOLE, Share


class ResidentSplit:
    """uint8 images (N, H, W, C), or clips (N, T, H, W, C), and labels (N,) on a device.

    On CPU the tensors share the memory of the arrays, which may belong to several processes: they
    are only ever read. Images of a file stay there, and each batch is read when it is asked for;
    so are pictures that are decoded each time.

    Args:
        before_batch: to be called before each batch, and not while a batch is recorded.
        stream: whether images of a file stay there for a GPU, too, for they would not fit.
        rows: places of the split's images among others that are there with them, (N,); its labels
            are its own. None where the images are the split's.
        placed: its images where they are on the device already.
    """

    def __init__(
        self,
        split: Split,
        data: ImageData,
        device: torch.device,
        before_batch: Callable[[], None] = lambda: None,
        stream: bool = False,
        rows: Indices | None = None,
        placed: Tensor | ImageFile | StreamedPictures | None = None,
    ) -> None:
        self.before_batch = before_batch
        self.device = device
        self.images = place(split.images, device, stream) if placed is None else placed
        self.rows = None if rows is None else _shared(rows).to(self.index_device)
        self.labels = _shared(split.labels).to(device)
        std = torch.tensor(data.std, device=device)
        self.scale = 1 / std  # (C,)
        self.shift = -torch.tensor(data.mean, device=device) / std  # (C,)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def index_device(self) -> torch.device:
        """Where indices are wanted: a file's on the CPU, or each batch would wait for the GPU."""
        return self.images.device if isinstance(self.images, Tensor) else torch.device("cpu")

    def batch(
        self,
        indices: Tensor,
        crop: int = 0,
        flip: bool = False,
        generator: torch.Generator | None = None,
        share: Share = WHOLE,
    ) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) or clips (B, C, T, H, W), float32, channels last, and labels (B,).

        Args:
            indices: (B,), on `index_device`.
            crop: pixels of zero padding before a random crop; 0 leaves images whole.
            flip: random horizontal flips.
            generator: on the device; draws the crops and flips.
            share: of the batch, that is returned: as it is in the whole one.
        """
        indices = indices[share.part(len(indices))]
        rows = indices if self.rows is None else self.rows.index_select(0, indices)
        pixels = self._pixels(rows)
        if crop or flip:
            pixels = _crop_and_flip(pixels, crop, flip, generator, share)
        x = pixels.float().mul_(self.scale).add_(self.shift)
        labels = self.labels.index_select(0, indices.to(self.device, non_blocking=True))
        # Channels are last in memory already, so this is a view in PyTorch's channels_last.
        return x.movedim(-1, 1), labels

    def read_ahead(self, order: Tensor, crops: Iterator[Crop] | None) -> None:
        """Say which batches (steps, B) come next, for images that take time to read.

        Args:
            crops: of each image, in that order; None takes them whole.
        """
        if isinstance(self.images, StreamedPictures):
            self.images.read_ahead(order.numpy(), crops)

    def _pixels(self, rows: Tensor) -> Tensor:
        """(B, H, W, C), on the device."""
        if isinstance(self.images, Tensor):
            return self.images.index_select(0, rows)
        shape = (len(rows), *self.images.shape[1:])
        pixels = torch.empty(shape, dtype=torch.uint8, pin_memory=self.device.type == "cuda")
        self.images.read(rows.numpy(), pixels.numpy())
        return pixels.to(self.device, non_blocking=True)


def needs_streaming(splits: Iterable[Split], device: torch.device, share: float) -> bool:
    """Whether images of files would take more than half of a GPU's share from the training."""
    if device.type != "cuda":
        return False
    files = [split.images for split in splits if isinstance(split.images, ImageFile)]
    _, memory = torch.cuda.mem_get_info(device)
    return sum(math.prod(file.shape) for file in files) > share * memory / 2


def place(
    images: Images | ImageFile | StreamedPictures, device: torch.device, stream: bool
) -> Tensor | ImageFile | StreamedPictures:
    """Images on a device, or what they are read from."""
    if isinstance(images, StreamedPictures):
        return images
    if not isinstance(images, ImageFile):
        return _shared(images).to(device)
    images.open()
    if stream or device.type == "cpu":
        return images
    placed = torch.empty(images.shape, dtype=torch.uint8, device=device)
    filled = 0
    for some in chunks(images):
        placed[filled : filled + len(some)] = torch.from_numpy(some)
        filled += len(some)
    return placed


def _shared(array: NDArray[Any]) -> Tensor:
    """A tensor in an array's memory."""
    with warnings.catch_warnings():
        # Arrays shared between workers are read-only, which PyTorch cannot express.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def _crop_and_flip(
    pixels: Tensor, crop: int, flip: bool, generator: torch.Generator | None, share: Share
) -> Tensor:
    """One gather for all images: (B, H, W, C) -> (B, H, W, C).

    All frames of a clip (B, T, H, W, C) are cut and flipped alike: here they are as channels.

    Args:
        share: of a batch, that they are: numbers are drawn for all of it.
    """
    if pixels.ndim == 5:
        frames = pixels.movedim(1, 3)  # (B, H, W, T, C)
        cut = _crop_and_flip(frames.flatten(3), crop, flip, generator, share)
        return cut.reshape(frames.shape).movedim(3, 1).contiguous()
    count, height, width, _ = pixels.shape
    device = pixels.device
    drawn, part = (count * share.count, 1), share.part(count * share.count)

    def offsets() -> Tensor:
        return torch.randint(2 * crop + 1, drawn, device=device, generator=generator)[part]

    rows = torch.arange(height, device=device) + offsets()  # (B, H)
    columns = torch.arange(width, device=device).expand(count, width)
    if flip:
        flipped = torch.rand(drawn, device=device, generator=generator)[part] < 0.5
        columns = torch.where(flipped, columns.flip(1), columns)
    columns = columns + offsets()  # (B, W)
    padded = F.pad(pixels, (0, 0, crop, crop, crop, crop))
    batch = torch.arange(count, device=device)
    return padded[batch[:, None, None], rows[:, :, None], columns[:, None, :]]
