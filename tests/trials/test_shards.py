"""Tar files as WebDataset has them: which are read, what of them, and what is said of others."""

from __future__ import annotations

import gzip
import json
import pickle
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trials.data_sets import encoded, entries, pixels, shard, tar
from tests.trials.training import CPU, QUICK, network
from trials.checkpoint import Checkpoints
from trials.data import DataConfig, DataError, Resize, describe, load, load_test, probe
from trials.data.streamed import StreamedPictures
from trials.resumable import Watch, train_resumably
from trials.train import Resident, train


def test_pictures_and_labels_are_those_of_the_shards(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures = [pixels() for _ in range(6)]
    label = json.dumps({"label": 1, "caption": "a dog"})
    tar("d/x-train-1.tar", a__PNG=encoded(pictures[2]), a__json=label, a__txt="no label")
    tar(
        "d/x-train-0.tar",
        **{"dir.1/a.webp": encoded(pictures[0], "webp", lossless=True), "dir.1/a.cls": "0\n"},
        **{"dir.1/b.json": label, "dir.1/b.cls": "0", "dir.1/b.png": encoded(pictures[1])},
    )
    tar("d/x-val-0.tar", a__png=encoded(pictures[3]), a__cls="1")
    tar("d/x-test-0.tar", a__png=encoded(pictures[4]), a__cls="0")
    shard("d/other.tar", 0)
    config = DataConfig("webdataset:d/*.tar")
    data = load(config)
    np.testing.assert_array_equal(data.train.images, pictures[:3])
    assert data.train.labels.tolist() == [0, 0, 1]
    np.testing.assert_array_equal(data.validation.images, pictures[3:4])
    np.testing.assert_array_equal(load_test(config, data).images, pictures[4:5])
    assert describe(data) == (
        "2 classes of 1 to 2 training images, 3 x 6 x 6; other.tar left out, whose name tells no "
        "split; the source's own validation split; no validation images of 0"
    )
    assert probe(config) == ((3, 6, 6), 2, False)


def test_files_and_keys_of_other_names_are_chosen_by_the_columns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    members = {}
    for key in range(4):
        members |= {f"{key}.input.png": encoded(pixels(4, 4)), f"{key}.seg.png": encoded()}
        members |= {f"{key}.json": json.dumps({"label": 0, "fine": key % 2}), f"{key}.cls2": "1"}
    tar("d.tar", **members)
    config = DataConfig("webdataset:d.tar", image_column="input.png", label_column="fine")
    data = load(replace(config, validation=0.5))
    assert data.input_shape == (3, 4, 4)
    assert sorted(data.train.labels.tolist()) == [0, 1]
    with pytest.raises(DataError, match="class 0 has 0 images"):
        load(replace(config, label_column="cls2"))
    members = {name.replace("input", "Input"): content for name, content in members.items()}
    tar("capitals.tar", **members)
    config = replace(config, source="webdataset:capitals.tar", image_column="inPut.PNG")
    assert load(replace(config, validation=0.5)).input_shape == (3, 4, 4)
    with pytest.raises(DataError, match="class 0 has 0 images"):
        load(replace(config, label_column="CLS2"))
    with pytest.raises(DataError, match=r"0\.json has no FINE; it has label, fine"):
        load(replace(config, label_column="FINE"))
    with pytest.raises(DataError, match=r"0: 2 images, input\.png, seg\.png"):
        load(replace(config, image_column=None))
    with pytest.raises(DataError, match=r"0: there is no \.jpg, only \.input\.png"):
        load(replace(config, image_column="jpg"))
    with pytest.raises(DataError, match=r"0\.json has no coarse; it has label, fine"):
        load(replace(config, label_column="coarse"))


class _Planted:
    """Makes a file when it is unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("planted"),)


def test_nothing_is_unpickled_extracted_or_read_that_belongs_to_no_sample(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    planted, members = pickle.dumps(_Planted()), {}
    for key in range(4):
        members |= {f"{key}__png": encoded(), f"{key}__cls": str(key % 2)}
        members |= {f"{key}.{kind}": planted for kind in ("pyd", "pickle", "pth", "pt", "npy")}
    members |= {
        "__meta__/a.png": planted,
        "./__meta__/b.png": planted,
        "README": "none",
        "._0.png": planted,
    }
    members["../up.png"], members["../up.cls"] = encoded(), "0"
    tar("d/train.tar", **members)
    data = load(DataConfig("webdataset:d"))
    assert len(data.train) + len(data.validation) == 5
    assert sorted(Path().rglob("*")) == [Path("d"), Path("d/train.tar")]
    assert not Path("../up.png").exists()


def special(kind: bytes, target: str = "") -> None:
    """A whole shard, and one more member that is no plain file."""
    shard("d.tar", 0, 1, 0, 1)
    with tarfile.open("d.tar", "a") as opened:
        member = tarfile.TarInfo("4.png")
        member.type, member.linkname = kind, target
        opened.addfile(member)


def cut(at: int) -> None:
    shard("whole.tar", 0, 1, 0, 1)
    Path("d.tar").write_bytes(Path("whole.tar").read_bytes()[:at])


def damaged(at: int, content: bytes) -> None:
    shard("d.tar", 0, 1, 0, 1)
    with Path("d.tar").open("r+b") as file:
        file.seek(at)
        file.write(content)


def longer(count: int) -> None:
    """So many more zeros at the end, where there are 2,048."""
    shard("d.tar", 0, 1, 0, 1)
    with Path("d.tar").open("ab") as file:
        file.write(bytes(count))


def joined() -> None:
    """By ``cat``: of two such files `tarfile` reads the first one."""
    shard("d.tar", 0, 1, 0, 1)
    Path("d.tar").write_bytes(2 * Path("d.tar").read_bytes())


def negative_size() -> None:
    """A head that sends its reader back to where it was (CVE-2025-8194)."""
    shard("d.tar", 0, 1, 0, 1)
    content = bytearray(Path("d.tar").read_bytes())
    content[124:136] = b"\xff" * 10 + (-512).to_bytes(2, "big", signed=True)
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    Path("d.tar").write_bytes(content)


def labelled(label: bytes | str, kind: str = "cls") -> None:
    members = {f"0__{kind}": label, "0__png": encoded()}
    tar("d.tar", **members)


SAID = [
    ("cut off in a picture", lambda: cut(700), r"d\.tar cannot be read: unexpected end of data"),
    ("cut off in a head", lambda: cut(1024 + 100),
     r"d\.tar cannot be read: it is cut off or damaged at byte 1,024"),
    ("cut off between two members", lambda: cut(2048),
     r"d\.tar cannot be read: it is cut off or damaged at byte 2,048"),
    ("a damaged head", lambda: damaged(2048, b"x" * 100),
     r"d\.tar cannot be read: it is cut off or damaged at byte 2,048"),
    ("cut off in the zeros at its end", lambda: cut(8192 + 512),
     r"d\.tar cannot be read: it is cut off at byte 8,704, where two blocks of zeros end"),
    ("shards after each other in a file", joined,
     r"d\.tar: at byte 8,192 are the zeros that end a tar file, but there is more at byte 10,240"),
    ("a head of zeros", lambda: damaged(2048, bytes(512)),
     r"d\.tar: at byte 2,048 are the zeros that end a tar file, but there is more at byte 2,560"),
    ("more zeros than end a tar file", lambda: longer(10_752 - 2048 + 1),
     r"d\.tar: from byte 8,192 on there are more than 10,752 zeros"),
    ("a size below zero", negative_size,  # later versions of `tarfile` say it themselves
     r"d\.tar cannot be read: ('0\.png' claims -512 bytes|invalid offset)"),
    ("compressed", lambda: Path("d.tar").write_bytes(gzip.compress(bytes(10240))),
     r"d\.tar cannot be read: "),
    ("no tar file", lambda: Path("d.tar").write_text("x" * 2000), r"d\.tar cannot be read: "),
    ("an empty file", lambda: Path("d.tar").touch(), r"d\.tar cannot be read: empty file"),
    ("no samples", lambda: tar("d.tar"), "there are no images"),
    ("no label", lambda: tar("d.tar", a__png=encoded(), a__txt="0"),
     r"d\.tar: a: there is no label: no \.cls and no \.json"),
    ("files of a sample apart",
     lambda: tar("d.tar", a__png=encoded(), b__png=encoded(), a__cls="0", b__cls="1"),
     r"d\.tar: a: there is no label"),
    ("a file twice", lambda: tar("d.tar", a__png=encoded(), a__PNG=encoded(), a__cls="0"),
     r"d\.tar: a: a file is there twice among \.png, \.png, \.cls"),
    ("a link", lambda: special(tarfile.SYMTYPE, "/etc/hostname"),
     r"d\.tar: 4\.png is a link to /etc/hostname, not a file"),
    ("a hard link", lambda: special(tarfile.LNKTYPE, "0.png"),
     r"d\.tar: 4\.png is a link to 0\.png, not a file"),
    ("a pipe", lambda: special(tarfile.FIFOTYPE), r"d\.tar: 4\.png is no plain file"),
    ("a name for a label", lambda: labelled("cat"),
     r"d\.tar: 0\.cls: a label is an integer, 0 or more; got 'cat'"),
    ("a label below 0", lambda: labelled("-1"), "a label is an integer, 0 or more; got '-1'"),
    ("a fraction", lambda: labelled("1.0"), "a label is an integer, 0 or more; got '1.0'"),
    ("a fraction in JSON", lambda: labelled('{"label": 1.0}', "json"), "0 or more; got 1.0"),
    ("yes in JSON", lambda: labelled('{"label": true}', "json"), "0 or more; got True"),
    ("other keys in JSON", lambda: labelled('{"class": 1}', "json"),
     r"0\.json has no label; it has class"),
    ("a list in JSON", lambda: labelled("[1]", "json"), "has no label; it has no object"),
    ("JSON that is none", lambda: labelled("{", "json"), r"d\.tar: 0\.json: not JSON"),
    ("JSON without end", lambda: labelled("[" * 2_000_000, "json"),
     r"0\.json has 2,000,000 bytes, more than 1,048,576"),
    ("a label that is no text", lambda: labelled(b"\xff"), r"0\.cls is not text in UTF-8"),
    ("a class without images", lambda: shard("d.tar", 0, 2, 0, 2), "class 1 has 0 images"),
    ("a class beyond all images", lambda: shard("d.tar", 0, 9, 0, 9),
     r"d\.tar: 1\.png: label 9 among 4 images cannot be the number of a class"),
    ("a class that only the validation images have",
     lambda: (shard("d.tar", 0, 1), shard("val.tar", 0, 2), shard("train.tar", 0, 1)),
     r"val\.tar: 1\.png: label 2 is not one of the 2 classes, 0 to 1"),
    ("a picture that is none",
     lambda: tar("d.tar", a__png=encoded(), a__cls="0", b__png=b"no picture", b__cls="1",
                 c__png=encoded(), c__cls="0", d__png=encoded(), d__cls="1"),
     r"d\.tar: b\.png: not a readable image"),
    ("no training split", lambda: shard("test.tar", 0, 1), r"\*\.tar has no train split"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), [r[1:] for r in SAID], ids=[r[0] for r in SAID])
def test_shards_that_cannot_be_used_are_refused_in_words(tmp_path, monkeypatch, make, message):
    monkeypatch.chdir(tmp_path)
    make()
    Path("whole.tar").unlink(missing_ok=True)
    with pytest.raises(DataError, match=message):
        load(DataConfig("webdataset:*.tar"))


@pytest.mark.parametrize(("more", "zeros"), [(0, 1024), (0, 2048), (1000, 10_752)])
def test_zeros_that_end_a_shard_are_those_that_others_write(tmp_path, monkeypatch, more, zeros):
    """Two blocks, and what fills a record: at most one less a block, as where the second begins it.

    Go and Rust write no more than the two blocks.
    """
    monkeypatch.chdir(tmp_path)
    members = {"README": "x" * more} if more else {}
    for key in range(4):
        members |= {f"{key}__png": encoded(), f"{key}__cls": str(key % 2)}
    tar("d.tar", **members)
    content = Path("d.tar").read_bytes()
    end = 8192 + (1536 if more else 0)
    assert len(content) - end == max(zeros, 2048)
    Path("d.tar").write_bytes(content[: end + zeros])
    data = load(DataConfig("webdataset:d.tar"))
    assert len(data.train) + len(data.validation) == 4


def many(count: int = 24, size: int = 9) -> DataConfig:
    """Shards of pictures of many sizes, of two classes of colours."""
    rng = np.random.default_rng(0)
    for split, shards in (("train", 3), ("test", 1)):
        for number in range(shards):
            members: dict[str, bytes | str] = {}
            for key in range(count // shards):
                shape = (*rng.integers(size, 3 * size, 2), 3)
                bright = rng.normal(60 + 100 * (key % 2), 40, shape).clip(0, 255)
                members[f"{key}__png"] = encoded(bright.astype(np.uint8))
                members[f"{key}__cls"] = str(key % 2)
            tar(f"d/{split}-{number}.tar", **members)
    return DataConfig("webdataset:d/{train,test}-*.tar", resize=Resize((10, 12)), validation=0.25)


def weights(trained) -> torch.Tensor:
    return torch.cat([tensor.flatten().float() for tensor in trained.network.state_dict().values()])


def test_streamed_in_parts_or_in_memory_the_weights_are_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = many()
    recipe = replace(QUICK, epochs=2, batch_size=4, flip=True)
    streamed = load(replace(config, stream=True, memory=0))
    assert isinstance(streamed.train.images, StreamedPictures)
    expected = train(network(), Resident(load(config), CPU), recipe, 5)
    kept = Checkpoints(tmp_path / "kept", pytest.fail)
    found, stops = None, iter([False, True] * 3)
    while found is None:
        watch = Watch(lambda: next(stops, False))
        resident = Resident(streamed, CPU)
        found = train_resumably(network(), resident, recipe, 5, kept, {}, watch=watch)
    assert next(stops, None) is None  # it was stopped as often as was asked
    assert found.curve == expected.curve
    assert torch.equal(weights(found), weights(expected))


def test_its_fingerprint_is_that_of_its_samples_wherever_the_shards_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = replace(many(), stream=True, memory=0)
    before = load(config).summary.fingerprint
    Path("d").rename("moved")
    moved = replace(config, source="webdataset:moved")
    assert load(moved).summary.fingerprint == before
    with tarfile.open("moved/train-0.tar") as opened:
        members = {m.name: opened.extractfile(m).read() for m in opened}
    members["0.png"] = encoded(np.zeros((9, 9, 3), np.uint8))
    tar("moved/train-0.tar", **members)
    assert load(moved).summary.fingerprint != before


def test_pixels_that_take_the_place_of_others_make_another_fingerprint(tmp_path, monkeypatch):
    """Of files without compression all else stays: names, sizes, offsets and labels."""
    monkeypatch.chdir(tmp_path)
    pictures = [pixels() for _ in range(8)]

    def fingerprint() -> str:
        members = {}
        for key, picture in enumerate(pictures):
            members |= {f"{key}__bmp": encoded(picture, "bmp"), f"{key}__cls": str(key % 2)}
        tar("d.tar", **members)
        return load(DataConfig("webdataset:d.tar", stream=True, memory=0)).summary.fingerprint

    before = fingerprint()
    assert fingerprint() == before
    for picture in pictures:
        picture[3, 3, 0] ^= 1
        assert fingerprint() != before
        picture[3, 3, 0] ^= 1


@pytest.mark.usefixtures("own_cache")
def test_for_a_search_they_are_decoded_once_into_the_cache(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = many()
    expected = load(config)
    found = load(replace(config, memory=1))
    assert len(entries()) == 1
    np.testing.assert_array_equal(found.train.images[:], expected.train.images)
    load(replace(config, memory=1))
    assert len(entries()) == 1
