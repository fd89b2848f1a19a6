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
from optuna.trial import TrialState

from nas.engine.driver import Driver
from nas.engine.fence import DriverReplaced
from nas.engine.optuna_storage import Ending
from tests.nas.driving import finish, measured, open_driver, states
from trials.store import Store


class Killed(Exception):
    """In place of the end of a process."""


def at_statement(driver: Driver, number: int, die: Callable[[], object]) -> list[str]:
    """Die before the statement of this number that writes, counted from now on, or the commit.

    Returns:
        The statements that there were, as they come.
    """
    seen: list[str] = []

    def count(statement: str) -> None:
        if not statement.startswith("SELECT"):
            seen.append(statement)
            if len(seen) == number + 1:
                die()

    engine = driver.trials.storage.engine
    sa.event.listen(engine, "before_cursor_execute", lambda *given: count(given[2]))
    sa.event.listen(engine, "commit", lambda _: count("commit"))
    return seen


def raise_killed() -> None:
    raise Killed


def recording(driver: Driver) -> Callable[[], object]:
    """Hands a trial out; returns what records its result, which is in the outbox by then."""
    spec = driver.next()
    result = measured(driver, spec)
    driver.outbox.put(spec.trial, result)
    return lambda: driver.record(spec.trial, result)


def statements_of_a_result(url) -> list[int]:
    """All of them; with PostgreSQL, where each takes a study of its own longer, some."""
    driver = open_driver(url, "study.seeds_per_trial=2", "study.seed=99", name="counted")
    record = recording(driver)
    seen = at_statement(driver, -1, raise_killed)
    record()
    driver.close()
    assert "commit" in seen
    step = 1 if url.get_backend_name() == "sqlite" else 3
    return [n for n, statement in enumerate(seen) if statement == "commit" or n % step == 0]


def test_a_driver_that_dies_at_any_statement_of_a_result_loses_and_doubles_nothing(url):
    numbers = statements_of_a_result(url)
    assert len(numbers) > 2
    for number in numbers:
        # Another seed: what another study has trained is not trained again.
        study = {"name": f"statement{number}"}
        options = ("study.seeds_per_trial=2", f"study.seed={number}")
        driver = open_driver(url, *options, **study)
        there = driver.store.all()
        record = recording(driver)
        at_statement(driver, number, raise_killed)
        with pytest.raises(Killed):
            record()
        driver.close()
        assert states(url, **study) == {"RUNNING": 1}
        assert Store(url).all() == there
        driver = open_driver(url, *options, **study)
        assert states(url, **study) == {"COMPLETE": 1}
        assert len(driver.store.all()) == len(there) + 2
        assert driver.complete == 1
        (trial,) = driver.study.get_trials()
        accuracy = int(trial.user_attrs["key"][:4], 16) / 2**16
        assert trial.values == [accuracy, trial.user_attrs["macs"]]
        assert trial.intermediate_values == {1: accuracy}
        driver.close()


RUNGS = ("study.fidelity={rungs: [1, 2, 4], reduction: 3}", "training.epochs=4")


def promoting(url, options, name):
    """A driver that has trained three trials for an epoch, and its promotion of one."""
    driver = open_driver(url, *options, name=name)
    for _ in range(3):
        recording(driver)()
    return driver, driver.next


def pruning(url, options, name):
    """A driver with a trial on each rung, and how it prunes the others."""
    driver = open_driver(url, *options, name=name)
    finish(driver)
    return driver, driver.settle


def reopening(url, options, name):
    """A driver that wants more trials than there are, and how it lets the pruned ones wait."""
    driver, prune = pruning(url, options, name)
    prune()
    driver.close()
    driver = open_driver(url, *options, "study.trials=6", name=name)
    return driver, lambda: driver.trials.reopen(driver.pruned)


@pytest.mark.parametrize(
    ("prepare", "before", "after"),
    [
        (promoting, {"WAITING": 3}, {"WAITING": 2, "RUNNING": 1}),
        (pruning, {"WAITING": 2, "COMPLETE": 1}, {"PRUNED": 2, "COMPLETE": 1}),
        (reopening, {"PRUNED": 2, "COMPLETE": 1}, {"WAITING": 2, "COMPLETE": 1}),
    ],
)
def test_a_driver_that_dies_at_any_statement_between_rungs_is_followed(
    sqlite, prepare, before, after
):
    for number in itertools.count():
        name, options = f"statement{number}", (*RUNGS, f"study.seed={number}", "study.trials=3")
        driver, do = prepare(sqlite, options, name)
        at_statement(driver, number, raise_killed)
        died = False
        try:
            do()
        except Killed:
            died = True
        driver.close()
        found = states(sqlite, name)
        assert found == before if died else found == after
        driver = open_driver(sqlite, *options, name=name)
        higher = [2, 4] if prepare is promoting else []
        assert trained_to_the_end(driver) == higher
        driver.settle()
        driver.close()
        assert states(sqlite, name) == {"COMPLETE": 1, "PRUNED": 2}
        if not died:
            break
    assert number > 1  # there were statements to die at


def trained_to_the_end(driver: Driver) -> list[int]:
    """The epochs of each training that is left."""
    epochs = []
    while (spec := driver.next()) is not None:
        epochs.append(spec.epochs)
        driver.record(spec.trial, measured(driver, spec))
    return epochs


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
    with pytest.raises(DriverReplaced, match="another process has ended trial 0"):
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
