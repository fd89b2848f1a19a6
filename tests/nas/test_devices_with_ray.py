"""`nas.train --devices 2` in real processes, of which one is killed, and which go on."""

from __future__ import annotations

import time
from dataclasses import replace

import psutil
import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from nas.engine.leftovers import Started
from nas.engine.long_training import LongTraining, train_long, write_curve
from tests.nas.long_trainings import NETWORK, arguments, finish, start
from tests.trials.processes import together
from trials.checkpoint import Checkpoints, OtherCheckpoints
from trials.data import DataConfig, load
from trials.recipe import RECIPES
from trials.resumable import Watch
from trials.share import Share

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1200)]

EPOCHS = 3
WITHIN_S = 300


def trained_part(folder):
    """The training of the command, in one of several processes that no Ray has started."""
    share = Share(dist.get_rank(), dist.get_world_size())
    config, recipe = DataConfig("digits"), replace(RECIPES["final"], epochs=EPOCHS, batch_size=32)
    device = torch.device("cpu")
    job = LongTraining(NETWORK, recipe, 0, load(config), config, device, devices=share.count)
    kind = Checkpoints if share.rank == 0 else OtherCheckpoints
    found = train_long(job, kind(folder, pytest.fail), 1e9, Watch(), share)
    if share.rank == 0:
        write_curve(found.curve, "accuracy", folder)
    return found.network.state_dict()


def values(tensors):
    return sorted(tensor.flatten().tolist() for tensor in tensors.values())


def ray_of(process):
    """All that the process of a command has started, and what that has started."""
    children = psutil.Process(process.pid).children(recursive=True)
    return {child: Started.of(child.pid) for child in children}


def run_until(text, command, said):
    process = start(command, said)
    while not (said.exists() and text in said.read_text()):
        assert process.exitcode is None, said.read_text()
        time.sleep(0.01)
    return process, ray_of(process)


def lines_after(process, started, said, status):
    """What it has said, once it and all that it has started have ended."""
    process.join(WITHIN_S)
    assert process.exitcode == status, said.read_text()
    deadline = time.monotonic() + 30  # what was killed takes a moment to die
    while left := [child for child, noted in started.items() if noted.runs]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
    return said.read_text().splitlines()


def test_killed_it_gives_the_same_bits_and_leaves_nothing(tmp_path):
    said, output = tmp_path / "said", tmp_path / "out"
    command = [*arguments(output, EPOCHS), "--devices", "2"]

    process, started = run_until("epoch 2/3", command, said)
    next(child for child in started if "RayTrainWorker" in " ".join(child.cmdline())).kill()
    *_, error, hint, resume = lines_after(process, started, said, status=1)
    assert error.startswith("error: the training on device ")
    assert "died" in error
    assert hint == "hint: resume with:"
    assert resume.startswith("python -m nas.train --architecture ")

    assert finish(command, said, within_s=WITHIN_S) == 0, said.read_text()
    assert "Traceback" not in said.read_text()
    assert "raylet" not in said.read_text()
    assert (
        "| trained on | a CPU, by 2 processes of one thread |" in (output / "README.md").read_text()
    )
    whole, _ = together(2, trained_part, tmp_path / "whole")
    assert values(load_file(output / "weights.safetensors")) == values(whole)
    assert (output / "curve.csv").read_text() == (tmp_path / "whole" / "curve.csv").read_text()
