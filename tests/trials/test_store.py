"""Measurements in a database: found again, replaced, and read from an older table."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from tests.trials.measurements import MEASUREMENT
from trials.measurement import TrainingKey
from trials.store import Store, engine_options, use_write_ahead_log


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'study.db'}"
    return request.getfixturevalue("postgresql")


def test_a_measurement_is_found_by_what_was_measured(url):
    store = Store(url)
    store.add(MEASUREMENT)
    training = TrainingKey("a" * 16, "d" * 16, "r" * 16, 8, 2**47 + 1)
    assert MEASUREMENT.training == training
    assert store.find(training) == MEASUREMENT
    others = {"architecture": "b", "data": "e", "recipe": "s", "epochs": 9, "seed": 1}
    for name, other in others.items():
        assert store.find(training._replace(**{name: other})) is None
    store.close()


def test_measuring_again_replaces_the_earlier_measurement(url):
    store = Store(url)
    store.add(replace(MEASUREMENT, state="failed", reason="out of memory", accuracy=None))
    store.add(MEASUREMENT)
    store.add(replace(MEASUREMENT, seed=5))
    assert store.all() == (MEASUREMENT, replace(MEASUREMENT, seed=5))
    store.close()


def test_sqlite_is_read_while_it_is_written(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    use_write_ahead_log(make_url(url))
    store = Store(url)
    store.add(MEASUREMENT)
    writer = sa.create_engine(url).connect()
    with writer.begin():
        writer.execute(sa.text("UPDATE measurement SET macs = 1"))
        assert store.all() == (MEASUREMENT,)  # neither waits nor sees what is not committed
    assert store.all()[0].macs == 1
    writer.close()
    store.close()


def test_commits_wait_for_the_disk_only_without_a_write_ahead_log(tmp_path):
    """Then a loss of power takes the last commits at most; a killed process loses nothing."""
    full, normal = 2, 1  # as SQLite numbers them
    file = tmp_path / "study.db"
    url = make_url(f"sqlite:///{file}")
    for expected in (full, normal):
        # Without an engine: all engines of these tests never wait.
        with closing(sqlite3.connect(file, **engine_options(url)["connect_args"])) as connection:
            assert connection.execute("PRAGMA synchronous").fetchone() == (expected,)
            assert connection.execute("PRAGMA busy_timeout").fetchone() == (60_000,)
        use_write_ahead_log(url)


def test_a_table_of_an_older_version_gets_the_columns_that_it_lacks(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    Store(url).add(MEASUREMENT)
    with sa.create_engine(url).begin() as connection:
        connection.execute(sa.text("ALTER TABLE measurement DROP COLUMN test_accuracy"))
    store = Store(url)
    assert store.all() == (MEASUREMENT,)
    tested = replace(MEASUREMENT, seed=3, test_accuracy=0.25)
    store.add(tested)
    assert store.find(tested.training) == tested


def test_a_row_that_is_no_measurement_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    store = Store(url)
    store.add(MEASUREMENT)
    with sa.create_engine(url).begin() as connection:
        connection.execute(sa.text("UPDATE measurement SET curve = '[1, 2]'"))
    with pytest.raises(ValueError, match="curve"):
        store.all()
