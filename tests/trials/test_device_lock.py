"""A latency is measured while no training computes on the device."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from tests.trials.training import needs_gpu
from trials import measure
from trials.data import DataConfig, load
from trials.device_lock import DeviceBusy, DeviceLock
from trials.measure import time_passes
from trials.recipe import recipe
from trials.train import Resident, train
from trials.trial import ON_DEMAND, Subject, run_trial

CPU = torch.device("cpu")


@pytest.fixture
def lock(tmp_path):
    """Makes one more process's lock: here of a thread, which the kernel treats alike."""

    def another(patience_s: float = 30.0) -> DeviceLock:
        return DeviceLock(tmp_path / "cpu", CPU, patience_s)

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
    with (
        lock().training(),
        pytest.raises(DeviceBusy, match=r"which others have not left for 0\.1 s"),
        lock(patience_s=0.1).alone(),
    ):
        pass
    with lock(patience_s=0.1).alone():  # it has left the door open
        pass


def test_a_measurement_that_was_stopped_is_waited_for_once(lock):
    with lock().alone():
        training, began = lock(patience_s=0.5), time.monotonic()
        with training.training(), training.training():  # as of a trial and of its training
            for _ in range(100):
                training.make_way()
        assert time.monotonic() - began < 0.9  # twice the patience would be 1.0
        assert training.waited_s == pytest.approx(0.5, abs=0.2)


def test_without_lock_files_trainings_go_on_and_nothing_is_measured(tmp_path):
    (tmp_path / "file").write_text("")
    lock = DeviceLock(tmp_path / "file" / "cpu", CPU)
    with lock.training():
        lock.make_way()
    with pytest.raises(DeviceBusy, match="cannot have lock files: Not a directory"), lock.alone():
        pass


@needs_gpu
def test_a_gpu_is_the_same_one_under_whatever_number(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    DeviceLock.of(torch.device("cuda"))
    DeviceLock.of(torch.device("cuda:0"))
    (folder,) = (tmp_path / "separability-nas").iterdir()
    assert str(torch.cuda.get_device_properties(0).uuid) in folder.name


@needs_gpu
def test_a_gpu_has_done_its_work_before_it_is_left(tmp_path):
    cuda = torch.device("cuda")
    training = DeviceLock(tmp_path / "cuda", cuda)
    with training.training():
        x = torch.randn(4096, 4096, device=cuda)
        for _ in range(100):
            x = x @ x / 64
        done = torch.cuda.Event()
        done.record()
    assert done.query()


def test_real_trainings_and_every_latency_use_it(tmp_path, monkeypatch):
    monkeypatch.setattr(DeviceLock, "of", lambda _device: DeviceLock(tmp_path / "cpu", CPU))
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


def test_every_pass_of_a_trial_but_the_timed_ones_is_a_training(tmp_path, monkeypatch):
    """Its test images and scores, too: nothing is measured beside them."""
    monkeypatch.setattr(DeviceLock, "of", lambda _device: DeviceLock(tmp_path / "cpu", CPU))
    monkeypatch.setattr("trials.trial.measure_latency", lambda *_: measure.Latency(1.0, 0.0))
    data = load(DataConfig("synthetic", shape=(1, 4, 4), classes=2, limit=40))
    other, free = DeviceLock(tmp_path / "cpu", CPU, patience_s=0.0), []

    def ask(*_: object) -> None:
        with contextlib.suppress(DeviceBusy), other.alone():
            free.append("a batch was under way")

    def build() -> torch.nn.Module:
        network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
        network.register_forward_hook(ask)
        return network

    subject = Subject("k" * 16, "{}", build, (1, 4, 4), macs=1, params=1)
    resident = Resident(data, CPU, data.validation)
    quick = recipe("proxy", epochs=1, batch_size=8)
    (measured,) = run_trial(subject, resident, "f", quick, (1,), ON_DEMAND)
    assert measured.state == "complete", measured.reason
    assert free == []


def test_waiting_for_measurements_is_no_time_of_the_training(tmp_path, monkeypatch):
    class Slow(DeviceLock):
        def make_way(self) -> None:
            time.sleep(0.01)
            self.waited_s += 0.01

    monkeypatch.setattr(DeviceLock, "of", lambda _device: Slow(tmp_path / "cpu", CPU))
    data = Resident(load(DataConfig("synthetic", shape=(1, 4, 4), classes=2, limit=40)), CPU)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    began = time.perf_counter()
    found = train(network, data, recipe("proxy", epochs=2, batch_size=2), 0)
    assert 0 < found.seconds < time.perf_counter() - began - 0.3  # of 32 batches
