"""Two drivers of one study: the second is refused, and where it is not, the first writes no more."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import optuna
import plotly.graph_objects as go
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from nas.engine import lock as lock_module
from nas.engine.driver import Driver
from nas.engine.fence import DriverReplaced, Fence
from nas.engine.lock import DriverLock, StudyLocked, creating_tables
from nas.reporting.dashboard import publish
from nas.space.errors import InputError
from nas.study.storage import opened_study
from nas.study.trial_rows import read_trials
from tests.nas.driving import SPACE, finish, measured, open_driver, read_space, states
from tests.nas.planting import SEARCH, Planted, search
from trials import failpoint
from trials.data import load
from trials.store import Store


def trials_in(url, name="tiny"):
    with opened_study(url, name) as study:
        return read_trials(study)


def test_a_driver_that_was_replaced_writes_nothing(url):
    first = open_driver(url)
    running, waiting = first.next(), first.next()
    first.prepare()
    second = open_driver(url)  # the lock of the first was lost
    before = trials_in(url)
    for write in (
        lambda: first.record(running.trial, measured(first, running)),
        lambda: first.worker_died(waiting.trial, "out of luck"),
        first.next,
        first.prepare,
        first.requeue_running,
    ):
        with pytest.raises(DriverReplaced, match="another process has become the driver of study"):
            write()
        assert trials_in(url) == before
    assert Store(url).all() == ()
    first.close()

    again = second.next()
    assert again.trial == running.trial
    second.record(again.trial, measured(second, again))
    assert states(url)["COMPLETE"] == 1
    assert len(Store(url).all()) == 1
    second.close()


def shown_by_the_dashboard(driver: Driver) -> dict[str, object]:
    return driver.trials.storage.get_study_system_attrs(driver.trials.study_id)


def test_a_driver_that_is_replaced_before_it_has_made_its_study_makes_none(url):
    def claim(engine):
        mine = Fence.claimed(engine, "tiny")
        Fence.claimed(engine, "tiny")
        return mine

    space = read_space(SPACE)
    data = load(space.file.data.config).summary
    with pytest.raises(DriverReplaced):
        Driver.open(url, "tiny", space, data, Path("outbox"), claim=claim)
    assert optuna.get_all_study_names(url.render_as_string(hide_password=False)) == []


def test_a_driver_that_was_replaced_publishes_nothing_in_the_dashboard(url):
    first = open_driver(url)
    finish(first)
    records, there = first.records(), shown_by_the_dashboard(first)
    second = open_driver(url)
    with pytest.raises(DriverReplaced, match="another process has become the driver of study"):
        publish(url, records, {"front": go.Figure()}, first.trials.fence)
    assert shown_by_the_dashboard(second) == there
    publish(url, records, {"front": go.Figure()}, second.trials.fence)
    assert shown_by_the_dashboard(second).keys() > there.keys()
    first.close()
    second.close()


def test_nothing_is_written_after_another_driver_has_read_the_study(url):
    """Wherever the first one is in a transaction when the second one comes."""
    for name in ("one", "two", "three"):
        first = open_driver(url, "study.trials=1000", name=name)
        begun = threading.Event()

        replaced: list[bool] = []

        def go_on(driver=first, begun=begun, replaced=replaced):
            try:
                while (spec := driver.next()) is not None:
                    driver.record(spec.trial, measured(driver, spec))
                    begun.set()
            except DriverReplaced:
                replaced.append(True)

        thread = threading.Thread(target=go_on)
        thread.start()
        assert begun.wait(timeout=30)
        second = open_driver(url, "study.trials=1000", name=name)
        found = trials_in(url, name)
        thread.join(timeout=60)
        assert replaced == [True]
        assert trials_in(url, name) == found
        assert sum(trial.state.name == "COMPLETE" for trial in found) == second.complete
        first.close()
        second.close()


def cut(url: str) -> None:
    """The connections that hold locks, as a restart of the server or a firewall does."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'nas %'"
        assert connection.execute(sa.text(query)).all()
    engine.dispose()


def take_over(url: str, study: str) -> None:
    """Become the driver where the lock was lost."""
    cut(url)
    engine = sa.create_engine(url)
    with DriverLock(make_url(url), study) as lock:
        lock.claim(engine)
    engine.dispose()


