"""Who may write to a study: the driver that claimed it last, and no other.

A lock can be lost without a word: PostgreSQL drops it with the connection that holds it, at a
restart or an idle time-out. So a driver claims its study under a token of its own, and each of its
transactions ends with a look whether that still stands. Otherwise nothing of it is written.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from trials.failpoint import failpoint
from trials.store import put

_METADATA = sa.MetaData()
_DRIVERS = sa.Table(
    "driver",
    _METADATA,
    sa.Column("study", sa.Text, primary_key=True),
    sa.Column("token", sa.String(32), nullable=False),
)


class DriverReplaced(RuntimeError):
    """Another process drives the study now, and this one can write no more."""


class Fence:
    """Of a driver, from its claim to the next driver's.

    Args:
        study: its name; a confirmation is fenced with the study that it is of.
        token: of a driver that has claimed it, where somebody writes in its place.
    """

    def __init__(self, study: str, token: str | None = None) -> None:
        self.study = study
        self.token = token or uuid.uuid4().hex

    def claim(self, connection: sa.Connection) -> None:
        """Shut out whoever drove the study before."""
        _METADATA.create_all(connection)
        put(connection, _DRIVERS, ("study",), [{"study": self.study, "token": self.token}])
        failpoint("fence.claim")

    @classmethod
    def claimed(cls, engine: Engine, study: str) -> Fence:
        """Of a driver that holds no lock, in whose database there is no other."""
        fence = cls(study)
        with engine.begin() as connection:
            fence.claim(connection)
        return fence

    @contextmanager
    def transaction(self, engine: Engine) -> Iterator[Session]:
        """What is written inside is in the database at the end, or none of it.

        Raises:
            DriverReplaced: at the end, where another driver has claimed the study.
        """
        with Session(engine) as session, session.begin():
            yield session
            self._check(session)
            failpoint("database.commit")
        failpoint("database.committed")

    def _check(self, session: Session) -> None:
        """Last: SQLite's only writer is this transaction then, and PostgreSQL locks the token."""
        mine = sa.select(_DRIVERS.c.token).where(_DRIVERS.c.study == self.study)
        if session.scalar(mine.with_for_update(read=True)) != self.token:
            raise DriverReplaced(f"another process has become the driver of study {self.study}")
