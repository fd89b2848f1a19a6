"""What an exported `model.py` does with pictures: the same as the training did."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import UnidentifiedImageError

from nas import build_network
from nas.network.confusion_file import read_confusion
from nas.network.export import export_network
from nas.network.exported_model import ExportedModel
from nas.network.source import Provenance
from nas.reporting.model_card import Trained, provenance_of
from nas.space.load import space_file
from nas.study.trained_network import samples_of
from tests.nas.exporting import SMALL, imported, with_statistics
from tests.nas.records import study, trial
from tests.trials.data_sets import encoded, numbered, oriented, pixels, write
from trials.data import DataConfig, Resize, load
from trials.recipe import RECIPES


@pytest.fixture
def exported(tmp_path):
    """Makes `model.py` and imports it."""

    def make(channels: int = 3, size: tuple[int, int] = (8, 8), resize: str | None = None):
        architecture = replace(SMALL, input_shape=(channels, *size), classes=2)
        provenance = Provenance(
            "x", classes=("cat", "dog"), mean=(100.0,) * channels, std=(50.0,) * channels,
            resize=resize,
        )  # fmt: skip
        export_network(architecture, build_network(architecture), tmp_path / "best", provenance)
        spec = importlib.util.spec_from_file_location("model", tmp_path / "best" / "model.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return make


@pytest.mark.parametrize("mode", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_read_as_in_the_training(exported, mode, channels):
    write(*numbered("data/cat", 2), content=encoded(pixels(30, 20, channels)))
    write(*numbered("data/dog", 2), content=encoded(pixels(11, 47, channels)))
    data = load(DataConfig("images:data", resize=Resize((8, 6), mode)))
    model = exported(channels, (8, 6), mode)
    for file in sorted(Path("data").rglob("*.png")):
        read = model.read_image(file).numpy()
        assert read.shape == (1, 8, 6, channels)
        there = np.concatenate([data.train.images, data.validation.images])
        assert any((read[0] == image).all() for image in there), file


def test_pictures_of_the_validation_split_are_taken_for_what_the_card_says(tmp_path):
    """From the files to the classes, by what a study writes of its images."""
    files = [*numbered("data/train/cat", 4), *numbered("data/train/dog", 4)]
    validation = [*numbered("data/validation/cat", 9), *numbered("data/validation/dog", 9)]
    for number, file in enumerate((*files, *validation)):
        write(file, content=encoded(pixels(10 + number, 40 - number) // (1 + number % 5)))
    resize = {"size": [8, 6], "mode": "pad"}
    data = load(DataConfig("images:data", resize=Resize((8, 6), "pad")))
    architecture = replace(SMALL, input_shape=(3, 8, 6), classes=2)
    records = study(record := trial(0, 0.5, architecture))
    document = records.document | {"data": {"source": "images:data", "resize": resize}}
    records = replace(records, data=data.summary, file=space_file(document))
    samples, network = samples_of(data), with_statistics(architecture)
    linear = [module for module in network.modules() if isinstance(module, torch.nn.Linear)][-1]
    with torch.no_grad():  # some are taken for each class
        linear.bias -= network(samples.normalised(samples.images)).median(dim=0).values
    export_network(
        architecture, network, tmp_path / "best",
        provenance_of(records, record, Trained(RECIPES["proxy"], 0.5)), samples=samples,
    )  # fmt: skip
    model = imported(tmp_path / "best")
    counts = np.zeros((2, 2), int)
    for file in validation:
        guess = next(iter(model.predict(file)))
        counts[data.classes.index(Path(file).parent.name), data.classes.index(guess)] += 1
    assert counts.sum(axis=0).all()  # or any network would do
    assert np.array_equal(read_confusion(tmp_path / "best").counts, counts)


def test_a_picture_whose_error_has_no_words_has_no_class(exported, tmp_path, monkeypatch):
    """As where memory is short; the others keep theirs."""
    exported()
    for name in ("a.png", "b.png", "c.png"):
        write(name, content=encoded(pixels(8, 8)))
    model = ExportedModel(tmp_path / "best")
    files = [Path(name) for name in ("a.png", "b.png", "c.png")]
    alone = [next(model.predict([file])) for file in files]
    read = model.module.read_image

    def short_of_memory(file):
        if file.name == "a.png":
            raise MemoryError
        return read(file)

    monkeypatch.setattr(model.module, "read_image", short_of_memory)
    first, *others = model.predict(files)
    assert (first.error, first.probabilities) == ("MemoryError", {})
    for found, expected in zip(others, alone[1:], strict=True):
        assert found.probabilities == pytest.approx(expected.probabilities)


def test_a_picture_that_a_camera_has_stored_lying_is_read_upright(exported):
    write("lying.jpg", content=oriented(6))  # 6 x 4 as it is to be looked at
    assert exported(size=(6, 4)).read_image("lying.jpg").shape == (1, 6, 4, 3)


def test_metadata_that_cannot_be_read_says_nothing_of_a_picture(exported):
    """As in the training."""
    image = pixels(8, 8)
    write("odd.png", content=encoded(image, exif=b"Exif\0\0nonsense"))
    assert np.array_equal(exported().read_image("odd.png")[0], image)


def test_a_drawing_that_starts_a_program_is_refused_as_in_the_training(exported):
    write("drawing.png", content=encoded(pixels(8, 8), "eps"))
    with pytest.raises(UnidentifiedImageError):
        exported().read_image("drawing.png")


def test_a_picture_of_another_size_is_refused_where_nothing_was_resized(exported):
    write("small.png", content=encoded(pixels(5, 7)))
    with pytest.raises(ValueError, match="images are 8 x 8, height x width; got 5 x 7"):
        exported().read_image("small.png")


def test_predictions_are_the_networks_probabilities(exported):
    model = exported()
    write("a.png", content=encoded(pixels(8, 8)))
    found = model.predict("a.png")
    with torch.inference_mode():
        logits = model.load()(model.preprocess(model.read_image("a.png")))
    expected = dict(zip(("cat", "dog"), logits.softmax(1)[0].tolist(), strict=True))
    assert found == pytest.approx(expected)
    assert list(found) == sorted(expected, key=expected.get, reverse=True)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(1, 8, 8, 3), "images are uint8, from 0 to 255; got torch.float32"),
        (torch.zeros(1, 8, 8, 4, dtype=torch.uint8), r"\(N, H, W, 3\); got shape \(1, 8, 8, 4\)"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), r"\(N, H, W, 3\); got shape \(1, 3, 8, 8\)"),
        (torch.zeros(8, 8, 3, dtype=torch.uint8), r"\(N, H, W, 3\); got shape \(8, 8, 3\)"),
    ],
)
def test_what_would_silently_be_read_wrong_is_refused(exported, images, message):
    with pytest.raises((TypeError, ValueError), match=message):
        exported().preprocess(images)


def test_a_picture_of_16_bits_is_refused_as_in_the_training(exported):
    write("deep.png", content=encoded(np.zeros((8, 8), np.uint16)))
    with pytest.raises(ValueError, match="images have 8 bits a channel; got I;16"):
        exported(1).read_image("deep.png")


def test_a_network_of_other_images_than_pictures_reads_none(exported):
    model = exported(channels=4)
    assert not hasattr(model, "read_image")
    assert not hasattr(model, "predict")
    assert model.preprocess(torch.zeros(1, 8, 8, 4, dtype=torch.uint8)).shape == (1, 4, 8, 8)
