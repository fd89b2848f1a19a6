"""The compiled kernels, for what this processor has."""

from __future__ import annotations

import ctypes
import sysconfig
from functools import cache
from pathlib import Path

from nas.kernels.digest import digest_of

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

FOLDER = Path(__file__).parent


class Library:
    """Kernels of one level.

    Attributes:
        name: level and sources, as ``avx512 1f0c62ab``: with another one the last digits differ.
        width: floats in a vector.
        address: of each kernel, by its name.
    """

    def __init__(self, level: str, library: ctypes.CDLL) -> None:
        self.name = f"{level} {_sources(library)}"
        self.width = ctypes.c_int32.in_dll(library, "vector_width").value
        self.address = {
            name: ctypes.cast(getattr(library, name), ctypes.c_void_p).value for name in KERNELS
        }
        self.run = library.run
        self.run.argtypes = (ctypes.c_void_p, ctypes.c_int64)
        self.run.restype = None


@cache
def library(level: str | None = None) -> Library | None:
    """The fastest kernels that this processor runs, or those of a level.

    None where they were not compiled, or not from the sources that are beside them.
    """
    level = level or best_level()
    if level is None or not _runs_here(level):
        return None
    compiled = _compiled(level)
    return Library(level, compiled) if compiled else None


@cache
def best_level() -> str | None:
    """The fastest level that is compiled and that this processor has; by nothing that is timed."""
    return next((level for level in LEVELS if _runs_here(level) and _compiled(level)), None)


def _runs_here(level: str) -> bool:
    """The baseline, which every processor runs, asks the processor."""
    baseline = _compiled("baseline")
    return baseline is not None and bool(baseline.has_level(level.encode()))


@cache
def _compiled(level: str) -> ctypes.CDLL | None:
    path = FOLDER / f"_{level}{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not path.is_file():
        return None
    compiled, sources = ctypes.CDLL(str(path)), FOLDER / "source"
    # In a checkout the sources may have changed since, and their structures with them.
    return compiled if not sources.is_dir() or _sources(compiled) == digest_of(sources) else None


def _sources(library: ctypes.CDLL) -> str:
    """The digest of what was compiled; the first kernels had none."""
    try:
        return (ctypes.c_char * 8).in_dll(library, "sources").value.decode()
    except ValueError:
        return ""
