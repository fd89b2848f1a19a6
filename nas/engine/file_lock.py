"""Locks on files, which the system takes back from a process that dies, however it does.

A file that locks by being there would stay.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import AbstractContextManager
from pathlib import Path

import filelock

from nas.space.errors import InputError

ANOTHER_STORAGE = "keep the study in PostgreSQL: --storage postgresql+psycopg://USER@HOST/DATABASE"

NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
"""What a file system without them answers."""


def me() -> str:
    """``PID@HOST``: the process first, for PostgreSQL cuts long names."""
    return f"{os.getpid()}@{socket.gethostname()}"


def hard_lock(file: Path) -> filelock.BaseFileLock:
    """A lock of the system's."""
    return filelock.FileLock(file, fallback_to_soft=False)


def locked(lock: filelock.BaseFileLock, timeout: float = -1) -> AbstractContextManager[object]:
    """Acquire a database's lock; what is returned is a context that holds it.

    Raises:
        InputError: its file system has none.
    """
    try:
        return lock.acquire(timeout=timeout)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        rule = f"a database is on a file system with locks (flock): {error.strerror}"
        raise InputError.of(lock.lock_file, rule, ANOTHER_STORAGE) from None


class OwnedLock:
    """A lock whose owner says in a file beside it who it is.

    Args:
        file: that says it; the lock's own has ``.lock`` behind its name.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lock = hard_lock(Path(f"{file}.lock"))

    def sign(self, name: str) -> None:
        """Say who has it."""
        self.file.write_text(name)

    def owner(self) -> str | None:
        """Who has it; nothing where its owner has not said so yet."""
        try:
            return self.file.read_text() or None
        except OSError:
            return None

    def release(self) -> None:
        """Give it back, if it was had."""
        if self.lock.is_locked:
            self.file.unlink(missing_ok=True)
            self.lock.release()
