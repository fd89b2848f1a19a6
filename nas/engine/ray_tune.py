"""Ray Tune spreads the trials of a study over processes and machines.

Tune's own memory is not used: its searcher state is never saved or restored, its result files go to
a temporary folder, and every start is a fresh `Tuner` fed from the study's database.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray import tune
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from nas.engine.leftovers import scratch_folder
from nas.engine.ray_failures import in_a_line, without_reports
from nas.engine.ray_nodes import LiveNodes, Resources, capacity, check_files, check_resources
from nas.engine.ray_worker import Job, TrialActor
from trials.measurement import from_json

if TYPE_CHECKING:
    from nas.engine.driver import Driver
    from trials.data import ImageData, Split


FAILURES = (ray.exceptions.RayError, tune.TuneError)
"""Of Ray itself."""


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
    check_resources(resources)
    check_files(data, test)
    # Otherwise Tune starts one worker at a time.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(capacity(resources))
    trainable = tune.with_parameters(TrialActor, job=job, data=data, test=test)
    with scratch_folder() as scratch, without_reports("ray.tune"), LiveNodes() as nodes:
        searcher = _StudySearcher(driver, resources, nodes, stop)
        tune.Tuner(
            tune.with_resources(trainable, {"cpu": resources.cpus, "gpu": resources.gpus}),
            tune_config=tune.TuneConfig(
                search_alg=searcher, scheduler=_InOrder(searcher), num_samples=-1, reuse_actors=True
            ),
            run_config=tune.RunConfig(
                storage_path=str(scratch),
                verbose=0,
                stop=_Stopper(searcher),
                callbacks=[_Losses(searcher), _NoReport()],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()


class _Unsaved:
    """Part of a tuner that Tune writes to disk to restore it from, which is never done."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _StudySearcher(_Unsaved, Searcher):
    """Asks and tells the study's driver. Whatever Tune would keep of it is in the database."""

    def __init__(
        self, driver: Driver, resources: Resources, nodes: LiveNodes, stop: Callable[[], bool]
    ) -> None:
        super().__init__()
        self.driver, self.resources, self.nodes, self.stop = driver, resources, nodes, stop
        self.trials: dict[str, int] = {}
        self.error: BaseException | None = None

    def suggest(  # type: ignore[override]  # Tune's FINISHED is a string
        self, trial_id: str
    ) -> dict[str, Any] | str | None:
        if self.ends():
            return str(Searcher.FINISHED)
        try:
            if len(self.driver.running) >= self.nodes.capacity(self.resources):
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
            return str(Searcher.FINISHED)

    def ends(self) -> bool:
        """Whether nothing is to be waited for, for the reason that is kept.

        Asked wherever Tune asks for something: where no trial runs, it asks for one for minutes.
        """
        try:
            self.nodes.check()
            if self.stop():
                raise KeyboardInterrupt
        except BaseException as error:  # raised by the stopper, where Tune lets it through
            self.error = self.error or error
        return self.error is not None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        if result and "measurements" in result and not error:
            text = result["measurements"]
            self._tell(trial_id, lambda trial: self.driver.record(trial, from_json(text)))

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


class _InOrder(_Unsaved, FIFOScheduler):
    """Starts trials in their order, and has Tune forget those that have ended.

    Tune's own goes through all that ever were, at every step.
    """

    def __init__(self, searcher: _StudySearcher) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.searcher = searcher

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """The first that waits."""
        _forget_ended(tune_controller._tune_controller)  # type: ignore[attr-defined]  # wrapped
        live: Collection[Trial] = tune_controller.get_live_trials()  # type: ignore[no-untyped-call]
        waiting = (trial for trial in live if trial.status == Trial.PENDING)
        return min(waiting, key=lambda trial: self.searcher.trials[trial.trial_id], default=None)


_OF_ENDED = ("_live_trials", "_stopped_trials", "_failed_trials", "_trials_to_cache")
"""Where Tune keeps trials that have ended, beside its list of all; of another version perhaps."""


def _forget_ended(controller: TuneController) -> None:
    """Keep nothing of trials that have ended: the database has them.

    Tune would keep each with its result until the search is over, go through all of them at every
    step, and write them to a file in the end; and a folder on the disk for each.
    """
    trials: list[Trial] = controller.get_trials()  # type: ignore[no-untyped-call]
    ended = {trial for trial in trials if trial.is_finished()}  # type: ignore[no-untyped-call]
    if not ended:
        return
    trials[:] = [trial for trial in trials if trial not in ended]
    for name in _OF_ENDED:
        getattr(controller, name, set()).difference_update(ended)
    for trial in ended:
        if trial.relative_logdir:  # it was started
            shutil.rmtree(str(trial.local_path), ignore_errors=True)


class _Losses(_Unsaved, tune.Callback):
    """Hears why a worker died, which Tune does not tell its searcher."""

    def __init__(self, searcher: _StudySearcher) -> None:
        self.searcher = searcher

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: object
    ) -> None:
        """Give the trial back with the reason."""
        self.searcher.lost(trial.trial_id, _first_cause(trial.error_file))


class _NoReport(_Unsaved, TrialProgressCallback):
    """In the place of Tune's own, which says nothing here and keeps every trial for it."""

    def on_trial_result(self, *_: object, **__: object) -> None:
        """Nothing: the driver says it."""

    def on_trial_error(self, *_: object, **__: object) -> None:
        """Nothing: the driver says it."""

    def on_trial_complete(self, *_: object, **__: object) -> None:
        """Nothing: the driver says it."""


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

    def __init__(self, searcher: _StudySearcher) -> None:
        self.searcher = searcher

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        if self.searcher.ends() and self.searcher.error is not None:
            raise self.searcher.error
        return False
