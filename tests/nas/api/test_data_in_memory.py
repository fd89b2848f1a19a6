"""Searches of data that a program has: arrays, tensors, data sets, tables, with splits or without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nas
from nas.space.errors import InputError
from nas.study.identity import SpaceChanged
from tests.nas.api.sections import SECTIONS
from trials.data import DataConfig, DataError, Resize
from trials.data.from_python import arrays_of

WITHOUT_DATA = {name: section for name, section in SECTIONS.items() if name != "data"}


class Pictures(torch.utils.data.Dataset):
    """As torchvision's are: (image, label), the image as a transform leaves it."""

    def __init__(self, transform):
        rng = np.random.default_rng(0)
        self.labels = [index % 3 for index in range(60)]
        self.pixels = rng.integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.transform(self.pixels[index]), self.labels[index]


def to_tensor(pixels):
    """Torchvision's ToTensor."""
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


@pytest.mark.usefixtures("without_ray")
@pytest.mark.parametrize(
    "data",
    [
        Pictures(Image.fromarray),
        Pictures(to_tensor),
        Pictures(lambda pixels: pixels),
        (Pictures(None).pixels, np.array(Pictures(None).labels)),
        (torch.stack([to_tensor(p) for p in Pictures(None).pixels]), Pictures(None).labels),
    ],
    ids=["pictures", "tensors", "arrays", "array pair", "tensor pair"],
)
def test_a_search_on_data_in_memory(data):
    study = nas.run_search(WITHOUT_DATA, data=data, trials=1)
    (kept,) = study.folder.glob("data-*.npz")
    with np.load(kept) as archive:
        np.testing.assert_array_equal(archive["images"], Pictures(None).pixels)
        np.testing.assert_array_equal(archive["labels"], Pictures(None).labels)
    (trial,) = study.trials
    assert trial.architecture.input_shape == (3, 8, 8)
    assert trial.architecture.classes == 3
    again = nas.run_search(WITHOUT_DATA, data=data, trials=2)
    assert len(again.trials) == 2


def as_table():
    """A `datasets.Dataset`, shuffled: its labels are in another order than its storage."""
    datasets = pytest.importorskip("datasets")
    data = Pictures(None)
    features = datasets.Features(
        {"img": datasets.Image(), "label": datasets.ClassLabel(names=["zebra", "ant", "cat"])}
    )
    rows = {"img": [Image.fromarray(p) for p in data.pixels], "label": data.labels}
    return datasets.Dataset.from_dict(rows, features=features).shuffle(seed=1)


def test_a_table_of_hugging_face_is_read_with_the_names_of_its_classes():
    table = as_table()
    arrays = arrays_of(table)
    np.testing.assert_array_equal(arrays["images"][7], np.asarray(table[7]["img"]))
    assert arrays["labels"].tolist() == table["label"][:]
    assert arrays["classes"].tolist() == ["zebra", "ant", "cat"]


def test_a_label_that_is_none_of_the_classes_is_named():
    """-1 is how Hugging Face says that there is none."""
    table = as_table()
    table = table.map(
        lambda row, i: row | {"label": -1 if i == 7 else row["label"]}, with_indices=True
    )
    with pytest.raises(
        DataError, match="the data set, row 7: label -1 is not one of the 3 classes"
    ):
        arrays_of(table)


def test_splits_of_tables_are_matched_by_the_names_of_classes():
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"img": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "zebra"])}
    )
    rows = {"img": [Image.fromarray(Pictures(None).pixels[0])] * 2, "label": [0, 1]}
    test = datasets.Dataset.from_dict(rows, features=features)
    arrays = arrays_of({"train": as_table(), "test": test})
    assert arrays["y_test"].tolist() == [2, 0]


