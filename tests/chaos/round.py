"""One round: a study, what is done to its drivers, and that the last one ends well."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from sqlalchemy.engine import URL, make_url

from tests.chaos.driver import ON_RAY, RESULTS
from tests.chaos.processes import HANGS_S, Process, environment_of, left, until
from tests.chaos.server import Server
from tests.chaos.spaces import LONG_SPACES, ON_RAY_SPACES, SPACES
from tests.chaos.training import LEDGER, PACE
from trials.failpoint import NOTED, VARIABLE
from trials.store import sqlite_url

NAME = "chaos"
TRACEBACK = "Traceback (most recent call last)"
ASKED = {-signal.SIGKILL, 128 + signal.SIGHUP, 128 + signal.SIGINT, 128 + signal.SIGTERM}
DISK_MB = 16
KNOWN = {0, 1, 2, *ASKED}
"""Statuses that a driver may end with."""


@dataclass
class Round:
    """A study and the drivers that it has had.

    Attributes:
        server: of PostgreSQL, where there is one.
        on_ray: Ray is real, too.
        done: what was done, by name.
        violations: of what is promised.
        trained_again: results that the round itself has destroyed in the outbox.
    """

    seed: int
    server: Server | None = None
    on_ray: bool = False
    space_name: str = ""
    database: str = ""
    has_results: bool = False
    done: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    trained_again: int = 0

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.folder = Path(tempfile.mkdtemp(prefix="nas-chaos-"))
        for name in ("home", "tmp", "run", "work", "logs"):
            (self.folder / name).mkdir(mode=0o700)
        spaces = ON_RAY_SPACES if self.on_ray else list(SPACES)
        self.space_name = self.space_name or self.random.choice(spaces)
        kinds = ["sqlite", "sqlite", "postgresql" if self.server else "sqlite"]
        self.database = self.database or self.random.choice(kinds)
        self.pace = 0.2 if self.on_ray else 0.03
        self.processes: list[Process] = []
        self.options: tuple[str, ...] = ()
        self.patience_s = 2 * HANGS_S if self.on_ray else HANGS_S  # a Ray is started twice
        self.names = (NAME,)
        self.at_end = ExitStack()
        self._url: URL | None = None

    @property
    def space(self):
        return (SPACES | LONG_SPACES)[self.space_name]

    @property
    def work(self) -> Path:
        """Where the drivers run."""
        return self.folder / "work"

    @property
    def study(self) -> Path:
        return self.folder_of(NAME)

    def folder_of(self, name: str) -> Path:
        """Of a study; a round has one, unless it gives others a name."""
        return self.work / "runs" / name

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    @property
    def _faults(self) -> Path:
        return self.folder / "faults"

    @property
    def happened(self) -> int:
        """Faults at failpoints that were reached."""
        return self._faults.read_text().count("\n") if self._faults.exists() else 0

    @property
    def url(self) -> URL:
        if self._url is None:
            if self.database == "sqlite":
                self._url = sqlite_url(self.study / "study.db")
            else:
                assert self.server is not None
                self._url = make_url(self.server.new_database(f"chaos_{uuid.uuid4().hex}"))
        return self._url

    @property
    def storage(self) -> str | None:
        """As it is named in a command."""
        here = self.database == "sqlite"
        return None if here else self.url.render_as_string(hide_password=False)

    def start(
        self,
        fault: str = "",
        fresh: bool = False,
        limits: dict[int, int] | None = None,
        options: tuple[str, ...] = (),
        name: str = NAME,
        through: tuple[str, ...] = (),
        **environment: str | None,
    ) -> Process:
        """Start a driver.

        Args:
            fault: at a failpoint.
            options: of `nas.search`, added to the round's own.
            name: of the study.
            through: a command that starts it.
            environment: added to a round's own; None takes a variable away.
        """
        space = self.folder / f"{name}.yaml"
        space.write_text(self.space.text.replace(f"name: {NAME}", f"name: {name}"))
        given = {LEDGER: str(self.ledger), PACE: str(self.pace)}
        given |= {VARIABLE: fault, NOTED: str(self._faults)} if fault else {}
        given |= {RESULTS: "1"} if self.has_results else {}
        given |= {ON_RAY: "1"} if self.on_ray else {}
        changed = environment_of(self.folder) | given | environment
        storage = ("--storage", self.storage) if self.storage else ()
        arguments = ["--space", str(space), *storage, *self.options, *options]
        process = Process(
            arguments,
            self.work,
            {name: value for name, value in changed.items() if value is not None},
            self.folder / "logs" / f"{len(self.processes)}",
            fresh or self.on_ray,  # a copy of a process that has loaded Ray cannot start one
            limits,
            through,
        )
        self.processes.append(process)
        self.done["drivers"] += 1
        return process

    def any_moment(self, process: Process) -> None:
        """Wait for one of the start of a driver or of its next trainings, or of its results."""
        count = self.random.randint(-3, 7)
        if self.has_results:
            process.wait(self.random.uniform(0, 8))
        elif count <= 0:
            process.wait(self.random.uniform(0, 1))
        else:
            self.until_finished(process, count)
            process.wait(self.random.uniform(0, 0.1))

    def until_finished(self, process: Process, count: int) -> None:
        """Wait until so many more trials have finished, or the driver has ended."""
        wanted = self._finished() + count
        for _ in until(self.patience_s):
            if process.ended or self._finished() >= wanted:
                break

    def _finished(self) -> int:
        return self.ledger.read_text().count("\n") if self.ledger.exists() else 0

    def end(self, process: Process, *expected: int) -> int:
        """Let a driver end, and judge how it did.

        Args:
            expected: statuses; any known one unless given.
        """
        if not process.wait(self.patience_s):
            late = f"has not ended in {self.patience_s} s"
            self.violations.append(f"driver {self._number(process)} {late}")
            process.send(signal.SIGKILL)
            process.send(signal.SIGCONT)
            process.stopped = False
            process.wait()
        status, number = process.status, self._number(process)
        assert status is not None
        said = process.errors
        if status not in (expected or KNOWN):
            self.violations.append(f"driver {number} ended with status {status}: {said[-2000:]}")
        if TRACEBACK in said:
            self.violations.append(f"driver {number} has shown a traceback: {said[-2000:]}")
        return status

    def _number(self, process: Process) -> int:
        return self.processes.index(process)

    def settle(self) -> list[int]:
        """Wait for what watches over drivers that were killed; returns processes that stay."""
        sessions = {process.pid for process in self.processes}
        alive: list[int] = []
        for _ in until(30):
            for process in self.processes:
                process.ended  # noqa: B018  # takes it from the table of processes
            if not (alive := left(self.folder, sessions)):
                break
        return alive

    def resume(self) -> Process:
        """The same command again, with nothing in its way: it has to end well."""
        process = self.start()
        self.end(process, 0)
        return process

    def put_on_a_disk_of_its_own(self, folder: Path) -> None:
        """A small one in memory; root alone can."""
        size = ["-o", f"size={DISK_MB}m"]
        subprocess.run(["mount", "-t", "tmpfs", *size, "nas-chaos", str(folder)], check=True)

    def clean_up(self) -> None:
        """Leave nothing; a round that has failed leaves its folder."""
        self.at_end.close()
        for pid in self.settle():
            os.kill(pid, signal.SIGKILL)
        for folder in self.folder.iterdir():
            if folder.is_mount():
                subprocess.run(["umount", "-l", str(folder)], check=True)
        if not self.violations:
            shutil.rmtree(self.folder, ignore_errors=True)
