"""What is read of data sets as people have them, or what is said of them."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trials.data_sets import (
    archive,
    claiming_archive,
    described_table,
    encoded,
    folders,
    huge_png,
    images,
    numbered,
    oriented,
    pixels,
    table,
    write,
)  # fmt: skip
from trials.data import DataConfig, DataError, Resize, describe, load, load_test, probe

LABELS = np.arange(12) % 2


def counts_of(data) -> dict[str, int]:
    """Images of each class, those for validation too."""
    labels = np.concatenate([data.train.labels, data.validation.labels])
    return dict(
        zip(data.classes, np.bincount(labels, minlength=len(data.classes)).tolist(), strict=True)
    )


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
    ("an archive with channels last",
     lambda: archive(images=np.zeros((12, 6, 5, 3), np.uint8), labels=LABELS), "npz:data.npz", {},
     {"0": 6, "1": 6}),
    ("an archive with channels first",
     lambda: archive(images=np.zeros((12, 3, 6, 5), np.uint8), labels=LABELS), "npz:data.npz", {},
     {"0": 6, "1": 6}),
    ("an archive whose layout is given",
     lambda: archive(images=np.zeros((12, 16, 6, 5), np.uint8), labels=LABELS), "npz:data.npz",
     {"layout": "NCHW"}, {"0": 6, "1": 6}),
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
    assert probe(config) == (data.input_shape, len(data.classes))


# Name, how it is made, its source and settings, and what is said.
SAID = [
    ("mixed sizes",
     lambda: (folders(cat=4, dog=2), write("data/dog/9.png", content=encoded(pixels(7, 5)))),
     "images:data", {}, r"dog/9.png: the image is 7 x 5 \(height x width\), the first is 6 x 6; "
     r"there are 6 x 6 \(6\), 7 x 5 \(1\)"),
    ("a folder beside the splits",
     lambda: folders(train__cat=2, train__dog=2, extra=2), "images:data", {},
     "data has extra beside train, which has folders of its own"),
    ("two validation splits",
     lambda: folders(train__a=2, train__b=2, val__a=1, valid__a=1), "images:data", {},
     "data has val and valid: two validation splits"),
    ("no training split",
     lambda: folders(val__a=2, val__b=2, test__a=2), "images:data", {},
     "data has no train split; it has validation and test"),
    ("pictures without the folder of a class",
     lambda: write(*numbered("data", 4)), "images:data", {},
     "data has no images in the folder of a class"),
    ("one class",
     lambda: folders(cat=4), "images:data", {}, "at least 2 classes; this one has 1"),
    ("a class with a single picture",
     lambda: folders(cat=4, dog=1), "images:data", {},
     "class dog has 1 images; each needs one to train on and one to validate"),
    ("pictures of 16 bits",
     lambda: (folders(dog=4), write(*numbered("data/cat", 4), content=encoded(
         np.zeros((6, 6), np.uint16)))), "images:data", {},
     "cat/0.png: I;16 images are not supported, only 8-bit"),
    ("a picture that was cut off",
     lambda: (folders(cat=4, dog=2), write("data/dog/9.png", content=encoded()[:-40])),
     "images:data", {}, "dog/9.png: not a readable image"),
    ("an empty folder",
     lambda: Path("data").mkdir(), "images:data", {}, "no images in the folder of a class"),
    ("a class that only the validation images have",
     lambda: folders(train__a=2, train__b=2, val__a=2, val__c=2), "images:data", {},
     "data/val/c/0.png: class c is none of the training images' classes, a, b"),
    ("a link out of the folder",
     lambda: (folders(cat=3, dog=3), Path("data/cat/9.png").symlink_to("/etc/hostname")),
     "images:data", {}, "data/cat/9.png is a link to .*, outside of data"),
    ("a link to a folder",
     lambda: (folders(cat=3, dog=3), Path("data/kitten").symlink_to("cat")), "images:data", {},
     "data/kitten is a link to a folder"),
    ("a picture that is none",
     lambda: (folders(cat=3, dog=3), write("data/dog/9.png", content=b"GIF89a not really")),
     "images:data", {}, "data/dog/9.png: not a readable image"),
    ("a program for a printer",
     lambda: (folders(cat=3, dog=3), write("data/dog/9.png", content=b"%!PS-Adobe-3.0 EPSF-3.0\n"
              b"%%BoundingBox: 0 0 6 6\n%%EndComments\nshowpage\n")),
     "images:data", {}, "data/dog/9.png: not a readable image"),
    ("a picture that would take 500 MB",
     lambda: (folders(cat=3, dog=3), write("data/dog/9.png", content=huge_png(13_000, 13_000))),
     "images:data", {}, "data/dog/9.png: the image is 13000 x 13000, more than 100,000,000 pixels"),
    ("a large picture among small ones",
     lambda: (folders(cat=3, dog=3), write("data/dog/9.png", content=huge_png(9_000, 9_000))),
     "images:data", {}, "data/dog/9.png: the image is 9000 x 9000 .*, the first is 6 x 6"),
    ("an identity for a label",
     lambda: table({"image": images(), "id": np.arange(12) + 999_999_999}), "parquet:data", {},
     "data, row 11: label 1000000010 among 12 images cannot be the number of a class"),
    ("a label of its own for each image",
     lambda: table({"image": images(), "file": [f"{i}.png" for i in range(12)]}), "parquet:data",
     {}, "12 images have 12 different labels, such as '0.png', '1.png', '10.png'"),
    ("missing labels",
     lambda: table({"image": images(), "label": [0, 1, None] * 4}), "parquet:data", {},
     "column label: 4 of 12 labels are missing"),
    ("fractions for labels",
     lambda: table({"image": images(), "label": [0.5, 1.5] * 6}), "parquet:data",
     {"label_column": "label"}, "column label must hold integers or names; it holds float64"),
    ("a path to a device",
     lambda: table({"image": [*images(11), {"bytes": None, "path": "/dev/zero"}],
                    "label": LABELS}), "parquet:data", {}, "row 11: /dev/zero is not in data"),
    ("a path out of the folder",
     lambda: table({"image": [*images(11), {"bytes": None, "path": "../secret.png"}],
                    "label": LABELS}), "parquet:data", {},
     r"row 11: data/../secret.png is not in data"),
    ("an image that is missing",
     lambda: table({"image": [*images(11), None], "label": LABELS}), "parquet:data", {},
     "row 11: not a readable image: there is no image"),
    ("a column that holds no images",
     lambda: table({"image": images(), "label": LABELS, "text": ["a"] * 12}), "parquet:data",
     {"image_column": "label"}, "column label of data holds no images"),
    ("two columns of integers",
     lambda: table({"image": images(), "label": LABELS, "id": np.arange(12)}), "parquet:data", {},
     r"2 columns \(label, id\) of labels"),
    ("a label below 0",
     lambda: archive(images=np.zeros((12, 6, 5), np.uint8), labels=-LABELS), "npz:data.npz", {},
     "image 1: label -1 is below 0"),
    ("a label beyond the classes",
     lambda: archive(images=np.zeros((12, 6, 5), np.uint8), labels=LABELS * 2), "npz:data.npz",
     {"classes": 2}, "image 1: label 2 is not one of the 2 classes, 0 to 1"),
    ("fewer labels than images",
     lambda: archive(images=np.zeros((12, 6, 5), np.uint8), labels=LABELS[:5]), "npz:data.npz", {},
     r"labels must be 12 labels; got int64 of shape \(5,\)"),
    ("no images",
     lambda: archive(images=np.zeros((0, 6, 5), np.uint8), labels=LABELS[:0]), "npz:data.npz", {},
     "there are no images"),
    ("an array whose layout is anybody's guess",
     lambda: archive(images=np.zeros((12, 16, 6, 5), np.uint8), labels=LABELS), "npz:data.npz", {},
     r"has shape \(12, 16, 6, 5\), which may be \(N, H, W, C\) or \(N, C, H, W\)"),
    ("floats from 0 to 1",
     lambda: archive(images=np.ones((12, 6, 5), np.float32), labels=LABELS), "npz:data.npz", {},
     "images must be uint8 of shape .*; got float32"),
    ("an archive that claims ten terabytes",
     lambda: claiming_archive((10_000_000, 1000, 1000)), "npz:data.npz", {},
     "data.npz cannot be read: images claims 10,000,000,000,000 bytes"),
    ("an array of Python objects",
     lambda: archive(images=np.zeros((2, 6, 5), np.uint8), labels=np.array([{}, 1], object)),
     "npz:data.npz", {}, "data.npz cannot be read: arrays of Python objects are not read"),
    ("other names of arrays",
     lambda: archive(a=np.zeros(3), b=np.zeros(3)), "npz:data.npz", {},
     "data.npz has no arrays x_train and y_train; it has a, b"),
    ("a size for what has one",
     lambda: None, "digits", {"resize": Resize((8, 8))}, "only pictures are resized"),
    ("a layout for what has one",
     lambda: folders(cat=2, dog=2), "images:data", {"layout": "NCHW"}, "only the arrays of npz"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "source", "settings", "message"), [row[1:] for row in SAID], ids=[r[0] for r in SAID]
)
def test_a_data_set_that_cannot_be_used_is_refused_in_words(make, source, settings, message):
    make()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=message):
        load(DataConfig(source, **settings))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB


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


def test_the_table_has_forty_data_sets():
    assert len(READ) + len(SAID) >= 40
