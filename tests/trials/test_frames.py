"""Clips as folders of frames: what is read, which frames are taken, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.trials.data_sets import encoded, entries, oriented, pixels, write
from tests.trials.training import CPU
from trials.data import DataConfig, DataError, Resize, describe, load, load_test, probe
from trials.data.file_order import in_order, in_order_of_names
from trials.data.frames import FrameSource, evenly
from trials.data.loading import check_test_split
from trials.data.resident import ResidentSplit

FRAMES = DataConfig("frames:data", validation=0.5)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def moving(down: bool, count: int = 5, channels: int = 3) -> np.ndarray:
    """A bright square that goes down or to the right, (T, H, W, C) uint8."""
    shape = (count, 8, 7, channels)
    frames = np.random.default_rng(count + down).integers(0, 60, shape, dtype=np.uint8)
    for t, frame in enumerate(frames):
        row, column = (t % 6, 2) if down else (2, t % 5)
        frame[row : row + 2, column : column + 2] += 180
    return frames


def write_clip(folder: str, frames: np.ndarray, name: str = "{:04}.png") -> None:
    for number, frame in enumerate(frames, 1):
        write(f"{folder}/{name.format(number)}", content=encoded(frame.squeeze()))


def write_clips(*splits: str, count: int = 4, length: int = 5) -> dict[str, np.ndarray]:
    """So many clips of each class in the folder of each split, by the names of their folders."""
    written = {}
    for split in splits:
        for index in range(count):
            for label in ("down", "right"):
                folder = f"{split}/{label}/{index}"
                written[folder] = moving(label == "down", length) + np.uint8(index)
                write_clip(folder, written[folder])
    return written


@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_are_the_frames_that_were_written(channels):
    written = {f"{split}/{label}/{index}": moving(label == "down", 3 + index, channels)[:3]
               for split in ("train", "val", "test") for label in ("down", "right")
               for index in range(2)}  # fmt: skip
    for folder, frames in written.items():
        write_clip(f"data/{folder}", frames)
    assert probe(FRAMES) == ((channels, 3, 8, 7), 2, False)
    data = load(FRAMES)
    assert data.classes == ("down", "right")
    splits = {"train": data.train, "val": data.validation, "test": load_test(FRAMES, data)}
    for name, split in splits.items():
        of_split = [frames for folder, frames in written.items() if folder.startswith(name)]
        np.testing.assert_array_equal(split.images, of_split)
        assert split.labels.tolist() == [0, 0, 1, 1]
    assert describe(data).startswith(f"2 classes of 2 training images, {channels} x 3 x 8 x 7")


def test_frames_are_in_the_order_of_their_numbers():
    """As FFmpeg, OpenCV's examples and others number them: padded, from 0 or 1, or not."""
    frames = moving(down=True, count=12)
    names = ("{:06}.png", "{}.png", "frame{}.PNG", "img_{:05}.png")
    for number, name in enumerate(names):
        for label in ("a", "b"):
            write_clip(f"data/{label}/{number}", frames, name)
    data = load(FRAMES)
    np.testing.assert_array_equal(data.pool, [frames] * 8)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))))
def test_frames_taken_are_in_the_middle_of_equal_parts(lengths):
    length, count = lengths
    part = Fraction(length, count)
    taken = evenly(length, count)
    assert taken == [floor(part / 2 + i * part) for i in range(count)]
    assert len(set(taken)) == count


def test_frames_taken_of_known_lengths():
    assert evenly(5, 5) == [0, 1, 2, 3, 4]
    assert evenly(10, 4) == [1, 3, 6, 8]
    assert evenly(9, 3) == [1, 4, 7]
    assert evenly(7, 1) == [3]


