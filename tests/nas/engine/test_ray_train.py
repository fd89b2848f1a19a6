"""What Ray Train is asked for, what ends a training that it does not end, and why one has ended."""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import ray
import torch
from ray.train import ControllerError, WorkerGroupError

from nas.engine import ray_train
from nas.engine.ray_failures import RayFailed
from nas.engine.ray_train import _cause
from nas.engine.training_post import Post
from trials.checkpoint import NotWritten
from trials.resumable import Watch
from trials.train import Diverged

LOST = RuntimeError("gloo/transport/tcp/pair.cc:547\nConnection closed by peer")
DIED = RuntimeError("The actor died unexpectedly.\nThere is advice of many lines.")
HANGS_S = 20.0
"""Seconds after which a training that nobody ends has ended, so that its test fails."""

JOB = SimpleNamespace(device=torch.device("cpu"), devices=2)


@pytest.fixture
def run_with(monkeypatch, tmp_path):
    """Runs a training that Ray Train's part is played in."""

    def run(fit, check=lambda: None, asked=lambda: False, trainer=None):
        ready, nodes = SimpleNamespace(fit=fit), SimpleNamespace(check=check)
        monkeypatch.setattr(ray_train, "_trainer", trainer or (lambda _work, _scratch: ready))
        monkeypatch.setattr(ray_train, "LiveNodes", lambda: nullcontext(nodes))
        ray_train.run(JOB, tmp_path, 60.0, Watch(asked))

    return run


def wait_until(true):
    until = time.monotonic() + HANGS_S
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def died():
    raise RayFailed("Ray has failed: its process gcs_server has died")


def test_a_process_that_dies_while_it_starts_is_not_started_again(monkeypatch, tmp_path):
    """By default Ray does so for ever."""
    monkeypatch.setattr(ray, "put", lambda work: work)
    trainer = ray_train._trainer(ray_train._Work(JOB, tmp_path, 60.0, tmp_path), tmp_path)
    failures = trainer.run_config.failure_config
    assert (failures.max_failures, failures.controller_failure_limit) == (0, 0)


def test_rays_own_death_ends_a_training_that_would_wait_for_ever(run_with):
    hangs = threading.Event()
    with pytest.raises(RayFailed, match="gcs_server has died"):
        run_with(lambda: hangs.wait(HANGS_S), died)
    hangs.set()


def test_all_processes_are_asked_to_stop_where_the_command_is(run_with):
    def trainer(work, _scratch):
        asked = Post(work.post).asked_to_stop
        return SimpleNamespace(fit=lambda: wait_until(asked))

    run_with(None, asked=lambda: True, trainer=trainer)


def test_rays_own_death_ends_one_that_is_asked_to_stop(run_with):
    hangs, asked = threading.Event(), threading.Event()

    def check():
        if asked.is_set():
            died()

    with pytest.raises(RayFailed, match="gcs_server has died"):
        run_with(lambda: hangs.wait(HANGS_S), check, lambda: asked.set() or True)
    hangs.set()


def test_images_that_ray_has_no_room_for_are_said_in_a_line(run_with):
    def full(_work, _scratch):
        raise ray.exceptions.OutOfDiskError("no room for the images")

    with pytest.raises(RayFailed, match="Ray has failed: "):
        run_with(None, trainer=full)


@pytest.mark.parametrize("error", [Diverged("loss nan"), NotWritten("the disk is full")])
def test_an_error_of_the_training_is_that_of_one_process(error):
    assert _cause(WorkerGroupError("", {0: LOST, 1: error})) is error


@pytest.mark.parametrize(
    ("failures", "line"),
    [
        ({0: LOST, 1: DIED}, "the training on device 1: The actor died unexpectedly."),
        ({1: LOST, 0: LOST}, "the training on device 0: Connection closed by peer"),
    ],
)
def test_the_process_that_died_is_named_before_those_that_lost_it(failures, line):
    cause = _cause(WorkerGroupError("", failures))
    assert isinstance(cause, RayFailed)
    assert str(cause) == line


def test_ray_itself_may_fail():
    assert str(_cause(ControllerError(ValueError("no node\nis alive")))) == (
        "Ray has failed: is alive"
    )
