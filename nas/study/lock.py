"""One driver for each study, on one machine or on several that share a database."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Protocol

import filelock
import sqlalchemy as sa
from sqlalchemy.engine import URL


class StudyLocked(RuntimeError):
    """Another process is the driver of the study; the message names its host and process."""


class DriverLock:
    """Held from `acquire` to `release`, and let go by the system when the process dies.

    SQLite: a lock on a file next to the database. PostgreSQL: an advisory lock of a connection.
    Either is released by whoever granted it, so a killed driver leaves nothing to clean up.
    """

    def __init__(self, url: URL, study: str) -> None:
        self.study = study
        if url.get_backend_name() == "sqlite":
            self._lock: _Lock = _FileLock(url, study)
        else:
            self._lock = _AdvisoryLock(url, study)

    def acquire(self) -> None:
        """Become the driver.

        Raises:
            StudyLocked: somebody else is.
        """
        if not self._lock.acquire():
            owner = self._lock.owner() or {"host": "unknown", "pid": "unknown"}
            raise StudyLocked(
                f"study {self.study} is being searched by process {owner['pid']} on {owner['host']}"
            )

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


def _me() -> str:
    return json.dumps({"host": socket.gethostname(), "pid": os.getpid()})


class _Lock(Protocol):
    def acquire(self) -> bool: ...

    def owner(self) -> dict[str, str] | None: ...

    def release(self) -> None: ...


class _FileLock:
    def __init__(self, url: URL, study: str) -> None:
        database = Path(url.database or "")
        self.owner_file = database.with_name(f"{database.name}.{study}.driver")
        self.lock = filelock.FileLock(f"{self.owner_file}.lock")

    def acquire(self) -> bool:
        try:
            self.lock.acquire(timeout=0)
        except filelock.Timeout:
            return False
        self.owner_file.write_text(_me())
        return True

    def owner(self) -> dict[str, str] | None:
        try:
            owner: dict[str, str] = json.loads(self.owner_file.read_text())
        except (OSError, ValueError):
            return None
        return owner

    def release(self) -> None:
        if self.lock.is_locked:
            self.owner_file.unlink(missing_ok=True)
            self.lock.release()


class _AdvisoryLock:
    """The owner's name is the application name of the connection that holds the lock."""

    def __init__(self, url: URL, study: str) -> None:
        digest = hashlib.sha256(f"driver of study {study}".encode()).digest()
        self.key = int.from_bytes(digest[:8], signed=True)
        self.engine = sa.create_engine(
            url, connect_args={"application_name": f"nas {_me()}"[:63]}, poolclass=sa.NullPool
        )
        self.connection: sa.Connection | None = None

    def acquire(self) -> bool:
        connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        if connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": self.key}):
            self.connection = connection
            return True
        connection.close()
        return False

    def owner(self) -> dict[str, str] | None:
        query = sa.text(
            "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
            "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
            "AND ((l.classid::bigint << 32) | l.objid::bigint) = :key"
        )
        with self.engine.connect() as connection:
            name = connection.scalar(query, {"key": self.key})
        try:
            owner: dict[str, str] = json.loads(str(name).removeprefix("nas "))
        except ValueError:
            return None
        return owner

    def release(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None
        self.engine.dispose()
