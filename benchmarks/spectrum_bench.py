"""Trains every network of `studies/spectrum-bench/space.yaml`, and writes the table of it.

    python benchmarks/spectrum_bench.py --data DIR

Each network is trained with whole schedules of 2, 6 and 18 epochs and three seeds, as a trial of a
search is. What is finished is kept in a database, so that the same command goes on after anything
that ended it. The first seed of all networks comes first: a part of the table is of use, too. It is
written beside the database; only a complete table takes the place of the published one.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from child_processes import end_with_parent
from nas.api.benchmark import (
    SPACE,
    STUDIES,
    Benchmark,
    Extent,
    TabularTraining,
    load_benchmark,
    write_benchmark,
)
from nas.architecture.cost import count_cost
from nas.architecture.specification import Architecture
from nas.cli import cli_errors
from nas.engine.environment import describe_environment
from nas.engine.lock import DriverLock
from nas.engine.trial_spec import trial_seed
from nas.network.subject import subject_of
from nas.space.errors import InputError
from nas.space.load import load_space
from spectrum_figures import figures_of
from trials.data import DataConfig, load, load_test
from trials.measurement import Measurement, TrainingKey
from trials.recipe import Recipe
from trials.store import Store, sqlite_url
from trials.train import Resident
from trials.trial import prepare_process, run_trial

FOLDER = STUDIES / "spectrum-bench"
SCHEDULES = (2, 6, 18)
SEEDS = 3


@dataclass(frozen=True)
class Task:
    """A training of the table.

    Attributes:
        replicate: 0, 1, ...
        seed: of the training, as a search with `replicate` would derive it.
        judged: whether it is evaluated on the test images, as the longest schedules are.
    """

    architecture: Architecture
    recipe: Recipe
    replicate: int
    seed: int
    judged: bool

    def training(self, fingerprint: str) -> TrainingKey:
        """Which training it is, on data with this fingerprint."""
        key, recipe = self.architecture.key, self.recipe
        return TrainingKey(key, fingerprint, recipe.key, recipe.epochs, self.seed)


def tasks_of(benchmark: Benchmark) -> Iterator[Task]:
    """All trainings of a table: seed after seed, of each the shortest schedules first."""
    file, extent = benchmark.space.file, benchmark.extent
    for replicate in range(extent.seeds):
        for epochs in extent.schedules:
            recipe = replace(file.training.full_recipe, epochs=epochs)
            for network in benchmark.networks:
                seed = trial_seed(file.study.seed, network.key, replicate)
                judged = epochs == benchmark.full
                yield Task(network.architecture, recipe, replicate, seed, judged)


@dataclass(frozen=True)
class Images:
    """What a process trains and judges on."""

    fingerprint: str
    training: Resident
    judging: Resident


@functools.cache  # once in each process
def images_of(config: DataConfig) -> Images:
    """The images of a data set, on the CPU, with the test images and without."""
    data, device = load(config), torch.device("cpu")
    judging = Resident(data, device, load_test(config, data))
    return Images(data.summary.fingerprint, Resident(data, device), judging)


def start_process() -> None:
    """Set up a process of the pool."""
    prepare_process(1)
    end_with_parent()


def train(task: Task, config: DataConfig) -> Measurement:
    """Train a network as a trial of a search is trained."""
    images = images_of(config)
    (measurement,) = run_trial(
        subject_of(task.architecture, count_cost(task.architecture)),
        images.judging if task.judged else images.training,
        images.fingerprint,
        task.recipe,
        (task.seed,),
    )
    return measurement


def missing_tasks(benchmark: Benchmark, store: Store, fingerprint: str) -> list[Task]:
    """The trainings that have not been made, in their order."""
    made = {measurement.training for measurement in store.all() if measurement.repeatable}
    return [task for task in tasks_of(benchmark) if task.training(fingerprint) not in made]


def train_all(
    tasks: Sequence[Task],
    config: DataConfig,
    store: Store,
    pool: Executor,
    console: Console,
    environment: Mapping[str, str],
) -> None:
    """Train in a pool of processes, and keep each result as soon as it is there.

    Args:
        environment: in which that is done: kept with each result, for others may come later.
    """
    columns = (TextColumn("epochs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, speed_estimate_period=600) as progress:
        bar = progress.add_task("epochs", total=sum(task.recipe.epochs for task in tasks))
        futures = {pool.submit(train, task, config): task for task in tasks}

        def keep(future: Future[Measurement]) -> None:
            epochs, measurement = futures.pop(future).recipe.epochs, future.result()
            store.add(replace(measurement, versions={**measurement.versions, **environment}))
            if measurement.state == "failed":
                console.print(f"{measurement.architecture_key}: {measurement.reason}")
            progress.advance(bar, epochs)

        try:
            for future in as_completed(futures):
                keep(future)
        finally:  # where it is asked to stop, what is being trained is waited for, and kept
            pool.shutdown(cancel_futures=True)
            for future in [f for f in futures if not f.cancelled() and f.exception() is None]:
                keep(future)


def with_results(benchmark: Benchmark, store: Store, fingerprint: str) -> Benchmark:
    """The table of what has been trained."""
    made = {m.training: m for m in store.all() if m.repeatable}
    found = [
        (task, made[key])
        for task in tasks_of(benchmark)
        if (key := task.training(fingerprint)) in made
    ]
    environments = environments_of([measurement for _, measurement in found])
    about = {**benchmark.extent.about, "environments": environments}
    trainings = [_tabular(task, measurement) for task, measurement in found]
    return replace(
        benchmark,
        extent=replace(benchmark.extent, about=about),
        trainings={(t.key, t.epochs, t.seed): t for t in trainings},
    )


def _tabular(task: Task, measurement: Measurement) -> TabularTraining:
    return TabularTraining(
        key=measurement.architecture_key,
        epochs=measurement.epochs,
        seed=task.replicate,
        accuracy=measurement.accuracy,
        test_accuracy=measurement.test_accuracy,
        train_losses=tuple(epoch[0] for epoch in measurement.curve),
        validation_losses=tuple(epoch[1] for epoch in measurement.curve),
        accuracies=tuple(epoch[2] for epoch in measurement.curve),
        seconds=measurement.seconds,
        reason=measurement.reason,
    )


def environment_now() -> dict[str, str]:
    """What a result has beside the versions of Python and PyTorch."""
    now = describe_environment()
    return {name: str(now[name]) for name in ("processor", "commit", "date")}


def environments_of(measurements: Sequence[Measurement]) -> list[dict[str, Any]]:
    """Where results come from, each place once: the oldest first, with its dates and results."""
    dates: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for measurement in measurements:
        place = {"kernels": "PyTorch's", **measurement.versions}
        date = place.pop("date", "unknown")
        dates.setdefault(tuple(sorted(place.items())), []).append(date)
    found = [
        {**dict(place), "from": min(made), "to": max(made), "trainings": len(made)}
        for place, made in dates.items()
    ]
    return sorted(found, key=lambda environment: str(environment["from"]))


def main(
    data: Annotated[
        Path | None,
        typer.Option(envvar="NAS_CIFAR10", help="Folder with CIFAR-10's parquet files."),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Trainings at once, a thread each.")] = 2,
    trainings: Annotated[
        int | None, typer.Option(min=0, help="At most so many, then write the table as it is.")
    ] = None,
    work: Annotated[
        Path, typer.Option(help="Folder of finished trainings, and of a table that is in part.")
    ] = Path("runs/spectrum-bench"),
    figures: Annotated[
        bool, typer.Option("--figures", help="Print the published table's figures alone.")
    ] = False,
) -> None:
    """Train what is missing, write the table, and print its figures."""
    console = Console(width=110)
    with cli_errors():
        folder = FOLDER if figures else fill_table(data, processes, trainings, work, console)
        print("\n".join(figures_of(load_benchmark(folder))))


def fill_table(
    data: Path | None, processes: int, trainings: int | None, work: Path, console: Console
) -> Path:
    """Train what is missing; the arguments are the options of `main`.

    Returns:
        The folder that the table is written to.
    """
    overrides = [f"data.source=parquet:{data.absolute()}"] if data else []
    space = load_space(FOLDER / SPACE, overrides)
    config = space.file.data.config
    fingerprint = images_of(config).fingerprint
    benchmark = Benchmark(space, Extent(SCHEDULES, SEEDS, {"data": fingerprint}), {})
    work.mkdir(parents=True, exist_ok=True)
    url = sqlite_url(work / "trainings.db")
    with DriverLock(url, space.file.name), closing(Store(url)) as store:
        tasks = missing_tasks(benchmark, store, fingerprint)[:trainings]
        console.print(f"{len(tasks):,} trainings now; the same command again goes on")
        if tasks:
            pool = ProcessPoolExecutor(processes, get_context("spawn"), start_process)
            train_all(tasks, config, store, pool, console, environment_now())
        return write(with_results(benchmark, store, fingerprint), work, console)


def write(table: Benchmark, work: Path, console: Console) -> Path:
    """Write a table: the published one is replaced by a complete one of the same images alone.

    Returns:
        The folder that it is written to.
    """
    folder = work if table.missing or _of_other_images(table) else FOLDER
    if folder != FOLDER:
        shutil.copy(FOLDER / SPACE, folder / SPACE)
    write_benchmark(table, folder)
    console.print(f"{table!r}, written to {folder}")
    return folder


def _of_other_images(table: Benchmark) -> bool:
    try:
        there = load_benchmark(FOLDER)
    except InputError:  # there is none, or one of another space, which is of no more use
        return False
    return bool(there.extent.about["data"] != table.extent.about["data"])


if __name__ == "__main__":
    typer.run(main)
