"""Decoded images in the user's cache: the same as those in memory, whole or made again."""

from __future__ import annotations

import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from tests.trials.data_sets import (
    FOLDER,
    encoded,
    entries,
    folders,
    images,
    numbered,
    pixels,
    table,
    write,
)
from tests.trials.training import CPU, QUICK, needs_gpu, network
from trials.data import DataError, ImageData, Resize, load, load_test
from trials.data.cache import entry_key
from trials.data.image_file import ImageFile
from trials.data.resident import needs_streaming
from trials.train import Resident, train

pytestmark = pytest.mark.usefixtures("own_cache")


def pixels_of(data: ImageData) -> list[np.ndarray]:
    return [split.images[:] for split in (data.train, data.validation)]


def with_splits() -> None:
    folders(train__cat=9, train__dog=9, val__cat=3, val__dog=2, test__cat=2, test__dog=3)


def in_a_table() -> None:
    table({"img": images(), "label": ["cat", "dog"] * 6})


def of_many_sizes() -> None:
    for name in (*numbered("data/cat", 8), *numbered("data/dog", 8)):
        write(name, content=encoded(pixels(7 + len(name), 9)))


@pytest.mark.parametrize(
    ("make", "config"),
    [
        (lambda: folders(cat=15, dog=15), FOLDER),
        (lambda: folders(cat=15, dog=15), replace(FOLDER, limit=12, validation=0.3)),
        (lambda: folders(cat=15, dog=15), replace(FOLDER, shape=(1, 6, 6))),
        (with_splits, FOLDER),
        (of_many_sizes, replace(FOLDER, resize=Resize((8, 8), "pad"))),
        (in_a_table, replace(FOLDER, source="parquet:data")),
        (in_a_table, replace(FOLDER, source="hub:./data")),
    ],
)
def test_cached_images_are_those_in_memory(make, config):
    make()
    in_memory, cached = load(replace(config, memory=None)), load(config)
    assert isinstance(cached.train.images, ImageFile)
    assert isinstance(cached.validation.images, ImageFile)
    assert cached.summary == in_memory.summary
    assert [len(split) for split in (cached.train, cached.validation)] == list(
        cached.summary.images
    )
    for expected, found in zip(pixels_of(in_memory), pixels_of(cached), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_network_that_is_trained_from_the_cache_has_the_same_weights(folder):
    weights = []
    for config in (folder, replace(folder, memory=None)):
        data = Resident(load(config), CPU)
        recipe = replace(QUICK, epochs=2, batch_size=8, crop=1, flip=True)
        trained = train(network(2), data, recipe, seed=1)
        weights.append((trained.network.state_dict(), trained.curve))
    (cached, curve), (in_memory, expected) = weights
    assert curve == expected
    for name, values in in_memory.items():
        assert torch.equal(cached[name], values), name


def test_the_test_split_is_cached_too():
    with_splits()
    test = load_test(FOLDER, load(FOLDER))
    assert isinstance(test.images, ImageFile)
    expected = load_test(FOLDER, load(replace(FOLDER, memory=None)))
    np.testing.assert_array_equal(test.images[:], load_test(FOLDER, load(FOLDER)).images[:])
    np.testing.assert_array_equal(test.labels, expected.labels)


def test_images_are_cached_above_the_limit_alone(folder):
    size = 30 * 6 * 6 * 3
    assert isinstance(load(replace(folder, memory=size)).train.images, np.ndarray)
    assert not entries()
    data = load(replace(folder, memory=size - 1))
    assert isinstance(data.train.images, ImageFile)
    assert data.notes == (f"cached 0.0 GB in {entries()[0].absolute()}",)


def test_an_entry_is_used_again_wherever_the_folder_is(folder):
    first = load(folder)
    written = entries()[0].stat().st_mtime_ns
    Path("data").rename("moved")
    second = load(replace(folder, source="images:moved"))
    assert [entry.stat().st_mtime_ns for entry in entries()] == [written]
    assert second.summary == first.summary


def rewrite() -> None:
    """Another picture of the same size, at the time of the first."""
    file = Path("data/cat/3.png")
    times = file.stat()
    write(str(file), content=encoded(pixels()))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        rewrite,
        lambda: write("data/dog/99.png"),
        lambda: Path("data/cat/3.png").rename("data/cat/99.png"),
        lambda: Path("data/cat/3.png").unlink(),
    ],
)
def test_other_pictures_are_another_entry(folder, change):
    before = load(folder)
    change()
    assert load(folder).summary == load(replace(folder, memory=None)).summary
    assert load(folder).summary != before.summary
    assert len(entries()) == 2


