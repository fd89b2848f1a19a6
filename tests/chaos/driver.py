"""What harm is done to: `nas.search` in a process of its own, with trials that do nothing.

All is as in any search but for Ray: a loop in this process takes the place of two workers. What a
trial has given is noted in a ledger once it is in the outbox, before the driver hears of it.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import sys
import time
from contextlib import suppress
from importlib import import_module
from itertools import islice
from pathlib import Path

import nas.api.run_search
from nas.engine.ray_cluster import RayCluster
from nas.engine.signals import end_before_begun, stop_requests
from nas.engine.stage import StageRunner
from nas.engine.time_budget import TimeUp
from nas.search import app
from trials.measurement import NOT_FINITE, Measurement

LEDGER = "NAS_CHAOS_LEDGER"
"""The file that what has finished is noted in."""
PACE = "NAS_CHAOS_PACE"
"""Seconds that a trial takes."""
RESULTS = "NAS_CHAOS_RESULTS"
"""Is set where results are written, which takes seconds."""
BEGIN = "NAS_CHAOS_BEGIN"
"""When to begin, by the clock that nobody sets: two drivers at the same instant."""

SET_BACK = "NAS_CHAOS_SET_BACK"
"""Seconds that the clock is set back by once something has been trained."""

WORKERS = 2

LOADED = (
    *("nas.api.study", "nas.engine.halving_driver", "nas.engine.progress"),
    *("nas.engine.screen_and_confirm", "nas.study.confirmation"),
    *("nas.reporting.failures", "nas.reporting.study_files"),
    *("alembic.command", "alembic.config", "alembic.migration", "psycopg"),
)
"""What a driver loads once it has begun."""


def main(arguments: list[str]) -> None:
    """`python -m nas.search` with these arguments."""
    end_before_begun()
    StageRunner.run = _run
    RayCluster.start_soon = lambda _cluster: None
    if RESULTS not in os.environ:
        nas.api.run_search._write_results = lambda *_: None
    while time.monotonic() < float(os.environ.get(BEGIN, 0)):
        pass
    sys.argv = ["nas-search", *arguments]
    app()


def load() -> None:
    """Load all that a driver does, for copies of this process."""
    for module in LOADED:
        import_module(module)


def _run(runner, driver, data, test=None, keep_weights=True):  # noqa: ARG001
    """In place of `StageRunner.run`."""
    runner._announce(driver, data)
    driver.listener = progress = runner._progress(driver)
    with suppress(TimeUp), stop_requests() as stopped, progress:
        runner.budget.begin_trainings()
        while not stopped() and (specs := list(islice(iter(driver.next, None), WORKERS))):
            driver.prepare()
            given = [(spec.trial, _work(driver, spec, test is not None)) for spec in specs]
            for trial, measurements in given:
                driver.record(trial, measurements)


def _work(driver, spec, is_tested):
    """What a worker does for a trial."""
    time.sleep(float(os.environ.get(PACE, 0)))
    if seconds := os.environ.pop(SET_BACK, ""):
        _set_clock_back(float(seconds))
    measurements = tuple(_trainings(spec, driver.data.fingerprint, is_tested))
    driver.outbox.put(spec.trial, measurements)
    with Path(os.environ[LEDGER]).open("a") as ledger:
        ledger.write(json.dumps([measurement.training for measurement in measurements]) + "\n")
    return measurements


def _trainings(spec, fingerprint, is_tested):
    for seed in spec.seeds:
        accuracy = accuracy_of(spec.architecture.key, seed)
        failed = not spec.arm and accuracy < 1 / 16
        yield Measurement(
            architecture_key=spec.architecture.key,
            architecture=spec.architecture.to_json(),
            data=fingerprint,
            recipe=spec.recipe.key,
            epochs=spec.recipe.epochs,
            seed=seed,
            macs=spec.cost.macs,
            params=spec.cost.params,
            state="failed" if failed else "complete",
            reason=f"{NOT_FINITE}: loss nan" if failed else "",
            accuracy=None if failed else accuracy,
            test_accuracy=accuracy if is_tested and not failed else None,
            validation_loss=None if failed else 1.0,
            curve=() if failed else ((1.0, 1.0, accuracy),) * spec.recipe.epochs,
            seconds=0.1,
            images_per_second=1000.0,
        )
        if failed:
            return


def _set_clock_back(seconds):
    """As far as Python asks it; libfaketime 0.9.10 lets `time.sleep` fail in Python 3.11."""
    real_time, real = time.time, datetime.datetime
    earlier = datetime.timedelta(seconds=seconds)

    class SetBack(real):
        @classmethod
        def now(cls, tz=None):
            return real.now(tz) - earlier

    time.time = lambda: real_time() - seconds
    datetime.datetime = SetBack


def accuracy_of(key: str, seed: int) -> float:
    """Between 0 and 1; always the same of a training."""
    return int.from_bytes(hashlib.sha256(f"{key}/{seed}".encode()).digest()[:4]) / 2**32


if __name__ == "__main__":
    main(sys.argv[1:])
