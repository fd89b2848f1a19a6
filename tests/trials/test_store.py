from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import time
from dataclasses import asdict, replace

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from trials.measurement import Measurement, Outbox, TrainingKey, from_json, to_json
from trials.store import Store, use_write_ahead_log

MEASUREMENT = Measurement(
    architecture_key="a" * 16,
    architecture="{}",
    data="d" * 16,
    recipe="r" * 16,
    epochs=8,
    seed=2**47 + 1,
    macs=71_419_884_448,
    params=12,
    accuracy=0.1 + 0.2,
    validation_loss=1.5,
    curve=((1.0, 2.0, 0.25), (0.5, 1.5, 0.3)),
    seconds=1.25,
    images_per_second=800.0,
    device="cpu: x",
    worker="host:1",
    versions={"torch": "2.13.0"},
)


def test_json_gives_the_same_measurements_back():
    failed = replace(MEASUREMENT, state="failed", reason="not finite", accuracy=None, curve=())
    assert from_json(to_json([MEASUREMENT, failed])) == (MEASUREMENT, failed)


def test_json_of_earlier_versions_is_read():
    """They wrote it with Python's own module."""
    for measurement in (MEASUREMENT, replace(MEASUREMENT, accuracy=None, reason="x \n é")):
        assert from_json(json.dumps([asdict(measurement)])) == (measurement,)


def test_what_is_no_number_is_kept_in_json():
    diverged = replace(MEASUREMENT, validation_loss=float("nan"), curve=((float("inf"), 1.0, 0.0),))
    assert '"validation_loss":NaN' in to_json([diverged])
    assert '"test_accuracy":null' in to_json([diverged])
    for text in (to_json([diverged]), json.dumps([asdict(diverged)])):
        (again,) = from_json(text)
        assert math.isnan(again.validation_loss)
        assert replace(again, validation_loss=1.5) == replace(diverged, validation_loss=1.5)


@pytest.mark.parametrize("text", ["", "{}", "[1]", "[[1]]", '[{"unknown": 1}]', '[{"seed": 1}]'])
def test_other_json_is_refused(text):
    with pytest.raises(ValueError, match="validation error"):
        from_json(text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("unknown", 1),
        ("seed", "1"),
        ("accuracy", "0.5"),
        ("state", "running"),
        ("curve", [[1.0, 2.0]]),
        ("versions", []),
        ("seconds", None),
    ],
)
def test_a_measurement_with_a_field_that_is_unknown_or_of_another_type_is_refused(field, value):
    with pytest.raises(ValueError, match=field):
        from_json(json.dumps([asdict(MEASUREMENT) | {field: value}]))


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


def test_the_outbox_holds_a_result_until_it_is_discarded(tmp_path):
    outbox = Outbox(tmp_path / "outbox")
    assert outbox.get(3) is None
    outbox.put(3, [MEASUREMENT])
    assert outbox.get(3) == (MEASUREMENT,)
    assert [file.name for file in (tmp_path / "outbox").iterdir()] == ["3.json"]
    outbox.discard(3)
    outbox.discard(3)
    assert outbox.get(3) is None


def test_a_damaged_result_counts_as_none(tmp_path):
    (tmp_path / "3.json").write_text(to_json([MEASUREMENT])[:-5])
    assert Outbox(tmp_path).get(3) is None


def _write_for_ever(folder, started):
    outbox = Outbox(folder)
    started.set()
    while True:
        outbox.put(0, [MEASUREMENT] * 200)


def test_a_result_is_whole_whenever_its_writer_is_killed(tmp_path):
    context = multiprocessing.get_context("spawn")
    for delay in (0.01, 0.03, 0.05, 0.02):
        started = context.Event()
        writer = context.Process(target=_write_for_ever, args=(tmp_path, started))
        writer.start()
        assert started.wait(60)
        time.sleep(delay)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        file = tmp_path / "0.json"
        if file.exists():
            assert len(from_json(file.read_text())) == 200


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