class Overtaken(Planted):
    """Another driver takes over when so many trainings have ended."""

    def __init__(self, url: str, after: int) -> None:
        super().__init__()
        self.url, self.after = url, after

    def measurements(self, driver, spec, test):
        if len(self.trainings) == self.after:
            take_over(self.url, "planted")
        return super().measurements(driver, spec, test)


@pytest.mark.parametrize("after", [2, 10, 11], ids=["first", "last", "confirmation"])
def test_a_search_that_is_replaced_ends_with_a_line_and_writes_nothing_more(
    monkeypatch, postgresql, after
):
    planted = Overtaken(postgresql, after)
    result = search(monkeypatch, planted, "--storage", postgresql, text=SEARCH, results=True)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "error: another process has become the driver of study planted",
        "hint: nothing that was finished is lost: that process goes on",
    ]
    assert len(planted.trainings) == after
    assert len(Store(postgresql).all()) == after - 1  # not the one during which it was replaced
    assert not Path("runs/planted/report.html").exists()
    assert search(monkeypatch, Planted(), "--storage", postgresql, text=SEARCH).exit_code == 0
    assert set(states(make_url(postgresql), "planted")) == {"COMPLETE"}


def test_a_driver_whose_lock_was_lost_while_it_read_its_data_claims_nothing(postgresql):
    engine = sa.create_engine(postgresql)
    with DriverLock(make_url(postgresql), "tiny") as lock:
        cut(postgresql)
        with pytest.raises(DriverReplaced, match="held the lock of the study was cut"):
            lock.claim(engine)
    engine.dispose()


def test_a_driver_that_could_not_write_its_name_holds_no_lock(tmp_path, monkeypatch):
    """Its process may live on, as that of a notebook does, and try again once there is space."""
    url = make_url(f"sqlite:///{tmp_path / 'study.db'}")
    first = DriverLock(url, "tiny")
    with monkeypatch.context() as full:
        full.setattr(failpoint, "_fault", failpoint._fault_of("lock.taken:ENOSPC"))
        with pytest.raises(OSError, match=r"failpoint lock\.taken"):
            first.acquire()
    with DriverLock(url, "tiny"):
        pass


def test_a_link_to_a_database_is_the_same_database(tmp_path):
    database, link = tmp_path / "study.db", tmp_path / "elsewhere" / "linked.db"
    database.touch()
    link.parent.mkdir()
    link.symlink_to(database)
    with (
        DriverLock(make_url(f"sqlite:///{database}"), "tiny"),
        pytest.raises(StudyLocked, match="is being searched by process"),
    ):
        DriverLock(make_url(f"sqlite:///{link}"), "tiny").acquire()


def test_a_database_with_two_names_of_its_own_is_refused(tmp_path):
    """SQLite writes a log beside each name, and whoever opens the other one misses what is in it."""
    (tmp_path / "study.db").touch()
    os.link(tmp_path / "study.db", tmp_path / "other.db")
    for name in ("study.db", "other.db"):
        with pytest.raises(InputError, match=r"one of 2 names \(hard links\)"):
            DriverLock(make_url(f"sqlite:///{tmp_path / name}"), "tiny")
    Path(tmp_path / "other.db").unlink()
    with DriverLock(make_url(f"sqlite:///{tmp_path / 'study.db'}"), "tiny"):
        pass


def test_who_makes_the_tables_of_a_database_is_not_waited_for_without_end(url, monkeypatch):
    """It may have been stopped, or its machine be gone."""
    monkeypatch.setattr(lock_module, "PATIENCE_S", 0.2)
    with creating_tables(url):
        with pytest.raises(InputError) as caught:
            creating_tables(url).__enter__()
        message, hint = str(caught.value).splitlines()
        me = f"process {os.getpid()} on {os.uname().nodename}"
        assert message.endswith(f": error: {me} makes its tables, and was waited for 0.2 s")
        assert hint == "hint: wait for it, or end it"
    with creating_tables(url):  # it was given back
        pass


def test_the_locks_of_a_machine_that_is_gone_are_dropped_by_the_server(postgresql):
    """Of its own accord, and so of each connection that holds one."""
    url = make_url(postgresql)
    query = sa.text("SELECT reset_val FROM pg_settings WHERE name = 'tcp_keepalives_idle'")
    engine = lock_module._connecting(url)
    with DriverLock(url, "tiny") as lock, engine.connect() as connection:
        assert lock._lock.connection.scalar(query) == "60"
        assert connection.scalar(query) == "60"
