"""Writing an entry of the cache: one process does, and what may go wrong is said."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import filelock
import numpy as np
import pytest

from tests.trials.data_sets import FOLDER, entries, pixels, write
from trials.data import DataError, cache, load
from trials.data.decoding import decode
from trials.data.raw_split import RawSplit


def test_a_write_that_was_killed_is_taken_for_nothing_and_cleaned_away(folder):
    expected = load(folder).summary
    entry = entries()[0]
    left = entry.with_name(f"{entry.name}.elsewhere.1.partial")
    shutil.move(entry, left)
    assert load(folder).summary == expected
    assert not left.exists()


def test_what_is_left_of_other_entries_is_cleaned_away_unless_it_is_being_written(folder):
    left, written = (Path(f"cache/separability-nas/images/{c * 32}.npy") for c in "ab")
    partials = [Path(f"{entry}.elsewhere.1.partial") for entry in (left, written)]
    write(*map(str, partials))
    with filelock.FileLock(f"{written}.lock"):
        load(folder)
    assert [partial.exists() for partial in partials] == [False, True]


def test_who_is_waited_for_is_said(folder, monkeypatch, caplog):
    monkeypatch.setattr(cache, "SILENCE_S", 0.01)
    expected = load(folder).summary
    entry = entries()[0]
    entry.rename(f"{entry}.far.away.12.partial")
    with ThreadPoolExecutor(1) as pool:
        with filelock.FileLock(f"{entry}.lock"):
            loading = pool.submit(load, folder)
            until = time.monotonic() + 3
            while not caplog.messages and time.monotonic() < until:
                time.sleep(0.01)
        assert loading.result().summary == expected
    (said,) = caplog.messages
    assert said.startswith("waiting for process 12 on far.away, which decodes the same images")
    assert str(entry) in said


def test_a_disk_without_locks_is_said(folder, monkeypatch):
    def missing(_file: int, _kind: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", missing)
    with pytest.raises(DataError, match=r"cannot be kept in .*: Function not implemented"):
        load(folder)


def test_a_source_that_fails_is_not_taken_for_the_cache(tmp_path):
    def fails(_indices: np.ndarray) -> Iterator:
        yield pixels()
        raise OSError(errno.EIO, os.strerror(errno.EIO), "pictures.arrow")

    def files() -> Iterator[tuple[str, Path]]:
        yield "here", tmp_path

    raw = RawSplit(np.zeros(2), fails, "row {}".format, files=files)
    for memory in (1, None):
        with pytest.raises(DataError, match=r"^the images cannot be read: .*'pictures.arrow'"):
            decode(raw, [np.arange(2)], replace(FOLDER, memory=memory))
    assert not list(Path("cache").rglob("*.partial"))


def test_a_write_that_was_interrupted_leaves_nothing(folder):
    def interrupted(images: Iterator, _count: int) -> Iterator:
        yield next(images)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(folder, interrupted)
    assert [path.suffix for path in Path("cache").rglob("*.*")] == [".lock"]


def test_two_that_write_the_same_entry_at_once_both_have_it(folder):
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: load(folder).summary, range(2))
    assert first == second == load(replace(folder, memory=None)).summary
    assert len(entries()) == 1


def test_a_disk_that_is_too_small_is_said_before_anything_is_written(folder, monkeypatch):
    usage = shutil.disk_usage(".")._replace(free=30 * 6 * 6 * 3 - 1)
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: usage)
    with pytest.raises(
        DataError, match=r"are 0\.0 GB once they are decoded, and .* left"
    ) as caught:
        load(folder)
    assert caught.value.field == "memory"
    assert "data.resize" in caught.value.hint
    assert "--no-cache" in caught.value.hint
    assert not entries()


def test_a_cache_that_cannot_be_written_to_is_said(folder):
    Path("cache").write_text("no folder")
    with pytest.raises(DataError, match=r"decoded images cannot be kept in .*: Not a directory"):
        load(folder)
