"""Who may write to a study: the driver that claimed it last, and no other.

A lock can be lost without a word: PostgreSQL drops it with the connection that holds it, at a
restart or an idle time-out. So a driver leaves a token of its own in the study, and each of its
transactions ends with a look at it. A driver that finds another's has written nothing.
"""

from __future__ import annotations

import json
import uuid
from typing import cast

import sqlalchemy as sa
from optuna.storages._rdb import models
from sqlalchemy.orm import Session

from trials.store import put

_KEY = "nas:driver"
_ATTRIBUTES = cast("sa.Table", models.StudySystemAttributeModel.__table__)


class DriverReplaced(RuntimeError):
    """Another process drives the study now, and this one can write no more."""


class Fence:
    """Held by the driver of a study from its claim to the next driver's.

    Args:
        study_id: of the database.
        study: its name.
    """

    def __init__(self, study_id: int, study: str) -> None:
        self.study_id, self.study = study_id, study
        self.token = uuid.uuid4().hex

    def claim(self, session: Session) -> None:
        """Shut out whoever drove the study before."""
        row = {"study_id": self.study_id, "key": _KEY, "value_json": json.dumps(self.token)}
        put(session.connection(), _ATTRIBUTES, ("study_id", "key"), [row])

    def check(self, session: Session) -> None:
        """At the end of a transaction: SQLite has one writer then, PostgreSQL locks the token.

        Raises:
            DriverReplaced: another driver has claimed the study.
        """
        columns = _ATTRIBUTES.c
        this = (columns.study_id == self.study_id, columns.key == _KEY)
        query = sa.select(columns.value_json).where(*this).with_for_update(read=True)
        if session.scalar(query) != json.dumps(self.token):
            raise DriverReplaced(f"another process has become the driver of study {self.study}")
