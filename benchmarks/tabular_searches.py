"""Searches on a table of trainings: who proposes what, on simulated workers."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import optuna
from optuna.trial import TrialState

from nas.api.benchmark import Benchmark, TabularTraining
from nas.engine.halving_driver import driver_for
from nas.space import Choice, Parameter
from nas.space.load import build_space
from nas.space.yaml_document import Document
from trials.data import DataSummary
from trials.measurement import Measurement
from trials.store import sqlite_url


@dataclass(frozen=True)
class Job:
    """A training that a search wants.

    Attributes:
        trial: by which the search knows it again.
        key: of the architecture.
    """

    trial: int
    key: str
    epochs: int


class Search(Protocol):
    """Asks for trainings, and learns from their accuracies."""

    def ask(self) -> Job | None:
        """The next training, or nothing until another one has ended."""

    def tell(self, job: Job, training: TabularTraining) -> None:
        """How a training ended."""

    def close(self) -> None:
        """Give back what it has opened."""


@dataclass(frozen=True)
class Finished:
    """A training that has ended.

    Attributes:
        spent_s: simulated seconds of all workers together since the start, at its end.
        accuracy: that the search saw; None where it failed.
    """

    spent_s: float
    job: Job
    accuracy: float | None


def simulate(
    benchmark: Benchmark,
    search: Search,
    workers: int,
    replicates: Mapping[str, int],
    at_most_s: float,
) -> list[Finished]:
    """Run a search until it wants nothing more; no training is begun once the time is spent.

    Only trainings take time, and a worker that has none waits: its time is spent, too.

    Args:
        replicates: seed of each network, by its key: the same in all its schedules. Where a search
            trains a network again it is the next one.
        at_most_s: of all workers together.
    """
    extent, started = benchmark.extent, Counter[tuple[str, int]]()
    running: list[tuple[float, int, Job]] = []  # the next one to end first
    order, now, finished = itertools.count(), 0.0, list[Finished]()
    while True:
        while (
            len(running) < workers
            and now * workers < at_most_s
            and (job := search.ask()) is not None
        ):
            ends = now + benchmark.seconds(job.key, job.epochs)
            heapq.heappush(running, (ends, next(order), job))
        if not running:
            return finished
        now, _, job = heapq.heappop(running)
        again = started[job.key, job.epochs]
        started[job.key, job.epochs] += 1
        replicate = (replicates[job.key] + again) % extent.seeds
        training = benchmark.trainings[job.key, job.epochs, replicate]
        search.tell(job, training)
        finished.append(Finished(now * workers, job, training.accuracy))


class OurSearch:
    """A search of this project, as its driver runs it with an empty database: see `nas.engine`.

    Args:
        folder: of the database.
        workers: that ask; as in a search, the next network is proposed while all of them train.
        study: keys of the file's section, such as the sampler.
    """

    def __init__(
        self, benchmark: Benchmark, folder: Path, workers: int, study: Mapping[str, object]
    ) -> None:
        document = Document("a benchmark's space", dict(benchmark.space.document.value))
        document.value["study"] = {**study, "trials": len(benchmark.networks)}
        space = build_space(document)
        data = DataSummary("0" * 16, (), (), (), (0, 0))
        url = sqlite_url(folder / "study.db")
        self.driver = driver_for(space, None).open(url, "tabular", space, data, folder / "outbox")
        self.benchmark, self.workers = benchmark, workers

    def ask(self) -> Job | None:
        spec = self.driver.next()
        if len(self.driver.running) >= self.workers:
            self.driver.prepare()
        if spec is None:
            return None
        return Job(spec.trial, spec.architecture.key, spec.recipe.epochs)

    def tell(self, job: Job, training: TabularTraining) -> None:
        spec = self.driver.running[job.trial]
        curves = (training.train_losses, training.validation_losses, training.accuracies)
        measurement = Measurement(
            architecture_key=job.key,
            architecture=spec.architecture.to_json(),
            data=self.driver.data.fingerprint,
            recipe=spec.recipe.key,
            epochs=job.epochs,
            seed=spec.seeds[0],
            macs=spec.cost.macs,
            params=spec.cost.params,
            state="failed" if training.reason else "complete",
            reason=training.reason,
            accuracy=training.accuracy,
            validation_loss=training.validation_losses[-1] if training.accuracy else None,
            curve=tuple(zip(*curves, strict=True)),
            seconds=training.seconds,
        )
        self.driver.record(job.trial, (measurement,))

    def close(self) -> None:
        self.driver.close()


class PlainLoop:
    """`study.optimize` of a tutorial: whatever the sampler suggests is trained, also again."""

    def __init__(self, benchmark: Benchmark, sampler: optuna.samplers.BaseSampler) -> None:
        self.benchmark = benchmark
        self.study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)

    def ask(self) -> Job:
        trial = self.study.ask()

        def draw(parameter: Parameter) -> Choice:
            return cast("Choice", trial.suggest_categorical(parameter.name, parameter.choices))

        architecture = self.benchmark.space.decode(draw)
        return Job(trial.number, architecture.key, self.benchmark.full)

    def tell(self, job: Job, training: TabularTraining) -> None:
        if training.accuracy is None:
            self.study.tell(job.trial, state=TrialState.FAIL)
        else:
            self.study.tell(job.trial, [training.accuracy, self.benchmark.network(job.key).macs])

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True)
class Contender:
    """A kind of search.

    Attributes:
        start: a search with this seed, and with this folder to keep its database in.
        workers: that it trains on at once.
        again: whether it trains networks again that it has trained.
    """

    name: str
    start: Callable[[Benchmark, Path, int], Search]
    workers: int
    again: bool = False


def ours(name: str, sampler: str, halving: bool = False) -> Contender:
    """A search of this project on two workers.

    Args:
        halving: by successive halving over the table's schedules.
    """

    def start(benchmark: Benchmark, folder: Path, seed: int) -> Search:
        study: dict[str, object] = {"sampler": sampler, "seed": seed}
        if halving:
            study["fidelity"] = {"rungs": list(benchmark.extent.schedules), "reduction": 3}
        return OurSearch(benchmark, folder, WORKERS, study)

    return Contender(name, start, WORKERS)


def nsga2(benchmark: Benchmark, _folder: Path, seed: int) -> Search:
    """Optuna's NSGA-II with its default population."""
    return PlainLoop(benchmark, optuna.samplers.NSGAIISampler(seed=seed))


WORKERS = 2
DEFAULT = ours("default (TPE)", "tpe")
CONTENDERS = (
    DEFAULT,
    ours("default with fidelity", "tpe", halving=True),
    ours("random, none twice", "random"),
    Contender("NSGA-II, plain loop", nsga2, 1, again=True),
)
