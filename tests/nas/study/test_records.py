"""What a database says of a study, and that damage to it is named."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from nas.study.records import NoStudy, read_records
from tests.nas.driving import finish, open_driver


@pytest.mark.parametrize(
    ("name", "value"),
    [("seconds", "long"), ("architecture", "{}"), ("curve", "[1"), ("macs", None)],
)
def test_a_trial_that_is_damaged_is_named(sqlite, name, value):
    driver = open_driver(sqlite, "study.trials=2")
    finish(driver)
    driver.close()
    engine = sa.create_engine(sqlite)
    damage = sa.text(
        "UPDATE trial_user_attributes SET value_json = :value WHERE key = :name AND trial_id = "
        "(SELECT trial_id FROM trials WHERE number = 1)"
    )
    with engine.begin() as connection:
        changed = connection.execute(damage, {"value": json.dumps(value), "name": name})
        assert changed.rowcount == 1
    engine.dispose()
    with pytest.raises(NoStudy, match="trial 1 of study tiny cannot be read: "):
        read_records(sqlite, "tiny")
