"""Trainings share a device; a latency is measured while none of them computes.

Two locks for each device of a machine, which the kernel takes back from a process that dies.
Trainings hold ``working`` together, and leave it between two batches where somebody has closed
``door``: the door alone would not do, for the batches that have begun go on behind it, and
``working`` alone would not, for where several train there is always one that holds it.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

PATIENCE_S = 60.0
"""Seconds to wait for others: one that was stopped may hold a lock for ever."""

POLL_S = 0.002


class DeviceLock:
    """Turns of the processes of one user on one device of this machine, of whatever study.

    Args:
        folder: for the lock files; the same for all who share the device.
        patience_s: how long to wait for others before going on without them.
    """

    def __init__(self, folder: Path, patience_s: float = PATIENCE_S) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.patience_s = patience_s
        self._door, self._working = (_open(folder / f"{name}.lock") for name in ("door", "working"))
        for lock in (self._door, self._working):
            weakref.finalize(self, os.close, lock)
        self._trains = False

    @classmethod
    def of(cls, device: torch.device) -> DeviceLock:
        """The lock of a device: the CPU, or the GPUs that this process sees."""
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "all").replace("/", "-")
        name = "cpu" if device.type == "cpu" else f"{device.type}-{visible}"
        return cls(Path(tempfile.gettempdir()) / f"separability-nas-{os.getuid()}" / name)

    @contextmanager
    def training(self) -> Iterator[None]:
        """Compute beside others, and let measurements pass at each `make_way`."""
        self._trains = True
        self.make_way()
        self._take(self._working, fcntl.LOCK_SH)
        try:
            yield
        finally:
            self._trains = False
            fcntl.flock(self._working, fcntl.LOCK_UN)

    def make_way(self) -> None:
        """Wait while somebody measures, or wants to; microseconds where nobody does."""
        if not _try(self._door, fcntl.LOCK_SH):
            fcntl.flock(self._working, fcntl.LOCK_UN)
            self._take(self._door, fcntl.LOCK_SH)
            if self._trains:
                self._take(self._working, fcntl.LOCK_SH)
        fcntl.flock(self._door, fcntl.LOCK_UN)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Compute while no training does; not inside `training`."""
        self._take(self._door, fcntl.LOCK_EX)
        self._take(self._working, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._working, fcntl.LOCK_UN)
            fcntl.flock(self._door, fcntl.LOCK_UN)

    def _take(self, lock: int, kind: int) -> None:
        """Take a lock, or go on without it once patience is over."""
        until = time.monotonic() + self.patience_s
        while not _try(lock, kind) and time.monotonic() < until:
            time.sleep(POLL_S)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
