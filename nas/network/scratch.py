"""A folder for files on their way, which does not outlive the process that fills it by much."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import filelock


@contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """A new folder among the temporary ones, removed at the end.

    A process that is killed leaves its folder: the next one of the same prefix removes it. Whether
    a process lives is told by the lock that it holds, which the system lets go.
    """
    temporary = Path(tempfile.gettempdir())
    _remove_of_the_dead(temporary, prefix)
    folder = temporary / f"{prefix}{uuid.uuid4().hex}"
    with _locked(folder):  # before it is there: none is without a lock while its process lives
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            _remove(folder)


def _remove_of_the_dead(temporary: Path, prefix: str) -> None:
    for lock in temporary.glob(f"{prefix}*.lock"):
        folder = lock.with_suffix("")
        with suppress(OSError, filelock.Timeout):
            if lock.lstat().st_uid == os.getuid():
                with _locked(folder):
                    _remove(folder)


def _locked(folder: Path) -> AbstractContextManager[object]:
    return filelock.FileLock(f"{folder}.lock", fallback_to_soft=False).acquire(timeout=0)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        Path(f"{folder}.lock").unlink()