def test_so_many_frames_as_the_shape_says_are_taken_of_clips_of_any_length():
    lengths = (4, 9, 10, 23)
    for label in ("down", "right"):
        for length in lengths:
            write_clip(f"data/{label}/{length}", moving(label == "down", length))
    config = replace(FRAMES, shape=(3, 4, 8, 7))
    train = load(replace(config, validation=0.25)).pool
    expected = [moving(label, n)[[0, 1, 2, 3] if n == 4 else places]
                for label in (True, False)
                for n, places in zip(lengths, ([], [1, 3, 5, 7], [1, 3, 6, 8], [2, 8, 14, 20]),
                                     strict=True)]  # fmt: skip
    assert sorted(clip.tobytes() for clip in train) == sorted(clip.tobytes() for clip in expected)
    with pytest.raises(
        DataError, match=r"data/down/23 has 23 frames and data/down/4 has 4"
    ) as said:
        load(FRAMES)
    assert said.value.field == "shape"
    assert "of each, evenly, up to 4: data.shape: [channels, frames, " in said.value.hint
    with pytest.raises(DataError, match=r"data/down/4 has 4 frames, fewer than the 5 that"):
        load(replace(FRAMES, shape=(3, 5, 8, 7)))


def test_frames_are_resized_turned_and_greyed_as_images_are():
    for label in ("a", "b"):
        for index in range(2):
            write(f"data/{label}/{index}/1.png", content=encoded(pixels(9, 7)))
            write(f"data/{label}/{index}/2.jpg", content=oriented(6))  # 6 x 4, stored lying
    with pytest.raises(DataError, match=r"2.jpg: the image is 6 x 4 .*9 x 7 \(4\), 6 x 4 \(4\)"):
        load(FRAMES)
    config = replace(FRAMES, resize=Resize((6, 4)), shape=(1, 2, 6, 4))
    clips, images = load(config), load(replace(config, source="images:data", shape=(1, 6, 4)))
    assert clips.input_shape == (1, 2, 6, 4)
    assert sorted(f.tobytes() for clip in clips.pool for f in clip) == sorted(
        image.tobytes() for image in images.pool
    )


def test_a_changed_frame_and_another_order_are_other_data():
    write_clips("data")
    before = load(FRAMES).summary.fingerprint
    assert load(FRAMES).summary.fingerprint == before
    Path("data").rename("moved")
    moved = replace(FRAMES, source="frames:moved")
    assert load(moved).summary.fingerprint == before
    clip = Path("moved/down/1")
    (clip / "0002.png").rename(clip / "0006.png")
    order = load(moved).summary.fingerprint
    (clip / "0006.png").rename(clip / "0002.png")
    assert load(moved).summary.fingerprint == before
    frame = np.asarray(Image.open(clip / "0003.png")).copy()
    frame[0, 0, 0] ^= 1
    Image.fromarray(frame).save(clip / "0003.png")
    assert len({before, order, load(moved).summary.fingerprint}) == 3


@pytest.mark.usefixtures("own_cache")
def test_more_clips_than_memory_are_in_a_file_and_the_same():
    """`stream` is of single pictures: clips are decoded once all the same."""
    write_clips("data")
    memory = load(replace(FRAMES, memory=None))
    file = load(replace(FRAMES, memory=0, stream=True))
    assert len(entries()) == 1
    assert memory.summary == file.summary
    four = torch.arange(4)
    batches = [ResidentSplit(data.train, data, CPU).batch(four)[0] for data in (memory, file)]
    assert batches[0].shape == (4, 3, 5, 8, 7)
    assert batches[0].equal(batches[1])
    load(replace(FRAMES, memory=0, shape=(3, 2, 8, 7)))
    assert len(entries()) == 2


def test_what_is_left_out_is_said():
    write_clips("data")
    write("data/README.txt", "data/down/list.csv", content=b"x")
    write("data/down/0/.DS_Store", content=b"x")
    data = load(FRAMES)
    assert "2 other files left out" in data.notes
    assert "1 hidden file left out" in data.notes


def animation(kind: str) -> bytes:
    """Two pictures of the size of others in one file."""
    first, second = (Image.fromarray(pixels(8, 7)) for _ in range(2))
    return encoded(np.asarray(first), kind, save_all=True, append_images=[second])


