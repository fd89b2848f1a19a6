"""That a trial is alive: a file beside its result says what it is doing, while it is doing it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from pathlib import Path

EVERY_S = 1.0
"""A file is written no more often."""

_LONGEST = 200
"""Letters of a file that are read."""


class Heartbeat:
    """Of a worker process, from one trial to the next.

    Where the folder cannot be written there is none: nothing is lost by that.

    Args:
        folder: of the results.
        clock: seconds from any moment on.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder, self.clock = folder, clock
        self.file: Path | None = None
        self.batches = 0
        self._next = -inf

    def begin(self, trial: int) -> None:
        """The worker has taken a trial."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
        self.file, self.batches = _file(self.folder, trial), 0
        self._write("begun")

    def end(self) -> None:
        """It has done what it can for it."""
        if self.file is not None:
            with suppress(OSError):
                self.file.unlink(missing_ok=True)
        self.file = None

    def beat(self, doing: str) -> None:
        """Another batch, of what is being done."""
        self.batches += 1
        if self.clock() >= self._next:
            self._write(f"{doing}, batch {self.batches:,}")

    def _write(self, doing: str) -> None:
        self._next = self.clock() + EVERY_S
        if self.file is not None:
            with suppress(OSError):
                self.file.write_text(f"{doing}, by process {os.getpid()} on {socket.gethostname()}")


def heartbeats(folder: Path) -> dict[int, str]:
    """What each trial was doing when its worker wrote it last."""
    found = {}
    for file in folder.glob("*.alive"):
        if file.stem.isdecimal():
            with suppress(OSError), file.open(encoding="utf-8", errors="replace") as opened:
                found[int(file.stem)] = opened.read(_LONGEST)
    return found


def forget(folder: Path, trial: int | None = None) -> None:
    """Remove that of a trial, or of all: no worker of this driver has them."""
    files = folder.glob("*.alive") if trial is None else [_file(folder, trial)]
    for file in files:
        with suppress(OSError):
            file.unlink(missing_ok=True)


def _file(folder: Path, trial: int) -> Path:
    return folder / f"{trial}.alive"
