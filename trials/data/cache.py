"""Decoded images in the user's cache folder: each entry a NumPy file that is whole or not there."""

from __future__ import annotations

import hashlib
import logging
import math
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import filelock
import PIL
import platformdirs
from numpy.lib import format as npy

from trials.atomic_file import atomic_write
from trials.data.image_file import ImageFile
from trials.data.images import DataError

VERSION = 1
"""Of how pictures are read: another one where the same file gives other pixels."""

SILENCE_S = 2.0
"""Seconds to wait for another process before it is named: it may have been stopped."""

_PARTIAL = re.compile(r"(?P<entry>[0-9a-f]+\.npy)\.(?P<host>.+)\.(?P<process>\d+)\.partial")
"""What is being written, as `atomic_write` names it."""

_logger = logging.getLogger(__name__)


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
        write: writes all images to a file, the first one after so many bytes. An `OSError` of it
            is the file's.

    Raises:
        DataError: they do not fit on the disk, or the folder cannot be written to.
    """
    path = cache_folder() / f"{key}.npy"
    if (found := _whole(path, shape)) is not None:
        return found
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _only_writer(path):
            if _whole(path, shape) is None:
                _write(path, shape, write)
    except OSError as error:
        raise DataError(
            f"decoded images cannot be kept in {path.parent}: {error.strerror or error}",
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


@contextmanager
def _only_writer(path: Path) -> Iterator[None]:
    """While no other process writes an entry; says whom it waits for."""
    lock = _lock(path)
    try:
        lock.acquire(timeout=SILENCE_S)
    except filelock.Timeout:
        writers = (partial.writer for partial in _partials(path.parent) if partial.entry == path)
        who = next(writers, "another process")
        message = "waiting for %s, which decodes the same images into %s (--no-cache does not wait)"
        _logger.warning(message, who, path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _lock(path: Path) -> filelock.BaseFileLock:
    """Of an entry, by the kernel alone: a lock that is a mere file would outlive its process."""
    return filelock.FileLock(f"{path}.lock", fallback_to_soft=False)


class _Partial(NamedTuple):
    """An entry that is being written, or was when its writer was killed."""

    file: Path
    entry: Path
    writer: str


def _partials(folder: Path) -> Iterator[_Partial]:
    for file in folder.glob("*.partial"):
        if found := _PARTIAL.fullmatch(file.name):
            writer = f"process {found['process']} on {found['host']}"
            yield _Partial(file, folder / found["entry"], writer)


def _remove_partials(path: Path) -> None:
    """What killed processes left: of this entry, whose only writer we are, and of others."""
    for partial in _partials(path.parent):
        if partial.entry == path:
            partial.file.unlink(missing_ok=True)
            continue
        with suppress(OSError), _lock(partial.entry).acquire(timeout=0):  # else it is being written
            partial.file.unlink(missing_ok=True)


def _write(path: Path, shape: tuple[int, ...], write: Callable[[BinaryIO, int], None]) -> None:
    _remove_partials(path)
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
