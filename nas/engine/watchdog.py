"""A process beside a search: where the search is ended without a word, it says the last ones.

A driver that is killed, or that Ray ends from inside, can release nothing. So its trials are
released from here, what it has started is ended, and its user hears how to go on. It knows of the
driver by a pipe, which the system closes with it, whatever has ended it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path

BEAT, REST, FAREWELL = b".", b"-", b"!"


@dataclass(frozen=True)
class Watched:
    """The search of a driver.

    Attributes:
        driver: number of the process.
        url: of its database.
        study: whose trials it runs.
        claimed: the study that it holds the lock of.
        token: of its fence: once another driver has claimed the study, nothing is written.
        resume: how to go on.
        patience_s: after which a driver is ended that no longer looks at its trials.
    """

    driver: int
    url: str
    study: str
    claimed: str
    token: str
    resume: str
    patience_s: float


class Watchdog:
    """A context: the process that watches this one while trials may run."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self._process: subprocess.Popen[bytes] | None = None
        self._next_beat = -inf
        self._has_released = False

    def __enter__(self) -> Watchdog:
        with suppress(OSError):  # no more processes: a search goes on without
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "nas.engine.watchdog"],  # nothing of the folder
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(_paths())},
                start_new_session=True,  # Ctrl-C is not for it
            )
            self._send(json.dumps(asdict(self.watched)).encode() + b"\n")
            assert self._process.stdin is not None
            os.set_blocking(self._process.stdin.fileno(), False)
        return self

    def beat(self) -> None:
        """This process looks at its trials; as often as one likes."""
        if time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + 1
            self._send(BEAT)

    def rest(self) -> None:
        """It does something else for as long as it takes."""
        self._send(REST)

    def released(self) -> None:
        """No trial runs any more: there is nothing to release where this process ends."""
        self._has_released = True

    def __exit__(self, *_: object) -> None:
        if not self._has_released:  # it could not: done once this process has ended
            self.rest()
            _LEFT.append(self._process)
            return
        self._send(FAREWELL)
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:  # somebody has stopped it
                self._process.kill()
                self._process.wait()

    def _send(self, message: bytes) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):  # it was killed
                os.write(self._process.stdin.fileno(), message)


_LEFT: list[subprocess.Popen[bytes] | None] = []
"""Watchdogs that wait for the end of this process: a pipe is closed where nobody holds it."""


def _paths() -> list[str]:
    """Where this process finds modules, but for a folder that another one may be in by then."""
    return [*filter(None, sys.path), str(Path(__file__).parents[2])]


def main() -> None:
    """Watch the process that has started this one."""
    with os.fdopen(0, "rb", buffering=0) as pipe:
        line = pipe.readline()
        if not line:
            return
        watched = Watched(**json.loads(line))
        if _ends_well(pipe.fileno(), watched) or not _is_gone(watched.driver):
            return
    _say(f"the search has been ended: {_release(watched)}\n{watched.resume}")


def _ends_well(pipe: int, watched: Watched) -> bool:
    """Wait until the driver ends: whether it said so.

    A process that it has forked keeps its end of the pipe open, so it is looked at, too.
    """
    beats, quiet_s, last = False, 0.0, time.monotonic()
    while True:
        readable, _, _ = select.select([pipe], [], [], 1)
        now = time.monotonic()
        quiet_s, last = quiet_s + min(now - last, 2), now  # this process may have been stopped
        if not readable:
            if os.getppid() != watched.driver:
                return False
            if _is_stopped(watched.driver):
                quiet_s = 0.0  # and it has all its time once it goes on
            if beats and quiet_s > watched.patience_s:
                _say(f"the search has not looked at its trials for {watched.patience_s:g} s")
                os.kill(watched.driver, signal.SIGKILL)
                quiet_s = 0.0  # it may take a while to die
            continue
        message = os.read(pipe, 4096)
        if not message or FAREWELL in message:
            return bool(message)
        beats, quiet_s = message.endswith(BEAT), 0.0


def _is_stopped(driver: int) -> bool:
    """Whether somebody has stopped it for a while (Ctrl-Z)."""
    try:
        state = Path(f"/proc/{driver}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:  # it has just ended, or the system does not tell
        return False
    return state in "Tt"


def _is_gone(driver: int) -> bool:
    """Whether it ends, as it does a moment after its end of the pipe is closed."""
    deadline = time.monotonic() + 10
    while os.getppid() == driver and time.monotonic() < deadline:
        time.sleep(0.01)
    return os.getppid() != driver


def _release(watched: Watched) -> str:
    """Let the trials that ran wait for the next driver; returns what became of them."""
    from nas.engine.leftovers import end_of_the_dead

    end_of_the_dead()
    try:
        count = _release_trials(watched)
    except Exception as error:  # the next driver does it
        return f"its trials are released by the next one ({type(error).__name__})"
    return f"{count} trials that ran are released"


def _release_trials(watched: Watched) -> int:
    from sqlalchemy.engine import make_url

    from nas.engine.fence import Fence
    from nas.engine.optuna_storage import StudyTrials
    from nas.engine.trial_spec import names_architecture
    from nas.study.storage import open_storage, quiet_optuna

    quiet_optuna()
    storage = open_storage(make_url(watched.url), write=True)
    trials = StudyTrials(storage, watched.study, Fence(watched.claimed, watched.token))
    released = [trial.number for trial in trials.running() if names_architecture(trial)]
    for number in released:
        trials.wait(number)
    trials.close()
    return len(released)


def _say(text: str) -> None:
    with suppress(OSError):  # nobody listens any more
        os.write(2, f"{text}\n".encode())


if __name__ == "__main__":
    main()
