"""Locks on files, which the system takes back from a process that dies, however it does.

A file that locks by being there would stay.
"""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import filelock

NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
"""What a file system without them answers."""


def me() -> str:
    """``PID@HOST``: the process first, for PostgreSQL cuts long names."""
    return f"{os.getpid()}@{socket.gethostname()}"


class OwnedLock:
    """A lock whose owner says in a file beside it who it is.

    Args:
        file: that says it; the lock's own has ``.lock`` behind its name.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lock = filelock.FileLock(f"{file}.lock", fallback_to_soft=False)

    def take(self, timeout_s: float = 0) -> None:
        """Have it.

        Raises:
            filelock.Timeout: somebody else has, for so long.
            OSError: it cannot be had: one of `NO_LOCKS` where there can be no locks.
        """
        self.lock.acquire(timeout=timeout_s)

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
