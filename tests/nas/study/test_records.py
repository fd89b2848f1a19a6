"""What a database says of a study: read as it was written, by earlier versions too, or refused."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import optuna
import pytest
import sqlalchemy as sa
from optuna.trial import TrialState, create_trial

from nas.study.plan import Plan, Registration, registrations_from_json, registrations_to_json
from nas.study.records import DATA, read_records
from nas.study.storage import NoStudy
from nas.study.trial_record import TrialRecord, record_of
from tests.nas.driving import finish, open_driver
from tests.nas.records import network, study

ARCHITECTURE = network()
ATTRIBUTES = {
    "architecture": ARCHITECTURE.to_json(),
    "key": ARCHITECTURE.key,
    "macs": 71_419_884_448,
    "params": 12,
    "seeds": "[281474976710655, 2]",
    "curve": "[0.25, 0.5]",
    "seconds": 3,
    "arm": "plain",
    "role": "twin",
    "of": "C",
    "test_accuracy": 0.375,
}
CHOICES = {"residual": True, "kernel": 3, "segments": "C/4"}


def kept(**attributes):
    distributions = {
        name: optuna.distributions.CategoricalDistribution([value])
        for name, value in CHOICES.items()
    }
    return create_trial(
        state=TrialState.COMPLETE,
        params=CHOICES,
        distributions=distributions,
        values=[0.5, 100.0],
        user_attrs=ATTRIBUTES | attributes,
    )


def test_a_trial_is_read_as_a_driver_wrote_it():
    record = record_of(kept(), ("accuracy", "macs"))
    assert record == TrialRecord(
        number=record.number,
        state="complete",
        network=ARCHITECTURE,
        macs=71_419_884_448,
        params=12,
        values=(0.5, 100.0),
        accuracy=0.5,
        seconds=3.0,
        curve=(0.25, 0.5),
        seeds=(281474976710655, 2),
        choices=tuple(CHOICES.items()),
        arm="plain",
        role="twin",
        control_of="C",
        test_accuracy=0.375,
    )
    assert [type(value) for _, value in record.choices] == [bool, int, str]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("macs", "many", "macs"),
        ("seconds", None, "seconds"),
        ("seeds", '{"1": 2}', "seeds"),
        ("curve", "[[0.5]]", "curve"),
        ("curve", "0.5, 0.6", "Extra data"),
        ("role", 1, "role"),
        ("architecture", "{}", "architecture"),
    ],
)
def test_a_trial_that_is_not_as_a_driver_writes_it_is_refused(name, value, said):
    with pytest.raises(ValueError, match=said):
        record_of(kept(**{name: value}), ("accuracy", "macs"))


def test_what_a_study_was_trained_on_is_read_as_earlier_versions_wrote_it_too():
    data = replace(study().data, classes=("Känguru", "b"))
    for text in (DATA.dump_json(data).decode(), json.dumps(asdict(data))):
        assert DATA.validate_json(text) == data
    with pytest.raises(ValueError, match="fingerprint"):
        DATA.validate_json("{}")


def test_plans_are_read_as_earlier_versions_wrote_them_too():
    plan = Plan(0.005, 0.05, ("plain", "Zürich"), ("plain",), 3, 8, "front+ends")
    entries = (Registration("2026-01-01T00:00:00+00:00", {"screening": 2}, plan),)
    earlier = json.dumps([asdict(entry) for entry in entries], indent=1)
    for text in (registrations_to_json(entries), earlier):
        assert registrations_from_json(text) == entries
    without_trials = earlier.replace(',\n   "trials": 0', "")
    assert "trials" not in without_trials
    assert registrations_from_json(without_trials) == entries
    with pytest.raises(ValueError, match="delta"):
        registrations_from_json(earlier.replace("0.005", '"little"'))


@pytest.mark.parametrize(
    ("name", "value"),
    [("seconds", "long"), ("architecture", "{}"), ("curve", "[1"), ("macs", None)],
)
def test_a_trial_that_is_damaged_in_its_database_is_named(sqlite, name, value):
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
