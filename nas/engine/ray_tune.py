"""Ray Tune spreads the trials of a study over processes and machines. The only file with Ray.

Tune's own memory is not used: its searcher state is never saved or restored, its result files go to
a temporary folder, and every start is a fresh `Tuner` fed from the study's database.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
import torch
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.search import Searcher
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from nas.engine.ray_failures import in_a_line
from nas.engine.trial_spec import TrialSpec
from nas.network.subject import subject_of
from trials.data import ImageData, Split
from trials.data.image_file import ImageFile
from trials.measurement import Measurement, from_json, to_json
from trials.outbox import Outbox
from trials.train import Resident
from trials.trial import prepare_process, run_trial

if TYPE_CHECKING:  # workers need neither Optuna nor SQLAlchemy, which load for half a second
    from nas.engine.driver import Driver


FAILURES = (ray.exceptions.RayError, tune.TuneError)
"""Of Ray itself."""


class ResourceError(ValueError):
    """The cluster cannot run a single trial with the resources that were asked for."""


@dataclass(frozen=True)
class Job:
    """What is the same for every trial of a study; travels to each worker once.

    Attributes:
        fingerprint: of the data.
        measure: fields of `Measurement` that the objectives need.
        outbox: folder for results; each trial's file is there before the trial is reported.
        weights: folder for the trained weights; None where they are not wanted.
        threads: of PyTorch on the CPU.
        gpus: of a trial; 0 for the CPU.
        latency_at_most_ms: above which a network is not trained.
        run: what a worker does for a trial; with the arguments of `trials.trial.run_trial`.
    """

    fingerprint: str
    measure: frozenset[str]
    outbox: Path
    weights: Path | None
    threads: int
    gpus: float
    latency_at_most_ms: float | None = None
    run: Callable[..., tuple[Measurement, ...]] = run_trial


@dataclass(frozen=True)
class Resources:
    """What each trial occupies."""

    cpus: float
    gpus: float


@contextmanager
def cluster(address: str | None = None) -> Iterator[None]:
    """A Ray cluster: one that runs already, or one on this machine for as long as it is needed.

    Where the program has connected Ray itself, that is what it wants to be used.
    """
    if address is None and ray.is_initialized():
        yield
        return
    local = {"address": "local", "include_dashboard": False}
    ray.init(
        log_to_driver=False,
        logging_level=logging.ERROR,
        **({"address": address} if address else local),
    )
    try:
        yield
    finally:
        ray.shutdown()


def run(
    driver: Driver,
    job: Job,
    data: ImageData,
    resources: Resources,
    stop: Callable[[], bool] = lambda: False,
    test: Split | None = None,
) -> None:
    """Run trials until the driver has no more.

    Args:
        test: the test split, where it is to be read.
        stop: asked several times a second; once it is true no result is waited for.

    Raises:
        ResourceError: no node of the cluster has the resources of a trial.
        DataError: a node has not the file that the images are in.
        KeyboardInterrupt: ``stop`` was true.
    """
    _check_resources(resources)
    _check_files(data, test)
    # Otherwise Tune starts one worker at a time.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(_capacity(resources))
    searcher = _StudySearcher(driver, resources)
    trainable = tune.with_parameters(_TrialActor, job=job, data=data, test=test)
    with tempfile.TemporaryDirectory(prefix="nas-tune-") as scratch, _quiet():
        tune.Tuner(
            tune.with_resources(trainable, {"cpu": resources.cpus, "gpu": resources.gpus}),
            tune_config=tune.TuneConfig(search_alg=searcher, num_samples=-1, reuse_actors=True),
            run_config=tune.RunConfig(
                storage_path=scratch,
                verbose=0,
                stop=_Stopper(searcher, stop),
                callbacks=[_Losses(searcher)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()


def _check_resources(resources: Resources) -> None:
    if _capacity(resources) == 0:
        raise ResourceError(
            f"a trial needs {resources.cpus:g} CPUs and {resources.gpus:g} GPUs of one node; "
            f"the nodes have {_offer()}"
        )


def _check_files(data: ImageData, test: Split | None) -> None:
    """Check that each node can open the files that images are read from.

    Raises:
        DataError: one cannot.
    """
    splits = [data.train, data.validation, *([test] if test is not None else [])]
    files = [split.images for split in splits if isinstance(split.images, ImageFile)]
    if not files:
        return

    @ray.remote(num_cpus=0)
    def open_files() -> None:
        for file in files:
            file.open()

    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    there = (NodeAffinitySchedulingStrategy(node, soft=False) for node in nodes)
    try:
        ray.get([open_files.options(scheduling_strategy=node).remote() for node in there])
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None


class _TrialActor(tune.Trainable):
    """A worker process: holds the data set on its device and runs one trial after another."""

    def setup(  # type: ignore[override]  # `with_parameters` adds arguments
        self, config: dict[str, Any], job: Job, data: ImageData, test: Split | None
    ) -> None:
        self.job = job
        prepare_process(job.threads)
        device = torch.device("cuda" if job.gpus else "cpu")
        self.data = Resident(data, device, test, share=min(1.0, job.gpus))

    def step(self) -> dict[str, Any]:
        spec: TrialSpec = self.config["spec"]
        folder = self.job.weights
        weights = folder / f"{spec.trial}.safetensors" if folder else None
        measurements = self.job.run(
            subject_of(spec.architecture, spec.cost),
            self.data,
            self.job.fingerprint,
            spec.recipe,
            spec.seeds,
            measure=self.job.measure,
            weights=weights,
            latency_at_most_ms=self.job.latency_at_most_ms,
        )
        Outbox(self.job.outbox).put(spec.trial, measurements)
        return {"measurements": to_json(measurements), "done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial without starting a new process."""
        self.config = new_config
        return True