def test_pictures_of_mixed_sizes_are_resized_where_the_space_says_so():
    pictures = [(Image.new("RGB", (5 + i, 9)), i % 2) for i in range(8)]
    with pytest.raises(DataError, match=r"data\[1\]: the image has shape"):
        arrays_of(pictures)
    config = DataConfig("data", resize=Resize((6, 7)))
    assert arrays_of(pictures, config)["images"].shape == (8, 6, 7, 3)


def test_pictures_in_memory_are_read_as_those_of_a_folder_are():
    """Upright as Exif says; of 16 bits not at all."""
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = Image.new("RGB", (6, 4))
    lying.info["exif"] = exif.tobytes()
    lying.getexif().update({0x0112: 6})
    assert arrays_of([(lying, i % 2) for i in range(4)])["images"].shape == (4, 6, 4, 3)
    deep = Image.fromarray(np.full((8, 8), 60_000, np.uint16))
    with pytest.raises(DataError, match=r"data\[0\]: I;16 images are not supported, only 8-bit"):
        arrays_of([(deep, 0), (deep, 1)])


def test_a_tables_own_transform_and_format_are_left_out():
    table = as_table()
    expected = arrays_of(table)["labels"].tolist()
    transformed = table.with_transform(
        lambda batch: {"img": [i.convert("L") for i in batch["img"]]}
    )
    assert arrays_of(transformed)["labels"].tolist() == expected
    assert arrays_of(table.with_format("torch", columns=["label"]))["labels"].tolist() == expected


@pytest.mark.usefixtures("without_ray")
def test_how_pictures_were_resized_goes_along_with_the_study():
    pictures = [(Image.new("RGB", (20 + i, 30), (9 * i, 0, 0)), i % 2) for i in range(24)]
    resize = {"resize": {"size": 8, "mode": "pad"}}
    study = nas.run_search(WITHOUT_DATA | {"data": resize}, data=pictures, trials=1)
    assert study.records.file.data.resize.mode == "pad"
    assert study.trials[0].architecture.input_shape == (3, 8, 8)
    nas.run_search(WITHOUT_DATA | {"data": resize}, data=pictures, trials=2)  # resumes


def test_data_of_a_study_that_has_begun_is_kept_whatever_ends_the_search(monkeypatch):
    def refuse(*_, **__):
        raise InputError.of("data", "found later")

    monkeypatch.setattr("nas.engine.stage.StageRunner.run", refuse)
    with pytest.raises(InputError, match="found later"):
        nas.run_search(WITHOUT_DATA, data=(np.zeros((40, 8, 8), np.uint8), [0, 1] * 20))
    (kept,) = Path("runs/mine").glob("data-*.npz")
    assert kept.name in Path("runs/mine/space.yaml").read_text()


@pytest.mark.usefixtures("without_ray")
def test_data_of_a_search_that_is_refused_is_not_left_behind():
    data = (np.zeros((20, 8, 8), np.uint8), [0, 1] * 10)
    with pytest.raises(InputError):
        nas.run_search(WITHOUT_DATA | {"macs": {"at_most": 1}}, data=data)
    assert not Path("runs/mine").exists()
    study = nas.run_search(WITHOUT_DATA, data=data, trials=1)
    before = list(study.folder.glob("data-*"))
    with pytest.raises(SpaceChanged):
        nas.run_search(WITHOUT_DATA, data=(data[0] + 1, data[1]), trials=2)
    assert list(study.folder.glob("data-*")) == before


def test_channels_first_in_an_array_are_certain_where_there_are_few_of_them():
    last = Pictures(None).pixels
    assert (arrays_of((np.moveaxis(last, 3, 1), [0] * 60))["images"] == last).all()
    assert (arrays_of((torch.from_numpy(last), [0] * 60))["images"] == last).all()


