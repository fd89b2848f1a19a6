"""A search in which nothing happens ends; one in which something does goes on for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.engine.ray_failures import RayFailed
from nas.engine.stall import StallWatch
from tests.nas.commands import run
from tests.nas.searching import SMOKE
from trials.heartbeat import Heartbeat


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """A search, and what its driver sees of it."""

    def __init__(self, folder: Path, is_shared: bool = True) -> None:
        self.clock = Clock()
        self.watch = StallWatch(60, folder, is_shared, self.clock)

    def for_seconds(self, seconds: int, running: set[int]) -> None:
        for _ in range(4 * seconds):
            self.clock.now += 0.25
            self.watch.check(running)


def test_it_ends_where_nothing_changes_and_says_what_each_trial_did(tmp_path):
    watched = Watched(tmp_path)
    Heartbeat(tmp_path).begin(3)
    (tmp_path / "3.alive").write_text("training, batch 7, by process 5 on h\x1b[2J")
    watched.for_seconds(50, {3, 4})
    with pytest.raises(RayFailed) as error:
        watched.for_seconds(30, {3, 4})
    assert str(error.value).splitlines() == [
        "nothing has happened for 1 min (--stall):",
        r"  trial 3: training, batch 7, by process 5 on h\x1b[2J",
        "  trial 4: no worker has begun it",
    ]


def test_another_trial_or_another_batch_is_something(tmp_path):
    watched, heart = Watched(tmp_path), Heartbeat(tmp_path, lambda: next(ticks))
    ticks = iter(range(0, 10_000, 2))
    heart.begin(1)
    for _ in range(5):
        watched.for_seconds(50, {1})
        heart.beat("training")
    for trial in range(2, 7):
        watched.for_seconds(50, {trial})


def test_a_process_that_was_stopped_for_long_has_not_waited(tmp_path):
    """As after Ctrl-Z and fg, or a laptop that was closed."""
    watched = Watched(tmp_path)
    watched.for_seconds(30, {1})
    watched.clock.now += 3600
    watched.for_seconds(10, {1})
    with pytest.raises(RayFailed):
        watched.for_seconds(30, {1})


def test_nothing_is_known_of_trials_on_machines_that_share_no_folder(tmp_path):
    watched = Watched(tmp_path, is_shared=False)
    watched.for_seconds(300, {1})
    Heartbeat(tmp_path).begin(1)
    watched.for_seconds(50, {1, 2})
    watched.for_seconds(300, {1, 2})  # of the second nothing is known
    with pytest.raises(RayFailed, match="begun, by process"):
        watched.for_seconds(100, {1})


def test_where_no_trial_runs_it_says_so(tmp_path):
    with pytest.raises(RayFailed, match="no trial was running"):
        Watched(tmp_path).for_seconds(100, set())


def test_an_option_that_is_no_duration_is_refused():
    from nas.search import app

    result = run(app, "--space", SMOKE, "--stall", "soon", status=2)
    assert "--stall: error: expected a duration such as 90s, 10m or 2h; got 'soon'" in result.stderr
