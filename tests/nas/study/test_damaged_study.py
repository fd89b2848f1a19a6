"""What a disk or a hand has made of a study's files and rows is named in a line, never a traceback."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial
from sqlalchemy.engine import make_url

from nas.engine.driver import Driver
from nas.engine.trial_spec import spec_of, unique_key_of
from nas.report import app as report_app
from nas.space.load import build_space, read_document
from nas.study.plan import Plan, Registration, registrations_from_json, registrations_to_json
from nas.study.records import DATA, data_from_json, read_records
from nas.study.storage import NoStudy
from tests.nas.commands import run
from tests.nas.records import study as records_of_a_study
from tests.trials.test_bounded_json import damaged
from trials.bounded_json import JsonError
from trials.data import load
from trials.recipe import RECIPES

DEEP = "[" * 100_000


@pytest.fixture
def copy(study, tmp_path) -> Path:
    shutil.copytree(study, tmp_path / "copy")
    return tmp_path / "copy"


def change(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / "study.db")) as connection, connection:
        assert connection.execute(statement, values).rowcount


OF_STUDY = "UPDATE study_user_attributes SET value_json = ? WHERE key = ?"
OF_TRIAL = (
    "UPDATE trial_user_attributes SET value_json = ? WHERE key = ? AND trial_id = "
    "(SELECT trial_id FROM trials WHERE number = 1)"
)
MEASURED = "UPDATE measurement SET {} = ? WHERE id = 1"

CHANGES = [
    (OF_STUDY, [DEEP, "space"], "what is kept of study small cannot be read: "),
    (OF_STUDY, [json.dumps(DEEP), "space"], "attribute space of study small cannot be read: JSON has brackets nested at most 32 deep"),
    (OF_STUDY, ['"[]"', "space"], "attribute space of study small cannot be read: expected an object; got []"),
    (OF_STUDY, ['"{}"', "space"], "the search space of study small, of another version perhaps, cannot be read: "),
    (OF_STUDY, ["7", "space"], "attribute space of study small cannot be read: expected JSON as text; got 7"),
    (OF_STUDY, ['"{}"', "data"], "attribute data of study small cannot be read: "),
    (OF_STUDY, ['"{\\"a\\": NaN}"', "data"], "attribute data of study small cannot be read: a number is finite; got NaN"),
    (OF_TRIAL, [DEEP, "seeds"], "trial 1 of study small cannot be read: JSON has brackets"),
    (OF_TRIAL, ["{", "macs"], "trial 1 of study small cannot be read: not JSON"),
    (OF_TRIAL, ["9" * 5000, "macs"], "trial 1 of study small cannot be read: a whole number has at most 64 bits; got 999"),
    (OF_TRIAL, ["7", "architecture"], "trial 1 of study small cannot be read: expected JSON as text; got 7"),
    (OF_TRIAL, ["7", "curve"], "trial 1 of study small cannot be read: expected JSON as text; got 7"),
    ("UPDATE study_directions SET direction = ?", ["UP"], "what is kept of study small cannot be read: "),
    ("UPDATE trials SET state = ? WHERE number = 1", ["DONE"], "the trials of study small cannot be read: "),
    ("UPDATE trials SET datetime_start = ? WHERE number = 1", ["noon"], "the trials of study small cannot be read: "),
    ("UPDATE trial_params SET distribution_json = ?", ["{}"], "trial 0 of study small cannot be read: "),
    ("UPDATE trial_params SET param_value = ?", [999], "trial 0 of study small cannot be read: "),
    ("DELETE FROM trial_values WHERE objective = ?", [1], "trial 0 of study small cannot be read: a complete trial has 2 values; got 1"),
    ("UPDATE study_system_attributes SET value_json = ?", ['["beauty"]'], "the objectives of study small cannot be read: there is no objective beauty"),
    ("DELETE FROM study_system_attributes WHERE key = ?", ["study:metric_names"], "the objectives of study small cannot be read: 2 values have as many names; got 0"),
    ("UPDATE trial_values SET value = ?", ["C..1"], "trial 0 of study small cannot be read: a value is a number; got 'C..1'"),
    ("UPDATE trial_intermediate_values SET intermediate_value_type = ?", ["INF_NEG"], "trial 0 of study small cannot be read: an infinite value has no number; got "),
    ("UPDATE trial_values SET value_type = ?", ["INF_POS"], "trial 0 of study small cannot be read: an infinite value has no number; got "),
    ("UPDATE trial_values SET value = ?", [None], "trial 0 of study small cannot be read: a value is a number; got None"),
    ("UPDATE studies SET study_name = ?", [b"\xff"], "the database has no study small; it has b'\\xff'"),
    ("UPDATE alembic_version SET version_num = ?", ["v9.9.9"], "the database is of another version of Optuna: The runtime optuna version"),
    (MEASURED.format("curve"), [DEEP], "the database cannot be read: measurement 1 is not one: curve: JSON has brackets"),
    (MEASURED.format("versions"), ["[]"], "the database cannot be read: measurement 1 is not one: versions: "),
    (MEASURED.format("macs"), ["many"], "the database cannot be read: measurement 1 is not one: macs: "),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "values", "said"), CHANGES, ids=range(len(CHANGES)))
def test_what_is_damaged_in_a_database_is_named_in_a_line(copy, statement, values, said):
    change(copy, statement, *values)
    output = run(report_app, "--study", copy, status=2).output
    assert output.startswith(f"error: {said}")
    assert len(output.splitlines()) == 1
    assert len(output) < 400


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (DEEP, "JSON has brackets nested at most 32 deep"),
        ("[1]", "expected an object; got [1]"),
        ('{"a": 1, "a": 2}', "a name stands once in an object"),
        ("\udcff", "not text in UTF-8"),
        ("", "not JSON"),
    ],
    ids=["nested", "list", "twice", "bytes", "empty"],
)
def test_a_damaged_environment_is_named_with_what_helps(copy, text, said):
    file = copy / "environment.json"
    file.write_text(text, encoding="utf-8", errors="surrogateescape")
    first, hint = run(report_app, "--study", copy, status=2).output.splitlines()
    assert first.startswith(f"{file}: error: {said}")
    assert hint == "hint: restore it, or remove it: the report is then without it"


@pytest.mark.parametrize(
    ("statement", "values", "said"),
    [
        (OF_STUDY, ['"[]"', "identity"], "attribute identity of study small cannot be read"),
        (OF_STUDY, ['"{}"', "data"], "attribute data of study small cannot be read"),
        (OF_STUDY, ['"../../elsewhere"', "id"], "expected hexadecimal digits; got ../../elsewhere"),
        ("UPDATE study_directions SET direction = ?", ["UP"], "what is kept of study small"),
        (OF_STUDY, ["7", "id"], "attribute id of study small cannot be read"),
        (OF_STUDY, [DEEP, "id"], "what is kept of study small cannot be read"),
        (OF_TRIAL, ['"[]"', "seeds"], r"trial 1 cannot be read: seeds are whole numbers; got \[\]"),
        (OF_TRIAL, ["[1]", "seeds"], "trial 1 cannot be read: expected JSON as text"),
        (
            "DELETE FROM trial_values WHERE trial_value_id = ?",
            [1],
            "complete trial has 2 values; got 1",
        ),
        ("UPDATE trial_values SET value = ?", [b"x"], "a value is a number; got b'x'"),
        (OF_TRIAL, ["7", "key"], "trial 1 cannot be read: its key is a text; got 7"),
    ],
)
def test_a_damaged_study_is_not_resumed(copy, statement, values, said):
    change(copy, statement, *values)
    space = build_space(read_document(copy / "space.yaml"))
    data = load(space.file.data.config).summary
    url = make_url(f"sqlite:///{copy / 'study.db'}")
    with pytest.raises(NoStudy, match=said):
        Driver.open(url, "small", space, data, copy / "outbox").trials.complete_values()


@pytest.mark.parametrize("name", ["arm", "role"])
def test_a_trial_whose_arm_or_role_is_no_text_is_not_run(records, name):
    kept = {"architecture": records.trials[0].architecture.to_json(), "key": "a", "seeds": "[1]"}
    trial = create_trial(state=TrialState.WAITING, user_attrs=kept | {name: 7})
    with pytest.raises(NoStudy, match=f"trial -1 cannot be read: its {name} is a text; got 7"):
        spec_of(trial, RECIPES["proxy"])
    if name == "arm":
        with pytest.raises(NoStudy, match="its arm is a text"):
            unique_key_of(trial)


def confirm(folder: Path) -> None:
    """A confirmation that has begun, of the same space and data."""
    change(folder, "INSERT INTO studies (study_name) VALUES (?)", "small:confirmation")
    for table, columns in (
        ("study_directions", "direction, objective"),
        ("study_user_attributes", "key, value_json"),
        ("study_system_attributes", "key, value_json"),
    ):
        rows = f"SELECT 2, {columns} FROM {table} WHERE study_id = 1"
        change(folder, f"INSERT INTO {table} (study_id, {columns}) {rows}")


def test_a_damaged_confirmation_is_named_and_never_left_out(copy):
    confirm(copy)
    url = f"sqlite:///{copy / 'study.db'}"
    assert read_records(url, "small").confirmation is not None
    change(copy, f"{OF_STUDY} AND study_id = 2", '"{"', "data")
    with pytest.raises(NoStudy, match="attribute data of study small:confirmation cannot be read"):
        read_records(url, "small")
    change(copy, f"{OF_STUDY} AND study_id = 2", "{", "data")
    output = run(report_app, "--study", copy, status=2).output
    assert output.startswith("error: what is kept of study small:confirmation cannot be read: ")


def test_another_study_that_is_damaged_is_in_nobodys_way(copy):
    confirm(copy)
    change(copy, "UPDATE studies SET study_name = ? WHERE study_id = 2", "other")
    change(copy, f"{OF_STUDY} AND study_id = 2", "{", "data")
    url = f"sqlite:///{copy / 'study.db'}"
    assert read_records(url, "small").confirmation is None
    with pytest.raises(NoStudy, match="has no study large; it has small, other"):
        read_records(url, "large")


def test_a_confirmation_that_was_not_begun_is_none(copy):
    confirm(copy)
    change(copy, "DELETE FROM study_user_attributes WHERE study_id = ?", 2)
    assert read_records(f"sqlite:///{copy / 'study.db'}", "small").confirmation is None


PLAN = Plan(0.005, 0.05, ("plain",), ("plain",), 3, 8, "front+ends")
READERS = {
    "data": (data_from_json, DATA.dump_json(records_of_a_study().data).decode()),
    "plan": (
        registrations_from_json,
        registrations_to_json((Registration("2026-01-01T00:00:00+00:00", {"screening": 2}, PLAN),)),
    ),
}


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_attribute_is_read_or_refused_with_one_type_of_error(name, data):
    read, valid = READERS[name]
    with suppress(JsonError):  # every other error is one too many
        assert read(data.draw(damaged(valid))) is not None
