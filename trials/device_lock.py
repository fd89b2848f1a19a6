"""Trainings share a device; a latency is measured while none of them computes.

Two locks for each device of a machine, which the kernel takes back from a process that dies.
Trainings hold ``working`` together, and leave it between two batches where somebody has closed
``door``: the door alone would not do, for the batches that have begun go on behind it, and
``working`` alone would not, for where several train there is always one that holds it.
"""

from __future__ import annotations

import fcntl
import os
import time
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
import torch

PATIENCE_S = 600.0
"""Seconds to wait for others: one that was stopped may hold a lock for ever."""

POLL_S = 0.002


class DeviceBusy(RuntimeError):
    """A device was not to be had alone."""


class DeviceLock:
    """Turns of the processes of one user on one device of this machine, of whatever study.

    Where there can be no lock files trainings go on without, and nothing can be measured.

    Args:
        folder: for the lock files; the same for all who share the device.
        patience_s: how long to wait for others.

    Attributes:
        waited_s: how long trainings of this lock have waited for measurements.
    """

    def __init__(self, folder: Path, device: torch.device, patience_s: float = PATIENCE_S) -> None:
        self.device, self.patience_s = device, patience_s
        self.waited_s = 0.0
        self.error = ""
        self._inside = False
        self._makes_way = False  # not any more, where a training has run out of patience
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._door, self._working = (_open(folder / name) for name in ("door", "working"))
        except OSError as error:
            self.error = f"{folder} cannot have lock files: {error.strerror}"
            return
        for lock in (self._door, self._working):
            weakref.finalize(self, os.close, lock)

    @classmethod
    def of(cls, device: torch.device) -> DeviceLock:
        """The lock of the CPU or of a GPU, which has another number in every process."""
        name = device.type
        if device.type == "cuda":
            name = f"cuda-{torch.cuda.get_device_properties(device).uuid}"
        with warnings.catch_warnings():
            # Where XDG_RUNTIME_DIR is not set it is a folder in /tmp, which does as well.
            warnings.simplefilter("ignore")
            folder = platformdirs.user_runtime_path("separability-nas")
        return cls(folder / name, device)

    @contextmanager
    def training(self) -> Iterator[None]:
        """Compute beside others, and let measurements pass at each `make_way`."""
        if self.error or self._inside:
            yield
            return
        self._inside = self._makes_way = True
        try:
            self.make_way()
            if self._makes_way:
                self._take(self._working, fcntl.LOCK_SH)
            yield
        finally:
            self._inside = self._makes_way = False
            self._stop_working()

    def make_way(self) -> None:
        """Wait while somebody measures, or wants to; microseconds where nobody does."""
        if not self._makes_way:
            return
        if not _try(self._door, fcntl.LOCK_SH):
            began = time.monotonic()
            self._stop_working()
            self._makes_way = self._take(self._door, fcntl.LOCK_SH)
            if self._makes_way:
                self._take(self._working, fcntl.LOCK_SH)
            self.waited_s += time.monotonic() - began
        fcntl.flock(self._door, fcntl.LOCK_UN)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Compute while no training does; not inside `training`.

        Raises:
            DeviceBusy: others did not leave the device.
        """
        if self.error:
            raise DeviceBusy(f"a latency is measured alone on its device, and {self.error}")
        try:
            if not (
                self._take(self._door, fcntl.LOCK_EX) and self._take(self._working, fcntl.LOCK_EX)
            ):
                raise DeviceBusy(
                    f"a latency is measured alone on its device, which others have not left for "
                    f"{self.patience_s:g} s: a training that was stopped may hold it"
                )
            yield
        finally:
            fcntl.flock(self._working, fcntl.LOCK_UN)
            fcntl.flock(self._door, fcntl.LOCK_UN)

    def _stop_working(self) -> None:
        """Once the device has done what it was given: launches of kernels do not wait for it."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        fcntl.flock(self._working, fcntl.LOCK_UN)

    def _take(self, lock: int, kind: int) -> bool:
        """Take a lock; whether patience was enough."""
        until = time.monotonic() + self.patience_s
        while not _try(lock, kind):
            if time.monotonic() > until:
                return False
            time.sleep(POLL_S)
        return True


def _open(path: Path) -> int:
    return os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
