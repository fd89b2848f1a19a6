"""Drivers of different studies write into one database at once, and none disturbs another."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from nas.analysis.results import read_results
from nas.study.records import read_records
from tests.conftest import ROOT

TRIALS = 50
STUDIES = {"macs": 0.0, "also_macs": 0.0, "fast": 1.5, "slow": 30.0}
"""The latency that each finds its networks to have, where it minimizes that."""


@pytest.mark.timeout(300)
def test_four_drivers_make_a_database_and_fill_it_at_once(url, tmp_path):
    """The tables are made by the first of them; no driver sees that another one writes."""
    address = url.render_as_string(hide_password=False)
    drivers = []
    for name, latency_ms in STUDIES.items():
        folder = tmp_path / name
        folder.mkdir()
        command = [
            sys.executable,
            "-m",
            "tests.nas.driving_alone",
            address,
            name,
            TRIALS,
            latency_ms,
        ]
        driver = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        drivers.append(driver)
    for driver in drivers:
        assert driver.stdout.readline() == "ready\n", driver.communicate()[1]
    for driver in drivers:  # all at the same instant
        driver.stdin.write("\n")
        driver.stdin.flush()
    said = [driver.communicate() for driver in drivers]
    assert said == [("", "")] * len(STUDIES)
    assert [driver.returncode for driver in drivers] == [0] * len(STUDIES)

    for name, latency_ms in STUDIES.items():
        records = read_records(url, name)
        assert Counter(trial.state for trial in records.trials) == {"complete": TRIALS}
        assert [trial.number for trial in records.trials] == list(range(TRIALS))
        assert len({trial.architecture.key for trial in records.trials}) == TRIALS
        trainings = read_results(url, name).trainings
        measured = {training.measurement.architecture_key for training in trainings}
        assert len(trainings) == len(measured) == TRIALS
        if latency_ms:
            assert {training.measurement.latency_ms for training in trainings} == {latency_ms}
