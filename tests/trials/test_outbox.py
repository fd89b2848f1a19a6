"""The outbox: a result is there whole or not at all, however its worker ends."""

from __future__ import annotations

import errno
import io
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from tests.trials.measurements import MEASUREMENT
from trials.measurement import from_json, to_json
from trials.outbox import Outbox


def test_the_outbox_holds_a_result_until_it_is_discarded(tmp_path):
    outbox = Outbox(tmp_path / "outbox")
    assert outbox.get(3) is None
    outbox.put(3, [MEASUREMENT])
    assert outbox.get(3) == (MEASUREMENT,)
    assert [file.name for file in (tmp_path / "outbox").iterdir()] == ["3.json"]
    outbox.discard(3)
    outbox.discard(3)
    assert outbox.get(3) is None


UNEVEN = [MEASUREMENT, replace(MEASUREMENT, seed=1, curve=((1.0, 1.0, 0.5),))]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (to_json([MEASUREMENT])[:-5], "not JSON"),
        ("[" * 100_000, "nested at most 32 deep"),
        ("1" * 100_000, "at most 64 bits"),
        (to_json([replace(MEASUREMENT, accuracy=None)]), "a complete training has an accuracy"),
        (to_json(UNEVEN), "the curves of a trial have one length; got [1, 2]"),
    ],
    ids=["cut", "nested", "number", "no accuracy", "curves"],
)
def test_a_damaged_result_counts_as_none_and_is_put_aside_with_a_line(tmp_path, content, said):
    (tmp_path / "3.json").write_text(content)
    lines: list[str] = []
    outbox = Outbox(tmp_path, lines.append)
    assert outbox.get(3) is None
    assert [file.name for file in tmp_path.iterdir()] == ["3.bad"]
    (line,) = lines
    assert line.startswith(f"{tmp_path / '3.bad'} is no result of a trial, which runs again: ")
    assert said.lower() in line.lower()
    assert outbox.get(3) is None  # as of a trial that left none
    assert len(lines) == 1
    outbox.put(3, [MEASUREMENT])
    assert outbox.get(3) == (MEASUREMENT,)


def test_a_file_that_is_too_large_is_put_aside_unread(tmp_path):
    with (tmp_path / "3.json").open("wb") as opened:
        opened.truncate(2**40)
    lines: list[str] = []
    assert Outbox(tmp_path, lines.append).get(3) is None
    assert "at most 268,435,456 bytes" in lines[0]
    assert [file.name for file in tmp_path.iterdir()] == ["3.bad"]


def test_the_result_of_a_long_trial_is_read(tmp_path):
    """A hundred thousand epochs with each of three seeds."""
    curve = ((0.12345678901234567, 0.12345678901234567, 0.12345678901234567),) * 100_000
    long = [replace(MEASUREMENT, seed=seed, curve=curve) for seed in range(3)]
    outbox = Outbox(tmp_path)
    outbox.put(3, long)
    assert (tmp_path / "3.json").stat().st_size > 2**24
    assert outbox.get(3) == tuple(long)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "FIFO"])
def test_what_is_not_even_a_file_is_put_aside(tmp_path, make):
    make(tmp_path / "3.json")
    (tmp_path / f"{'9' * 200}.json").write_text("")
    lines: list[str] = []
    outbox = Outbox(tmp_path, lines.append)
    outbox.keep_only({3})
    assert outbox.get(3) is None
    (line,) = lines
    assert line.endswith("is no result of a trial, which runs again: a result is in a file")
    assert [file.name for file in tmp_path.iterdir()] == ["3.bad"]


@pytest.mark.parametrize("error", [errno.EMFILE, errno.EIO, errno.ESTALE, errno.EACCES])
@pytest.mark.parametrize("broken", ["open", "read"])
def test_a_finished_training_is_never_put_aside_for_a_machine_in_trouble(
    tmp_path, monkeypatch, error, broken
):
    outbox = Outbox(tmp_path)
    outbox.put(3, [MEASUREMENT])

    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(error, os.strerror(error))

    with monkeypatch.context() as patched:
        if broken == "open":
            patched.setattr(Path, "open", fail)
        else:
            patched.setattr(_OnABadDisk, "read", fail)
            patched.setattr(Path, "open", lambda file, _mode: _OnABadDisk(file))
        with pytest.raises(OSError, match=os.strerror(error)) as caught:
            outbox.get(3)
    assert caught.value.filename == str(tmp_path / "3.json")
    assert outbox.get(3) == (MEASUREMENT,)


class _OnABadDisk(io.FileIO):
    """A file that can be opened."""


def _write_for_ever(folder, started):
    outbox = Outbox(folder)
    started.set()
    while True:
        outbox.put(0, [MEASUREMENT] * 200)


def test_a_result_is_whole_whenever_its_writer_is_killed(tmp_path):
    context = multiprocessing.get_context("spawn")
    for delay in (0.01, 0.03, 0.05, 0.02):
        started = context.Event()
        writer = context.Process(target=_write_for_ever, args=(tmp_path, started))
        writer.start()
        assert started.wait(60)
        time.sleep(delay)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        file = tmp_path / "0.json"
        if file.exists():
            assert len(from_json(file.read_text())) == 200
