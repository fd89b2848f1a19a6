"""What the framework itself costs for each trial: ask, dispatch, report, tell.

    python benchmarks/overhead.py [--trials 200 --trials 2000] [--sampler tpe]

Trials do nothing: a worker builds no network and trains none, but takes its spec, writes its
outbox file and reports. Everything else is as in a search: Ray Tune, Optuna's sampler, SQLite. The
driver's own CPU time is given beside, which other work on the machine changes less.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import optuna
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from nas.engine import ray_settings
from nas.engine.driver import Driver
from nas.engine.environment import describe_environment
from nas.engine.trial_spec import TrialSpec
from nas.space.load import build_space, read_document
from nas.study.trial_record import TrialRecord
from trials.data import load
from trials.measurement import Measurement
from trials.recipe import Recipe
from trials.store import sqlite_url
from trials.train import Resident
from trials.trial import Subject

SPACE = Path(__file__).parent.parent / "search_spaces" / "spectrum.yaml"
PARTS = 5


def do_nothing(
    subject: Subject,
    _data: Resident,
    fingerprint: str,
    recipe: Recipe,
    seeds: tuple[int, ...],
    **_: Any,  # noqa: ANN401  # whatever else a trial is given
) -> tuple[Measurement, ...]:
    """A result out of nothing, another one for each architecture."""
    accuracy = int(subject.key[:6], 16) / 16**6
    return tuple(
        Measurement(
            architecture_key=subject.key,
            architecture=subject.description,
            data=fingerprint,
            recipe=recipe.key,
            epochs=recipe.epochs,
            seed=seed,
            macs=subject.macs,
            params=subject.params,
            accuracy=accuracy,
            curve=((1.0, 1.0, accuracy),),
        )
        for seed in seeds
    )


class Stopwatch:
    """Listens to a driver; notes when each trial ended."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []

    def started(self, spec: TrialSpec) -> None:
        """Does not count."""

    def finished(self, record: TrialRecord) -> None:
        """Note the time, and the CPU time of this process."""
        self.ends.append((time.perf_counter(), time.process_time()))

    def returned(self, trial: int, reason: str) -> None:
        """Does not happen here."""


def measure(trials: int, sampler: str) -> NDArray[np.float64]:
    """Milliseconds and CPU milliseconds between the ends of trials, once all workers started.

    An array (trials - 5, 2).
    """
    from nas.engine import ray_nodes, ray_tune, ray_worker

    document = read_document(SPACE, [f"study.trials={trials}", f"study.sampler={sampler}"])
    space = build_space(document)
    data = load(space.file.data.config)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        url = sqlite_url(folder / "study.db")
        driver = Driver.open(url, "overhead", space, data.summary, folder / "outbox")
        driver.listener = watch = Stopwatch()
        job = ray_worker.Job(
            fingerprint=data.summary.fingerprint,
            measure=frozenset(),
            outbox=driver.outbox.folder,
            weights=folder / "weights",
            threads=1,
            gpus=0,
            run=do_nothing,
        )
        ray_tune.run(driver, job, data, ray_nodes.Resources(1, 0))
        assert driver.complete == trials
        driver.close()
    return np.diff(np.array(watch.ends[4:]), axis=0) * 1e3


def _parts(milliseconds: NDArray[np.float64]) -> str:
    """The mean of each part of a search."""
    return " ".join(f"{np.mean(part):.0f}" for part in np.array_split(milliseconds, PARTS))


def main(
    trials: Annotated[
        list[int] | None, typer.Option(help="Trials of a search; repeatable.")
    ] = None,
    sampler: Annotated[list[str] | None, typer.Option(help="Sampler; repeatable.")] = None,
) -> None:
    """Print milliseconds for a trial, over the whole search and in its parts."""
    ray_settings.prepare(local=True)
    from nas.engine import ray_nodes

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    table = Table(title="Framework cost per trial, ms")
    for heading in ("sampler", "trials", "mean", "median", f"each of {PARTS} parts", "CPU"):
        table.add_column(heading, justify="right")
    table.add_column(f"CPU, each of {PARTS} parts", justify="right")
    with ray_nodes.cluster():
        for name in sampler or ["tpe", "random"]:
            for count in trials or [200, 2000]:
                gaps, used = measure(count, name).T
                table.add_row(
                    name,
                    str(count),
                    f"{np.mean(gaps):.1f}",
                    f"{np.median(gaps):.1f}",
                    _parts(gaps),
                    f"{np.mean(used):.1f}",
                    _parts(used),
                )
    console = Console(width=100)
    console.print(table)
    environment = describe_environment()
    console.print(
        f"{environment['processor']}, {environment['cores']} cores, {environment['date']}"
    )


if __name__ == "__main__":
    typer.run(main)
