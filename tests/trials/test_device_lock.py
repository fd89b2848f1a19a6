"""A latency is measured while no training computes on the device."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from trials import measure
from trials.data import DataConfig, load
from trials.device_lock import DeviceLock
from trials.measure import time_passes
from trials.recipe import recipe
from trials.train import Resident, train

CPU = torch.device("cpu")


@pytest.fixture
def lock(tmp_path):
    """Makes one more process's lock: here of a thread, which the kernel treats alike."""

    def another(patience_s: float = 30.0) -> DeviceLock:
        return DeviceLock(tmp_path / "cpu", patience_s)

    return another


class Batches:
    """Trains in a thread, batch after batch, and knows when one is under way."""

    def __init__(self, lock: DeviceLock) -> None:
        self.lock, self.stop, self.done = lock, threading.Event(), 0
        self.under_way = False

    def __call__(self) -> None:
        with self.lock.training():
            while not self.stop.is_set():
                self.lock.make_way()
                self.under_way = True
                time.sleep(0.001)
                self.under_way, self.done = False, self.done + 1


def test_trainings_pause_at_a_batch_while_something_is_measured(lock):
    trainings = [Batches(lock()) for _ in range(3)]
    with ThreadPoolExecutor() as threads:
        for training in trainings:
            threads.submit(training)
        seen = []
        for _ in range(5):  # three that always train never keep it out
            with lock().alone():
                before = [t.done for t in trainings]
                for _ in range(10):
                    seen.append(any(t.under_way for t in trainings))
                    time.sleep(0.001)
                assert [t.done for t in trainings] == before
            time.sleep(0.01)
        after = [t.done for t in trainings]
        time.sleep(0.02)
        assert all(now > then for now, then in zip((t.done for t in trainings), after, strict=True))
        for training in trainings:
            training.stop.set()
    assert not any(seen)


def test_two_measurements_take_turns(lock):
    inside = []

    def measure_once() -> None:
        with lock().alone():
            inside.append("in")
            time.sleep(0.002)
            inside.append("out")

    with ThreadPoolExecutor() as threads:
        for _ in range(8):
            threads.submit(measure_once)
    assert inside == ["in", "out"] * 8


def test_a_training_that_was_stopped_is_not_waited_for_for_ever(lock):
    with lock().training():
        started = time.monotonic()
        with lock(patience_s=0.1).alone():
            assert time.monotonic() - started < 5


def test_real_trainings_and_every_latency_use_it(tmp_path, monkeypatch):
    monkeypatch.setattr(DeviceLock, "of", lambda _device: DeviceLock(tmp_path / "cpu"))
    monkeypatch.setattr(measure, "MOST_ROUNDS", 1)
    data = load(DataConfig("synthetic", shape=(1, 4, 4), classes=2, limit=40))
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    seen, batches, begun = [], itertools.count(1), threading.Event()

    def count_batch(*_: object) -> None:
        begun.set()
        seen.append(next(batches))

    def passing() -> None:
        during.append(len(seen))
        time.sleep(0.002)

    network.register_forward_hook(count_batch)
    during: list[int] = []
    quick = recipe("proxy", epochs=30, batch_size=4)
    with ThreadPoolExecutor() as threads:
        training = threads.submit(train, network, Resident(data, CPU), quick, 0)
        begun.wait(timeout=30)
        time_passes(passing, CPU)
        training.result(timeout=60)
    assert len(set(during)) == 1  # not a batch since the first pass
    assert during[0] < len(seen) == 30 * (32 // 4 + 1)  # and all of them in the end
