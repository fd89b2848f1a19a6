"""What a driver finds after another one was killed, and what it leaves when it is stopped."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy.engine import make_url

from nas.engine.driver import LOSSES, Driver
from nas.engine.optuna_storage import Ending
from nas.study.records import read_records
from nas.study.storage import NoStudy
from tests.nas.driving import FAILED, SMALL, finish, measured, open_driver, states
from trials.store import Store


def test_a_result_in_the_outbox_is_adopted_and_a_trial_without_one_runs_again(url):
    driver = open_driver(url)
    finished, running = driver.next(), driver.next()
    driver.outbox.put(finished.trial, measured(driver, finished))
    driver.close()  # killed: nothing was recorded

    driver = open_driver(url)
    assert states(url) == {"COMPLETE": 1, "RUNNING": 1}
    assert not list(Path("outbox").rglob("*.json"))
    again = driver.next()
    assert (again.trial, again.architecture, again.seeds) == (
        running.trial,
        running.architecture,
        running.seeds,
    )
    driver.record(again.trial, measured(driver, again))
    keys = finish(driver)
    assert len({*keys, finished.architecture.key, running.architecture.key}) == 6
    assert states(url) == {"COMPLETE": 6}
    driver.close()


def test_a_damaged_result_is_put_aside_and_its_trial_runs_again(sqlite):
    driver = open_driver(sqlite)
    spec = driver.next()
    driver.outbox.put(spec.trial, measured(driver, spec))
    (file,) = Path("outbox").rglob("*.json")
    file.write_text("[" * 100_000)
    driver.close()
    lines: list[str] = []
    driver = open_driver(sqlite, say=lines.append)
    assert [found.name for found in file.parent.iterdir()] == [f"{spec.trial}.bad"]
    assert [line.startswith(f"{file.with_suffix('.bad')} is no result") for line in lines] == [True]
    assert driver.next().trial == spec.trial
    driver.close()


def test_a_curve_that_an_older_version_left_with_a_running_trial_is_replaced(url):
    """It wrote values after each epoch first, and could die before the trial's state."""
    driver = open_driver(url)
    spec = driver.next()
    driver.outbox.put(spec.trial, measured(driver, spec))
    with driver.trials.transaction() as session:
        driver.trials.end(session, spec.trial, Ending(TrialState.RUNNING, curve=(0.1, 0.2, 0.3)))
    driver.close()
    again = open_driver(url)
    trial = again.study.get_trials()[spec.trial]
    assert trial.intermediate_values == {1: measured(driver, spec)[0].accuracy}
    again.close()


