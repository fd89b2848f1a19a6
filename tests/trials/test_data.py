"""What is read of each source: images, labels, splits, statistics and fingerprint."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits

from trials.data import DataConfig, DataError, check_batch_size, load, load_test, probe
from trials.data.images import ImageData, Split
from trials.data.sources import open_source


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "png")
    return out.getvalue()


def as_folder(images: np.ndarray, root: str) -> None:
    for index, image in enumerate(images):
        folder = Path(root) / ("cat", "dog")[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{index:03}.png").write_bytes(png(image))


def as_parquet(images: np.ndarray, root: str, split: str = "train") -> None:
    features = datasets.Features(
        {"img": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}
    )
    rows = {
        "img": [{"bytes": png(image), "path": None} for image in images],
        "label": [index % 2 for index in range(len(images))],
    }
    Path(root).mkdir(exist_ok=True)
    table = datasets.Dataset.from_dict(rows, features=features)
    table.to_parquet(f"{root}/{split}-00000-of-00001.parquet")


def pixels_by_label(data: ImageData) -> dict[int, set[bytes]]:
    found: dict[int, set[bytes]] = {}
    for split in (data.train, data.validation):
        for image, label in zip(split.images, split.labels, strict=True):
            found.setdefault(int(label), set()).add(image.tobytes())
    return found


def test_digits_are_scikit_learns_with_a_fifth_held_out_for_the_test():
    data = load(DataConfig("digits"))
    assert data.input_shape == (1, 8, 8)
    assert len(data.classes) == 10
    sizes = [len(data.train), len(data.validation), len(load_test(DataConfig("digits"), data))]
    assert sizes == [1151, 287, 359]
    assert sum(sizes) == 1797
    test = load_test(DataConfig("digits"), data)
    read = [pair for split in (data.train, data.validation, test) for pair in _pairs(split)]
    theirs = load_digits()
    levels = np.round(theirs.images * (255 / 16)).astype(np.uint8)
    assert sorted(read) == sorted(_pairs(Split(levels, theirs.target)))


def _pairs(split):
    return [(i.tobytes(), int(n)) for i, n in zip(split.images, split.labels, strict=True)]


@pytest.mark.parametrize("kind", ["parquet", "images", "npz", "hub"])
def test_every_source_gives_the_same_images_and_labels(kind, pictures):
    expected = {label: {image.tobytes() for image in pictures[label::2]} for label in (0, 1)}
    if kind == "images":
        as_folder(pictures, "data")
    elif kind == "npz":
        np.savez("data.npz", images=pictures, labels=np.arange(40) % 2)
    else:
        as_parquet(pictures, "data")
    config = DataConfig(f"{kind}:{'data.npz' if kind == 'npz' else str(Path('data').absolute())}")
    assert probe(config)[:2] == ((3, 6, 5), 2)
    data = load(config)
    assert data.input_shape == (3, 6, 5)
    assert pixels_by_label(data) == expected
    if kind != "npz":
        assert data.classes == ("cat", "dog")


def test_grey_images_have_one_channel(pictures):
    as_folder(pictures[..., 0], "data")
    assert load(DataConfig("images:data")).input_shape == (1, 6, 5)


def test_a_picture_in_colour_among_grey_ones_is_named(pictures):
    as_folder(pictures[..., 0], "data")
    Image.fromarray(pictures[7]).save("data/dog/3.png")
    with pytest.raises(
        DataError, match=r"dog/3.png: an image in colour, and the first one is grey"
    ):
        load(DataConfig("images:data"))
    assert load(DataConfig("images:data", shape=(3, 6, 5))).input_shape == (3, 6, 5)
    assert load(DataConfig("images:data", shape=(1, 6, 5))).input_shape == (1, 6, 5)


def test_a_grey_picture_among_coloured_ones_is_one_of_them(pictures):
    as_folder(pictures, "data")
    Image.fromarray(pictures[7, ..., 0]).save("data/dog/3.png")
    for limit in (None, 10):
        assert load(DataConfig("images:data", limit=limit)).input_shape == (3, 6, 5)


@pytest.mark.parametrize("length", [40, 600, 1000])
def test_a_truncated_archive_is_no_archive(pictures, length):
    np.savez("data.npz", images=pictures, labels=np.arange(40) % 2)
    whole = Path("data.npz").read_bytes()
    assert whole[:4] == b"PK\x03\x04"
    Path("data.npz").write_bytes(whole[:length])
    with pytest.raises(DataError, match=r"data.npz cannot be read"):
        load(DataConfig("npz:data.npz"))


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_damaged_archive_is_named_or_read(pictures, place, change):
    np.savez_compressed("data.npz", images=pictures // 64, labels=np.arange(40) % 2)
    content = bytearray(Path("data.npz").read_bytes())
    content[place % len(content)] ^= change
    Path("data.npz").write_bytes(content)
    with contextlib.suppress(DataError):
        load(DataConfig("npz:data.npz"))


def test_a_single_array_is_no_archive(pictures):
    np.save("data.npy", pictures)
    with pytest.raises(DataError, match=r"data.npy is a single array, not an archive"):
        load(DataConfig("npz:data.npy"))


def test_the_shape_of_generated_images_is_known_without_drawing_them_all(monkeypatch):
    drawn = []
    draw = np.random.default_rng

    def counted(seed):
        drawn.append(seed)
        return draw(seed)

    monkeypatch.setattr(np.random, "default_rng", counted)
    assert probe(DataConfig("synthetic", limit=10_000, shape=(3, 100, 100)))[:2] == (
        (3, 100, 100),
        10,
    )
    assert len(drawn) < 5


def test_generated_images_have_to_fit_into_memory():
    with pytest.raises(DataError, match="are 1,920,000,000,000 values, more than") as caught:
        probe(DataConfig("synthetic", limit=10_000_000_000, shape=(3, 8, 8)))
    assert caught.value.field == "limit"


def test_splits_are_disjoint_stratified_and_always_the_same(pictures):
    np.savez("data.npz", images=pictures, labels=np.arange(40) % 2)
    config = DataConfig("npz:data.npz", validation=0.25)
    data = load(config)
    assert np.bincount(data.train.labels).tolist() == [15, 15]
    assert np.bincount(data.validation.labels).tolist() == [5, 5]
    train, validation = (
        {image.tobytes() for image in split.images} for split in (data.train, data.validation)
    )
    assert not train & validation
    assert load(config).summary == data.summary


@settings(max_examples=30, deadline=None)
@given(st.integers(8, 40))
def test_a_limit_takes_the_same_share_of_each_class(limit):
    labels = np.array([0] * 30 + [1] * 10)
    np.savez("data.npz", images=np.zeros((40, 2, 2), np.uint8), labels=labels)
    data = load(DataConfig("npz:data.npz", limit=limit))
    counts = np.bincount(np.concatenate([data.train.labels, data.validation.labels]))
    assert counts.sum() == limit
    assert abs(counts[1] - limit / 4) <= 1


def test_a_limit_that_leaves_a_class_too_small_is_a_fault():
    labels = np.array([0] * 30 + [1] * 10)
    np.savez("data.npz", images=np.zeros((40, 2, 2), np.uint8), labels=labels)
    with pytest.raises(DataError, match="class 1 has 1 images; each needs one to train") as caught:
        load(DataConfig("npz:data.npz", limit=4))
    assert caught.value.field == "limit"


def test_limited_images_are_among_those_of_a_larger_limit(pictures):
    np.savez("data.npz", images=pictures, labels=np.arange(40) % 2)
    few, more = (load(DataConfig("npz:data.npz", limit=n)) for n in (10, 20))
    for label, images in pixels_by_label(few).items():
        assert images <= pixels_by_label(more)[label]


def test_statistics_are_those_of_the_training_images(pictures):
    np.savez("data.npz", images=pictures, labels=np.arange(40) % 2)
    data = load(DataConfig("npz:data.npz"))
    np.testing.assert_allclose(data.mean, data.train.images.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(data.std, data.train.images.std(axis=(0, 1, 2)))


def test_the_fingerprint_changes_with_any_image_or_label(pictures):
    np.savez("data.npz", images=pictures, labels=np.arange(40) % 2)
    data = load(DataConfig("npz:data.npz"))
    image = data.train.images.copy()
    image[3, 2, 1, 0] ^= 1
    changed = replace(data, train=Split(image, data.train.labels))
    assert changed.summary.fingerprint != data.summary.fingerprint
    label = data.validation.labels.copy()
    label[0] = 1 - label[0]
    changed = replace(data, validation=Split(data.validation.images, label))
    assert changed.summary.fingerprint != data.summary.fingerprint


def test_the_test_split_is_not_opened_by_a_search(pictures):
    """Its file is not even an image table: whoever reads it fails."""
    as_parquet(pictures, "data")
    Path("data/test-00000-of-00001.parquet").write_bytes(b"not parquet")
    config = DataConfig("parquet:data")
    data = load(config)
    with pytest.raises(DataError, match="data cannot be read"):
        load_test(config, data)


def test_the_test_split_is_the_one_of_that_name(pictures):
    as_parquet(pictures, "data")
    as_parquet(pictures[:10] // 2, "data", "test")
    config = DataConfig("parquet:data")
    test = load_test(config, load(config))
    assert {image.tobytes() for image in test.images} == {i.tobytes() for i in pictures[:10] // 2}


def test_columns_are_found_by_their_type_or_named(pictures):
    features = datasets.Features(
        {
            "picture": datasets.Image(),
            "coarse": datasets.ClassLabel(names=["a", "b"]),
            "fine": datasets.ClassLabel(names=["w", "x", "y", "z"]),
        }
    )
    rows = {
        "picture": [{"bytes": png(image), "path": None} for image in pictures],
        "coarse": [index % 2 for index in range(40)],
        "fine": [index % 4 for index in range(40)],
    }
    Path("data").mkdir()
    datasets.Dataset.from_dict(rows, features=features).to_parquet("data/train.parquet")
    with pytest.raises(DataError, match=r"2 columns \(coarse, fine\) of labels") as caught:
        load(DataConfig("parquet:data"))
    assert caught.value.hint == "name it: data.label_column"
    assert load(DataConfig("parquet:data", label_column="fine")).classes == ("w", "x", "y", "z")
    with pytest.raises(DataError, match="no column finest; it has picture, coarse, fine"):
        load(DataConfig("parquet:data", label_column="finest"))


def test_synthetic_images_are_always_the_same_and_can_be_learned():
    config = DataConfig("synthetic", limit=300, shape=(1, 8, 8), classes=3)
    data = load(config)
    assert load(config).summary == data.summary
    assert (len(data.train), data.input_shape, len(data.classes)) == (240, (1, 8, 8), 3)
    flat = data.train.images.reshape(len(data.train), -1).astype(float)
    means = np.stack([flat[data.train.labels == label].mean(axis=0) for label in range(3)])
    test = load_test(config, data)
    distances = ((test.images.reshape(len(test), 1, -1) - means) ** 2).sum(axis=2)
    assert (distances.argmin(axis=1) == test.labels).mean() > 0.8


def test_a_batch_larger_than_the_training_images_is_a_fault():
    data = load(DataConfig("synthetic", limit=100))
    check_batch_size(data, 80)
    with pytest.raises(DataError, match="80 training images are fewer than a batch of 81"):
        check_batch_size(data, 81)


def test_cifar10_as_it_is_published(cifar10):
    config = DataConfig(f"parquet:{cifar10}", limit=1000, validation=0.1)
    assert probe(config)[:2] == ((3, 32, 32), 10)
    data = load(config)
    assert data.classes[:3] == ("airplane", "automobile", "bird")
    assert np.bincount(data.train.labels).tolist() == [90] * 10
    assert len(open_source(config).read("train").labels) == 50_000
    # Published statistics of the whole training split: 125.3, 123.0, 113.9.
    np.testing.assert_allclose(data.mean, (125.3, 123.0, 113.9), atol=4)


def test_more_images_than_memory_holds_are_refused_before_they_are_decoded(monkeypatch):
    np.savez("data.npz", images=np.zeros((6, 6, 6, 3), np.uint8), labels=np.arange(6) % 2)
    sizes = {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": 6 * 6 * 6 * 3 * 2 - 1}
    monkeypatch.setattr("os.sysconf", sizes.__getitem__)
    with pytest.raises(DataError, match="GB once they are decoded, more than half of this machine"):
        load(DataConfig("npz:data.npz"))
    sizes["SC_PHYS_PAGES"] += 1
    load(DataConfig("npz:data.npz"))
