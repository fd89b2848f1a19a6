"""Decoded images in the user's cache folder: each entry a NumPy file that is whole or not there."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

import filelock
import PIL
import platformdirs
from numpy.lib import format as npy

from trials.atomic_file import atomic_write
from trials.data.image_file import ImageFile
from trials.data.images import DataError

VERSION = 1
"""Of how pictures are read: another one where the same file gives other pixels."""


def cache_folder() -> Path:
    """Where entries are; ``XDG_CACHE_HOME`` moves it."""
    return platformdirs.user_cache_path("separability-nas") / "images"


def entry_key(files: Iterable[tuple[str, Path]], settings: object, order: bytes) -> str:
    """A name for decoded images that others do not have.

    Args:
        files: what is decoded, by names that stay where their folder is moved.
        settings: what else the pixels depend on.
        order: which of the images there are, in what order.

    Raises:
        DataError: a file cannot be read, or there is none: others without one had the same key.
    """
    listed = list(files)
    if not listed:
        raise DataError(
            "no file is known that the images come from, by which to find them again once decoded",
            "memory",
            "decode into memory: --no-cache",
        )
    digest = hashlib.sha256(repr((VERSION, PIL.__version__, settings)).encode())
    digest.update(order)
    for name, file in listed:
        try:
            found = file.stat()
        except OSError as error:
            raise DataError(f"{file} cannot be read: {error.strerror}") from None
        # The time of the last change of any kind as well: nothing that writes a file can keep it.
        times = found.st_mtime_ns, found.st_ctime_ns
        digest.update(repr((name, found.st_size, times)).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def cached_images(
    key: str, shape: tuple[int, ...], write: Callable[[BinaryIO, int], None]
) -> ImageFile:
    """The images of an entry, which is written where it is not there.

    Of several processes that want the same one, one writes it and the others wait.

    Args:
        shape: (N, H, W, C).
        write: writes all images to a file, the first one after so many bytes.

    Raises:
        DataError: they do not fit on the disk, or the folder cannot be written to.
    """
    path = cache_folder() / f"{key}.npy"
    if (found := _whole(path, shape)) is not None:
        return found
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(f"{path}.lock"):
            if _whole(path, shape) is None:
                _write(path, shape, write)
    except (OSError, NotImplementedError) as error:  # the second where there are no locks
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"decoded images cannot be kept in {path.parent}: {reason}",
            "memory",
            "name another folder (XDG_CACHE_HOME), or decode into memory: --no-cache",
        ) from None
    written = _whole(path, shape)
    assert written is not None  # it was renamed to its name when it was complete
    return written


def _whole(path: Path, shape: tuple[int, ...]) -> ImageFile | None:
    """The images of an entry; nothing where it is not there, damaged or cut off."""
    try:
        with path.open("rb") as file:
            if npy.read_magic(file) != (1, 0):
                return None
            found, by_columns, dtype = npy.read_array_header_1_0(file)
            offset = file.tell()
        size = path.stat().st_size
    except (OSError, ValueError):
        return None
    if by_columns or dtype != "u1" or found != shape or size != offset + math.prod(shape):
        return None
    return ImageFile(path, offset, shape)


def _write(path: Path, shape: tuple[int, ...], write: Callable[[BinaryIO, int], None]) -> None:
    for left in path.parent.glob(f"{path.name}.*.partial"):  # of a process that was killed
        left.unlink(missing_ok=True)
    size, free = math.prod(shape), shutil.disk_usage(path.parent).free
    if size > free:
        raise DataError(
            f"the images are {size / 1e9:,.1f} GB once they are decoded, and {path.parent} has "
            f"{free / 1e9:,.1f} GB left",
            "memory",
            "use fewer (data.limit), make them smaller (data.resize), or decode into memory "
            "(--no-cache)",
        )
    with atomic_write(path) as file:
        npy.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        write(file, file.tell())
