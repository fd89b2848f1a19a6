"""The outbox: a result is there whole or not at all, however its worker ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

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


def test_a_damaged_result_counts_as_none(tmp_path):
    (tmp_path / "3.json").write_text(to_json([MEASUREMENT])[:-5])
    assert Outbox(tmp_path).get(3) is None


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
