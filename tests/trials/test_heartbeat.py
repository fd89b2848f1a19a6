"""A worker says what it is doing, in a file that its driver reads."""

from __future__ import annotations

import torch

from trials.data import DataConfig, load
from trials.heartbeat import Heartbeat, forget, heartbeats
from trials.outbox import Outbox
from trials.train import Resident, evaluate


def test_it_says_what_is_done_until_the_end_of_the_trial(tmp_path):
    now = [0.0]
    heart = Heartbeat(tmp_path / "outbox", lambda: now[0])
    heart.begin(7)
    assert heartbeats(tmp_path / "outbox")[7].startswith("begun, by process ")
    heart.beat("training")  # in the same second
    assert heartbeats(tmp_path / "outbox")[7].startswith("begun")
    now[0] = 1.5
    heart.beat("training")
    assert heartbeats(tmp_path / "outbox")[7].startswith("training, batch 2, by process ")
    heart.end()
    assert heartbeats(tmp_path / "outbox") == {}
    heart.beat("training")
    assert heartbeats(tmp_path / "outbox") == {}


def test_batches_are_counted_from_the_begin_of_each_trial(tmp_path):
    now = [0.0]
    heart = Heartbeat(tmp_path, lambda: now[0])
    for trial in (1, 2):
        heart.begin(trial)
        now[0] += 2
        heart.beat("validation")
    assert {text.split(",")[1] for text in heartbeats(tmp_path).values()} == {" batch 1"}


def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path):
    (tmp_path / "file").touch()
    heart = Heartbeat(tmp_path / "file" / "outbox")
    heart.begin(1)
    heart.beat("training")
    heart.end()


def test_what_no_worker_has_is_forgotten(tmp_path):
    for trial in (1, 2, 3):
        Heartbeat(tmp_path).begin(trial)
    (tmp_path / "x.alive").touch()  # not ours
    forget(tmp_path, 1)
    assert heartbeats(tmp_path).keys() == {2, 3}
    Outbox(tmp_path).discard(2)
    assert heartbeats(tmp_path).keys() == {3}
    Outbox(tmp_path).keep_only({3})
    assert heartbeats(tmp_path) == {}


def test_each_batch_is_told_with_its_use():
    data = load(DataConfig("synthetic", shape=(1, 4, 4), classes=2, limit=40))
    told = []
    resident = Resident(data, torch.device("cpu"), data.validation, before_batch=told.append)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    assert resident.test is not None
    for split in (resident.train, resident.validation, resident.test):
        evaluate(network, split)
    assert told == ["training", "validation", "test"]
