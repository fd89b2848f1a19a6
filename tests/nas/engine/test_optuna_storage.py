"""The names of Optuna's storage that a driver needs: this fails where a version changes them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import optuna
import pytest
import sqlalchemy as sa
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState, create_trial
from sqlalchemy.engine import URL, Engine

from nas.engine.fence import Fence
from nas.engine.optuna_storage import Ending, StudyTrials
from nas.study.records import read_space
from nas.study.storage import NoStudy, open_storage


def test_trials_are_added_found_and_changed_by_their_numbers(sqlite):
    storage = open_storage(sqlite, create=True)
    optuna.create_study(study_name="other", storage=storage).ask()  # ids are no numbers
    study = optuna.create_study(study_name="one", storage=storage)
    trials = StudyTrials(storage, "one", Fence.claimed(storage.engine, "one"))
    number = trials.add(create_trial(state=TrialState.RUNNING, user_attrs={"key": "a"}))
    assert number == 0
    assert study.trials[0].state == TrialState.RUNNING
    later = open_storage(sqlite, write=True)  # of another process
    another = StudyTrials(later, "one", Fence.claimed(later.engine, "one"))
    another.set_attribute(number, "losses", 2)
    assert [trial.number for trial in another.running()] == [number]
    with another.transaction() as session:
        another.end(session, number, Ending(TrialState.COMPLETE, (0.5,), {"seconds": 2.0}))
    assert another.running() == []
    assert another.get(number).values == [0.5]
    assert study.trials[0].user_attrs == {"key": "a", "losses": 2, "seconds": 2.0}
    another.close()
    trials.close()


def test_what_is_damaged_of_a_trial_is_named(sqlite):
    storage = open_storage(sqlite, create=True)
    optuna.create_study(study_name="one", storage=storage)
    trials = StudyTrials(storage, "one", Fence.claimed(storage.engine, "one"))
    number = trials.add(create_trial(state=TrialState.WAITING, user_attrs={"rungs": "7"}))
    with pytest.raises(NoStudy, match="the trials of study one cannot be read: "):
        trials.count_ended()
    trials.set_attribute(number, "ended", "noon")
    with pytest.raises(NoStudy, match="the trials of study one cannot be read: Invalid isoformat"):
        trials.prune([number])
    assert trials.get(number).state == TrialState.WAITING
    trials.close()


def test_a_new_trial_is_what_optuna_itself_would_have_written(url):
    trial = create_trial(
        state=TrialState.WAITING,
        params={"segments": 3, "order": "plain", "residual": True},
        distributions={
            "segments": IntDistribution(1, 8, log=True),
            "order": CategoricalDistribution(("plain", "spatial_first")),
            "residual": CategoricalDistribution((True, False)),
        },
        user_attrs={"key": "a", "macs": 2**40},
        system_attrs={"generation": 1},
    )
    storage = open_storage(url, create=True)
    study = optuna.create_study(study_name="one", storage=storage, directions=["minimize"] * 2)
    study.add_trial(trial)
    trials = StudyTrials(storage, "one", Fence.claimed(storage.engine, "one"))
    assert [trials.add(trial), trials.add(trial)] == [1, 2]
    study.add_trial(trial)  # by hand, in between
    assert trials.add(trial) == 4
    by_optuna, *by_us = study.get_trials()
    assert [t.number for t in by_us] == [1, 2, 3, 4]
    for name in (
        "params",
        "distributions",
        "user_attrs",
        "system_attrs",
        "state",
        "datetime_start",
    ):
        assert all(getattr(t, name) == getattr(by_optuna, name) for t in by_us)
    trials.close()


class Killed(BaseException):
    """Nothing after it is done, as after `kill -9`."""


@contextmanager
def killed_before_statement(number: int) -> Iterator[None]:
    """The process ends before it sends the statement of this number to a database."""
    sent = itertools.count()

    def send(*_: object) -> None:
        if next(sent) == number:
            raise Killed

    sa.event.listen(Engine, "before_cursor_execute", send)
    try:
        yield
    finally:
        sa.event.remove(Engine, "before_cursor_execute", send)


def schema_of(url: URL) -> set[str]:
    """Tables and indexes of a database."""
    storage = open_storage(url, create=True)
    with storage.engine.connect() as connection:
        names = set(connection.scalars(sa.text("SELECT name FROM sqlite_master")))
    storage.engine.dispose()
    return names


def test_a_database_whose_making_was_cut_short_anywhere_is_made_whole(sqlite, tmp_path):
    whole = schema_of(sqlite)
    for number in itertools.count():
        url = sa.make_url(f"sqlite:///{tmp_path / f'{number}.db'}")
        try:
            with killed_before_statement(number):
                open_storage(url, create=True).engine.dispose()
        except Killed:
            assert read_space(url, "one") is None, number
            assert schema_of(url) == whole, number
        else:
            break
    assert number > len(whole)


def test_a_database_without_an_index_is_given_it(sqlite):
    whole = schema_of(sqlite)
    engine = sa.create_engine(sqlite)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP INDEX ix_studies_study_name"))
    engine.dispose()
    assert schema_of(sqlite) == whole
