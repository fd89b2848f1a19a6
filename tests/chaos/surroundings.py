"""What may be wrong around a driver: its disk, its database, its clock, what it may use."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.chaos.driver import SET_BACK
from tests.chaos.processes import Process, until
from tests.chaos.round import Round

RESTARTS = 10
"""Of PostgreSQL in a search."""


def full_disk(played: Round) -> None:
    """At any moment there is no space any more, until two drivers have ended."""
    played.put_on_a_disk_of_its_own(played.work)
    process = played.start()
    played.any_moment(process)
    fill(played.work / "filler")
    played.end(process, 0, 1, 2)
    played.end(played.start(), 0, 1, 2)  # somebody has not read what it said
    (played.work / "filler").unlink()
    played.done["full disks"] += 1


def fill(file: Path) -> None:
    """Leave no byte on a disk."""
    with file.open("wb", buffering=0) as filler:
        for size in (2**16, 1):
            try:
                while filler.write(bytes(size)):
                    pass
            except OSError:
                continue


def small_files(played: Round) -> None:
    """No file may have more than so many bytes, the database included."""
    for _ in range(2):
        limit = played.random.randint(1_000, 400_000)
        played.end(played.start(limits={resource.RLIMIT_FSIZE: limit}), 0, 1, 2)
    played.done["limits of a file's size"] += 2


def locked_database(played: Round, seconds: float) -> None:
    """Another program writes to the database for so long: waited for, a minute at most."""
    played.database = "sqlite"
    process = played.start()
    file = played.study / "study.db"
    _once_it_trains(played, process)
    process.wait(played.random.uniform(0, 0.3))
    with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        played.done[f"databases locked for {seconds:g} s"] += not process.ended
        process.wait(seconds)
        other.rollback()
    status = played.end(process, *([0] if seconds < 60 else [0, 1]))
    if status and "resume with:" not in process.errors:
        played.violations.append(f"it does not say how to resume: {process.errors}")


def restarted_server(played: Round) -> None:
    """PostgreSQL is restarted, or crashes, again and again."""
    assert played.server is not None
    played.database, played.pace = "postgresql", 0.2
    process = played.start()
    for _ in range(RESTARTS):
        if process.wait(played.random.uniform(0, 0.5)):
            played.end(process)
            process = played.start()
        played.server.restart(played.random.choice(["fast", "immediate"]))
    played.end(process)
    played.done["restarts of PostgreSQL"] += RESTARTS


def cut_lock(played: Round) -> None:
    """The connection that holds the lock is cut, and another driver comes at once."""
    assert played.server is not None
    played.database = "postgresql"
    process = played.start()
    played.any_moment(process)
    played.done["locks cut"] += played.server.cut_locks()
    other = played.start()
    statuses = [played.end(driver, 0, 1, 2) for driver in (process, other)]
    if 0 not in statuses:
        played.violations.append(f"no driver has gone on: {process.errors}\n{other.errors}")


def clock_set_back(played: Round) -> None:
    """In the middle of a search it is an hour earlier."""
    played.end(played.start(**{SET_BACK: "3600"}), 0)
    played.done["clocks set back"] += 1


def _once_it_trains(played: Round, process: Process) -> None:
    for _ in until(60):
        if process.ended or played.ledger.exists():
            return


def few_files(played: Round) -> None:
    """`ulimit -n 128`."""
    played.has_results = played.random.random() < 0.5
    limits = {resource.RLIMIT_NOFILE: 128}
    played.end(played.start(limits=limits), 0)
    played.done["limits of open files"] += 1


def full_temporary_folder(played: Round) -> None:
    """There is no space where temporary files are."""
    folder = played.folder / "tmp"
    played.put_on_a_disk_of_its_own(folder)
    fill(folder / "filler")
    played.end(played.start(), 0)
    (folder / "filler").unlink()
    played.done["full temporary folders"] += 1


def no_home(played: Round) -> None:
    """HOME is not set, as in a service."""
    played.end(played.start(fresh=True, HOME=None), 0)
    played.done["homes unset"] += 1


FAULTS: dict[str, Callable[[Round], None]] = {
    "server restarted": restarted_server,
    "full disk": full_disk,
    "small files": small_files,
    "database locked": lambda played: locked_database(played, 2),
    "database locked for 90 s": lambda played: locked_database(played, 90),
    "lock cut": cut_lock,
    "clock set back": clock_set_back,
    "few open files": few_files,
    "temporary folder full": full_temporary_folder,
    "no home": no_home,
}

NEEDS_ROOT = {"full disk", "temporary folder full"}
"""Mount a disk."""
NEEDS_SERVER = {"server restarted", "lock cut"}
TAKES_LONG = {"database locked for 90 s"}
