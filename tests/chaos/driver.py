"""What harm is done to: `nas.search` in a process of its own, with trials that do nothing.

All is as in any search but for Ray: a loop in this process takes the place of two workers, unless
Ray is to be there, too. What a trial has given is noted in a ledger once it is in the outbox,
before the driver hears of it.
"""

from __future__ import annotations

import datetime
import os
import sys
import time
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from itertools import islice

import nas.api.run_search
from nas.engine.ray_cluster import RayCluster
from nas.engine.signals import end_before_begun, stop_requests
from nas.engine.stage import StageRunner
from nas.engine.time_budget import TimeUp
from nas.search import app
from tests.chaos.training import PACE, TRAINED, do_nothing, measurement, note

ON_RAY = "NAS_CHAOS_ON_RAY"
"""Is set where Ray is real, too."""
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
    if ON_RAY in os.environ:
        job_of = StageRunner._job
        StageRunner._job = lambda *args: replace(job_of(*args), run=do_nothing)
    else:
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


def _run(runner, driver, data, test=None, keep_weights=True, judges=False):  # noqa: ARG001
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
    measurements = tuple(_trainings(spec, spec.data_of(driver.data.fingerprint), is_tested))
    note(measurements, TRAINED)
    driver.outbox.put(spec.trial, measurements)
    note(measurements)
    return measurements


def _trainings(spec, fingerprint, is_tested):
    for seed in spec.seeds:
        yield (
            found := measurement(
                spec.architecture.key,
                spec.architecture.to_json(),
                (spec.cost.macs, spec.cost.params),
                fingerprint,
                spec.recipe,
                seed,
                can_fail=not spec.arm,
                is_tested=is_tested,
            )
        )
        if found.state == "failed":
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


if __name__ == "__main__":
    main(sys.argv[1:])
