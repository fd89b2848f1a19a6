"""What is done to a study's drivers, by name. Each leaves the study to be resumed and checked."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos import surroundings
from tests.chaos.processes import Process
from tests.chaos.round import Round
from trials import failpoint

OFTEN = (
    *("database.commit", "database.committed", "trial.created", "trial.handed_out"),
    *("outbox.put", "outbox.discard", "outbox.discarded"),
    *("file.begun", "file.replace", "file.replaced"),
)
"""Failpoints that every trial passes."""

LOCKED = "is being searched by process"

Fault = Callable[[Round], None]


def at_failpoint(name: str, kind: str) -> Fault:
    """A fault at a failpoint, at one of the times that it is passed."""

    def happen(played: Round) -> None:
        if name.startswith("results."):
            played.has_results = True
        if name.startswith("confirmation."):
            played.space_name = "confirmed"
        times = played.random.randint(1, 8) if name in OFTEN else 1
        process = played.start(f"{name}:{kind}@{times}")
        if kind == "stop":
            process.wait()
            _beside_a_stopped(played, process)
        expected = {"kill": [-signal.SIGKILL], "stop": [0, 2]}.get(kind, [0, 1])
        status = played.end(process, *expected)
        if kind in ("ENOSPC", "EIO"):
            said = process.errors
            if status != 0 and not (f"failpoint {name}" in said and "resume with:" in said):
                played.violations.append(f"it does not say what it is, or how to resume: {said}")
        played.done[f"failpoints, {kind}"] += played.happened

    return happen


def _beside_a_stopped(played: Round, stopped: Process) -> None:
    """Another driver, beside one that does nothing: where that has the lock it is refused."""
    if not stopped.stopped:
        played.violations.append("it was not stopped")
        return
    other = played.start()
    if played.end(other, 0, 2) == 2 and LOCKED not in other.errors:
        played.violations.append(f"beside a stopped driver: {other.errors[-2000:]}")
    stopped.send(signal.SIGCONT)


def killed(played: Round) -> None:
    """SIGKILL, at any moment, of several drivers; the next one may come before the last is gone."""
    played.has_results = played.random.random() < 0.1
    for _ in range(played.random.randint(2, 6)):
        process = played.start()
        played.any_moment(process)
        played.done["driver kills"] += process.send(signal.SIGKILL)
        played.end(process)
        if played.random.random() < 0.5:
            played.settle()


def asked_to_end(played: Round) -> None:
    """A signal that asks, and perhaps a second one: the resume command, and its status."""
    for _ in range(played.random.randint(1, 3)):
        number = played.random.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
        process = played.start()
        played.any_moment(process)
        sent = process.send(number)
        if played.random.random() < 0.3:
            process.wait(played.random.uniform(0, 0.05))
            process.send(number)
        status = played.end(process, 0, 128 + number)
        played.done["requests to end"] += sent
        if status and "resume with:" not in process.errors and "begun" not in process.errors:
            played.violations.append(f"it does not say how to resume: {process.errors[-2000:]}")


def stopped(played: Round) -> None:
    """SIGSTOP at any moment, and SIGCONT."""
    process = played.start()
    played.any_moment(process)
    if process.send(signal.SIGSTOP) and not process.wait(10):
        _beside_a_stopped(played, process)
        played.done["stops"] += 1
    played.end(process, 0, 2)


def two_at_once(played: Round) -> None:
    """Two drivers at the same instant: one goes on, the other one is refused."""
    begin = str(time.monotonic() + 0.3)
    both = [played.start(NAS_CHAOS_BEGIN=begin) for _ in range(2)]
    statuses = sorted(played.end(process, 0, 2) for process in both)
    refused = [process for process in both if LOCKED in process.errors]
    if statuses != [0, 2] or len(refused) != 1:
        said = [process.errors[-1000:] for process in both]
        played.violations.append(f"two drivers at once ended with {statuses}: {said}")
    played.done["double starts"] += 1


CORRUPTIONS: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "cut off": lambda file: file.write_bytes(file.read_bytes()[:-20]),
    "noise": lambda file: file.write_bytes(os.urandom(1000)),
    "brackets": lambda file: file.write_text("[" * 100_000),
    "no result": lambda file: file.write_text("[]"),
    "something else": lambda file: file.write_text('{"trial": 1}'),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
}


def corrupt_result(played: Round) -> None:
    """What a killed driver left in the outbox is damaged: its trial runs again."""
    # Of two trials that run at once the first has left its result.
    process = played.start(f"outbox.put:kill@{2 * played.random.randint(1, 2)}")
    played.end(process, -signal.SIGKILL)
    played.settle()
    (file,) = (played.study / "outbox").rglob("*.json")
    CORRUPTIONS[played.random.choice(list(CORRUPTIONS))](file)
    played.trained_again += 1 + 2 * (played.space_name == "seeds")
    played.done["damaged results"] += 1


FAULTS: dict[str, Fault] = {
    **{
        f"{name}:{kind}": at_failpoint(name, kind)
        for name in failpoint.NAMES
        # Those of processes that are not there without Ray, and of long trainings, are never passed.
        if not name.startswith(("worker.", "checkpoint."))
        for kind in failpoint.FAULTS
    },
    "killed": killed,
    "asked to end": asked_to_end,
    "stopped": stopped,
    "two at once": two_at_once,
    "damaged result": corrupt_result,
    **surroundings.FAULTS,
}
