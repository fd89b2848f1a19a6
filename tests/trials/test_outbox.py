"""The outbox: a result is there whole or not at all, however its worker ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from dataclasses import replace

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
        ("\0" * 2**24 + " ", "at most 16,777,216 bytes"),
    ],
    ids=["cut", "nested", "number", "no accuracy", "curves", "large"],
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


def test_what_is_not_even_a_file_is_put_aside(tmp_path):
    (tmp_path / "3.json").mkdir()
    (tmp_path / f"{'9' * 200}.json").write_text("")
    lines: list[str] = []
    outbox = Outbox(tmp_path, lines.append)
    outbox.keep_only({3})
    assert outbox.get(3) is None
    assert lines
    assert [file.name for file in tmp_path.iterdir()] == ["3.bad"]


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
