"""Trainings share a device; a latency is measured while none of them computes.

Two locks for each device of a machine, which the kernel takes back from a process that dies.
Trainings hold ``working`` together, and leave it between two batches where somebody has closed
``door``: the door alone would not do, for the batches that have begun go on behind it, and
``working`` alone would not, for where several train there is always one that holds it.

Processes that train one network on CPUs wait for each other within each step. One that held
``working`` there for another, which stood at the door, would hold it for ever: the first process
has the locks for all of them, and they pause together. (GPUs have locks of their own: a process
that waits for another may hold its own GPU's, as nobody who measures waits for a second one.)
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

from trials.data_parallel import one_says_so
from trials.share import WHOLE, Share

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
        self._together = False  # with the other processes of a training
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
    def training(self, share: Share = WHOLE) -> Iterator[None]:
        """Compute beside others, and let measurements pass at each `make_way`.

        Args:
            share: of each batch, where other processes train the same network on the rest of it:
                all of them call this, and `make_way`, equally often.
        """
        if self._inside:
            yield
            return
        self._inside = True
        self._together = share.count > 1 and self.device.type == "cpu"
        self._makes_way = not self.error and not (self._together and share.rank)
        try:
            self.make_way()
            if self._makes_way:
                self._take(self._working, fcntl.LOCK_SH)
            yield
        finally:
            self._inside = self._makes_way = self._together = False
            if not self.error:
                self._stop_working()

    def make_way(self) -> None:
        """Wait while somebody measures, or wants to; microseconds where nobody does."""
        closed = self._makes_way and not self._is_open()
        if self._together:
            closed = one_says_so(closed)
        if not closed:
            return
        began = time.monotonic()
        if self._makes_way:
            self._stop_working()
            self._makes_way = self._take(self._door, fcntl.LOCK_SH)
            if self._makes_way:
                self._take(self._working, fcntl.LOCK_SH)
            fcntl.flock(self._door, fcntl.LOCK_UN)
        if self._together:
            one_says_so(False)  # here the others wait
        self.waited_s += time.monotonic() - began

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

    def _is_open(self) -> bool:
        """Whether nobody measures, or wants to."""
        is_open = _try(self._door, fcntl.LOCK_SH)
        fcntl.flock(self._door, fcntl.LOCK_UN)
        return is_open

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
