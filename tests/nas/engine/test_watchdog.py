"""A driver that ends without a word: the process beside it releases its trials and says how to go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from sqlalchemy.engine import URL, make_url

from tests.conftest import ROOT
from tests.nas.driving import open_driver, states

DRIVER = """
import os, sys, time
from sqlalchemy.engine import make_url
from nas.engine.watchdog import Watchdog, Watched
from nas.study.storage import quiet_optuna
from tests.nas.driving import open_driver

quiet_optuna()
url, end = sys.argv[1:]
driver = open_driver(make_url(url))
fence = driver.trials.fence
driver.next(), driver.next()
watched = Watched(os.getpid(), url, "tiny", fence.study, fence.token, "resume with:\\nthis", 4)
with Watchdog(watched) as watchdog:
    watchdog.beat()
    print("begun", flush=True)
    sys.stdin.readline()
    exec(end)
    driver.requeue_running()
    watchdog.released()
"""


@contextmanager
def driver(url: URL, end: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A driver with two running trials, which waits for a line before it ends."""
    with subprocess.Popen(
        [sys.executable, *options, "-c", DRIVER, url.render_as_string(hide_password=False), end],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        try:
            yield process
        finally:
            process.kill()


def watchdog_of(process: subprocess.Popen[str]) -> psutil.Process:
    (watchdog,) = psutil.Process(process.pid).children()
    return watchdog


@pytest.mark.parametrize("end", ["os._exit(1)", "os.kill(os.getpid(), 9)"])
def test_what_ran_is_released_and_how_to_go_on_is_said(url, end):
    with driver(url, end) as process:
        assert states(url) == {"RUNNING": 2}
        _, shown = process.communicate("\n")  # until the watchdog has ended, too
    assert shown == (
        "the search has been ended: 2 trials that ran are released\nresume with:\nthis\n"
    )
    assert states(url) == {"WAITING": 2}
    again = open_driver(url)
    assert [again.next().trial, again.next().trial] == [0, 1]
    again.close()


def test_a_search_that_ends_by_itself_hears_nothing(url):
    with driver(url, "pass") as process:
        watchdog = watchdog_of(process)
        _, shown = process.communicate("\n")
    assert (process.returncode, shown) == (0, "")
    assert not watchdog.is_running()


def test_nothing_is_released_of_a_driver_that_comes_first(url):
    with driver(url, "os._exit(1)") as process:
        second = open_driver(url)
        trial = second.next().trial
        _, shown = process.communicate("\n")
    assert "its trials are released by the next one (DriverReplaced)" in shown
    assert states(url)["RUNNING"] == 2
    second.requeue_running()
    assert trial == 0
    assert states(url) == {"WAITING": 2}
    second.close()


def test_a_driver_that_hangs_is_ended(url):
    with driver(url, "time.sleep(600)") as process:
        _, shown = process.communicate("\n", timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert shown.startswith("the search has not looked at its trials for 4 s\nthe search has been")
    assert states(url) == {"WAITING": 2}


def test_a_driver_that_rests_or_was_stopped_does_not_hang(url):
    with driver(url, "watchdog.rest(); time.sleep(6)") as process:
        process.send_signal(signal.SIGSTOP)  # Ctrl-Z
        time.sleep(4)
        process.send_signal(signal.SIGCONT)
        process.communicate("\n")
    assert process.returncode == 0


def test_a_driver_that_goes_on_after_it_was_stopped_has_all_its_time(url):
    """It may take more than a moment until it looks at its trials again."""
    with driver(url, "time.sleep(1.5)") as process:
        process.send_signal(signal.SIGSTOP)
        time.sleep(6)
        process.send_signal(signal.SIGCONT)
        process.communicate("\n")
    assert process.returncode == 0


def test_a_driver_that_could_not_release_its_trials_is_heard_of_when_its_process_ends(url):
    cannot = "driver.requeue_running = lambda: 1 / 0"
    with driver(url, cannot) as process:
        _, shown = process.communicate("\n")
    assert "ZeroDivisionError" in shown
    assert shown.endswith(
        "the search has been ended: 2 trials that ran are released\nresume with:\nthis\n"
    )
    assert states(url) == {"WAITING": 2}


def test_a_process_that_the_driver_has_forked_does_not_hide_its_end(url):
    end = "os.fork() or (time.sleep(60), os._exit(0)); os.kill(os.getpid(), 9)"
    with driver(url, end) as process:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        process.wait()
        deadline = time.monotonic() + 45
        while states(url) != {"WAITING": 2} and time.monotonic() < deadline:
            time.sleep(0.1)
    assert states(url) == {"WAITING": 2}


def test_nothing_of_the_current_folder_is_executed(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "json.py").write_text("open('executed', 'w')")
    with driver(url, "pass", "-P") as process:
        process.communicate("\n")
    assert process.returncode == 0
    assert not (tmp_path / "executed").exists()


def test_ctrl_c_is_not_for_the_watchdog(url):
    with driver(url, "pass") as process:
        assert os.getpgid(watchdog_of(process).pid) != os.getpgid(process.pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_search_goes_on_without_its_watchdog(url, number):
    with driver(url, "[watchdog.beat() or time.sleep(1.1) for _ in range(3)]") as process:
        watchdog = watchdog_of(process)
        watchdog.send_signal(number)
        process.communicate("\n")
    assert process.returncode == 0
    assert not watchdog.is_running()


def test_a_database_that_is_gone_is_left_to_the_next_driver(tmp_path):
    url = make_url(f"sqlite:///{tmp_path / 'study.db'}")
    with driver(url, "os.rename('study.db', 'elsewhere.db'); os._exit(1)") as process:
        _, shown = process.communicate("\n")
    assert "its trials are released by the next one (NoSuchStudy)" in shown
    assert shown.endswith("resume with:\nthis\n")
