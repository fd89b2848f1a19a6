"""Pictures that are decoded at each step: the same training as in memory, also in parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tests.trials.data_sets import encoded, pixels
from tests.trials.training import CPU, QUICK, network
from trials.checkpoint import Checkpoints
from trials.data import DataConfig, DataError, Resize, load, load_test
from trials.data.pictures import _ahead, open_picture, resized, upright_size
from trials.data.streamed import RATIOS, StreamedPictures, random_crops
from trials.rate_range import range_test
from trials.resumable import Watch, train_resumably
from trials.train import Resident, train

RECIPE = replace(QUICK, epochs=2, batch_size=8, crop=1, flip=True)


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Sixty of many sizes, of two classes of colours."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 24), ("test", 4)):
        for label, bright in (("day", 160), ("night", 60)):
            folder = tmp_path / "pictures" / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                size = (*rng.integers(9, 24, 2), 3)
                pixels = rng.normal(bright, 40, size).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "pictures"


def config(pictures: Path, streamed: bool = True) -> DataConfig:
    in_memory = DataConfig(f"images:{pictures}", resize=Resize((10, 12)), validation=0.25)
    return replace(in_memory, stream=True, memory=0) if streamed else in_memory


def weights(trained) -> torch.Tensor:
    return torch.cat([tensor.flatten().float() for tensor in trained.network.state_dict().values()])


def test_the_normalisation_is_measured_a_few_pictures_at_a_time(pictures, monkeypatch):
    """Ten thousand of 299 x 299 are 2.7 GB once they are decoded."""
    asked = []
    get = StreamedPictures.__getitem__
    monkeypatch.setattr(
        StreamedPictures, "__getitem__", lambda self, key: asked.append(get(self, key)) or asked[-1]
    )
    monkeypatch.setattr("trials.data.images.CHUNK", 5 * 10 * 12 * 3)
    monkeypatch.setattr("trials.data.streamed.STATISTICS_OF", 18)
    found = load(config(pictures))
    assert [len(images) for images in asked] == [5, 5, 5, 3]
    means = found.train.images[::2].mean(axis=(0, 1, 2))
    np.testing.assert_allclose(found.mean, means, rtol=1e-12)


def test_streamed_or_in_memory_the_weights_are_the_same_bit_for_bit(pictures, tmp_path):
    streamed, resident = (load(config(pictures, streamed)) for streamed in (True, False))
    assert isinstance(streamed.train.images, StreamedPictures)
    assert isinstance(streamed.validation.images, StreamedPictures)
    assert "pictures are decoded at each step" in streamed.notes[-1]
    assert (streamed.mean, streamed.std) == (resident.mean, resident.std)
    np.testing.assert_array_equal(streamed.train.images[:], resident.train.images)
    kept = Checkpoints(tmp_path / "kept", pytest.fail)
    found = train_resumably(network(), Resident(streamed, CPU), RECIPE, 5, kept, {})
    expected = train(network(), Resident(resident, CPU), RECIPE, 5)
    assert found.curve == expected.curve
    assert torch.equal(weights(found), weights(expected))
    test = load_test(config(pictures), streamed)
    np.testing.assert_array_equal(
        test.images[:], load_test(config(pictures, False), resident).images
    )


def test_in_parts_it_sees_the_same_pictures_and_the_same_parts_of_them(pictures, tmp_path):
    recipe = replace(RECIPE, resized_crop=0.2, polyak=0.9)
    data = load(config(pictures))

    def trained(folder: Path, parts: list[int]):
        while True:
            left = iter([False] * (parts.pop(0) - 1) + [True]) if parts else None
            watch = Watch(lambda left=left: next(left) if left else False)
            kept = Checkpoints(folder, pytest.fail)
            found = train_resumably(
                network(), Resident(data, CPU), recipe, 5, kept, {}, watch=watch
            )
            if found:
                return found

    whole, in_parts = trained(tmp_path / "a", []), trained(tmp_path / "b", [1, 2, 2, 1])
    assert whole.curve == in_parts.curve
    assert torch.equal(weights(whole), weights(in_parts))
    without = train(network(), Resident(data, CPU), replace(recipe, resized_crop=0.0), 5)
    assert not torch.equal(weights(whole), weights(without))


def test_a_range_test_gives_the_same_losses_streamed_or_in_memory(pictures, monkeypatch):
    monkeypatch.setattr("trials.rate_range.STEPS", 13)  # of 36 pictures, more than two epochs

    def losses(streamed: bool, least: float = 0.0):
        recipe, data = replace(RECIPE, resized_crop=least), load(config(pictures, streamed))
        return range_test(network(), Resident(data, CPU), recipe, 5).losses

    assert losses(True) == losses(False)
    assert len(losses(True)) == 13
    assert losses(True, 0.2) == losses(True, 0.2) != losses(True)


def part(least, seed, epoch, place, width, height):
    """Of the picture at a place of an epoch."""
    return next(random_crops(least, seed, epoch, [place]))(width, height)


@given(
    st.floats(0.01, 1),
    st.integers(1, 5000),
    st.integers(1, 5000),
    st.tuples(*[st.integers(0, 9)] * 3),
)
def test_a_random_part_is_of_the_picture_and_as_large_as_is_said(least, width, height, place):
    left, top, right, bottom = part(least, *place, width, height)
    tolerance = 1e-6 * max(width, height)
    assert -tolerance <= left < right <= width + tolerance
    assert -tolerance <= top < bottom <= height + tolerance
    wide, high = right - left, bottom - top
    assert RATIOS[0] * 0.999 <= wide / high <= RATIOS[1] * 1.001
    if RATIOS[0] <= width / height <= RATIOS[1]:  # else so much may not fit
        assert wide * high >= 0.99 * least * width * height
    assert (left, top, right, bottom) == part(least, *place, width, height)


def test_parts_differ_from_picture_to_picture_and_from_epoch_to_epoch():
    parts = [part(0.1, *place, 100, 80) for place in np.ndindex(3, 3, 3)]
    assert len(set(parts)) == 27
    _, second = random_crops(0.1, 0, 0, range(2))
    assert second(100, 80) == part(0.1, 0, 0, 1, 100, 80)


def test_its_fingerprint_is_that_of_its_files_wherever_they_are(pictures):
    before = load(config(pictures)).summary.fingerprint
    moved = pictures.rename(pictures.with_name("moved"))
    assert load(config(moved)).summary.fingerprint == before
    other = replace(config(moved), resize=Resize((10, 12), "stretch"))
    assert load(other).summary.fingerprint != before
    Image.new("RGB", (9, 9), (1, 2, 3)).save(moved / "train" / "day" / "0.png")
    assert load(config(moved)).summary.fingerprint != before


def test_a_picture_that_is_damaged_meanwhile_is_named(pictures, tmp_path):
    data = load(config(pictures))
    file = pictures / "train" / "day" / "3.png"
    file.write_bytes(file.read_bytes()[:-40])
    kept = Checkpoints(tmp_path / "kept", pytest.fail)
    with pytest.raises(DataError, match=r"day/3\.png: not a readable image"):
        train_resumably(network(), Resident(data, CPU), RECIPE, 5, kept, {})


def test_other_images_than_those_that_come_next_are_decoded_as_well(pictures):
    data = load(config(pictures))
    images = data.train.images
    images.read_ahead(np.array([[0, 1], [2, 3], [4, 5]]), None)
    expected = load(config(pictures, streamed=False)).train.images
    for numbers in ([7, 8], [0, 1], [9], [2, 3], [4, 5], [6, 6]):
        np.testing.assert_array_equal(images[np.array(numbers)], expected[numbers])


def test_a_jpeg_without_exif_is_turned_as_its_xmp_says():
    lying = encoded(pixels(4, 6), "jpeg", xmp=b'<rdf tiff:Orientation="6"/>')
    assert upright_size(open_picture(lying, "lying")) == (6, 4)
    assert upright_size(open_picture(encoded(pixels(4, 6), "jpeg"), "plain")) == (4, 6)


@pytest.mark.parametrize("mode", ["crop", "pad", "stretch"])
def test_a_picture_of_the_wanted_size_stays_as_pillow_would_leave_it(mode):
    image = Image.fromarray(pixels(7, 5))
    by_pillow = {
        "crop": ImageOps.fit(image, (5, 7), Image.Resampling.BILINEAR),
        "pad": ImageOps.pad(image, (5, 7), Image.Resampling.BILINEAR),
        "stretch": image.resize((5, 7), Image.Resampling.BILINEAR),
    }
    kept = resized(image, Resize((7, 5), mode))
    np.testing.assert_array_equal(np.asarray(kept), np.asarray(by_pillow[mode]))


@pytest.mark.parametrize("at_once", [1, 3, 8])
def test_what_threads_return_is_in_order_up_to_the_first_error(at_once):
    def call(number, _content, _crop):
        if number in (20, 22):
            raise DataError(f"number {number}")
        return number

    def returned(count):
        return _ahead(call, ((number, bytes, None) for number in range(count)), at_once)

    assert list(returned(20)) == list(range(20))
    with pytest.raises(DataError, match="number 20"):
        list(returned(30))
