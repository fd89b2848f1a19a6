"""A long training that is killed, asked to end or out of room goes on, and nothing is lost of it."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest
from safetensors.torch import load_file

from tests.nas.long_trainings import arguments, finish, of_pictures, start

EPOCHS = 4


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What a training gives that nothing interrupts, and the seconds that it took."""
    return trained(tmp_path_factory.mktemp("whole"), arguments)


def trained(folder, command_of):
    """Weights, curve and seconds; of the second process, for the first one waits for PyTorch."""
    for name in ("first", "second"):
        output = folder / name / "out"
        output.parent.mkdir()
        began = time.monotonic()
        said = output.parent / "said"
        assert finish(command_of(output, EPOCHS), said) == 0, said.read_text()
    return *results(output), time.monotonic() - began


def results(output):
    return (output / "weights.safetensors").read_bytes(), (output / "curve.csv").read_text()


@pytest.mark.parametrize(("command_of", "wanted"), [(arguments, 20), (of_pictures, 5)])
def test_killed_at_random_moments_it_gives_the_same_weights(whole, tmp_path, command_of, wanted):
    """From images in memory, and from pictures that are decoded at each step."""
    expected = whole if command_of is arguments else trained(tmp_path, command_of)
    weights, curve, seconds = expected
    rng = random.Random(0)
    kills = trainings = 0
    while kills < wanted:
        trainings += 1
        output, said = tmp_path / f"{trainings}" / "out", tmp_path / f"said {trainings}"
        output.parent.mkdir()
        command = command_of(output, EPOCHS)
        while True:
            process = start(command, said)
            process.join(rng.uniform(0, seconds / 2) if kills < wanted else 120)
            if process.exitcode is not None:
                assert process.exitcode == 0, said.read_text()
                break
            process.kill()
            process.join()
            kills += 1
        assert results(output) == (weights, curve)


@pytest.mark.parametrize(
    ("place", "passes"),
    [
        ("checkpoint.begin", (1, 2, 5)),
        ("file.begun", (1, 6)),
        ("file.replace", (1, 7)),
        ("file.replaced", (3,)),
        ("checkpoint.written", (4,)),
    ],
)
def test_killed_inside_each_write_it_gives_the_same_weights(whole, tmp_path, place, passes):
    output, said = tmp_path / "out", tmp_path / "said"
    command = arguments(output, EPOCHS)
    for number in passes:
        assert finish(command, said, f"{place}:kill@{number}") == -signal.SIGKILL
    assert finish(command, said) == 0, said.read_text()
    assert results(output) == whole[:2]
    assert not list(output.rglob("*.partial"))
    left = sorted(file.name for file in (output / "checkpoints").iterdir())
    assert len(left) == 2
    assert all(name.endswith(".safetensors") for name in left)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_asked_to_end_it_says_how_to_go_on(whole, tmp_path, number, status):
    output, said = tmp_path / "out", tmp_path / "said"
    command = arguments(output, EPOCHS)
    process = start(command, said)
    while not (said.exists() and "epoch 2/" in said.read_text()):
        assert process.exitcode is None, said.read_text()
        time.sleep(0.002)
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode == status
    resume = said.read_text().splitlines()[-2:]
    assert resume[0] == "resume with:"
    assert resume[1].startswith("python -m nas.train --architecture ")
    assert not (output / "weights.safetensors").exists()
    assert finish(command, said) == 0
    assert "going on after" in said.read_text()
    assert results(output) == whole[:2]


@pytest.mark.parametrize("place", ["checkpoint.begin:ENOSPC@4", "file.begun:ENOSPC@6"])
def test_a_full_disk_ends_it_with_a_line_and_the_checkpoints_stay(whole, tmp_path, place):
    output, said = tmp_path / "out", tmp_path / "said"
    command = arguments(output, EPOCHS)
    assert finish(command, said, place) == 1
    lines = [line for line in said.read_text().splitlines() if not line.startswith("epoch")]
    assert "No space left on device" in lines[0]
    assert "Traceback" not in said.read_text()
    assert len(list((output / "checkpoints").iterdir())) in (1, 2)
    assert finish(command, said) == 0
    assert results(output) == whole[:2]


def test_a_damaged_last_checkpoint_is_named_and_the_one_before_used(whole, tmp_path):
    output, said = tmp_path / "out", tmp_path / "said"
    command = arguments(output, EPOCHS)
    assert finish(command, said, "checkpoint.begin:kill@5") == -signal.SIGKILL
    first, last = sorted((output / "checkpoints").iterdir())
    last.write_bytes(last.read_bytes()[:1000])
    assert finish(command, said) == 0
    assert f"{last} is damaged: its SHA-256 begins with" in said.read_text()
    assert f"going on from {first.name}, the one before" in said.read_text()
    assert results(output) == whole[:2]
    for file in (output / "checkpoints").iterdir():
        file.write_bytes(b"")
    assert finish(command, said) == 2
    assert said.read_text().splitlines()[-2].endswith("checkpoints is whole")


def test_what_was_trained_is_there(whole, tmp_path):
    """The weights are the average's, which the last line of the curve was evaluated with."""
    assert len(load_file_of(whole[0], tmp_path)) > 10
    assert whole[1].splitlines()[0] == "epoch,train_loss,validation_loss,accuracy"
    assert len(whole[1].splitlines()) == EPOCHS + 1


def load_file_of(content, folder):
    file = folder / "weights.safetensors"
    file.write_bytes(content)
    return load_file(file)
