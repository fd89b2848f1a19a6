"""Which trial `--best` means, and that a study's own front never dominates it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas.study.records import read_records
from nas.study.selection import choose
from tests.nas.driving import finish, open_driver


@pytest.fixture
def records(sqlite):
    """Four complete trials."""
    driver = open_driver(sqlite, "objectives.minimize=[params, macs]", "study.trials=4")
    finish(driver)
    driver.close()
    return read_records(sqlite, "tiny")


def with_values(records, values):
    """The same trials as of a study of accuracy, latency and parameters, with these values."""
    trials = tuple(
        replace(trial, accuracy=row[0], values=row)
        for trial, row in zip(records.trials, values, strict=True)
    )
    return replace(records, trials=trials, objectives=("accuracy", "latency_ms", "params"))


def test_of_equally_accurate_trials_the_studys_own_cost_decides(records):
    """Not their MACs, by which another one may be the cheapest."""
    cheapest_by_macs = min(range(4), key=lambda i: records.trials[i].macs)
    latencies = [2.0, 2.0, 2.0, 2.0]
    latencies[cheapest_by_macs] = 3.0
    found = with_values(records, [(0.9, latency, 100.0) for latency in latencies])
    assert choose(found, "accuracy").values[1] == 2.0


def test_of_equal_first_costs_the_second_decides(records):
    rows = [(0.9, 2.0, 300.0), (0.9, 2.0, 100.0), (0.9, 1.0, 900.0), (0.8, 0.5, 50.0)]
    assert choose(with_values(records, rows), "accuracy").number == 2
    rows[2] = (0.9, 2.0, 200.0)
    found = with_values(records, rows)
    assert choose(found, "accuracy").number == 1
    assert choose(found, "accuracy") in found.front


def test_of_equal_accuracy_and_costs_the_lower_validation_loss_decides(records):
    """One that an older version kept no loss of comes last."""
    found = with_values(records, [(0.9, 2.0, 100.0)] * 4)
    losses = [0.4, None, 0.2, 0.3]
    trials = (
        replace(t, validation_loss=loss) for t, loss in zip(found.trials, losses, strict=True)
    )
    assert choose(replace(found, trials=tuple(trials)), "accuracy").number == 2
