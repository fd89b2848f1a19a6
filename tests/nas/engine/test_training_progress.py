"""What is said of a long training."""

from __future__ import annotations

import io
import re

from rich.console import Console

from nas.engine import training_progress
from nas.engine.training_progress import TrainingProgress
from trials.train import Epoch

CURVE = [Epoch(2.0, 2.5, 0.25), Epoch(1.0, 1.5, 0.75), Epoch(0.5, 1.25, 0.5)]


def progress(monkeypatch, clock, terminal=False):
    """Of three epochs of ten steps of 64 images."""
    text = io.StringIO()
    monkeypatch.setattr(training_progress.time, "monotonic", lambda: clock[0])
    console = Console(file=text, force_terminal=terminal, width=100)
    return TrainingProgress(console, 3, 10, 64, "accuracy"), text


def train(shown, epoch, clock, seconds):
    for done in range(1, 11):
        clock[0] += seconds / 10
        shown.after_step(epoch, done)


def test_a_line_for_each_epoch_has_the_speed_and_the_time_left(monkeypatch):
    clock = [100.0]
    shown, text = progress(monkeypatch, clock)
    shown.after_epoch([])
    for epoch in range(3):
        train(shown, epoch, clock, seconds=4)
        shown.after_epoch(CURVE[: epoch + 1])
    first, _, last = text.getvalue().splitlines()
    scores = "training loss 2.0000  validation loss 2.5000  accuracy 0.2500"
    assert first == f"epoch 1/3  {scores}  160 images/s  8.0 s left"
    assert last.endswith("accuracy 0.5000  160 images/s")


def test_one_that_goes_on_counts_its_own_steps(monkeypatch):
    """Those of the processes before took no time of this one."""
    clock = [100.0]
    shown, text = progress(monkeypatch, clock)
    shown.after_epoch(CURVE[:2])
    train(shown, 2, clock, seconds=4)
    shown.after_epoch(CURVE)
    lines = text.getvalue().splitlines()
    assert lines[0] == "going on after 2 of 3 epochs"
    assert lines[1].startswith("epoch 3/3  ")
    assert lines[1].endswith("  160 images/s")
    assert len(lines) == 2


def test_in_a_terminal_there_is_a_bar(monkeypatch):
    clock = [100.0]
    shown, text = progress(monkeypatch, clock, terminal=True)
    with shown.bar:
        shown.after_epoch([])
        train(shown, 0, clock, seconds=4)
        shown.bar.refresh()
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text.getvalue())
    assert re.search(r"epoch 1/3 .*160 images/s {2}8\.0 s left", plain)
