"""The search command on a study that is there already, on a locked one, and where all fails."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from nas.engine.lock import DriverLock
from nas.engine.setbacks import FAILURES
from nas.study.records import read_records
from tests.conftest import ROOT
from tests.nas.driving import FAILED, measured
from tests.nas.planting import MATCHED, SEARCH, URL, Planted, search
from tests.trials.data_sets import encoded, numbered, pixels, write
from trials.store import Store

SHORT = SEARCH.replace("trials: 10", "trials: 3").replace("{seeds: 6}", "none")


def test_a_finished_search_started_again_trains_nothing(monkeypatch):
    assert search(monkeypatch, Planted(), text=SHORT).exit_code == 0
    before = Store(URL).all()
    again = Planted()
    assert search(monkeypatch, again, text=SHORT).exit_code == 0
    assert again.trainings == []
    assert Store(URL).all() == before


def test_a_changed_space_is_refused_with_what_changed(monkeypatch):
    search(monkeypatch, Planted(), text=SHORT)
    changed = Planted()
    result = search(monkeypatch, changed, "--set", "search.segments=[1, C]", text=SHORT)
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "error: this study was begun with other settings:",
        "search.segments: was [1, 2, C/4, C], is now [1, C]",
        "hint: give the study another name with --study, or undo the change",
    ]
    assert changed.trainings == []


def test_a_folder_with_another_studys_results_is_left_alone(monkeypatch):
    search(monkeypatch, Planted(), text=SHORT)
    files = [file for file in Path("runs/planted").rglob("*") if file.is_file()]
    before = {file: file.read_bytes() for file in files}
    other = ("--study", "other", "--output", "runs/planted")
    result = search(monkeypatch, Planted(), *other, text=SHORT)
    assert result.exit_code == 2
    assert "--output: error: runs/planted holds study planted, not other" in result.stderr
    assert {file: file.read_bytes() for file in files} == before


def test_a_confirmation_without_a_test_split_is_refused_before_the_first_trial(monkeypatch):
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            write(*numbered(f"data/{split}/{name}", 40), content=encoded(pixels(8, 8)))
    planted = Planted()
    text = SEARCH.replace("{source: synthetic, limit: 100, shape: [3, 8, 8], classes: 4}",
                          "{source: images:data}")  # fmt: skip
    assert text != SEARCH
    result = search(monkeypatch, planted, text=text)
    assert result.exit_code == 2, result.output
    assert "data.source: data has no test split; it has train and validation" in result.stderr
    assert "hint: a confirmation reads it: add a test split, or leave confirm out" in result.stderr
    assert planted.trainings == []


class Failing(Planted):
    """Every training ends with a loss that is not a number."""

    def measurements(self, driver, spec, test):
        return measured(driver, spec, **FAILED)


def test_a_search_in_which_every_trial_fails_ends_and_says_why(monkeypatch):
    failing = Failing()
    result = search(monkeypatch, failing, text=SHORT, results=True)
    assert result.exit_code == 1
    assert f"error: {FAILURES} trials in a row have failed, the last one: not finite: loss nan" in (
        result.stderr
    )
    assert len(failing.trainings) == FAILURES
    assert not Path("runs/planted/report.html").exists()  # there is nothing to report


def test_latencies_are_made_equal_where_the_search_runs(monkeypatch):
    """On a machine that needs 0.1 ms for each thousand parameters. The second time none is measured."""
    measured_ms = []

    def latency(network, _shape, _device):
        measured_ms.append(sum(p.numel() for p in network.parameters()) / 10_000)
        return type("Latency", (), {"median_ms": measured_ms[-1]})

    monkeypatch.setattr("nas.engine.screen_and_confirm.measure_latency", latency)
    text = MATCHED.replace("macs: 200K, tolerance: 6%", "latency_ms: 1, tolerance: 10%")
    text = text.replace("confirm:", "#").replace("[1, 2, C/8, C/4, C]", "[1, C]")
    assert search(monkeypatch, Planted(), text=text).exit_code == 0
    arms = read_records(URL, "planted").arms
    assert all(arm.latency_ms == pytest.approx(1, rel=0.1) for arm in arms)
    measured_ms.clear()
    assert search(monkeypatch, Planted(), text=text).exit_code == 0
    assert measured_ms == []
    assert read_records(URL, "planted").arms == arms
    with closing(sqlite3.connect("runs/planted/study.db")) as connection, connection:
        connection.execute("UPDATE trial_user_attributes SET value_json = '{' WHERE key = 'macs'")
    damaged = search(monkeypatch, Planted(), text=text)
    assert damaged.exit_code == 2
    assert "error: trial 0 of study planted cannot be read: not JSON" in damaged.stderr
    assert measured_ms == []


def test_a_password_given_as_an_option_is_in_no_result(monkeypatch, postgresql):
    """To a server that trusts everybody, and so takes any password."""
    secret = postgresql.replace("postgres:@", "") + "&user=postgres&pass%77ord=no hunter2"
    assert "hunter2" in secret
    monkeypatch.setattr(sys, "argv", ["search", "--storage", secret])
    result = search(monkeypatch, Planted(), "--storage", secret, text=SHORT, results=True)
    assert result.exit_code == 0, result.output
    assert "dashboard:\noptuna-dashboard 'postgresql+psycopg://" in result.stdout
    assert "hunter2" not in result.output
    files = [file for file in Path("runs").rglob("*") if file.is_file()]
    assert any(file.name == "environment.json" for file in files)
    for file in files:
        assert b"hunter2" not in file.read_bytes(), file


def test_a_password_in_an_option_that_a_later_one_replaces_is_in_no_result(monkeypatch):
    options = ("--storage", "postgresql://me:hunter2@db/x", "--storage", "sqlite:///x.db")
    monkeypatch.setattr(sys, "argv", ["search", *options])
    assert search(monkeypatch, Planted(), *options, text=SHORT).exit_code == 0
    environment = Path("runs/planted/environment.json").read_text()
    assert "hunter2" not in environment
    assert "'postgresql://me:***@db/x' --storage sqlite:///x.db" in environment


HOLD = """
import sys
from sqlalchemy.engine import make_url
from nas.engine.lock import DriverLock

with DriverLock(make_url(sys.argv[1]), "planted"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_driver_is_refused_with_the_owners_host_and_process(monkeypatch, url):
    address = url.render_as_string(hide_password=False)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, address],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert first.stdout.readline() == "held\n"
        second = search(monkeypatch, Planted(), "--storage", address, text=SHORT)
        assert second.exit_code == 2
        host = os.uname().nodename
        assert f"study planted is being searched by process {first.pid} on {host}" in second.stderr
        # Another study in the same database is free.
        other = ("--storage", address, "--study", "other")
        assert search(monkeypatch, Planted(), *other, text=SHORT).exit_code == 0
        first.send_signal(signal.SIGKILL)  # who is dead holds nothing
        first.wait()
        assert search(monkeypatch, Planted(), "--storage", address, text=SHORT).exit_code == 0
        with DriverLock(make_url(address), "planted"):
            pass  # it was given back
    finally:
        first.kill()
        first.communicate()
