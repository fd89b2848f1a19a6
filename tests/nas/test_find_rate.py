"""`nas.train --find-rate`: what it says and writes, and that it trains nothing further."""

from __future__ import annotations

import csv
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from nas.train import app
from tests.nas.commands import run
from tests.nas.long_trainings import NETWORK, arguments
from trials.rate_range import RateRange

FILES = ["rates.csv", "rates.svg"]
NOTHING = "--find-rate: error: of rates from 1e-06 to 10 in 3 steps none lowers the loss of "


@pytest.fixture
def _test_split_is_not_read(monkeypatch):
    monkeypatch.setattr("nas.api.train_network.load_test", lambda *_: 1 / 0)


@pytest.fixture
def _few_steps(monkeypatch):
    """Too few for a suggestion; all else is as with many."""
    monkeypatch.setattr("trials.rate_range.STEPS", 3)


@pytest.fixture
def digits():
    """A command that trains on the digits into the folder ``out``."""
    return arguments(Path("out").absolute(), 1)


def find(*more: object, status: int = 0):
    return run(app, *more, "--find-rate", status=status)


def written() -> list[str]:
    """What is in the folder, but for the lock that every training has had there."""
    return sorted(file.name for file in Path("out").iterdir() if file.name != ".training.lock")


def test_it_says_two_rates_that_a_training_in_the_same_folder_takes(digits):
    said = find(*digits).stdout.splitlines()
    assert written() == FILES
    rows = list(csv.DictReader(Path("out/rates.csv").read_text().splitlines()))
    losses, rates = (
        [float(row[key]) for row in rows] for key in ("smoothed_loss", "learning_rate")
    )
    assert [row["step"] for row in rows] == [str(step) for step in range(1, len(rows) + 1)]
    assert said[0].startswith(
        f"Network {NETWORK.key}, learning rates from 1e-06 to {rates[-1]:.2g} in {len(rows)} steps"
    )
    steepest = re.fullmatch(r"(--set) (\S+)  where the smoothed loss falls fastest", said[1])
    lowest = rates[losses.index(min(losses[40:]))]
    assert said[2] == (
        f"--set training.learning_rate={lowest / 10:.2g}  a tenth of the rate where it is lowest"
    )
    assert ET.parse("out/rates.svg").getroot().tag.endswith("svg")
    before = {name: Path("out", name).read_bytes() for name in FILES}
    run(app, *digits, *steepest.groups())
    card = Path("out/README.md").read_text()
    assert f"learning rate {steepest[2].partition('=')[2]} in one cycle" in card
    assert {name: Path("out", name).read_bytes() for name in FILES} == before


@pytest.mark.usefixtures("_few_steps", "_test_split_is_not_read")
def test_the_same_command_finds_the_same_and_goes_on_from_no_checkpoint(digits):
    first = find(*digits, status=2).stderr
    rates = Path("out/rates.csv").read_bytes()
    assert find(*digits, status=2).stderr == first
    assert Path("out/rates.csv").read_bytes() == rates
    assert written() == FILES


@pytest.mark.usefixtures("_few_steps", "_test_split_is_not_read")
def test_of_a_preset_on_pictures_that_are_decoded_at_each_step():
    for split in ("train", "test"):
        for label in ("cat", "dog"):
            folder = Path("pictures", split, label)
            folder.mkdir(parents=True)
            for number in range(12):
                colour = (200 * (label == "cat"), 10 * number, 99)
                Image.new("RGB", (40 + number, 30), colour).save(folder / f"{number}.png")
    result = find(
        *("--preset", "mobilenet:image_size=32,alpha=.25", "--data", "images:pictures"),
        *("--set", "training.batch_size=8", "--set", "data.memory=1", "--output", "out"),
        status=2,
    )
    assert NOTHING in result.stderr
    assert "of mobilenet:image_size=32,alpha=.25 by more than" in result.stderr
    assert written() == FILES


@pytest.mark.usefixtures("_few_steps", "_test_split_is_not_read")
def test_of_a_trial_of_a_study(study):
    said = find("--study", study, "--trial", 1, "--output", "out", status=2).stderr
    assert f"{NOTHING}trial 1 of small by more than batches differ" in said
    assert written() == FILES


@pytest.mark.usefixtures("_test_split_is_not_read")
def test_of_a_reference(monkeypatch):
    """It is what is tried; how is shown above, on networks that are built at once."""
    tried = []

    def range_test_of(job, _counted):
        tried.append((job.architecture.name, len(job.data.train)))
        return RateRange((1e-6, 3e-3, 10.0), (1.0, 1.0, 1.0))

    monkeypatch.setattr("nas.api.find_rate.range_test_of", range_test_of)
    data = ("--data", "synthetic", "--set", "data.limit=12", "--set", "data.classes=3")
    command = ("--reference", "inception_v3:image_size=75", *data, "--output", "out")
    said = find(*command, "--set", "training.batch_size=4", status=2).stderr
    assert f"{NOTHING}inception_v3:image_size=75 by more than" in said
    assert tried == [("inception_v3:classes=3,image_size=75", 12 - 3)]
    assert written() == FILES


def test_a_folder_with_another_networks_export_is_refused(digits):
    run(app, *digits)
    before = written()
    Path("network.json").write_text(replace(NETWORK, norm_epsilon=1e-3).to_json())
    assert "out has network " in find(*digits, status=2).stderr
    assert written() == before
