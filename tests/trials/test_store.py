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
    assert store.find(training) == (MEASUREMENT,)
    others = {"architecture": "b", "data": "e", "recipe": "s", "epochs": 9, "seed": 1}
    for name, other in others.items():
        assert store.find(training._replace(**{name: other})) == ()
    store.close()


def test_measuring_again_replaces_the_earlier_measurement(url):
    store = Store(url)
    store.add(replace(MEASUREMENT, state="failed", reason="out of memory", accuracy=None))
    store.add(MEASUREMENT)
    store.add(replace(MEASUREMENT, seed=5))
    assert store.all() == (MEASUREMENT, replace(MEASUREMENT, seed=5))
    store.close()


def test_a_study_replaces_its_own_measurements_alone(url):
    store = Store(url)
    one, two, again = (replace(MEASUREMENT, latency_ms=ms) for ms in (1.0, 2.0, 3.0))
    store.add(one, "one")
    store.add(two, "two")
    store.add(again, "two")
    assert store.all("one") == (one,)
    assert store.all("two") == (again,)
    assert store.find(MEASUREMENT.training, "two") == (again, one)
    assert store.find(MEASUREMENT.training, "three") == (one, again)
    store.close()


def test_a_training_is_found_without_reading_all_measurements(tmp_path):
    """Each new trial is looked for, in a database of tens of thousands perhaps."""
    store = Store(f"sqlite:///{tmp_path / 'study.db'}")
    plans: list[str] = []

    @sa.event.listens_for(store.engine, "before_cursor_execute")
    def explain(_connection, cursor, statement, parameters, *_):
        if statement.startswith("SELECT measurement"):
            plan = cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            plans.append(plan[0][-1])

    store.find(MEASUREMENT.training, "one")
    assert [plan.split("(")[0] for plan in plans] == [
        "SEARCH measurement USING INDEX sqlite_autoindex_measurement_1 "
    ]
    store.close()


OLDER = """
CREATE TABLE measurement (
    id INTEGER PRIMARY KEY, architecture_key VARCHAR(16) NOT NULL, architecture TEXT NOT NULL,
    data VARCHAR(16) NOT NULL, recipe VARCHAR(16) NOT NULL, epochs INTEGER NOT NULL,
    seed BIGINT NOT NULL, macs BIGINT NOT NULL, params BIGINT NOT NULL, state VARCHAR(16) NOT NULL,
    reason TEXT NOT NULL, accuracy DOUBLE PRECISION, validation_loss DOUBLE PRECISION,
    curve TEXT NOT NULL, latency_ms DOUBLE PRECISION, seconds DOUBLE PRECISION NOT NULL,
    device TEXT NOT NULL, worker TEXT NOT NULL, threads INTEGER NOT NULL, versions TEXT NOT NULL,
    traceback TEXT NOT NULL, recorded_at TIMESTAMP NOT NULL,
    UNIQUE (architecture_key, data, recipe, epochs, seed))
"""


def test_a_table_of_an_older_version_is_read_as_it_is_and_brought_up_to_date_by_a_driver(url):
    """Its measurements are those of all studies in it, for it does not say whose they are."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(OLDER if engine.name == "sqlite" else OLDER.replace(
            "INTEGER PRIMARY KEY", "SERIAL PRIMARY KEY"
        ))  # fmt: skip
        for seed in (7, 3):
            connection.execute(
                sa.text(
                    "INSERT INTO measurement (architecture_key, architecture, data, recipe, epochs, "
                    "seed, macs, params, state, reason, accuracy, curve, latency_ms, seconds, device, "
                    "worker, threads, versions, traceback, recorded_at) VALUES ('a', '{}', 'd', 'r', 8, "
                    ":seed, 1, 2, 'complete', '', 0.5, '[]', 1.5, 1.0, 'cpu', 'w', 1, '{}', '', "
                    "'2026-11-22 10:00:00')"
                ),
                {"seed": seed},
            )
    reader = Store(url, create=False)
    older = reader.all("one")
    assert [measurement.seed for measurement in older] == [7, 3]
    assert reader.find(older[0].training, "one") == older[:1]
    reader.close()

    store = Store(url)
    assert store.all() == store.all("one") == store.all("two") == older
    timed = replace(older[0], latency_ms=2.5)
    store.add(timed, "one")
    store.add(replace(timed, latency_ms=9.5), "two")
    assert store.all("one") == (*older, timed)  # what it recorded itself comes last
    assert store.find(timed.training, "one")[0] == timed
    store.close()
    engine.dispose()


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
    assert store.find(tested.training) == (tested,)


def test_a_row_that_is_no_measurement_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    store = Store(url)
    store.add(MEASUREMENT)
    with sa.create_engine(url).begin() as connection:
        connection.execute(sa.text("UPDATE measurement SET curve = '[1, 2]'"))
    with pytest.raises(ValueError, match="curve"):
        store.all()


OF_THE_SERVER = {
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}


@pytest.mark.parametrize("own", ["", "url", "variable"])
def test_a_server_is_told_to_drop_the_connections_of_a_machine_that_is_gone(
    postgresql, monkeypatch, own
):
    """A user's own options stay, and count where both say something."""
    url, options = make_url(postgresql), "-c tcp_keepalives_count=5 -c work_mem=12MB"
    if own == "url":
        url = url.update_query_dict({"options": options})
    elif own == "variable":
        monkeypatch.setenv("PGOPTIONS", options)
    wanted = OF_THE_SERVER | ({"tcp_keepalives_count": "5", "work_mem": "12288"} if own else {})
    engine = sa.create_engine(url, **engine_options(url))
    query = sa.text("SELECT name, reset_val FROM pg_settings WHERE source = 'client'")
    with engine.connect() as connection:  # by a socket of this machine, where they do nothing
        given = dict(connection.execute(query).all())
    engine.dispose()
    assert given.items() >= wanted.items()
