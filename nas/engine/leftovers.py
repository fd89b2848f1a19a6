"""What a driver leaves on its machine where it is killed: processes of Ray, which live on for up to
a minute, folders, and files that were not finished.

Each driver notes what it has started; the next one ends and removes what the dead ones noted. A
process is the one that was noted if its number and its start are: numbers are given again.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import platformdirs
import psutil
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from trials.atomic_file import atomic_write_text, remove_partial
from trials.heartbeat import forget

_FOLDERS = ("nas-tune-", "session_")
"""Beginnings of their names: no other folder is ever removed."""


@dataclass(frozen=True)
class Started:
    """A process.

    Attributes:
        start: the boot of the machine and the ticks since then: no change of a clock moves it.
    """

    pid: int
    start: str

    @classmethod
    def of(cls, pid: int) -> Started:
        """A process that runs.

        Raises:
            OSError: none of this number does; one that nobody has asked how it ended does not, too.
        """
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        _, _, after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
        fields = after_name.split()  # proc_pid_stat(5), from the state on; 19 further is the start
        if fields[0] in "ZX":
            raise ProcessLookupError(pid)
        return cls(pid, f"{boot} {fields[19]}")

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        try:
            return Started.of(self.pid) == self
        except OSError:
            return False


@dataclass(frozen=True)
class Sessions:
    """Folders that Ray will make for a process, each named by its time and the process.

    Attributes:
        parent: that they are in.
        last: the name of one made before the first of them.
    """

    parent: str
    last: str

    @classmethod
    def from_now_on(cls, parent: str) -> Sessions:
        """Of this process."""
        now = datetime.now()  # as Ray names them
        return cls(parent, f"session_{now:%Y-%m-%d_%H-%M-%S_%f}")

    def folders(self, pid: int) -> tuple[str, ...]:
        """Those that are there, of a process that is not.

        None while its number is another's: that one's folders have the same names.
        """
        if psutil.pid_exists(pid):
            return ()
        found = Path(self.parent).glob(f"session_*_{pid}")
        return tuple(str(folder) for folder in found if folder.name > self.last)


@dataclass(frozen=True)
class Note:
    """What is there as long as a driver lives, and for how long it does.

    Attributes:
        sessions: of Ray, while it starts.
    """

    driver: Started
    processes: tuple[Started, ...]
    folders: tuple[str, ...]
    sessions: Sessions | None = None

    @property
    def all_folders(self) -> tuple[str, ...]:
        """Those of Ray included."""
        return self.folders + (self.sessions.folders(self.driver.pid) if self.sessions else ())


_NOTE = TypeAdapter(Note)


def _notes() -> Path:
    """The folder of the notes of this machine; a home may be that of several."""
    return platformdirs.user_state_path("separability-nas") / "drivers" / socket.gethostname()


def end(processes: Iterable[Started]) -> None:
    """End those that still run, with what they have started."""
    for started in tuple(with_children(alive.pid for alive in processes if alive.runs)):
        with suppress(OSError):
            os.kill(started.pid, signal.SIGKILL)


@contextmanager
def noted(
    processes: Iterable[Started] = (),
    folders: Iterable[Path] = (),
    sessions: Sessions | None = None,
) -> Iterator[None]:
    """Note processes and folders while they are there.

    A folder that is there at the end stays noted: Ray's logs can be read until the next search.
    """
    kept = tuple(folders)
    file = _notes() / f"{os.getpid()}-{uuid.uuid4().hex}.json"
    # A home that cannot be written to, or a system that does not tell of processes in files as
    # Linux does: nobody cleans up then.
    with suppress(OSError):
        driver, names = Started.of(os.getpid()), [str(folder.absolute()) for folder in kept]
        note = Note(driver, tuple(processes), tuple(names), sessions)
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(file, _NOTE.dump_json(note).decode())
    try:
        yield
    finally:
        if not any(folder.exists() for folder in kept):
            with suppress(OSError):
                file.unlink(missing_ok=True)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for files that Ray writes and nobody reads."""
    folder = Path(tempfile.mkdtemp(prefix="nas-tune-"))
    with noted(folders=[folder]):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def with_children(pids: Iterable[int]) -> Iterator[Started]:
    """Processes that run, and those that they have started."""
    for pid in pids:
        with suppress(psutil.Error, OSError):
            yield Started.of(pid)
            for child in psutil.Process(pid).children(recursive=True):
                with suppress(OSError):
                    yield Started.of(child.pid)


def clean_up() -> None:
    """End and remove what dead drivers have left on this machine."""
    for file, note in _notes_of_the_dead():
        end(note.processes)
        for folder in map(Path, note.all_folders):
            if folder.name.startswith(_FOLDERS):
                shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            file.unlink(missing_ok=True)


def end_of_the_dead() -> None:
    """End what dead drivers have started on this machine; folders stay, for their logs."""
    for _, note in _notes_of_the_dead():
        end(note.processes)


def _notes_of_the_dead() -> Iterator[tuple[Path, Note]]:
    for file in _notes().glob("*.json"):
        try:
            note = _NOTE.validate_json(file.read_bytes())
        except (OSError, ValidationError):  # another driver has just cleaned up, or it is damaged
            continue
        if not note.driver.runs:
            yield file, note


def remove_unfinished(folder: Path) -> None:
    """Remove what workers have left in a study's folder that were ended."""
    outboxes = tuple(folder.glob("outbox/*"))
    for written in (folder, folder / "weights", *outboxes):
        remove_partial(written)
    for outbox in outboxes:
        forget(outbox)  # that of a worker that lives, as of a comparison, comes again
