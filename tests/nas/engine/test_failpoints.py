"""An ordinary search passes all failpoints; a disk or a database that fails at one ends it in words."""

from __future__ import annotations

import sqlite3
from collections import Counter
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from nas.engine.ray_worker import Job, TrialActor
from tests.nas.planting import SEARCH, Planted, search
from trials import failpoint
from trials.failpoint import NAMES
from trials.heartbeat import Heartbeat


class Passed(Counter):
    """Counts, in place of a fault."""

    def pass_by(self, name: str) -> None:
        self[name] += 1


class ByWorkers(Planted):
    """What a worker does for a trial is done here, without Ray."""

    def run(self, driver, data, test=None, keep_weights=True, judges=False):
        while (spec := driver.next()) is not None:
            measurements = self.measurements(driver, spec, test)
            worker = TrialActor.__new__(TrialActor)
            worker.job = Job(
                "",
                frozenset(),
                driver.outbox.folder,
                None,
                1,
                0,
                run=lambda *_, m=measurements, **__: m,
            )
            images = SimpleNamespace(of_fold=lambda _fold: None)
            worker.config, worker.data = {"spec": spec}, images
            worker.heart = Heartbeat(driver.outbox.folder)
            worker.step()
            driver.record(spec.trial, measurements)


def test_an_ordinary_search_passes_all_of_them(monkeypatch):
    passed = Passed()
    monkeypatch.setattr(failpoint, "_fault", passed)
    result = search(monkeypatch, ByWorkers(), text=SEARCH, results=True)
    assert result.exit_code == 0, result.stderr
    of_long_trainings = {name for name in NAMES if name.startswith("checkpoint.")}
    assert set(passed) == NAMES.keys() - of_long_trainings
    assert passed["outbox.put"] == passed["outbox.discard"] == passed["trial.handed_out"] > 10


def test_a_result_that_has_no_place_in_the_outbox_still_reaches_the_driver(monkeypatch):
    text = SEARCH.replace("{seeds: 6}", "none")
    monkeypatch.setattr(failpoint, "_fault", failpoint._fault_of("outbox.put:ENOSPC"))
    result = search(monkeypatch, ByWorkers(), text=text)
    assert result.exit_code == 0, result.stderr


def says(result, line: str) -> bool:
    """Whether a search ended with a line, and how to go on."""
    said, heading, command = result.stderr.splitlines()
    resumes = heading == "resume with:" and command.startswith("python -m nas.search ")
    return said == line and resumes and result.exit_code == 1


@pytest.mark.parametrize(
    "place",
    [
        *("search.begin", "lock.taken", "tables.make"),
        *("database.commit", "outbox.discard", "results.begin"),
    ],
)
def test_a_search_whose_disk_fails_says_so_and_how_to_go_on(monkeypatch, place):
    text = SEARCH.replace("{seeds: 6}", "none")
    with monkeypatch.context() as failing:
        failing.setattr(failpoint, "_fault", failpoint._fault_of(f"{place}:EIO"))
        result = search(failing, Planted(), text=text)
    assert says(result, f"error: failpoint {place}: Input/output error"), result.stderr
    result = search(monkeypatch, Planted(), text=text)
    assert result.exit_code == 0, result.stderr


NOWHERE = (
    "postgresql://me:secret@127.0.0.1:1/none",
    "postgresql://127.0.0.1:1/none?user=me&password=secret",
)


class Locked(Planted):
    """A statement of the driver's cannot be run."""

    def measurements(self, driver, spec, test):
        raise sa.exc.OperationalError("", {}, sqlite3.OperationalError("database is locked"))


def test_a_search_whose_database_is_locked_for_too_long_says_so_and_how_to_go_on(monkeypatch):
    result = search(monkeypatch, Locked(), text=SEARCH)
    assert says(result, "error: the database cannot be used: database is locked"), result.stderr


@pytest.mark.parametrize("nowhere", NOWHERE)
def test_a_search_whose_database_is_not_there_says_so_and_how_to_go_on(monkeypatch, nowhere):
    monkeypatch.setattr("sys.argv", ["search", "--storage", nowhere])
    result = search(monkeypatch, Planted(), "--storage", nowhere, text=SEARCH)
    assert result.exit_code == 1
    said, *_, command = result.stderr.splitlines()
    assert said.startswith("error: the database cannot be used: connection ")
    assert command.startswith("python -m nas.search --storage ")
    assert "secret" not in result.output
