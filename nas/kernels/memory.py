"""What the kernels read and write, in their order of memory (``source/vector.h``)."""

from __future__ import annotations

import math
import mmap
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nas.architecture.modules import Shape

BLOCK, GRAIN, SKEW = 64, 16, 48
"""Images side by side in memory, what their last ones are filled up to, floats between positions:
as in ``source/vector.h``."""

LARGE_PAGE = 2**21
"""Bytes."""

CHUNK = 2**22
"""Floats that are asked of the system at once, at least."""


class Memory:
    """What the kernels read and write, for batches of up to so many images.

    Args:
        width: floats in a vector.

    Attributes:
        packed: room for the weights of any one convolution, in the order in which they are read.
        partial: room for their gradients, a vector for each.
    """

    def __init__(self, network: nn.Module, width: int, images: int) -> None:
        self.width = width
        full, rest = divmod(images, BLOCK)
        self.lanes = [BLOCK] * full + [-(-rest // GRAIN) * GRAIN] * (rest > 0)
        self.network = network
        self.tensors = dict(network.named_parameters()) | dict(network.named_buffers())
        self.kept: list[Any] = []
        self.free = torch.empty(0)
        most = max(parameter.numel() for parameter in network.parameters())
        self.packed = self.keep(torch.empty(most))
        self.partial = self.keep(torch.empty(most * width))

    def keep(self, what: Tensor | NDArray[Any]) -> int:
        """The address of something that is to live as long as this."""
        self.kept.append(what)
        return what.data_ptr() if isinstance(what, Tensor) else int(what.ctypes.data)

    def floats(self, shape: Shape) -> int:
        """Of a value (C, H, W) of all images: ``pitch`` of vector.h, in each block."""
        positions = math.prod(shape[1:])
        return sum(positions * (shape[0] * lanes + SKEW) for lanes in self.lanes)

    def room(self, shape: Shape) -> int:
        """The address of room for a value of all images."""
        floats = -(-self.floats(shape) // GRAIN) * GRAIN
        if self.free.numel() < floats:
            self.free = _large_pages(max(floats, CHUNK))
        room, self.free = self.free[:floats], self.free[floats:]
        return self.keep(room)


def _large_pages(floats: int) -> Tensor:
    """Zeros in pages of two megabytes: kernels jump between as many places as a window has taps."""
    try:
        room = mmap.mmap(-1, 4 * floats + LARGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"no room for {4 * floats:,} bytes: {error}") from error
    if hasattr(mmap, "MADV_HUGEPAGE"):  # Linux
        room.madvise(mmap.MADV_HUGEPAGE)
    tensor = torch.frombuffer(room, dtype=torch.float32)
    start = -tensor.data_ptr() % LARGE_PAGE // 4
    return tensor[start : start + floats]
