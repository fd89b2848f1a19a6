"""A process of Ray dies, or a worker does no more: the search ends, and the next one goes on."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil
import pytest

from tests.nas.searching import Search, count, searching, states, url_of

pytestmark = pytest.mark.ray

LONG = ("--trials", "2", "--epochs", "150", "--quiet")
"""Trials that last until something happens."""


def process_of(search: Search, part: str) -> psutil.Process:
    """The process of Ray that has this in its command."""
    for process in search.look():
        with contextlib.suppress(psutil.NoSuchProcess):
            if part in " ".join(process.cmdline()[:2]):
                return process
    raise AssertionError(part)


def check_released(search: Search) -> None:
    """What every such end has to leave: nothing running, and how to go on."""
    assert count(url_of(), "running") == 0, search.err
    assert "resume with:\npython -m nas.search --space" in search.err
    assert "Traceback" not in search.err
    assert search.left_behind() == []


def kill_while_trials_run(part: str) -> None:
    """The search ends by itself when this process of Ray is killed."""
    with searching(*LONG) as search:
        search.until(lambda: len(search.workers()) == 2)
        process_of(search, part).kill()
        assert search.wait(timeout_s=120) == 1
        check_released(search)


@pytest.mark.parametrize("part", ["gcs/gcs_server", "ray::RuntimeEnvAgent", "ray::DashboardAgent"])
def test_a_process_of_ray_that_is_killed_ends_the_search(part):
    kill_while_trials_run(part)


def test_a_search_whose_node_was_killed_goes_on():
    kill_while_trials_run("raylet/raylet")
    with searching(*LONG) as again:
        assert again.wait() == 0, again.err
    assert states(url_of()) == {"COMPLETE": 2}


def test_a_worker_that_does_no_more_ends_the_search_and_says_what_it_did():
    longer = ("--trials", "2", "--epochs", "2000", "--quiet")
    with searching(*longer, "--stall", "1m") as search:
        search.until(lambda: len(list(Path().glob("runs/*/outbox/*/*.alive"))) == 2)
        search.until(lambda: len(search.workers()) == 2)
        for worker in search.workers():
            worker.suspend()
        assert search.wait() == 1
        assert "error: nothing has happened for 1 min (--stall):" in search.err
        assert search.err.count(", by process ") == 2
        check_released(search)


def test_a_killed_search_releases_its_trials_and_ends_its_workers():
    with searching(*LONG) as search:
        search.until(lambda: len(search.workers()) == 2)
        search.look()
        search.process.kill()
        assert search.wait(timeout_s=30) == -9
        assert "the search has been ended: 2 trials that ran are released" in search.err
        check_released(search)
