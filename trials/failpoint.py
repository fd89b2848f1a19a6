"""Named places at which a test lets this process die, stop or fail; otherwise they do nothing.

``NAS_FAILPOINT=database.commit:kill@3`` kills the process when it is about to commit for the third
time. The variable is read once, when this is imported; processes that this one starts inherit it.
"""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "NAS_FAILPOINT"
NOTED = "NAS_FAILPOINT_NOTED"
"""Names a file that gets a line about each fault as it happens."""

NAMES = {
    "search.begin": "the study's folder is there, its lock is not taken",
    "lock.taken": "its owner has not written its name",
    "folder.taken": "the study's folder is locked, its owner has not written its name",
    "tables.make": "the tables are not there, or may be of an older version",
    "tables.made": "nobody has claimed the study",
    "fence.claim": "the claim is written, not committed",
    "fence.claimed": "earlier drivers are shut out",
    "study.made": "Optuna has the study; what it is of is not written",
    "database.commit": "a transaction is written, not committed",
    "database.committed": "a transaction is committed; this process has not heard of it",
    "recovery.begin": "what an earlier driver left was read, and is not adopted",
    "recovery.done": "it is adopted",
    "trial.created": "a trial is in the database; nobody has it",
    "trial.handed_out": "it runs in the database; its worker has not heard of it",
    "worker.begin": "a worker has a trial",
    "worker.done": "its result is in the outbox; the driver has not heard of it",
    "outbox.put": "a result is computed, nothing of it is written",
    "outbox.discard": "a result is recorded, and in the outbox still",
    "outbox.discarded": "it is not",
    "file.begun": "a file has its other name, and is empty",
    "file.replace": "it is complete, under the other name",
    "file.replaced": "it is complete",
    "checkpoint.begin": "a checkpoint is in memory, nothing of it is written",
    "checkpoint.written": "it is written, and older ones are not removed",
    "confirmation.begin": "the search is over, its confirmation is not there",
    "results.begin": "all trials are over, nothing is said of them",
    "results.exported": "the best network is exported; the report is not written",
    "results.reported": "the report is written, its figures are not in the database",
    "results.written": "all results are there",
    "release.begin": "a stage ends; its trials run in the database",
    "release.done": "none runs any more",
}
"""What is true where each is passed."""

FAULTS = {
    "kill": "SIGKILL",
    "stop": "SIGSTOP",
    "ENOSPC": "an OSError: no space is left on the device",
    "EIO": "an OSError: the device has failed",
}
"""What may happen there."""


@dataclass
class _Fault:
    """Happens once, when a failpoint is passed for the last of some times."""

    name: str
    kind: str
    times: int

    def pass_by(self, name: str) -> None:
        self.times -= name == self.name
        if name == self.name and self.times == 0:
            self._happen()

    def _happen(self) -> None:
        if noted := os.environ.get(NOTED):
            with Path(noted).open("a") as file:
                file.write(f"{self.name}:{self.kind}\n")
        match self.kind:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case error:
                number = getattr(errno, error)
                raise OSError(number, os.strerror(number), f"failpoint {self.name}")


def _fault_of(text: str | None) -> _Fault | None:
    """The fault that a variable asks for: ``NAME:FAULT``, or ``NAME:FAULT@TIMES``."""
    if not text:
        return None
    name, _, fault = text.partition(":")
    kind, _, times = fault.partition("@")
    times = times or "1"
    if name not in NAMES or kind not in FAULTS or not times.isdecimal() or int(times) < 1:
        raise SystemExit(f"error: {VARIABLE}={text}: expected NAME:FAULT or NAME:FAULT@TIMES")
    return _Fault(name, kind, int(times))


_fault = _fault_of(os.environ.get(VARIABLE))


def failpoint(name: str) -> None:
    """A place where a fault may happen, if this process was started to have it here."""
    if _fault is not None:
        _fault.pass_by(name)
