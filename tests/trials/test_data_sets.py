"""What is read of data sets as people have them, or what is said of them."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from tests.trials.data_sets import (
    archive,
    described_table,
    encoded,
    folders,
    images,
    lines,
    numbered,
    oriented,
    pixels,
    table,
    write,
)  # fmt: skip
from trials.data import DataConfig, DataError, Resize, describe, load, load_test, pictures, probe
from trials.data.images import count_images

LABELS = np.arange(12) % 2
ABC = ["ant", "bee", "cow"]
NUMBERS = [[0, 1], [0], [], [2, 0], [1], [1, 2]] * 2
MANY = [[ABC[label] for label in labels] for labels in NUMBERS]
HOT = np.array([[name in labels for name in ABC] for labels in MANY])
OF_MANY = {"ant": 6, "bee": 6, "cow": 4}


def counts_of(data) -> dict[str, int]:
    """Images of each class, those for validation too."""
    labels = np.concatenate([data.train.labels, data.validation.labels])
    return dict(zip(data.classes, count_images(labels, len(data.classes)).tolist(), strict=True))


# Name, how it is made, its source and settings, and the images of each class.
READ = [
    ("a folder for each class",
     lambda: folders(cat=4, dog=5), "images:data", {}, {"cat": 4, "dog": 5}),
    ("files called after splits",
     lambda: (write(*numbered("data/cat", 4, prefix="train-")),
              write(*numbered("data/dog", 4, prefix="test-"), *numbered("data/dog", 2))),
     "images:data", {}, {"cat": 4, "dog": 6}),
    ("classes that have train in their names",
     lambda: folders(train_old=3, train_new=4, car=5), "images:data", {},
     {"car": 5, "train_new": 4, "train_old": 3}),
    ("a class that is called train",
     lambda: folders(train=3, bus=4, car=5), "images:data", {}, {"bus": 4, "car": 5, "train": 3}),
    ("classes that are all called as splits are",
     lambda: folders(train=3, test=4), "images:data", {}, {"test": 4, "train": 3}),
    ("splits in capitals, and by their other names",
     lambda: folders(Training__cat=4, Training__dog=5, TESTING__cat=2, TESTING__dog=2),
     "images:data", {}, {"cat": 4, "dog": 5}),
    ("hidden and empty folders beside",
     lambda: (folders(cat=3, dog=4, train=5), Path("data/train/.ipynb_checkpoints").mkdir(),
              Path("data/submission").mkdir()), "images:data", {},
     {"cat": 3, "dog": 4, "train": 5}),
    ("an empty folder beside the splits",
     lambda: (folders(train__cat=3, train__dog=4, test__cat=1, test__dog=1),
              Path("data/submission").mkdir()), "images:data", {}, {"cat": 3, "dog": 4}),
    ("pictures deep in the folder of their class",
     lambda: folders(circle__a=3, circle__b=2, cross__a__b=4), "images:data", {},
     {"circle": 5, "cross": 4}),
    ("splits with a folder for each class",
     lambda: folders(train__cat=4, train__dog=5, test__cat=2, test__dog=2), "images:data", {},
     {"cat": 4, "dog": 5}),
    ("a validation split",
     lambda: folders(train__cat=1, train__dog=2, val__cat=3, val__dog=4), "images:data", {},
     {"cat": 4, "dog": 6}),
    ("suffixes in capitals, and other files",
     lambda: (write(*numbered("data/cat", 3, ".PNG"), *numbered("data/dog", 2, ".Jpeg")),
              write("data/cat/notes.txt", "data/readme.md", "data/dog/.hidden.png", content=b"x")),
     "images:data", {}, {"cat": 3, "dog": 2}),
    ("names of any script",
     lambda: write(*numbered("data/Öl & Gas", 3), *numbered("data/猫", 3)), "images:data", {},
     {"Öl & Gas": 3, "猫": 3}),
    ("a link inside the folder",
     lambda: (folders(cat=3, dog=3), Path("data/dog/link.png").symlink_to("../cat/0.png")),
     "images:data", {}, {"cat": 3, "dog": 4}),
    ("portraits that a camera has stored lying",
     lambda: (write(*numbered("data/cat", 3, ".jpg"), content=oriented(6)),
              write(*numbered("data/dog", 3, ".jpg"), content=encoded(pixels(6, 4), "jpeg"))),
     "images:data", {}, {"cat": 3, "dog": 3}),
    ("sizes that are made the same",
     lambda: (write(*numbered("data/cat", 3), content=encoded(pixels(30, 20))),
              write(*numbered("data/dog", 3), content=encoded(pixels(9, 40)))),
     "images:data", {"resize": Resize((8, 8))}, {"cat": 3, "dog": 3}),
    ("palettes and transparency among colours",
     lambda: (folders(cat=3, dog=3),
              Image.fromarray(pixels()).convert("P").save("data/cat/p.png"),
              Image.fromarray(pixels()).convert("RGBA").save("data/dog/a.png")),
     "images:data", {}, {"cat": 4, "dog": 4}),
    ("Parquet described by Hugging Face",
     lambda: described_table(["cat", "dog"], [0, 0, 1, 1, 1]), "parquet:data", {},
     {"cat": 2, "dog": 3}),
    ("Parquet of bytes and paths alone",
     lambda: table({"image": images(), "label": LABELS}), "parquet:data", {}, {"0": 6, "1": 6}),
    ("Parquet of bytes alone",
     lambda: table({"jpg": [encoded() for _ in LABELS], "label": LABELS}), "parquet:data", {},
     {"0": 6, "1": 6}),
    ("Parquet with names for labels",
     lambda: table({"image": images(), "animal": ["cat", "dog", "cow"] * 4}), "parquet:data", {},
     {"cat": 4, "cow": 4, "dog": 4}),
    ("Parquet with yes and no for labels",
     lambda: table({"image": images(), "ill": [True, False] * 6}), "parquet:data", {},
     {"False": 6, "True": 6}),
    ("Parquet with a validation split",
     lambda: (described_table(["a", "b"], [0, 1, 0, 1]),
              described_table(["a", "b"], [0, 1], "validation")), "parquet:data", {},
     {"a": 3, "b": 3}),
    ("Parquet that names files beside it",
     lambda: (write(*numbered("data/pictures", 12)),
              table({"image": [{"bytes": None, "path": f"pictures/{i}.png"} for i in range(12)],
                     "label": LABELS})), "parquet:data", {}, {"0": 6, "1": 6}),
    ("Parquet with lists of names",
     lambda: table({"image": images(), "labels": MANY}), "parquet:data", {}, OF_MANY),
    ("Parquet with lists of numbers, and a column of other numbers",
     lambda: table({"image": images(), "id": range(100, 112), "labels": NUMBERS}), "parquet:data",
     {"label_column": "labels"}, {"0": 6, "1": 6, "2": 4}),
    ("Parquet with described labels, and other lists",
     lambda: datasets.Dataset.from_dict(
         {"image": images(), "label": LABELS, "box": [[1, 2]] * 12},
         features=datasets.Features({
             "image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"]),
             "box": datasets.List(datasets.Value("int64"))}),
         ).to_parquet(f"{Path('data').mkdir() or 'data'}/train.parquet"), "parquet:data", {},
     {"a": 6, "b": 6}),
    ("Parquet with lists that Hugging Face describes",
     lambda: described_table(["ant", "bee", "cow", "doe"], NUMBERS), "parquet:data", {},
     {**OF_MANY, "doe": 0}),
    ("Parquet with lists of one label each, which are classes",
     lambda: table({"image": images(), "labels": [["cat"], ["dog"]] * 6}), "parquet:data", {},
     {"cat": 6, "dog": 6}),
    ("pictures with their labels in a file",
     lambda: (write(*numbered("data", 12)), lines("data/labels.csv", "image,tags",
              *(f"{i}.png,{'|'.join(labels)}" for i, labels in enumerate(MANY)))),
     "images:data", {}, OF_MANY),
    ("names of labels with spaces in them",
     lambda: (write(*numbered("data", 12)), lines("data/labels.csv", "image,breed",
              *(f"{i}.png,{('golden retriever', 'siamese cat')[i % 2]}" for i in range(12)))),
     "images:data", {}, {"golden retriever": 6, "siamese cat": 6}),
    ("names that look like several, in a file that divides labels",
     lambda: (write(*numbered("data", 12)), lines("data/labels.csv", "image,tags",
              *(f"{i}.png,{('fire', 'truck|', 'fire truck|fire')[i % 3]}" for i in range(12)))),
     "images:data", {}, {"fire": 8, "fire truck": 4, "truck": 4}),
    ("a column for each class",
     lambda: (write(*numbered("data", 12)), lines("data/labels.csv", "Id,ant,bee,cow",
              *(f"{i}.png," + ",".join(str(int(name in labels)) for name in ("ant", "bee", "cow"))
                for i, labels in enumerate(MANY)))),
     "images:data", {}, OF_MANY),
    ("a file of labels in each split",
     lambda: (write(*numbered("data/train", 12), *numbered("data/val", 2)),
              lines("data/train/labels.csv", "image,tags",
                    *(f"{i}.png,{'|'.join(labels)}" for i, labels in enumerate(MANY))),
              lines("data/val/labels.csv", "image,tags", "0.png,bee|cow", "1.png,")),
     "images:data", {}, {"ant": 6, "bee": 7, "cow": 5}),
    ("metadata as Hugging Face has it",
     lambda: (write(*numbered("data", 6)), lines("data/metadata.csv", "label,file_name,text",
              *(f"{('cat', 'dog')[i % 2]},{i}.png,\"a, b\"" for i in range(6)))),
     "images:data", {}, {"cat": 3, "dog": 3}),
    ("metadata of all splits at the top",
     lambda: (write(*numbered("data/train", 6), *numbered("data/test", 2)),
              lines("data/metadata.csv", "file_name,label", "test/0.png,7", "test/1.png,10",
                    *(f"train/{i}.png,{(7, 10)[i % 2]}" for i in range(6)))),
     "images:data", {}, {"10": 3, "7": 3}),
    ("metadata that has no labels, beside folders of classes",
     lambda: (folders(cat=3, dog=4), lines("data/metadata.csv", "file_name,text", "cat/0.png,a")),
     "images:data", {}, {"cat": 3, "dog": 4}),
    ("labels before metadata",
     lambda: (write(*numbered("data", 12)), lines("data/metadata.csv", "file_name,label", "x,y"),
              lines("data/labels.csv", "image,tags",
                    *(f"{i}.png,{'|'.join(labels)}" for i, labels in enumerate(MANY)))),
     "images:data", {}, OF_MANY),
    ("an archive with a column for each class",
     lambda: archive(images=np.zeros((12, 6, 5), np.uint8), labels=HOT, classes=np.array(ABC)),
     "npz:data.npz", {}, OF_MANY),
    ("an archive with one of many labels each, as Keras has them",
     lambda: archive(images=np.zeros((12, 6, 5), np.uint8), labels=np.eye(3)[np.arange(12) % 3]),
     "npz:data.npz", {}, {"0": 4, "1": 4, "2": 4}),
    ("an archive with channels last",
     lambda: archive(images=np.zeros((12, 6, 5, 3), np.uint8), labels=LABELS), "npz:data.npz", {},
     {"0": 6, "1": 6}),
    ("an archive with channels first",
     lambda: archive(images=np.zeros((12, 3, 6, 5), np.uint8), labels=LABELS), "npz:data.npz", {},
     {"0": 6, "1": 6}),
    ("an archive whose layout is given",
     lambda: archive(images=np.zeros((12, 16, 6, 5), np.uint8), labels=LABELS), "npz:data.npz",
     {"layout": "NCHW"}, {"0": 6, "1": 6}),
    ("an archive with names of its classes",
     lambda: archive(images=np.zeros((12, 6, 5), np.uint8), labels=LABELS,
                     classes=np.array(["no", "yes"])), "npz:data.npz", {}, {"no": 6, "yes": 6}),
    ("an archive with an array of the user's own called classes",
     lambda: archive(images=np.zeros((12, 6, 5), np.uint8), labels=LABELS, classes=np.arange(2)),
     "npz:data.npz", {}, {"0": 6, "1": 6}),
    ("an archive with names for labels",
     lambda: archive(images=np.zeros((12, 6, 5), np.uint8), labels=np.array(["no", "yes"] * 6)),
     "npz:data.npz", {}, {"no": 6, "yes": 6}),
    ("an archive with a validation split",
     lambda: archive(x_train=np.zeros((12, 6, 5), np.uint8), y_train=LABELS,
                     x_val=np.zeros((2, 6, 5), np.uint8), y_val=np.array([0, 1])),
     "npz:data.npz", {}, {"0": 7, "1": 7}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "source", "settings", "expected"), [row[1:] for row in READ], ids=[r[0] for r in READ]
)
def test_a_data_set_is_read_as_it_is_meant(make, source, settings, expected):
    make()
    config = DataConfig(source, **settings)
    data = load(config)
    assert counts_of(data) == expected
    assert probe(config)[:2] == (data.input_shape, len(data.classes))


def test_test_labels_are_those_of_the_training_classes():
    """Although the test split lacks the first of them."""
    folders(train__circle=2, train__cross=2, train__square=2, test__cross=2, test__square=3)
    config = DataConfig("images:data")
    data = load(config)
    assert data.classes == ("circle", "cross", "square")
    assert load_test(config, data).labels.tolist() == [1, 1, 2, 2, 2]


def test_test_labels_of_tables_are_mapped_by_name():
    described_table(["circle", "cross", "square"], [0, 1, 2] * 2)
    described_table(["cross", "square"], [0, 1, 1], "test")
    config = DataConfig("parquet:data")
    assert load_test(config, load(config)).labels.tolist() == [1, 2, 2]


def test_a_validation_split_is_no_test_split():
    folders(train__a=4, train__b=4, val__a=2, val__b=2)
    config = DataConfig("images:data")
    data = load(config)
    assert (len(data.train), len(data.validation)) == (8, 4)
    with pytest.raises(DataError, match="data has no test split; it has train and validation"):
        load_test(config, data)


def test_channels_first_are_the_same_pixels():
    stored = np.random.default_rng(1).integers(0, 256, (12, 6, 5, 3), dtype=np.uint8)
    archive(images=stored, labels=LABELS)
    last = load(DataConfig("npz:data.npz"))
    archive(images=np.moveaxis(stored, 3, 1), labels=LABELS)
    assert load(DataConfig("npz:data.npz")).summary == last.summary


def test_pictures_are_upright():
    stored = np.zeros((4, 6, 3), np.uint8)
    stored[0] = 255  # a white row at the top of what is stored
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    upright = encoded(stored, "png", exif=exif.tobytes())
    write(*numbered("data/cat", 2), *numbered("data/dog", 2), content=upright)
    image = load(DataConfig("images:data")).train.images[0]
    assert image.shape == (6, 4, 3)
    assert (image[:, -1] == 255).all()
    assert (image[:, :-1] == 0).all()


@pytest.mark.parametrize(
    ("mode", "columns"),
    [("crop", [255, 255, 255, 255]), ("pad", [0, 255, 255, 0]), ("stretch", [146, 255, 255, 146])],
)
def test_pictures_are_resized_as_it_is_asked(mode, columns):
    """A tall white picture; stretched, with black sides, of which a triangle two pixels wide each
    way takes 0.75 of 1.75 into the first column."""
    tall = np.full((16, 8, 3), 255, np.uint8)
    if mode == "stretch":
        tall[:, [0, 7]] = 0
    write(*numbered("data/a", 2), *numbered("data/b", 2), content=encoded(tall))
    images = load(DataConfig("images:data", resize=Resize((4, 4), mode))).train.images
    assert images.shape[1:] == (4, 4, 3)
    np.testing.assert_allclose(images[0, 1, :, 0], columns, atol=1)


def test_what_was_left_out_is_said():
    folders(cat=3, dog=4, empty__deep=0)
    Path("data/empty").mkdir()
    write("data/readme.md", "data/cat/.DS_Store", content=b"x")
    assert describe(load(DataConfig("images:data"))) == (
        "2 classes of 2 to 3 training images, 3 x 6 x 6; 1 hidden file left out; "
        "1 file left out, no images in the folder of a class; no images in empty"
    )


def test_files_that_belong_to_no_split_are_said():
    described_table(["a", "b"], [0, 1, 0, 1])
    Path("data/more.parquet").write_bytes(Path("data/train-00000-of-00001.parquet").read_bytes())
    assert "more.parquet left out, whose name tells no split" in describe(
        load(DataConfig("parquet:data"))
    )


def test_threads_hold_so_many_pixels_at_once_however_large_the_pictures_are(monkeypatch):
    held, most, decode = Counter(), Counter(), pictures._pixels

    def watched(image: Image.Image, *rest: object) -> np.ndarray:
        size = image.width * image.height
        held["pixels"] += size
        most["pixels"] = max(most["pixels"], held["pixels"])
        time.sleep(0.002)
        decoded = decode(image, *rest)
        held["pixels"] -= size
        return decoded

    for number, file in enumerate(numbered("data/cat", 20) + numbered("data/dog", 20)):
        write(file, content=encoded(pixels(*((20, 20) if number % 5 else (10, 10)))))
    config = DataConfig("images:data", resize=Resize((6, 6)))
    expected = load(config).summary
    monkeypatch.setattr(pictures, "THREADS", 8)
    monkeypatch.setattr(pictures, "PIXELS_AT_ONCE", 800)
    monkeypatch.setattr(pictures, "_pixels", watched)
    assert load(config).summary == expected
    assert 400 < most["pixels"] <= 800


def test_the_column_of_the_labels_is_said():
    table({"image": images(), "labels": [["cat"], ["dog"]] * 6})
    assert describe(load(DataConfig("parquet:data"))) == (
        "2 classes of 5 training images, 3 x 6 x 6; labels of column labels; "
        "every image has exactly one label: they are classes"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (["f,wet,dry", *(f"{i}.png,{i % 2},{i // 6}" for i in range(12))],
         "columns wet, dry are classes"),
        (["f,breed", *(f"{i}.png,{('siamese cat', 'dog')[i % 2]}" for i in range(12))],
         "'siamese cat' is one label, without a | in it; "
         "every image has exactly one label: they are classes"),
    ],
)  # fmt: skip
def test_how_a_file_of_labels_is_understood_is_said(text, said):
    write(*numbered("data", 12))
    lines("data/labels.csv", *text)
    assert f"labels of labels.csv; {said}" in describe(load(DataConfig("images:data")))