def test_a_result_of_a_deleted_study_is_not_adopted(url):
    driver = open_driver(url)
    spec = driver.next()
    other = measured(driver, spec, architecture_key="0" * 16)
    driver.outbox.put(spec.trial, other)
    driver.close()
    driver = open_driver(url)
    assert states(url) == {"RUNNING": 1}
    assert not list(Path("outbox").rglob("*.json"))
    assert driver.next().trial == spec.trial
    driver.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture_key": "0" * 16},
        {"data": "0" * 16},
        {"recipe": "0" * 16},
        {"epochs": 7},
        {"seed": 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
@pytest.mark.parametrize("moment", ["start", "lost", "release"])
def test_only_the_result_of_this_very_training_is_adopted(sqlite, moment, changes):
    """A folder may hold the outbox of another study, or of a deleted one."""
    driver = open_driver(sqlite)
    spec = driver.next()
    driver.outbox.put(spec.trial, measured(driver, spec, **changes))
    if moment == "start":
        driver.close()
        driver = open_driver(sqlite)
    elif moment == "lost":
        driver.worker_died(spec.trial, "out of luck")
    else:
        driver.requeue_running()
    assert states(sqlite)["COMPLETE"] == 0
    assert Store(sqlite).all() == ()
    driver.close()


def test_a_count_of_losses_that_is_damaged_is_named(sqlite):
    driver = open_driver(sqlite)
    spec = driver.next()
    driver.trials.set_attribute(spec.trial, "losses", "many")
    with pytest.raises(NoStudy, match="trial 0 cannot be read: invalid literal for int"):
        driver.worker_died(spec.trial, "out of luck")
    driver.close()


def test_a_result_that_lacks_a_seed_is_not_adopted(sqlite):
    driver = open_driver(sqlite, "study.seeds_per_trial=2")
    spec = driver.next()
    driver.outbox.put(spec.trial, measured(driver, spec)[:1])
    driver.worker_died(spec.trial, "out of luck")
    assert states(sqlite) == {"RUNNING": 1}
    driver.close()


def test_a_failure_of_one_seed_among_several_is_adopted_with_what_was_measured_of_the_others(
    sqlite,
):
    driver = open_driver(sqlite, "study.seeds_per_trial=3")
    spec = driver.next()
    first, second, third = measured(driver, spec)
    driver.outbox.put(spec.trial, (first, third, replace(second, **FAILED)))
    driver.worker_died(spec.trial, "out of luck")
    assert states(sqlite) == {"FAIL": 1}
    stored = Store(sqlite).all()
    assert sorted(m.state for m in stored) == ["complete", "complete", "failed"]
    driver.close()


def test_results_that_no_trial_waits_for_are_removed_at_the_start(sqlite):
    driver = open_driver(sqlite)
    spec = driver.next()
    driver.outbox.put(7, measured(driver, spec))
    driver.close()
    open_driver(sqlite).close()
    assert not list(Path("outbox").rglob("*.json"))


def test_each_studys_results_are_in_a_folder_of_their_own(tmp_path):
    """The same folder with another database: nothing of the first study is lost."""
    first = open_driver(make_url(f"sqlite:///{tmp_path / 'first.db'}"))
    spec = first.next()
    first.outbox.put(spec.trial, measured(first, spec))
    first.close()
    open_driver(make_url(f"sqlite:///{tmp_path / 'second.db'}")).close()
    open_driver(make_url(f"sqlite:///{tmp_path / 'first.db'}")).close()
    assert states(make_url(f"sqlite:///{tmp_path / 'first.db'}")) == {"COMPLETE": 1}


def test_releasing_leaves_no_trial_running_and_the_next_driver_takes_them_up(url):
    driver = open_driver(url)
    running = [driver.next(), driver.next(), driver.next()]
    driver.outbox.put(running[1].trial, measured(driver, running[1]))
    driver.requeue_running()
    driver.close()
    assert states(url) == {"WAITING": 2, "COMPLETE": 1}
    driver = open_driver(url)
    assert {driver.next().trial, driver.next().trial} == {running[0].trial, running[2].trial}
    assert states(url) == {"RUNNING": 2, "COMPLETE": 1}
    driver.close()


def test_an_interruption_at_any_step_leaves_no_trial_running(sqlite):
    """Ctrl-C pressed twice comes wherever the driver is: here, before and after every write."""
    for step in range(12):
        driver = open_driver(sqlite, "study.trials=100", name=f"step{step}")
        interrupt(driver, step)
        with pytest.raises(KeyboardInterrupt):
            finish(driver)
        driver.requeue_running()
        driver.close()
        assert states(sqlite, f"step{step}")["RUNNING"] == 0


def interrupt(driver: Driver, step: int) -> None:
    """Before the write of this number, or after it, where the number is odd."""
    calls = itertools.count()
    transaction = driver.trials.transaction

    @contextmanager
    def at_step():
        number = next(calls)
        if number == step // 2 and step % 2 == 0:
            raise KeyboardInterrupt
        yield
        if number == step // 2 and step % 2:
            raise KeyboardInterrupt

    @contextmanager
    def interrupted_transaction():
        with at_step(), transaction() as session:
            yield session

    driver.trials.transaction = interrupted_transaction


def test_a_driver_killed_before_the_study_was_set_up_leaves_nothing_in_the_way(url):
    optuna.create_study(
        study_name="tiny",
        storage=url.render_as_string(hide_password=False),
        directions=["maximize", "minimize"],
    )
    driver = open_driver(url)
    assert len(finish(driver)) == 6
    driver.close()


def test_a_lost_worker_costs_a_trial_nothing_until_it_has_killed_several(sqlite):
    driver = open_driver(sqlite)
    spec = driver.next()
    for _ in range(LOSSES - 1):
        driver.worker_died(spec.trial, "out of luck")
        assert states(sqlite) == {"RUNNING": 1}
        assert driver.next().trial == spec.trial
    driver.worker_died(spec.trial, "out of luck")
    assert states(sqlite) == {"FAIL": 1}
    driver.close()
    (failed,) = read_records(sqlite, "tiny").trials
    assert failed.reason == "its worker died 3 times: out of luck"


def test_a_trial_that_is_lost_when_nothing_is_left_to_propose_runs_again(sqlite):
    driver = open_driver(sqlite, text=SMALL)
    running = [driver.next() for _ in range(4)]  # the whole space
    driver.prepare()
    assert driver.exhausted
    assert not driver.finished
    driver.worker_died(running[3].trial, "out of luck")
    assert driver.next().trial == running[3].trial
    assert driver.next() is None
    for spec in running:
        driver.record(spec.trial, measured(driver, spec))
    assert driver.finished
    assert states(sqlite) == {"COMPLETE": 4}
    driver.close()


def test_a_worker_that_dies_after_writing_its_result_loses_nothing(sqlite):
    driver = open_driver(sqlite)
    spec = driver.next()
    driver.outbox.put(spec.trial, measured(driver, spec))
    driver.worker_died(spec.trial, "out of luck")
    assert states(sqlite) == {"COMPLETE": 1}
    driver.close()


def test_a_resumed_study_does_not_repeat_its_first_suggestions(sqlite):
    """All of them are start-up suggestions: TPE draws its first ten at random."""
    driver = open_driver(sqlite, "study.trials=1000")
    first = [driver.next().architecture.key for _ in range(4)]
    driver.requeue_running()
    driver.close()
    driver = open_driver(sqlite, "study.trials=1000")
    proposed = []
    while len(proposed) < 4:
        proposal = driver.new.proposer.propose()
        proposed.append(proposal.architecture.key)
        driver.new.proposer.tell(proposal.ticket, None)
    assert proposed != first
    driver.close()