class _Unsaved:
    """Part of a tuner that Tune writes to disk to restore it from, which is never done."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _StudySearcher(_Unsaved, Searcher):
    """Asks and tells the study's driver. Whatever Tune would keep of it is in the database."""

    def __init__(self, driver: Driver, resources: Resources) -> None:
        super().__init__()
        self.driver, self.resources = driver, resources
        self.trials: dict[str, int] = {}
        self.error: Exception | None = None

    def suggest(  # type: ignore[override]  # Tune's FINISHED is a string
        self, trial_id: str
    ) -> dict[str, Any] | str | None:
        if self.error is not None:
            return None
        try:
            if len(self.driver.running) >= _capacity(self.resources):
                self.driver.prepare()
                return None
            spec = self.driver.next()
            if spec is not None:
                self.trials[trial_id] = spec.trial
                return {"spec": spec}
            finished = self.driver.finished and not self.driver.running
            return str(Searcher.FINISHED) if finished else None
        except Exception as error:
            self.error = error
            return None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        if result and "measurements" in result and not error:
            measurements = from_json(result["measurements"])
            self._tell(trial_id, lambda trial: self.driver.record(trial, measurements))

    def lost(self, trial_id: str, reason: str) -> None:
        """The worker of a trial died."""
        self._tell(trial_id, lambda trial: self.driver.worker_died(trial, reason))

    def _tell(self, trial_id: str, tell: Callable[[int], None]) -> None:
        """Tune logs what is raised here and goes on: keep the first error and stop instead."""
        trial = self.trials.pop(trial_id, None)
        if trial is None or self.error is not None:
            return
        try:
            tell(trial)
        except Exception as error:
            self.error = error

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the database has it."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the database has it."""


class _Losses(_Unsaved, tune.Callback):
    """Hears why a worker died, which Tune does not tell its searcher."""

    def __init__(self, searcher: _StudySearcher) -> None:
        self.searcher = searcher

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: object
    ) -> None:
        """Give the trial back with the reason."""
        self.searcher.lost(trial.trial_id, _first_cause(trial.error_file))


def _first_cause(error_file: str | None) -> str:
    """A line out of what Tune wrote about a failure: a heading, then the error's text."""
    try:
        _, _, text = Path(error_file or "").read_text().strip().partition("\n")
    except OSError:
        text = ""
    return in_a_line(text)


class _Stopper(_Unsaved, tune.Stopper):
    """Ends Tune's loop between two steps, where no transaction is under way.

    Tune's own way of stopping waits for the workers; what is raised here leaves at once.
    """

    def __init__(self, searcher: _StudySearcher, stop: Callable[[], bool]) -> None:
        self.searcher, self.stop = searcher, stop

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        if self.searcher.error is not None:
            raise self.searcher.error
        if self.stop():
            raise KeyboardInterrupt
        return False


def _nodes() -> list[dict[str, float]]:
    """Resources of each node that is alive."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["Resources"] for node in nodes if node["Alive"]]


def _capacity(resources: Resources) -> int:
    """How many trials run at once, over all nodes."""
    wanted = {"CPU": resources.cpus, "GPU": resources.gpus}
    return sum(
        min(int(node.get(kind, 0) / amount) for kind, amount in wanted.items() if amount)
        for node in _nodes()
    )


def _offer() -> str:
    return ", ".join(f"{n.get('CPU', 0):g} CPUs and {n.get('GPU', 0):g} GPUs" for n in _nodes())


@contextmanager
def _quiet() -> Iterator[None]:
    """Tune reports failed workers itself, at length; the driver does it in a line."""
    logger = logging.getLogger("ray.tune")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
