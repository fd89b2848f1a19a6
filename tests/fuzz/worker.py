"""Runs cases in a process of its own, which is replaced where a case hangs or ends it."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from tests.fuzz.cases import case_of
from tests.fuzz.ground import make_ground
from tests.fuzz.options import COMMANDS
from tests.fuzz.rule import MOST_BYTES, MOST_SECONDS, Outcome, run_case

READY = "ready"
MOST_IDLE_SECONDS = 60.0
"""Without any processor time: it waits for what never comes."""


class Worker:
    """A process that runs cases, within limits."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        for command in COMMANDS:  # what they load is no case's
            import_module(f"nas.{command}")
        self.lives = 0
        self._begin()

    def _begin(self) -> None:
        self.lives += 1
        self.pipe, theirs = multiprocessing.Pipe()
        place = self.folder / f"worker-{self.lives}"
        forked = multiprocessing.get_context("fork")  # with all that is loaded
        self.process = forked.Process(
            target=_work, args=(theirs, self.folder / "ground", place, self.seed), daemon=True
        )
        self.process.start()
        theirs.close()
        assert self.pipe.recv() == READY

    def run(self, kind: str, number: int) -> Outcome:
        """One case; where that never ends, it is ended."""
        self.pipe.send((kind, number))
        began = used = self._used()
        idle = 0.0
        reason = "it hung"
        while used - began < 4 * MOST_SECONDS and idle < MOST_IDLE_SECONDS:
            try:
                if self.pipe.poll(1):
                    return self.pipe.recv()
                now = self._used()
            except (EOFError, ConnectionResetError, psutil.NoSuchProcess):
                reason = "it ended the process"
                break
            idle = 0 if now > used else idle + 1
            used = now
        self.process.kill()
        self.process.join()
        self._begin()
        return Outcome(-1, "", used - began, 0, (reason,))

    def _used(self) -> float:
        return sum(psutil.Process(self.process.pid).cpu_times()[:2])

    def end(self) -> None:
        self.process.kill()  # a copy of this process, it never hears that its pipe was closed
        self.process.join()
        self.pipe.close()


def _work(pipe: Connection, ground: Path, folder: Path, seed: int) -> None:
    """Run the cases that are sent, until it is ended."""
    if not ground.exists():
        make_ground(ground)
    folder.mkdir()
    _limit_memory()
    pipe.send(READY)
    count = 0
    while True:
        kind, number = pipe.recv()
        count += 1
        place = folder / str(count)
        outcome = run_case(case_of(seed, kind, number, ground), ground, place)
        shutil.rmtree(place, ignore_errors=True)
        pipe.send(outcome)


def _limit_memory() -> None:
    """Twice what a case may take, beside the addresses that PyTorch has reserved."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + int(2 * MOST_BYTES)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
