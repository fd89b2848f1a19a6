"""`nas.train`: what it takes, what it writes, and what it refuses."""

from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from nas import export_network
from nas.engine.file_lock import OwnedLock
from nas.retrain import app as retrain_app
from nas.study.trained_network import load_trained
from nas.train import app
from tests.nas.commands import run
from tests.nas.exporting import SMALL, imported, with_statistics
from tests.nas.long_trainings import NETWORK, arguments
from trials.checkpoint import Checkpoints, OtherTraining
from trials.data import DataConfig, load, load_test
from trials.data.resident import ResidentSplit
from trials.train import evaluate

CPU = torch.device("cpu")


def train(*more: object, status: int = 0):
    return run(app, *more, status=status)


@pytest.fixture
def digits():
    """A command that trains on the digits into the folder ``out``."""
    return arguments(Path("out").absolute(), 2)


def test_a_training_writes_its_network_its_curve_and_its_card(digits, monkeypatch):
    read = []
    monkeypatch.setattr(
        "nas.api.train_network.load_test", lambda *of: read.append(of) or load_test(*of)
    )
    result = train(*digits)
    shown = re.fullmatch(
        r"Network (\w{16}), 2 epochs: accuracy (0\.\d{4}), (0\.\d{4}) on the test split, in .*out\n",
        result.stdout,
    )
    assert shown[1] == NETWORK.key
    rows = list(csv.DictReader(Path("out/curve.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert f"{float(rows[-1]['accuracy']):.4f}" == shown[2]
    assert ET.parse("out/curve.svg").getroot().tag.endswith("svg")
    card = Path("out/README.md").read_text()
    assert f"| accuracy on the validation split | {shown[2]} |" in card
    assert f"| accuracy on the test split | {shown[3]} |" in card
    assert "final recipe, 2 epochs, batches of 32" in card
    assert len(read) == 1
    # The same command again trains nothing, and reads the test split no second time.
    again = train(*digits)
    assert again.stdout == result.stdout
    assert "going on after 2 of 2 epochs" in again.stderr
    assert len(read) == 1


def test_the_test_score_is_that_of_the_exported_network(digits):
    stdout = train(*digits).stdout
    config = DataConfig("digits")
    data = load(config)
    network = imported(Path("out")).load()
    found = evaluate(network, ResidentSplit(load_test(config, data), data, CPU))
    assert f"{found.score:.4f} on the test split" in stdout


def test_a_trial_of_a_study_gives_its_weights_again(study, records):
    """With the study's recipe, images, seed and kernels: what the study's worker trained."""
    train("--study", study, "--trial", 1, "--output", "out")
    expected = load_trained(records, records.trials[1], study).state_dict().values()
    found = load_file("out/weights.safetensors").values()
    same = (
        sorted(t.flatten().tolist() for t in expected),
        sorted(t.flatten().tolist() for t in found),
    )
    assert same[0] == same[1]
    card = Path("out/README.md").read_text()
    assert card.startswith("# Trial 1 of small\n")
    assert "| accuracy of these weights on the test split | 0." in card
    assert "The test split was read once, when these weights were final." in card


@pytest.mark.parametrize("option", [("--recipe", "proxy"), ("--set", "training.recipe=proxy")])
def test_a_recipe_is_the_same_however_it_is_named(digits, option):
    train(*digits, *option)
    assert "| training | proxy recipe, 2 epochs" in Path("out/README.md").read_text()


def test_what_a_checkpoint_is_of_has_no_mixup_unless_there_is_some(digits):
    """Checkpoints of before there was any go on, and of another mixup none does."""
    train(*digits)
    kept = Checkpoints(Path("out/checkpoints"), pytest.fail)
    with pytest.raises(OtherTraining) as other:
        kept.last({})
    names = [part.split(" was ")[0] for part in str(other.value).split("; ")]
    assert names[:4] == ["network", "data", "seed", "epochs"]
    assert names[-2:] == ["clip", "resized_crop"]
    mixed = (*digits, "--set", "training.mixup=0.2")
    assert "mixup was none and is 0.2" in train(*mixed, status=2).stderr
    train(*mixed, "--output", "mixed")
    assert ", mixup 0.2, " in Path("mixed/README.md").read_text()


def test_a_trial_is_trained_on_other_data(study):
    result = train(
        *("--study", study, "--trial", 1, "--data", "synthetic", "--output", "out"),
        *("--epochs", 1, "--set", "data.classes=4", "--set", "data.limit=80"),
    )
    assert result.stdout.startswith("trial 1 of small, 1 epochs: accuracy ")
    assert "| data | synthetic, fingerprint" in Path("out/README.md").read_text()


def test_a_preset_takes_the_classes_of_the_images_which_are_resized(tmp_path):
    for label in ("cat", "dog"):
        folder = tmp_path / "pictures" / label
        folder.mkdir(parents=True)
        for number in range(12):
            size = (40 + number, 30)
            Image.new("RGB", size, (200 * (label == "cat"), 10 * number, 99)).save(
                folder / f"{number}.png"
            )
    train(
        *("--preset", "mobilenet:image_size=32", "--data", "images:pictures", "--output", "out"),
        *("--epochs", 1, "--set", "training.batch_size=4"),
    )
    train(
        *("--preset", "mobilenet:image_size=32", "--data", "images:pictures", "--output", "parts"),
        *("--epochs", 1, "--set", "training.batch_size=4", "--set", "training.resized_crop=0.3"),
    )
    assert ", resized crop 0.3, " in Path("parts/README.md").read_text()
    written = json.loads(Path("out/architecture.json").read_text())
    assert written["classes"] == 2
    assert 'RESIZE = "crop"' in Path("out/model.py").read_text()


def test_a_reference_is_trained_and_goes_on():
    data = ("--data", "synthetic", "--set", "data.limit=12", "--set", "data.classes=3")
    command = (
        *("--reference", "inception_v3:image_size=75", *data, "--output", "out"),
        *("--epochs", 1, "--set", "training.batch_size=4", "--threads", 1),
    )
    said = train(*command).stdout
    assert said.startswith("inception_v3:image_size=75, 1 epochs: accuracy ")
    assert imported(Path("out")).load()(torch.zeros(2, 3, 75, 75)).shape == (2, 3)
    assert "A published convolutional network" in Path("out/README.md").read_text()
    assert "going on after 1 of 1 epochs" in train(*command).stderr


def test_an_interrupted_retraining_goes_on(study, monkeypatch):
    command = ["--study", study, "--trial", 0, "--epochs", 3, "--output", "long"]
    with monkeypatch.context() as patched:
        patched.setattr("nas.api.train_network.write_curve", lambda *_: 1 / 0)
        with pytest.raises(AssertionError, match="ZeroDivisionError"):
            run(retrain_app, *command)
    result = run(retrain_app, *command)
    assert "going on after 1 of 3 epochs" in result.stderr
    result = run(retrain_app, *command[:-3], 4, *command[-2:], status=2)
    assert "are of another training: epochs was 3 and is 4" in result.stderr


def test_another_training_is_refused_in_the_same_folder_and_what_differs_is_named(digits):
    train(*digits)
    before = {file: file.read_bytes() for file in Path("out").rglob("*") if file.is_file()}
    other = ["--seed", 7, "--set", "training.learning_rate=0.01"]
    result = train(*digits, *other, status=2)
    assert "seed was 0 and is 7; learning_rate was 0.2 and is 0.01" in result.stderr
    Path("network.json").write_text(replace(NETWORK, norm_epsilon=1e-3).to_json())
    result = train(*digits, status=2)
    assert re.search(
        r"--output: error: .*out has network \w{16}, and this is \w{16}", result.stderr
    )
    assert {file: file.read_bytes() for file in before} == before


def test_a_folder_in_which_another_process_trains_is_refused(digits):
    Path("out").mkdir()
    other = OwnedLock(Path("out/.training"))
    other.take()
    other.sign("123@there")
    result = train(*digits, status=2)
    assert "--output: error: process 123 on there trains in " in result.stderr
    assert not Path("out/checkpoints").exists()
    other.release()
    train(*digits)
    assert not Path("out/.training").exists()


def test_a_folder_with_an_export_that_was_not_trained_there_is_refused(digits):
    export_network(SMALL, with_statistics(SMALL), "out")
    before = {file.name: file.read_bytes() for file in Path("out").iterdir()}
    result = train(*digits, status=2)
    assert (
        "out has the weights.safetensors of a network that was not trained there" in result.stderr
    )
    assert {file.name: file.read_bytes() for file in Path("out").iterdir()} == before


def test_a_loss_that_is_not_finite(digits):
    result = train(*digits, "--set", "training.learning_rate=1e6", status=2)
    assert "error: not finite: loss " in result.stderr
    assert "hint: a lower learning rate, with another --output" in result.stderr


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "one of --study, --architecture, --preset, --reference names the network; got none"),
        (
            ["--preset", "xception", "--study", "a"],
            "names the network; got --study and --preset",
        ),
        (["--preset", "xception"], "--data: error: there are no images to train on"),
        (["--preset", "vgg", "--data", "digits"], "vgg: error: a published network is one of"),
        (["--preset", "", "--data", "digits"], "a published network is one of mobilenet, "),
        (["--reference", "inception_module", "--data", "digits"], "this is a part of one"),
        (["--reference", "inception_v3:aux=true", "--data", "digits"], "one loss, for one head"),
        (["--preset", "xception:wide=1", "--data", "digits"], "no option 'wide'"),
        (
            ["--preset", "xception", "--trial", "1", "--data", "digits"],
            "--trial: error: whose trial?",
        ),
        (["--preset", "xception", "--data", "nothing"], "data.source: no such source: nothing"),
        (["--architecture", "none.json", "--data", "digits"], "none.json: error: cannot be read"),
        (
            ["--architecture", "a.json", "--data", "synthetic"],
            "has 10 classes, and the images have",
        ),
        (["--architecture", "a.json", "--set", "data.limit=9"], "data.source is missing"),
        (
            ["--architecture", "a.json", "--data", "digits", "--set", "training.epoch=3"],
            "--set training.epoch=3: error: training.epoch: unknown key",
        ),
        (
            ["--architecture", "a.json", "--data", "digits", "--set", "study.trials=3"],
            "study: unknown key",
        ),
        (
            ["--architecture", "a.json", "--data", "digits", "--epochs", "0"],
            "--epochs: error: training.epochs: must be greater than or equal to 1; got 0",
        ),
        (
            ["--architecture", "a.json", "--data", "digits", "--recipe", "x"],
            "--recipe: error: training.recipe: ",
        ),
        (
            ["--architecture", "a.json", "--data", "digits", "--set", "training.batch_size=4000"],
            "training images are fewer than a batch of 4000",
        ),
        (
            ["--architecture", "a.json", "--data", "digits", "--set", "training.resized_crop=0.1"],
            "training.resized_crop: error: only pictures are cropped and resized: parquet, hub",
        ),
        (
            ["--architecture", "a.json", "--data", "digits", "--set", "training.mixup=-1"],
            "training.mixup=-1: error: training.mixup: must be greater than or equal to 0; got -1",
        ),
        (
            ["--architecture", "c.json", "--data", "digits"],
            "takes images of 3 x 8 x 8, and these are 1 x 8 x 8",
        ),
    ],
)
def test_wrong_commands(given, message):
    Path("a.json").write_text(NETWORK.to_json())
    Path("c.json").write_text(replace(NETWORK, input_shape=(3, 8, 8)).to_json())
    given = [*given, "--set", "data.classes=4"] if "synthetic" in given else given
    result = train(*given, "--output", "out", status=2)
    assert message in result.stderr
    assert not Path("out", "checkpoints").exists()


def test_the_output_is_no_file(digits):
    Path("out").write_text("")
    assert "out is no folder" in train(*digits, status=2).stderr
