"""Who may write: one driver for each study, and one that makes a database's tables.

On one machine or on several that share a database. SQLite: a lock on a file next to the database.
PostgreSQL: an advisory lock of a connection. Either is released by whoever granted it, so a killed
process leaves nothing to clean up. Where a file system has no locks, nobody drives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol

import filelock
import sqlalchemy as sa
from sqlalchemy.engine import URL

from nas.engine.fence import DriverReplaced, Fence
from nas.engine.file_lock import NO_LOCKS, OwnedLock, me
from nas.space.errors import InputError
from nas.study.storage_url import shown_url
from trials.failpoint import failpoint
from trials.store import engine_options

ANOTHER_STORAGE = "keep the study in PostgreSQL: --storage postgresql+psycopg://USER@HOST/DATABASE"

PATIENCE_S = 60.0
"""How long others may make the tables of a database, which takes seconds."""

_LOCK_NOT_AVAILABLE = "55P03"
_PREFIX = "nas "
_NAME_LENGTH = 63
"""Characters of an application name that PostgreSQL keeps."""


class StudyLocked(RuntimeError):
    """Another process is the driver of the study; the message names its host and process."""


class DriverLock:
    """Held from `acquire` to `release`, and let go by the system when the process dies."""

    def __init__(self, url: URL, study: str) -> None:
        self.study = study
        self._fence: Fence | None = None
        if url.get_backend_name() == "sqlite":
            self._lock: _Lock = _FileLock(url, study)
        else:
            self._lock = _AdvisoryLock(url, study)

    def acquire(self) -> None:
        """Become the driver.

        Raises:
            InputError: the database cannot be locked.
            StudyLocked: somebody else is.
        """
        try:
            taken = self._lock.acquire()
        except BaseException:  # a full disk: the process may live on, and try again
            self._lock.release()
            raise
        if not taken:
            pid, _, host = (self._lock.owner() or "unknown@unknown").partition("@")
            raise StudyLocked(f"study {self.study} is being searched by process {pid} on {host}")

    def claim(self, engine: sa.Engine) -> Fence:
        """Shut out every driver before this one, once; what it writes has to be behind the fence.

        Raises:
            DriverReplaced: the lock was lost, and another process may have it.
        """
        if self._fence is None:
            fence = Fence(self.study)
            with self._lock.holding(engine) as connection:
                fence.claim(connection)
            failpoint("fence.claimed")
            self._fence = fence
        return self._fence

    @property
    def fence(self) -> Fence:
        """Of this driver, once it has claimed the study."""
        assert self._fence is not None, "it was not claimed"
        return self._fence

    def release(self) -> None:
        """Let another process be the driver."""
        self._lock.release()

    def __enter__(self) -> DriverLock:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


@contextmanager
def creating_tables(url: URL) -> Iterator[None]:
    """While the tables of a database are made, which two processes cannot do at once.

    Raises:
        InputError: another process makes them, for longer than it takes.
    """
    if url.get_backend_name() == "sqlite":
        database = _file_of(url)
        lock = OwnedLock(database.with_name(f"{database.name}.tables"))
        try:
            _take(lock, PATIENCE_S)
        except filelock.Timeout:
            raise _in_use(url, lock.owner()) from None
        try:
            lock.sign(me())
            yield
        finally:
            lock.release()
        return
    with _connecting(url).connect() as connection:
        key = _key("tables")
        connection.execute(sa.text(f"SET lock_timeout = {1000 * PATIENCE_S:.0f}"))
        try:
            # Held until the connection is closed.
            connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": key})
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            connection.rollback()
            raise _in_use(url, _owner(connection, key)) from None
        yield


def _in_use(url: URL, owner: str | None) -> InputError:
    pid, _, host = (owner or "unknown@unknown").partition("@")
    message = f"process {pid} on {host} makes its tables, and was waited for {PATIENCE_S:g} s"
    return InputError.of(shown_url(url), message, "wait for it, or end it")


def _file_of(url: URL) -> Path:
    """The file of an SQLite database under its own name, whatever links lead to it.

    Raises:
        InputError: it has two of its own.
    """
    file = Path(url.database or "").resolve()
    if file.exists() and (names := file.stat().st_nlink) > 1:
        rule = f"one of {names} names (hard links) of a file, and SQLite keeps a log beside each"
        raise InputError.of(str(file), rule, "remove the other name, or make it a copy")
    return file


def _take(lock: OwnedLock, timeout_s: float = 0) -> None:
    """Take a lock beside a database.

    Raises:
        filelock.Timeout: somebody else has it.
        InputError: its file system has none.
    """
    try:
        lock.take(timeout_s)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        rule = f"a database is on a file system with locks (flock): {error.strerror}"
        raise InputError.of(lock.lock.lock_file, rule, ANOTHER_STORAGE) from None


def _key(what: str) -> int:
    """The number of an advisory lock."""
    return int.from_bytes(hashlib.sha256(f"nas: {what}".encode()).digest()[:8], signed=True)


class _Lock(Protocol):
    def acquire(self) -> bool: ...

    def owner(self) -> str | None: ...

    def holding(self, engine: sa.Engine) -> AbstractContextManager[sa.Connection]:
        """A connection that writes only while the lock is held."""
        ...

    def release(self) -> None: ...


class _FileLock(OwnedLock):
    def __init__(self, url: URL, study: str) -> None:
        database = _file_of(url)
        super().__init__(database.with_name(f"{database.name}.{study}.driver"))

    def acquire(self) -> bool:
        try:
            _take(self)
        except filelock.Timeout:
            return False
        failpoint("lock.taken")
        self.sign(me())
        return True

    def holding(self, engine: sa.Engine) -> AbstractContextManager[sa.Connection]:
        return engine.begin()


class _AdvisoryLock:
    """The owner's name is the application name of the connection that holds the lock."""

    def __init__(self, url: URL, study: str) -> None:
        self.key = _key(f"driver of study {study}")
        self.engine = _connecting(url)
        self.connection: sa.Connection | None = None

    def acquire(self) -> bool:
        connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        if connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": self.key}):
            self.connection = connection
            failpoint("lock.taken")
            return True
        connection.close()
        return False

    def owner(self) -> str | None:
        with self.engine.connect() as connection:
            return _owner(connection, self.key)

    @contextmanager
    def holding(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        assert self.connection is not None, "it is not held"
        try:
            yield self.connection  # where it was cut, the lock went with it
        except sa.exc.DBAPIError as error:
            cut = "the connection that held the lock of the study was cut"
            raise DriverReplaced(f"{cut}: {str(error.orig).splitlines()[0]}") from error

    def release(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None
        self.engine.dispose()


def _connecting(url: URL) -> sa.Engine:
    """Connections under the name of this process, which those who wait are told."""
    named = {"application_name": f"{_PREFIX}{me()}"[:_NAME_LENGTH]}
    given = engine_options(url)["connect_args"] | named
    return sa.create_engine(url, connect_args=given, poolclass=sa.NullPool)


def _owner(connection: sa.Connection, key: int) -> str | None:
    """Who holds an advisory lock."""
    query = sa.text(
        "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
        "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
        "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND ((l.classid::bigint << 32) | l.objid::bigint) = :key"
    )
    name = connection.scalar(query, {"key": key})
    return str(name).removeprefix(_PREFIX) if name else None
