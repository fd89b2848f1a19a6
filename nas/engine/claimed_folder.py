"""A study's folder, which is one study's: its results, its weights, its outbox."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from nas.engine.file_lock import NO_LOCKS, OwnedLock, me
from nas.engine.lock import StudyLocked
from nas.space.errors import InputError
from nas.study.location import StudyPlace, study_in
from trials.failpoint import failpoint

_RESULTS = ("space.yaml", "environment.json", "front.csv")
"""What a search leaves in its folder once it has begun."""

_WITHOUT = (*NO_LOCKS, errno.EACCES, errno.EPERM, errno.EROFS)
"""Why a folder has no lock: it is on a file system without, or nothing can be written to it."""


def claim_folder(place: StudyPlace) -> None:
    """Make a study's folder; one of another study, or of one that lost its trials, is left alone.

    Raises:
        InputError: another study's results are in it, or results whose database is empty.
    """
    _check_name(place)
    _make(place.folder, "--output")
    if place.url.get_backend_name() == "sqlite":
        database = Path(str(place.url.database))
        _check_not_emptied(database)
        _make(database.parent, "--storage")


@contextmanager
def held_folder(place: StudyPlace) -> Iterator[None]:
    """While a study is searched no other one is into its folder, before there are results, too.

    The study's own lock says nothing of that: other studies have their own, as have databases. Of a
    folder that can have no lock a search goes on without, or ends at the first file it writes.

    Raises:
        InputError: another study's results are in it, or come to be.
        StudyLocked: a study of this name, in another database, is searched into it.
    """
    lock = OwnedLock(place.folder / ".search")
    try:
        if not _take(lock, place.name):
            raise _in_use(place, lock.owner())
        _check_name(place)  # it may have become another's since it was claimed
        yield
    finally:
        lock.release()


def _take(lock: OwnedLock, study: str) -> bool:
    """Take the lock of a folder, if it can have one; whether nobody has it."""
    try:
        lock.take()
    except filelock.Timeout:
        return False
    except OSError as error:
        if error.errno not in _WITHOUT:
            raise
        return True
    failpoint("folder.taken")
    lock.sign(f"{me()} {study}")
    return True


def _in_use(place: StudyPlace, owner: str | None) -> Exception:
    who, _, study = (owner or "unknown@unknown unknown").partition(" ")
    pid, _, host = who.partition("@")
    searched = f"study {study} is being searched by process {pid} on {host}"
    if study == place.name:
        return StudyLocked(searched)
    message = f"{place.folder} has another search's results: {searched}"
    return InputError.of("--output", message, "name another folder")


def _check_name(place: StudyPlace) -> None:
    if (place.folder / "space.yaml").is_file():
        found = study_in(place.folder)
        if found != place.name:
            message = f"{place.folder} holds study {found}, not {place.name}"
            raise InputError.of("--output", message, "name another folder")


def _make(folder: Path, option: str) -> None:
    """Make a folder that an option names, with those above it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        message = f"{folder} is not a folder, or is in a file"
        raise InputError.of(option, message, "name another folder") from None


def _check_not_emptied(database: Path) -> None:
    """A full disk or a copy that broke off leaves no bytes: to begin anew would hide that."""
    if not database.is_file() or database.stat().st_size:
        return
    results = [name for name in _RESULTS if (database.parent / name).is_file()]
    if results:
        raise InputError.of(
            str(database),
            f"a database beside results has their trials; it is empty, beside {', '.join(results)}",
            "restore it from a copy; or remove it, to search again over these results",
        )
