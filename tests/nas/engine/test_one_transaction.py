"""A result is one transaction: killed at any of its statements, all of it is there or nothing."""

from __future__ import annotations

import itertools
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from nas.engine.driver import Driver
from nas.engine.optuna_storage import Ending
from tests.nas.driving import finish, measured, open_driver, states
from trials.store import Store


class Killed(Exception):
    """In place of the end of a process."""


def at_statement(driver: Driver, number: int, die: Callable[[], object]) -> None:
    """Die before the statement of this number, counted from now on; a commit counts as one."""
    count = itertools.count()

    def statement(*_: object) -> None:
        if next(count) == number:
            die()

    for event in ("before_cursor_execute", "commit"):
        sa.event.listen(driver.trials.storage.engine, event, statement)


def raise_killed() -> None:
    raise Killed


def test_a_driver_that_dies_at_any_statement_of_a_result_loses_and_doubles_nothing(url):
    for number in itertools.count(step=1 if url.get_backend_name() == "sqlite" else 3):
        # Another seed: what another study has trained is not trained again.
        study = {"name": f"statement{number}"}
        options = ("study.seeds_per_trial=2", f"study.seed={number}")
        driver = open_driver(url, *options, **study)
        there = len(driver.store.all())
        spec = driver.next()
        result = measured(driver, spec)
        driver.outbox.put(spec.trial, result)
        at_statement(driver, number, raise_killed)
        died = False
        try:
            driver.record(spec.trial, result)
        except Killed:
            died = True
        driver.close()
        assert states(url, **study) == {"RUNNING" if died else "COMPLETE": 1}
        assert len(Store(url).all()) == there + (0 if died else 2)
        driver = open_driver(url, *options, **study)
        assert states(url, **study) == {"COMPLETE": 1}
        assert driver.store.all()[there:] == result
        assert driver.complete == 1
        (trial,) = driver.study.get_trials()
        assert trial.values == [result[0].accuracy, spec.cost.macs]
        assert trial.intermediate_values == {1: result[0].accuracy}
        driver.close()
        if not died:
            break
    assert number > 5  # there were statements to die at


def die_while_recording(url, number: int) -> None:
    """In a process of its own."""
    driver = open_driver(url)
    at_statement(driver, number, lambda: os._exit(9))
    finish(driver)


def test_a_process_that_is_killed_while_it_writes_is_followed(sqlite):
    """Wherever it was: each driver goes on with what the last one left, and dies a little later."""
    fork = multiprocessing.get_context("fork")  # which has everything imported
    for number in (3, 11, 17, 23, 29, 40):
        process = fork.Process(target=die_while_recording, args=(sqlite, number))
        process.start()
        process.join()
        assert process.exitcode in (0, 9)
        complete = states(sqlite).get("COMPLETE", 0)
        assert len(Store(sqlite).all()) == complete
    driver = open_driver(sqlite)
    finish(driver)
    driver.close()
    assert states(sqlite) == {"COMPLETE": 6}
    assert len(Store(sqlite).all()) == 6


def test_a_trial_that_has_ended_is_not_ended_again_and_nothing_of_that_is_kept(url):
    driver = open_driver(url)
    spec = driver.next()
    result = measured(driver, spec)
    driver.record(spec.trial, result)
    driver.running[spec.trial] = spec
    with pytest.raises(UpdateFinishedTrialError):
        driver.record(spec.trial, measured(driver, spec, accuracy=0.0))
    assert driver.complete == 1
    assert driver.store.all() == result
    (trial,) = driver.study.get_trials()
    assert trial.values[0] == result[0].accuracy
    driver.close()


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    folder = tmp_path_factory.mktemp("endings")
    before = Path.cwd()
    os.chdir(folder)
    driver = open_driver(sa.make_url(f"sqlite:///{folder / 'study.db'}"), "study.trials=1000")
    yield driver
    driver.close()
    os.chdir(before)


@settings(max_examples=15, deadline=None)
@given(
    values=st.tuples(*[st.floats(allow_nan=False)] * 2),
    curve=st.lists(st.floats(-1e300, 1e300), max_size=5),
    attributes=st.dictionaries(
        st.text(min_size=1, max_size=20).filter(lambda text: "\0" not in text),
        st.one_of(st.integers(-(2**53), 2**53), st.booleans(), st.text(), st.none()),
        max_size=4,
    ),
)
def test_what_is_written_of_an_end_is_what_optuna_reads(opened, values, curve, attributes):
    spec = opened.next()
    ending = Ending(TrialState.COMPLETE, values, attributes, tuple(curve))
    started = opened.trials.get(spec.trial)
    with opened.trials.transaction() as session:
        opened.trials.end(session, spec.trial, ending)
    trial = opened.trials.get(spec.trial)
    assert trial.state == TrialState.COMPLETE
    assert tuple(trial.values) == values
    assert trial.intermediate_values == dict(enumerate(curve, 1))
    assert trial.user_attrs == started.user_attrs | attributes
    assert (trial.params, trial.distributions) == (started.params, started.distributions)
    assert trial.datetime_complete >= trial.datetime_start == started.datetime_start
