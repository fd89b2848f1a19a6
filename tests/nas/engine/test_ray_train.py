"""Why a training on several devices has ended, out of what Ray Train says of its processes."""

from __future__ import annotations

import pytest
from ray.train import ControllerError, WorkerGroupError

from nas.engine.ray_failures import RayFailed
from nas.engine.ray_train import _cause
from trials.checkpoint import NotWritten
from trials.train import Diverged

LOST = RuntimeError("gloo/transport/tcp/pair.cc:547\nConnection closed by peer")
DIED = RuntimeError("The actor died unexpectedly.\nThere is advice of many lines.")


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
