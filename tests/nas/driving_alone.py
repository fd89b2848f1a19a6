"""Drives a study in a process of its own, with trials that do nothing.

    python -m tests.nas.driving_alone URL STUDY TRIALS MILLISECONDS

It says that it is ready, and begins once it is told to. With a latency, which it is to say that its
networks have, that is minimized; with 0 MACs are.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sqlalchemy.engine import make_url

from nas.engine.driver import Driver
from nas.engine.lock import DriverLock
from nas.space.load import build_space, read_document
from nas.study.storage import quiet_optuna
from tests.nas.driving import SPACE, finish
from trials.data import load


def drive(url: str, study: str, trials: str, latency: str) -> None:
    cost = "latency_ms" if float(latency) else "macs"
    Path("space.yaml").write_text(SPACE)
    document = read_document(
        "space.yaml", [f"study.trials={trials}", f"objectives.minimize={cost}"]
    )
    space = build_space(document)
    data = load(space.file.data.config).summary
    quiet_optuna()
    print("ready", flush=True)
    sys.stdin.readline()
    with DriverLock(make_url(url), study) as lock:
        driver = Driver.open(make_url(url), study, space, data, Path("outbox"), claim=lock.claim)
        finish(driver, latency_ms=float(latency) or None)
        assert driver.complete == int(trials), driver.so_far
        driver.close()


if __name__ == "__main__":
    drive(*sys.argv[1:])
