"""What is said of data sets that cannot be used: the file or row, the rule and the value."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest

from tests.trials.data_sets import (
    archive,
    claiming_archive,
    encoded,
    folders,
    huge_png,
    images,
    numbered,
    pixels,
    table,
    write,
)  # fmt: skip
from trials.data import DataConfig, DataError, Resize, load

LABELS = np.arange(12) % 2


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
    ("a flat folder of test images, as competitions have it",
     lambda: (folders(train__a=2, train__b=2), write("data/test/1.png")), "images:data", {},
     "data/test has no folders of classes, as train has"),
    ("a label below 0",
     lambda: archive(images=np.zeros((12, 6, 5), np.uint8), labels=-LABELS), "npz:data.npz", {},
     "image 1: label -1 is below 0"),
    ("a label beyond the classes",
     lambda: archive(images=np.zeros((12, 6, 5), np.uint8), labels=LABELS * 2), "npz:data.npz",
     {"classes": 2}, "image 1: label 2 is not one of the 2 classes, 0 to 1"),
    ("fewer labels than images",
     lambda: archive(images=np.zeros((12, 6, 5), np.uint8), labels=LABELS[:5]), "npz:data.npz", {},
     r"labels must be 12 labels; got int64 of shape \(5,\)"),
    ("a label for all images",
     lambda: archive(images=np.zeros((12, 6, 5), np.uint8), labels=np.int64(1)), "npz:data.npz", {},
     r"labels must be 12 labels; got int64 of shape \(\)"),
    ("names that are not UTF-8",
     lambda: archive(images=np.zeros((12, 6, 5), np.uint8), labels=np.array([b"\xff", b"a"] * 6)),
     "npz:data.npz", {}, "labels: b'.xff' is not UTF-8"),
    ("numbers for the labels of one split and names for another's",
     lambda: archive(x_train=np.zeros((12, 6, 5), np.uint8), y_train=np.array(["b", "a"] * 6),
                     x_val=np.zeros((2, 6, 5), np.uint8), y_val=np.array([0, 1])),
     "npz:data.npz", {}, "the label 0 is a number, and the training images have names for labels"),
    ("arrays that are to be resized",
     lambda: archive(images=np.zeros((12, 6, 5), np.uint8), labels=LABELS), "npz:data.npz",
     {"resize": Resize((4, 4))}, "images are 6 x 5; arrays are not resized, only pictures"),
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