LAYOUT = "such as cat/clip1/0001.png"

# Name, what is added to eight clips or is there in place of them, and what is said and hinted.
SAID = [
    ("an empty clip", lambda: Path("data/down/7").mkdir(),
     "data/down/7, the folder of a clip, has no frames", LAYOUT),
    ("a class without clips", lambda: Path("data/up").mkdir(),
     "data/up, the folder of a class, has no clips", LAYOUT),
    ("a picture for a clip", lambda: write("data/down/7.png"),
     "data/down/7.png is a picture where the folder of a clip has to be", "images:DIR reads"),
    ("a picture for a class", lambda: write("data/7.png"),
     "data/7.png is a picture where the folder of a clip has to be", "images:DIR reads"),
    ("a frame that is cut off", lambda: write("data/down/0/0005.png", content=encoded(pixels(8, 7))[:-40]),
     "data/down/0/0005.png: not a readable image", ""),
    ("a frame that is none", lambda: write("data/down/0/0005.png", content=b"no"),
     "data/down/0/0005.png: not a readable image", "images are PNG"),
    ("another file among frames", lambda: write("data/down/0/times.txt", content=b"1"),
     "data/down/0/times.txt is no picture, and all files in the folder of a clip are its frames",
     "frames are .bmp, .gif"),
    ("a folder among frames", lambda: write("data/down/0/more/1.png"),
     "data/down/0/more is a folder among the frames of a clip", LAYOUT),
    ("a video for a clip", lambda: write("data/down/a b.MP4", content=b"x"),
     r"data/down/a b.MP4 is a video, which is not decoded",
     "mkdir -p DIR/CLASS/CLIP && ffmpeg -i 'data/down/a b.MP4' DIR/CLASS/CLIP/%06d.png"),
    ("a video in a clip", lambda: write("data/down/0/0.webm", content=b"x"),
     "data/down/0/0.webm is a video", "ffmpeg -i data/down/0/0.webm DIR/CLASS/CLIP/%06d.png"),
    ("a video for a class", lambda: write("data/5%.mp4", content=b"x"),
     "data/5%.mp4 is a video", "ffmpeg -i data/5%.mp4 DIR/CLASS/CLIP/%06d.png"),
    ("an animation for a frame", lambda: write("data/down/0/0005.gif", content=animation("gif")),
     "data/down/0/0005.gif: several pictures in one file", "each into its own"),
    ("an animation by another name", lambda: write("data/down/0/0005.png", content=animation("webp")),
     "data/down/0/0005.png: several pictures in one file", "each into its own"),
    ("a stack of pictures", lambda: write("data/down/0/0005.tif", content=animation("tiff")),
     "data/down/0/0005.tif: several pictures in one file", "each into its own"),
    ("a link out of the folder",
     lambda: (Path("x.png").write_bytes(encoded()), Path("data/down/0/6.png").symlink_to("/etc")),
     "data/down/0/6.png is a link to /etc, outside of data", "copy them"),
    ("a class beside splits", lambda: write_clips("data/train"),
     "data has down, right beside train", "splits stand alone"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "message", "hint"), [row[1:] for row in SAID], ids=[row[0] for row in SAID]
)
def test_what_are_no_clips_is_refused(make, message, hint):
    write_clips("data")
    make()
    with pytest.raises(DataError, match=message) as said:
        load(replace(FRAMES, shape=(3, 5, 8, 7)) if "several" in message else FRAMES)
    assert hint in said.value.hint