@pytest.mark.usefixtures("without_ray")
def test_splits_from_python_are_those_of_the_search():
    images, labels = Pictures(None).pixels, np.array(["cat", "dog", "cow"] * 20)
    splits = {
        "train": (images[:40], labels[:40]),
        "validation": (images[40:50], labels[40:50]),
        "test": (images[50:], labels[50:]),
    }
    study = nas.run_search(SECTIONS | {"confirm": {"seeds": 2}}, data=splits, trials=1)
    assert study.records.data.images == (40, 10)
    assert study.records.data.classes == ("cat", "cow", "dog")


@pytest.mark.usefixtures("without_ray")
def test_other_data_never_replaces_that_of_a_study():
    first, other = Pictures(None), Pictures(None)
    other.pixels = 255 - other.pixels
    study = nas.run_search(SECTIONS, data=(first.pixels, np.array(first.labels)), trials=1)
    (kept,) = study.folder.glob("data-*.npz")
    before = kept.read_bytes()
    with pytest.raises(SpaceChanged, match="fingerprint"):
        nas.run_search(SECTIONS, data=(other.pixels, np.array(other.labels)), trials=2)
    assert kept.read_bytes() == before


@pytest.mark.usefixtures("without_ray")
def test_all_of_the_given_data_is_used(spaces):
    """What the file says of its own data, such as its limit and classes, is not said of this."""
    images, labels = np.zeros((300, 5, 5), np.uint8), np.arange(300) % 3
    study = nas.run_search(spaces / "smoke.yaml", data=(images, labels), trials=1)
    assert sum(study.records.data.images) == 300


def test_data_without_a_test_split_cannot_be_confirmed():
    data = (np.zeros((20, 8, 8), np.uint8), [0, 1] * 10)
    with pytest.raises(InputError, match="data: error: has no test split, which confirm reads"):
        nas.run_search(SECTIONS | {"confirm": {"seeds": 2}}, data=data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((np.zeros((4, 8, 8, 3)) - 1, [0, 1, 0, 1]), "floats are from 0 to 1; got -1 to -1"),
        ((np.zeros((4, 8, 8), np.int32), [0, 1, 0, 1]), "images are uint8, or floats from 0 to 1"),
        ((np.zeros((4, 8), np.uint8), [0, 1, 0, 1]), "images are .N, H, W. or .N, H, W, C."),
        ((np.zeros((4, 8, 8), np.uint8), [0, 1]), "labels must be of 4 images"),
        ([(np.zeros((8, 8), np.uint8), 0), (np.zeros((9, 8), np.uint8), 1)], r"data\[1\]: the im"),
        (iter([]), "a map-style data set has a length; list_iterator has none"),
        ([], "there are no images"),
        ((np.zeros((4, 8, 8), np.uint8), [0.9, 1.9, 0.1, 1.1]), "the labels must hold integers"),
        ([(np.zeros((8, 8), np.uint8), 0.9)] * 2, "the labels must hold integers or names; it holds float64"),
        ({"test": []}, "there is no train split; there is test"),
        ({"train": [], "dev": []}, "'dev' is no split"),
        ([np.zeros((8, 8), np.uint8)] * 2, r"data\[0\]: an item is .image, label.; got ndarray"),
        (([[0], [0, 1]], [0, 1]), "the images: no array can be made of them"),
        (((0, 1), (2, 3), (4, 5)), "a pair is .images, labels.; got a tuple of 3"),
    ],
)  # fmt: skip
def test_data_that_cannot_be_read_as_it_is_meant_is_refused(data, message):
    with pytest.raises(InputError, match=message) as caught:
        nas.run_search(SECTIONS, data=data)
    assert str(caught.value).startswith("data: error: ")
    assert not Path("runs").exists()


def test_tensors_of_any_float_are_read():
    images = torch.rand(4, 3, 8, 8, requires_grad=True)
    expected = np.round(images.detach().permute(0, 2, 3, 1).numpy() * 255)
    np.testing.assert_array_equal(arrays_of((images, torch.arange(4)))["images"], expected)
    assert arrays_of((images.bfloat16(), [0, 1, 0, 1]))["images"].shape == (4, 8, 8, 3)
