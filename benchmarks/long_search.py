"""Whether a search of days stays as large as it was: memory, open files and folders, by trial.

    python benchmarks/long_search.py [--trials 20000] [--sampler random] [--every 500]

Trials do nothing, as in `benchmarks/overhead.py`; everything else is as in a search, on a Ray of
its own. Every so many trials the driver, its workers and Ray's own processes are asked for their
memory (PSS: what is shared counts in part) and their open files. From the first 1,000 trials on
nothing is to grow by more than a tenth, the last quarter against the first. A sampler that learns
keeps what it was told (TPE, NSGA-II and GP do), so that the default is the random one.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import optuna
import psutil
import typer
from rich.console import Console
from rich.table import Table

from nas.engine import ray_settings
from nas.engine.driver import Driver
from nas.engine.environment import describe_environment
from nas.engine.progress import SearchProgress
from nas.space.load import build_space, read_document
from nas.study.trial_record import TrialRecord
from overhead import SPACE, do_nothing
from trials.data import load
from trials.store import sqlite_url

if TYPE_CHECKING:
    from nas.engine.trial_spec import TrialSpec

WARM_UP = 1000
"""Trials after which nothing is to grow any more."""

TOLERANCE = 0.1
MIB = 2**20


@dataclass(frozen=True)
class Size:
    """Processes of one kind together.

    Attributes:
        memory_bytes: PSS, or what is resident where the system does not tell.
        files: that are open, connections included.
    """

    memory_bytes: int = 0
    files: int = 0

    @classmethod
    def of(cls, processes: Sequence[psutil.Process]) -> Size:
        """Of those that still run."""
        memory = files = 0
        for process in processes:
            with suppress(psutil.Error):
                found = process.memory_full_info()
                memory += getattr(found, "pss", found.rss)
                files += process.num_fds()
        return cls(memory, files)


@dataclass(frozen=True)
class Sample:
    """A search at a moment.

    Attributes:
        folders: that Tune made for trials and left.
    """

    trials: int
    seconds: float
    driver: Size
    workers: Size
    ray: Size
    folders: int


class Scale:
    """Listens to a driver; takes a sample every so many trials."""

    def __init__(self, progress: SearchProgress, every: int, console: Console) -> None:
        self.progress, self.every, self.console = progress, every, console
        self.begin = time.perf_counter()
        self.ended = 0
        self.samples: list[Sample] = []

    def started(self, spec: TrialSpec) -> None:
        """As a search hears it."""
        self.progress.started(spec)

    def finished(self, record: TrialRecord) -> None:
        """Take a sample, where it is time."""
        self.progress.finished(record)
        self.ended += 1
        if self.ended % self.every == 0:
            self.samples.append(sample(self.ended, time.perf_counter() - self.begin))
            self.console.print(self.samples[-1])

    def returned(self, trial: int, reason: str) -> None:
        """As a search hears it."""
        self.progress.returned(trial, reason)


def sample(trials: int, seconds: float) -> Sample:
    """What this search is now."""
    me = psutil.Process()
    children = me.children(recursive=True)
    workers = [process for process in children if _name(process).startswith("ray::Trial")]
    others = [process for process in children if process not in workers]
    return Sample(trials, seconds, Size.of([me]), Size.of(workers), Size.of(others), _folders())


def _name(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline()[:1])
    return ""


def _folders() -> int:
    """Folders of trials under Ray's own one."""
    import ray._private.worker

    node: Any = ray._private.worker._global_node
    return sum(1 for _ in Path(node.get_session_dir_path()).glob("artifacts/*/*/*/*/"))


def search(trials: int, sampler: str, every: int, console: Console) -> list[Sample]:
    """Search with trials that do nothing."""
    from nas.engine import ray_nodes, ray_tune, ray_worker

    document = read_document(SPACE, [f"study.trials={trials}", f"study.sampler={sampler}"])
    space = build_space(document)
    data = load(space.file.data.config)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        url = sqlite_url(folder / "study.db")
        driver = Driver.open(url, "long", space, data.summary, folder / "outbox")
        progress = SearchProgress("long", driver.objectives, trials, {}, quiet=True)
        driver.listener = scale = Scale(progress, every, console)
        job = ray_worker.Job(
            fingerprint=data.summary.fingerprint,
            measure=frozenset(),
            outbox=driver.outbox.folder,
            weights=None,
            threads=1,
            gpus=0,
            run=do_nothing,
        )
        ray_tune.run(driver, job, data, ray_nodes.Resources(1, 0))
        assert driver.complete == trials
        driver.close()
    return scale.samples


SIZES: dict[str, Callable[[Sample], int]] = {
    "memory of driver": attrgetter("driver.memory_bytes"),
    "files of driver": attrgetter("driver.files"),
    "memory of workers": attrgetter("workers.memory_bytes"),
    "files of workers": attrgetter("workers.files"),
    "memory of Ray itself": attrgetter("ray.memory_bytes"),
    "files of Ray itself": attrgetter("ray.files"),
    "folders": attrgetter("folders"),
}
"""What is not to grow."""


def growths(samples: Sequence[Sample]) -> Iterator[tuple[str, float]]:
    """How much more there is of what in the last quarter than in the first after the warm-up.

    By the medians: memory that processes share is divided among more or fewer of them, as Ray keeps
    one worker or starts another.
    """
    later = [sample for sample in samples if sample.trials >= WARM_UP]
    if quarter := len(later) // 4:
        for name, size_of in SIZES.items():
            sizes = [size_of(sample) for sample in later]
            yield name, median(sizes[-quarter:]) / max(median(sizes[:quarter]), 1) - 1


def table_of(samples: Sequence[Sample]) -> Table:
    """A row for each sample."""
    table = Table(title="A long search of trials that do nothing")
    for heading in ("trials", "seconds", "driver, MiB", "workers", "Ray", "open files", "folders"):
        table.add_column(heading, justify="right")
    for row in samples:
        sizes = (row.driver, row.workers, row.ray)
        table.add_row(
            f"{row.trials:,}",
            f"{row.seconds:,.0f}",
            *(f"{size.memory_bytes / MIB:,.0f}" for size in sizes),
            " ".join(str(size.files) for size in sizes),
            str(row.folders),
        )
    return table


def main(
    trials: Annotated[int, typer.Option(min=1, help="Trials of the search.")] = 20_000,
    sampler: Annotated[str, typer.Option(help="Sampler of the search.")] = "random",
    every: Annotated[int, typer.Option(min=1, help="Trials between two samples.")] = 500,
) -> None:
    """Print what a search takes as it goes on, and whether that stays."""
    ray_settings.prepare(local=True)
    from nas.engine import ray_nodes

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    console = Console(width=100)
    with ray_nodes.cluster():
        samples = search(trials, sampler, every, console)
    console.print(table_of(samples))
    for name, growth in growths(samples):
        verdict = "flat" if growth <= TOLERANCE else "GROWS"
        console.print(f"{name}: {growth:+.1%} since the first {WARM_UP:,} trials: {verdict}")
    found = describe_environment()
    console.print(f"{found['processor']}, {found['cores']} cores, {found['date']}")


if __name__ == "__main__":
    typer.run(main)
