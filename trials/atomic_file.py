"""Files that are complete or as they were before, whenever their writer dies."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import psutil

from trials.failpoint import failpoint


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """A file to write bytes to, under another name until it is complete and on the disk."""
    # A folder may be shared, and a worker that was given up may write still.
    partial = path.with_name(f"{path.name}.{socket.gethostname()}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            failpoint("file.begun")
            yield file
            file.flush()
            os.fsync(file.fileno())
        failpoint("file.replace")
        partial.replace(path)
    except BaseException:  # interrupted, or the disk is full: what is there is of no use
        partial.unlink(missing_ok=True)
        raise
    failpoint("file.replaced")


def atomic_write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8."""
    with atomic_write(path) as file:
        file.write(text.encode())


def remove_partial(folder: Path) -> None:
    """Remove what writers on this machine that were killed have left in a folder."""
    named = re.compile(rf".+\.{re.escape(socket.gethostname())}\.(\d+)\.partial")
    for file in folder.glob("*.partial"):
        writer = named.fullmatch(file.name)
        if writer and not _runs(int(writer[1])):
            with suppress(OSError):
                file.unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    """Whether a process has not ended, though nobody may have asked how."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # of another user
        return True
