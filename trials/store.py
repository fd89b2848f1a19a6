"""Measurements in a database: SQLite in one folder, or PostgreSQL for a shared cluster.

Each belongs to the study that recorded it. Another one that needs the same training takes what it
gave and records it as its own; where it has to train anew, for it measures how fast its machine is
perhaps, it does not touch what others have.
"""

from __future__ import annotations

import datetime
import json
import os
import sqlite3
from collections.abc import Sequence, Set
from dataclasses import asdict, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Engine, make_url

from trials.bounded_json import JsonError, in_a_line, parse_json
from trials.measurement import Measurement, TrainingKey
from trials.read_only import opens_read_only

_DROPPED = "-c tcp_keepalives_idle=60 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
"""Options of PostgreSQL's server: a minute and a half after it has last heard of a machine."""

_METADATA = sa.MetaData()
_TRAINING = ("architecture_key", "data", "recipe", "epochs", "seed")
_JSON_COLUMNS = ("curve", "versions")
_MEASUREMENT = TypeAdapter(Measurement)

MEASUREMENTS = sa.Table(
    "measurement",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    # Of Optuna's table; empty in what older versions kept, one for all studies.
    sa.Column("study", sa.Text, nullable=False, server_default=""),
    sa.Column("architecture_key", sa.String(16), nullable=False),
    sa.Column("architecture", sa.Text, nullable=False),
    sa.Column("data", sa.String(16), nullable=False),
    sa.Column("recipe", sa.String(16), nullable=False),
    sa.Column("epochs", sa.Integer, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("macs", sa.BigInteger, nullable=False),
    sa.Column("params", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("accuracy", sa.Double),
    sa.Column("test_accuracy", sa.Double),
    sa.Column("validation_loss", sa.Double),
    sa.Column("balanced_accuracy", sa.Double),
    sa.Column("macro_f1", sa.Double),
    sa.Column("top5_accuracy", sa.Double),
    sa.Column("average_precision", sa.Double),
    sa.Column("map_at_100", sa.Double),
    sa.Column("test_average_precision", sa.Double),
    sa.Column("half_score", sa.Double),
    sa.Column("validation_right", sa.Text),
    sa.Column("test_right", sa.Text),
    sa.Column("half_right", sa.Text),
    sa.Column("curve", sa.Text, nullable=False),
    sa.Column("latency_ms", sa.Double),
    sa.Column("latency_spread_ms", sa.Double),
    sa.Column("peak_memory_bytes", sa.BigInteger),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.Column("images_per_second", sa.Double),
    sa.Column("device", sa.Text, nullable=False),
    sa.Column("worker", sa.Text, nullable=False),
    sa.Column("threads", sa.Integer, nullable=False),
    sa.Column("versions", sa.Text, nullable=False),
    sa.Column("traceback", sa.Text, nullable=False),
    sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
    sa.UniqueConstraint(*_TRAINING, "study"),  # in this order: a training is looked for in all
)


def sqlite_url(file: str | Path) -> URL:
    """The address of a database in a file; as text, ``?`` and ``%`` in its name are escaped."""
    return URL.create("sqlite", database=str(file))


def engine_options(url: URL) -> dict[str, Any]:
    """Options for any engine on a study's database, Optuna's included.

    SQLite waits up to a minute for another reader's lock instead of failing. PostgreSQL's
    connections are kept alive through long trials, in which firewalls would forget them, and the
    server drops those of a machine that is gone, with their locks. It would wait for two hours.
    """
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": 60, "factory": _Connection}}
    given = url.query.get("options") or os.environ.get("PGOPTIONS", "")
    theirs = given if isinstance(given, str) else given[-1]
    # What is given later counts: a user's own.
    return {"connect_args": {"keepalives_idle": 60, "options": f"{_DROPPED} {theirs}".rstrip()}}


def reading_options(url: URL) -> dict[str, Any]:
    """Options for an engine that only reads a study's database."""
    opens = opens_read_only(url)
    return engine_options(url) if opens is None else {"creator": opens}


class _Connection(sqlite3.Connection):
    """A connection that does not wait for the disk at each commit, where that is safe.

    With a write-ahead log a process that is killed loses nothing, and a loss of power at most the
    last commits, whose trials are run again: the file stays whole (SQLite, PRAGMA synchronous).
    Waiting takes twelve milliseconds of each trial. Without the log the file might be damaged.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401  # sqlite3's own
        super().__init__(*arguments, **options)
        (mode,) = self.execute("PRAGMA journal_mode").fetchone()
        if mode == "wal":
            self.execute("PRAGMA synchronous=NORMAL")


def use_write_ahead_log(url: URL) -> None:
    """Let readers (a dashboard, a report) and the driver use one SQLite file at once.

    The mode is a property of the file, so it is set once, before anything else opens it.
    """
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(url, **engine_options(url))
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        engine.dispose()


class Store:
    """Measurements by what was measured. Only drivers write."""

    def __init__(self, url: str | URL, create: bool = True) -> None:
        """Open the table.

        Args:
            create: make it where it is not there, and bring an older one up to date. Only a driver
                does; without, it is only read.
        """
        url = make_url(url)
        options = engine_options(url) if create else reading_options(url)
        self.engine: Engine = sa.create_engine(url, **options)
        if create:
            _METADATA.create_all(self.engine)
            self._renew()

    def _renew(self) -> None:
        """Give a table of an older version this one's columns and key, in one transaction.

        SQLite can add a column, but no key.
        """
        there, names = _columns_of(self.engine), MEASUREMENTS.columns.keys()
        if there >= set(names):
            return
        kept = ", ".join(name for name in names if name in there and name != "id")
        with self.engine.begin() as connection:
            execute = connection.exec_driver_sql
            if connection.dialect.name == "sqlite":
                execute("BEGIN IMMEDIATE")  # Python would begin it with the first row
            execute("ALTER TABLE measurement RENAME TO older_measurement")
            MEASUREMENTS.create(connection)
            copied = f"SELECT {kept} FROM older_measurement ORDER BY id"
            execute(f"INSERT INTO measurement ({kept}) {copied}")
            execute("DROP TABLE older_measurement")

    @cached_property
    def _columns(self) -> Set[str]:
        return _columns_of(self.engine)

    def add(self, measurement: Measurement, study: str = "") -> None:
        """Record a measurement, in place of an earlier one of the same training by the study."""
        with self.engine.begin() as connection:
            add_measurements(connection, [measurement], study)

    def find(self, training: TrainingKey, study: str = "") -> tuple[Measurement, ...]:
        """What a training gave each time that it was made: by a study first, then oldest first."""
        wanted = zip(_TRAINING, training, strict=True)
        rows = self._rows(*(MEASUREMENTS.c[name] == value for name, value in wanted))
        return tuple(map(_measurement, sorted(rows, key=lambda row: row.study != study)))

    def all(self, *studies: str) -> tuple[Measurement, ...]:
        """Every measurement, or those of some studies, oldest first.

        Before them what older versions kept for all studies.
        """
        study = MEASUREMENTS.c.study
        chosen = [study.in_(["", *studies])] if studies and study.name in self._columns else []
        rows = self._rows(*chosen)
        return tuple(map(_measurement, sorted(rows, key=lambda row: bool(row.study))))

    def _rows(self, *chosen: sa.ColumnElement[bool]) -> Sequence[sa.Row[Any]]:
        """Oldest first; nothing in columns that an older version did not have."""
        columns = [
            column if column.name in self._columns else sa.null().label(column.name)
            for column in MEASUREMENTS.columns
        ]
        query = sa.select(*columns).where(*chosen).order_by(MEASUREMENTS.c.id)
        with self.engine.connect() as connection:
            return connection.execute(query).all()

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


def _columns_of(engine: Engine) -> set[str]:
    return {column["name"] for column in sa.inspect(engine).get_columns("measurement")}


def add_measurements(
    connection: sa.Connection, measurements: Sequence[Measurement], study: str
) -> None:
    """Write measurements in a transaction that may write more, in place of the study's earlier.

    Args:
        connection: to a database that has a `Store`.
        study: that made them; empty where there is none.
    """
    recorded_at = datetime.datetime.now(datetime.UTC)
    kept = {"study": study, "recorded_at": recorded_at}
    rows = [asdict(measurement) | kept for measurement in measurements]
    for row in rows:
        row |= {name: json.dumps(row[name]) for name in _JSON_COLUMNS}
    put(connection, MEASUREMENTS, (*_TRAINING, "study"), rows)


def put(
    connection: sa.Connection,
    table: sa.Table,
    identity: Sequence[str],
    rows: Sequence[dict[str, Any]],
) -> None:
    """Write rows of the same columns, each in place of an earlier one with the same identity.

    In one statement, for another study's driver may write the same now.
    """
    if not rows:
        return
    dialect = {"sqlite": sqlite, "postgresql": postgresql}[connection.dialect.name]
    insert = dialect.insert(table)
    written = {name: insert.excluded[name] for name in rows[0]}
    statement = insert.on_conflict_do_update(index_elements=identity, set_=written)
    connection.execute(statement, list(rows))


def _measurement(row: sa.Row[Any]) -> Measurement:
    """A row as it is used.

    Raises:
        JsonError: no driver has written it.
    """
    cells = {field.name: getattr(row, field.name) for field in fields(Measurement)}
    # Nothing in a column that an older version did not have: the field has its default.
    values = {name: cell for name, cell in cells.items() if cell is not None}
    try:
        for name in _JSON_COLUMNS:
            values[name] = parse_json(values[name], finite=False)  # a loss may be NaN
        return _MEASUREMENT.validate_python(values)
    except ValidationError as error:
        reason = in_a_line(error)
    except (KeyError, JsonError) as error:
        reason = f"{name}: {error}"
    raise JsonError(f"measurement {row.id} is not one: {reason}")