@pytest.mark.parametrize("other", ["val", "test"])
def test_without_a_shape_all_splits_have_as_many_frames(other):
    """Or one would be seen at another frame rate; of the test split it is said before a search."""
    write_clips("data/train", length=3)
    write_clips(f"data/{other}", length=9)
    message = f"data/{other}/down/0 has 9 frames and data/train/down/0 has 3 frames"
    for read in (load, probe):
        with pytest.raises(DataError, match=message) as said:
            read(FRAMES)
    assert said.value.field == "shape"
    data = load(replace(FRAMES, shape=(3, 3, 8, 7)))
    split = data.validation if other == "val" else load_test(FRAMES, data)
    np.testing.assert_array_equal(split.images[0], moving(True, 9)[[1, 4, 7]])
    with pytest.raises(DataError, match="data/train/down/0 has 3 frames, fewer than the 5 that"):
        load(replace(FRAMES, shape=(3, 5, 8, 7)))


def test_a_folder_without_folders_of_classes_is_no_split():
    """As in images:DIR; it would be missed only when a search has ended."""
    write_clips("data/train")
    for name in ("val", "test"):
        write(f"data/{name}/.keep", content=b"")
    assert FrameSource("data", FRAMES).splits() == ("train",)
    assert len(load(FRAMES).validation) == 4
    with pytest.raises(DataError, match="data has no test split; it has train"):
        check_test_split(FRAMES, "")
    write("data/test/1.png")
    with pytest.raises(DataError, match="data has test beside train"):
        load(FRAMES)


def test_what_is_beside_splits_is_said_or_refused():
    write_clips("data/train", "data/val")
    write("data/README.txt", "data/list/1.csv", "data/train/x.txt", "data/.x", content=b"x")
    notes = load(FRAMES).notes
    assert "2 other files left out" in notes
    assert "1 hidden file left out" in notes
    write("data/dog/1.mp4", content=b"x")
    with pytest.raises(DataError, match="data has dog beside train, val"):
        load(FRAMES)
    Path("data/dog/1.mp4").rename("data/2.mp4")
    with pytest.raises(DataError, match=r"data/2.mp4 is a video"):
        load(FRAMES)
    Path("data/2.mp4").unlink()
    write("data/3.png")
    with pytest.raises(DataError, match=r"data/3.png is a picture where the folder of a clip"):
        load(FRAMES)


def test_what_is_hidden_is_not_read():
    write_clips("data")
    Path("data/down/0/.circle").symlink_to(".circle")
    Path("data/down/.old").mkdir()
    assert "1 hidden file left out" in load(FRAMES).notes
    Path("data/down/0/circle.png").symlink_to("circle.png")
    with pytest.raises(DataError, match=r"data/down/0/circle.png.* cannot be read: Too many"):
        load(FRAMES)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text("a01-.", min_size=1).filter(lambda name: name.strip("."))))
def test_names_of_a_folder_are_in_the_order_of_files(names):
    files = [Path("data/2", name) for name in names]
    expected = [file.name for file in sorted(files, key=in_order)]
    assert sorted(names, key=in_order_of_names) == expected


def test_a_gif_of_one_picture_is_a_frame():
    frames = moving(down=True, count=2, channels=1)
    for label in ("a", "b"):
        for clip in range(2):
            for number, frame in enumerate(frames):
                content = encoded(frame.squeeze(), "gif")
                write(f"data/{label}/{clip}/{number}.gif", content=content)
    np.testing.assert_array_equal(load(replace(FRAMES, shape=(1, 2, 8, 7))).pool, [frames] * 4)


def test_splits_are_refused_where_they_have_no_clips():
    for folder in ("data/none", "data/flat/train/cat", "data/flat/test/cat"):
        Path(folder).mkdir(parents=True)
    with pytest.raises(DataError, match="data/none has no folders of classes"):
        load(DataConfig("frames:data/none"))
    write("data/flat/train/cat/1.png", "data/flat/test/cat/1.png")
    with pytest.raises(DataError, match=r"data/flat/train/cat/1.png is a picture where the folder"):
        load(DataConfig("frames:data/flat"))
    with pytest.raises(DataError, match="no such folder: nowhere"):
        load(DataConfig("frames:nowhere"))
    with pytest.raises(DataError, match=r"clips have four numbers, \[channels, frames"):
        load(replace(FRAMES, shape=(3, 8, 7)))