def test_other_settings_are_another_entry(folder):
    for config in (
        folder,
        replace(folder, limit=10),
        replace(folder, validation=0.4),
        replace(folder, resize=Resize((6, 6), "stretch")),
        replace(folder, shape=(1, 6, 6)),
    ):
        assert load(config).summary == load(replace(config, memory=None)).summary
    assert len(entries()) == 5


def test_pictures_beside_a_table_belong_to_it():
    write(*numbered("data/pictures", 12))
    paths = [{"bytes": None, "path": f"pictures/{index}.png"} for index in range(12)]
    table({"img": paths, "label": ["cat", "dog"] * 6})
    config = replace(FOLDER, source="parquet:data")
    before = load(config)
    write("data/pictures/3.png", content=encoded(pixels()))
    after = load(config)
    assert after.summary == load(replace(config, memory=None)).summary != before.summary
    rows = pq.read_table("data/train.parquet").num_rows
    assert rows == len(after.train) + len(after.validation)


def test_data_sets_of_the_hub_that_are_small_are_told_apart(monkeypatch):
    monkeypatch.setattr("datasets.config.IN_MEMORY_MAX_SIZE", 2**20)
    config = replace(FOLDER, source="hub:./data")
    in_a_table()
    before = load(config)
    in_a_table()
    assert load(config).summary == load(replace(config, memory=None)).summary != before.summary


def test_images_without_a_file_have_no_key():
    with pytest.raises(DataError, match="no file is known") as caught:
        entry_key([], None, b"")
    assert "--no-cache" in caught.value.hint


@pytest.mark.parametrize(
    "damaged",
    [
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda _content: b"",
        lambda content: content[:20],
        lambda content: b"\0" * len(content),
        lambda content: content.replace(b"(30, 6", b"(30, 9"),
        lambda content: content.replace(b"|u1", b"|i1"),
    ],
)
def test_a_damaged_entry_is_made_again(folder, damaged):
    expected = load(folder).summary
    whole = entries()[0].read_bytes()
    entries()[0].write_bytes(damaged(whole))
    assert load(folder).summary == expected
    assert entries()[0].read_bytes() == whole


def test_images_of_a_file_travel_as_its_path_and_are_not_mapped(folder):
    data = load(folder)
    assert b"data" not in pickle.dumps(data.train.images.__reduce__()[1][1:])
    resident = Resident(pickle.loads(pickle.dumps(data)), CPU)
    batch, _ = resident.train.batch(torch.tensor([2, 0]))
    expected = load(replace(folder, memory=None)).train.images[[2, 0]]
    found = batch.permute(0, 2, 3, 1) * torch.tensor(data.std) + torch.tensor(data.mean)
    np.testing.assert_array_equal(found.round().byte(), expected)
    assert str(data.train.images.path) not in Path("/proc/self/maps").read_text()


def test_a_machine_without_the_file_says_so(folder):
    data = load(folder)
    shutil.rmtree("cache")
    with pytest.raises(
        DataError, match=r"npy, which has the decoded images, cannot be read on"
    ) as e:
        Resident(data, CPU)
    assert "XDG_CACHE_HOME" in e.value.hint


def test_a_file_that_is_cut_off_while_it_is_read_says_so(folder):
    data = load(folder)
    os.truncate(entries()[0], 300)
    with pytest.raises(DataError, match="ends before image"):
        data.train.images[:]


def test_of_several_wrong_pictures_the_first_is_named(folder):
    write("data/dog/3.png", content=encoded()[:60])
    write("data/dog/5.png", "data/dog/4.png", content=b"nothing")
    with pytest.raises(DataError, match=r"dog/3\.png: not a readable image"):
        load(folder)


@pytest.mark.parametrize(
    ("memory", "share", "streams"),
    [(6480, 1.0, False), (6479, 1.0, True), (6480 * 4, 0.25, False), (6480 * 4 - 1, 0.25, True)],
)
def test_a_gpu_holds_what_takes_half_of_a_trials_share(folder, monkeypatch, memory, share, streams):
    """Thirty pictures of 6 x 6 x 3 bytes are 3,240."""
    data = load(folder)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda _device: (0, memory))
    splits = data.train, data.validation
    assert needs_streaming(splits, torch.device("cuda"), share) == streams
    assert not needs_streaming(splits, CPU, share)


@needs_gpu
@pytest.mark.parametrize("share", [1.0, 0.0])
def test_a_gpu_holds_the_images_of_a_file_or_reads_each_batch(folder, share):
    device = torch.device("cuda")
    resident = Resident(load(folder), device, share=share)
    assert isinstance(resident.train.images, torch.Tensor) == bool(share)
    indices = torch.arange(10, device=resident.train.index_device)
    expected, _ = Resident(load(replace(folder, memory=None)), CPU).train.batch(torch.arange(10))
    found, _ = resident.train.batch(indices)
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-5, atol=1e-5)
