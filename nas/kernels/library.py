"""The compiled kernels, for what this processor has."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

LEVELS = ("avx512", "avx2", "baseline")
"""What the kernels are compiled for, the fastest first."""

KERNELS = (
    "input_forward",
    "convolution_forward",
    "convolution_input_gradient",
    "convolution_weights_gradient",
    "batch_norm_sums",
    "batch_norm_forward",
    "batch_norm_gradient_sums",
    "batch_norm_backward",
    "activation_forward",
    "activation_backward",
    "max_pool_forward",
    "max_pool_backward",
    "reorder_forward",
    "reorder_backward",
    "mean_forward",
    "mean_backward",
)


class Library:
    """Kernels of one level.

    Attributes:
        width: floats in a vector.
        address: of each kernel, by its name.
    """

    def __init__(self, level: str, path: Path) -> None:
        self.level = level
        library = ctypes.CDLL(str(path))
        self.width = ctypes.c_int32.in_dll(library, "vector_width").value
        self.address = {
            name: ctypes.cast(getattr(library, name), ctypes.c_void_p).value for name in KERNELS
        }
        self.run = library.run
        self.run.argtypes = (ctypes.c_void_p, ctypes.c_int64)
        self.run.restype = None


def compiled(level: str) -> Path | None:
    """The file of a level, where installing this package has compiled it."""
    return next(iter(sorted(Path(__file__).parent.glob(f"_{level}.*so"))), None)


@cache
def library(level: str | None = None) -> Library | None:
    """The fastest kernels that this processor runs, or those of a level; None: not compiled."""
    level = level or best_level()
    path = None if level is None else compiled(level)
    return Library(level, path) if level and path else None


def best_level() -> str | None:
    """The fastest level that is compiled and that this processor has; by nothing that is timed."""
    baseline = compiled("baseline")
    if baseline is None:
        return None
    has_level = ctypes.CDLL(str(baseline)).has_level
    usable = [level for level in LEVELS if compiled(level) and has_level(level.encode())]
    return next(iter(usable), None)
