"""`nas.train --devices`: what it refuses, and that nothing of it is there without it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nas.engine.training_post import Post
from nas.train import app
from tests.nas.commands import run
from tests.nas.long_trainings import arguments
from tests.nas.test_imports import loaded
from trials.resumable import Watch
from trials.train import Epoch


@pytest.fixture
def digits():
    """A command that trains on the digits into the folder ``out``."""
    return arguments(Path("out").absolute(), 2)


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch):
    monkeypatch.setattr("nas.engine.device_training.cores", lambda: 2)


def refused(*command):
    said = run(app, *command, status=2).stderr.splitlines()
    assert not Path("out").exists()
    return said


def test_more_devices_than_there_are_are_refused(digits):
    assert refused(*digits, "--devices", 3) == [
        "--devices: error: each process has a device of its own, and there are 2 cores; got 3",
        "hint: at most 2",
    ]


def test_more_gpus_than_there_are_are_refused(digits, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert refused(*digits, "--devices", 2) == [
        "--devices: error: each process has a device of its own, and there are 1 GPUs; got 2",
        "hint: at most 1; CUDA_VISIBLE_DEVICES= trains on cores",
    ]


@pytest.mark.parametrize(("devices", "batch", "hint"), [(2, 33, "32 or 34"), (4, 3, "4")])
def test_a_batch_has_as_many_images_for_each_device(digits, monkeypatch, devices, batch, hint):
    monkeypatch.setattr("nas.engine.device_training.cores", lambda: devices)
    more = ("--devices", devices, "--set", f"training.batch_size={batch}")
    rule = f"each of {devices} devices has as many images of a batch; got {batch}"
    assert refused(*digits, *more) == [
        f"training.batch_size: error: {rule}",
        f"hint: such as {hint}",
    ]


def test_a_training_on_one_device_does_not_go_on_on_two(digits):
    """Its sums were in another order: what comes out would be of neither."""
    run(app, *digits, "--devices", 1)
    said = run(app, *digits, "--devices", 2, status=2).stderr
    assert "of another training: devices was none and is 2" in said


def test_without_devices_nothing_of_ray_is_loaded():
    assert "ray" not in loaded("import nas.train")


def test_all_that_the_first_process_tells_is_passed_on_once_and_in_order(tmp_path):
    post, heard = Post(tmp_path), []
    told_to = Watch(
        after_step=lambda *of: heard.append(of), after_epoch=lambda of: heard.append(of)
    )
    post.pass_on(told_to)
    assert heard == []
    tells, curve = post.watch(post.asked_to_stop), [Epoch(1.5, float("nan"), 0.25)]
    tells.after_epoch([])
    tells.after_step(0, 1)
    post.pass_on(told_to)
    tells.after_epoch(curve)
    with (tmp_path / "told").open("a") as file:
        file.write('{"epoch": 1')
        file.flush()
        post.pass_on(told_to)
        file.write(', "done": 7}\n')
    post.pass_on(told_to)
    assert str(heard) == str([[], (0, 1), curve, (1, 7)])
    assert not tells.asked_to_stop()
    post.ask_to_stop()
    assert tells.asked_to_stop()
