"""Drivers as processes: started, watched, signalled, and none of them left."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from tests.chaos import driver
from tests.conftest import ROOT
from trials import failpoint

MARK = "NAS_CHAOS_ROUND"
"""Is in the environment of all processes of a round: its folder."""

HANGS_S = 150.0
"""After which a driver that has not ended never will: it waits a minute for a database."""


class Process:
    """A driver.

    Most are copies of this process, which has loaded all that they need: that takes milliseconds,
    where a start takes seconds.

    Args:
        arguments: of `nas.search`.
        folder: it works in.
        environment: all of it.
        output: what it says, for the errors with ``.err`` behind it.
        fresh: it is started as a user starts it.
        through: a command that starts it, if it is fresh.
        limits: of its resources, by their numbers in `resource`.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        output: Path,
        fresh: bool = False,
        limits: Mapping[int, int] | None = None,
        through: Sequence[str] = (),
    ) -> None:
        self.error_file = output.with_suffix(".err")
        self.error_file.touch()  # it may be killed before it has done anything
        self.status: int | None = None
        self.stopped = False
        self.pid = os.fork()
        if self.pid == 0:
            command = [*through, sys.executable, "-m", driver.__name__, *arguments]
            _become(arguments, folder, environment, output, command if fresh else [], limits or {})

    @property
    def errors(self) -> str:
        return self.error_file.read_text(errors="replace")

    @property
    def ended(self) -> bool:
        """Whether it has; also sees whether it was stopped or goes on."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            if pid and os.WIFSTOPPED(status):
                self.stopped = True
            elif pid and os.WIFCONTINUED(status):
                self.stopped = False
            elif pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def wait(self, seconds: float = HANGS_S) -> bool:
        """Wait until it ends, or is stopped, at most so long; whether it has ended."""
        deadline = time.monotonic() + seconds
        while not self.ended and not self.stopped and time.monotonic() < deadline:
            time.sleep(0.003)
        return self.ended

    def send(self, number: int) -> bool:
        """Send it a signal, if it has not ended."""
        if self.ended:
            return False
        os.kill(self.pid, number)
        if number == signal.SIGCONT:
            self.stopped = False
        return True


def _become(arguments, folder, environment, output, command, limits) -> None:
    """Be the driver from now on, and end with it."""
    status = 1
    try:
        os.setsid()
        os.chdir(folder)
        for number, file, flags in (
            (0, os.devnull, os.O_RDONLY),
            (1, output, os.O_WRONLY | os.O_CREAT),
            (2, output.with_suffix(".err"), os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        ):
            os.dup2(os.open(file, flags, 0o600), number)
        for number, limit in limits.items():
            resource.setrlimit(number, (limit, limit))
        if command:
            os.execvpe(command[0], command, environment)
        os.environ.clear()
        os.environ.update(environment)
        tempfile.tempdir = None
        failpoint._fault = failpoint._fault_of(os.environ.get(failpoint.VARIABLE))
        driver.main(list(arguments))
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def environment_of(folder: Path) -> dict[str, str]:
    """Of the processes of a round: nothing of a user reaches them, and they leave all in it."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "XDG_RUNTIME_DIR": str(folder / "run"),
        "BROWSER_PATH": "/nonexistent",
        "OMP_NUM_THREADS": "1",
        MARK: str(folder),
    }


def left(folder: Path, sessions: set[int]) -> list[int]:
    """Processes of a round that run, its drivers perhaps."""
    mark = f"{MARK}={folder}".encode()
    return [pid for pid in psutil.pids() if _is_of(pid, mark, sessions)]


def _is_of(pid: int, mark: bytes, sessions: set[int]) -> bool:
    try:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return False
        in_session = os.getsid(pid) in sessions
        return in_session or mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except (OSError, psutil.Error):  # it has ended
        return False


def until(seconds: float) -> Iterator[None]:
    """Look again and again, for so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(0.003)
