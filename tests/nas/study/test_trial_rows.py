"""Trials read in a few queries are what Optuna itself reads, whoever wrote them."""

from __future__ import annotations

import json

import optuna
import pytest
import sqlalchemy as sa
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from nas.study import trial_rows
from nas.study.storage import NoStudy, open_storage, understanding
from nas.study.trial_rows import engine_of, read_trials, trial_ids
from tests.nas.driving import FAILED, finish, measured, open_driver


@pytest.fixture
def study(url):
    """Of all states and kinds of values, some in no order, beside another study."""
    storage = open_storage(url, create=True)
    optuna.create_study(study_name="other", storage=storage).add_trial(create_trial(value=1.0))
    study = optuna.create_study(
        study_name="one", storage=storage, directions=["maximize", "minimize"]
    )
    study.enqueue_trial({"order": "plain"})
    study.add_trial(
        create_trial(
            values=[7.25, -3.5],
            params={"order": "plain", "residual": True, "count": 3, "rate": 0.1},
            distributions={
                "order": CategoricalDistribution(("plain", "C/8", 1)),
                "residual": CategoricalDistribution((True, False)),
                "count": IntDistribution(1, 8, log=True),
                "rate": FloatDistribution(0.01, 1.0, log=True),
            },
            user_attrs={"key": "a", "nested": {"a": [1, None]}},
            system_attrs={"generation": 1},
            intermediate_values={3: 0.5, 1: float("nan"), 2: float("-inf")},
        )
    )
    for state in (TrialState.FAIL, TrialState.PRUNED, TrialState.RUNNING):
        study.add_trial(create_trial(state=state, user_attrs={"reason": "lost"}))
    return study


def plain(trial):
    """NaN is not equal to itself; everything else is compared."""
    return {name: str(value) for name, value in vars(trial).items()} | {
        "order": (list(trial.params), sorted(trial.intermediate_values))
    }


def in_any_order(trial):
    """Optuna leaves the order of attributes to the database."""
    for name in ("_user_attrs", "_system_attrs", "intermediate_values"):
        setattr(trial, name, dict(sorted(getattr(trial, name).items())))
    return plain(trial)


def test_trials_are_what_optuna_reads(study):
    expected = [in_any_order(trial) for trial in study.get_trials()]
    assert [in_any_order(trial) for trial in read_trials(study)] == expected
    assert [in_any_order(trial) for trial in read_trials(study, [3, 1])] == [
        expected[1],
        expected[3],
    ]
    assert read_trials(study, []) == []
    assert trial_ids(study, [TrialState.COMPLETE, TrialState.FAIL]) == {
        trial.number: trial._trial_id for trial in study.get_trials() if trial.number in (1, 2)
    }


def test_trials_of_a_driver_are_what_optuna_reads(url):
    driver = open_driver(url)
    broken = driver.next()
    driver.record(broken.trial, measured(driver, broken, **FAILED))
    finish(driver)
    expected = [in_any_order(trial) for trial in driver.study.get_trials()]
    assert [in_any_order(trial) for trial in read_trials(driver.study)] == expected
    assert json.loads(read_trials(driver.study)[1].user_attrs["curve"])
    driver.close()


def test_the_number_of_queries_does_not_depend_on_the_number_of_trials(sqlite):
    driver = open_driver(sqlite, "study.trials=40")
    counts = []
    for wanted in (5, 40):
        driver.wanted = wanted
        finish(driver)
        statements = []
        listener = (
            engine_of(driver.study),
            "before_cursor_execute",
            lambda *a, s=statements: s.append(a),
        )
        sa.event.listen(*listener)
        assert len(read_trials(driver.study)) == wanted
        sa.event.remove(*listener)
        counts.append(len(statements))
    assert counts == [6, 6]
    driver.close()


def test_an_optuna_whose_tables_have_other_names_is_not_taken_for_a_damaged_study(
    sqlite, monkeypatch
):
    study = optuna.create_study(study_name="one", storage=open_storage(sqlite, create=True))
    monkeypatch.setattr(trial_rows.models, "TrialParamModel", object())
    with pytest.raises(AttributeError, match="param_name"):
        read_trials(study)


def test_what_is_said_of_damage_keeps_its_cause():
    said = "trial 3 cannot be read: no number"
    with pytest.raises(NoStudy, match=said) as caught, understanding("trial 3"):
        raise ValueError("no number")
    assert isinstance(caught.value.__cause__, ValueError)
