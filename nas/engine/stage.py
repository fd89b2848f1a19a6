"""Runs the trials of a driver: data, Ray, progress, and how it ended.

What trains, and what keeps a study, loads for seconds: only once the data is there, beside Ray's
start.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from nas.engine import terminal
from nas.engine.listener import Silent
from nas.engine.lock import DriverLock
from nas.engine.ray_cluster import RayCluster
from nas.engine.ray_failures import LESS_MEMORY, OUT_OF_MEMORY, RayFailed, in_a_line
from nas.engine.signals import stop_requests
from nas.engine.time_budget import TimeBudget, TimeUp
from nas.kernels.library import best_level
from nas.space import SearchSpace
from nas.space.errors import InputError
from nas.space.objectives import measured_fields
from nas.space.quantities import duration, format_count
from nas.space.shown_text import shown_line
from nas.space.space_checks import check_labels
from nas.study.design import Design
from nas.study.location import StudyPlace
from trials.data import (
    DataError,
    ImageData,
    Split,
    check_batch_size,
    check_test_split,
    describe,
    load,
    load_test,
    missing_classes,
)
from trials.data.images import Images
from trials.failpoint import failpoint

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from nas.engine.driver import Driver
    from nas.engine.progress import SearchProgress
    from nas.engine.ray_worker import Job
    from nas.study.trial_record import TrialRecord

_NO_KERNELS = (
    "note: no kernels were compiled when this was installed, for which it takes a C compiler: "
    "trainings run on PyTorch's, and take about twice as long"
)
_NO_OTHER = "no other architecture was found inside the budget"


class StageRunner:
    """What all stages of a study have in common.

    Its `lock` and its `ray` are contexts, inside which the stages run: Ray starts with the first
    that has trials.

    Args:
        place: of the study: its folder and its database.
        sampler: in place of the one that the space names.
        callbacks: called with every trial that is complete or has failed.
        budget: of time, for all stages and the results.
    """

    def __init__(
        self,
        space: SearchSpace,
        place: StudyPlace,
        ray_address: str | None = None,
        quiet: bool = False,
        sampler: BaseSampler | None = None,
        callbacks: Sequence[Callable[[TrialRecord], object]] = (),
        budget: TimeBudget | None = None,
    ) -> None:
        self.space, self.place = space, place
        self.quiet = quiet
        self.sampler, self.callbacks = sampler, tuple(callbacks)
        self.console = terminal.console(quiet, soft_wrap=True)
        self.budget = budget or TimeBudget()
        self.time_is_up = False
        self.lock = DriverLock(place.url, place.name)
        self.ray = RayCluster(ray_address)
        self._has_described = False  # the data

    def load_data(self) -> ImageData:
        """Training and validation images, checked; that there is a test split where one is needed.

        Raises:
            InputError: they cannot be used.
        """
        config = self.space.file.data.config
        self._check_precision()
        try:
            if self.space.file.confirm is not None:
                check_test_split(config)
            data = load(config, self._watch)
            check_batch_size(data, self.space.file.training.full_recipe.batch_size)
            if data.input_shape != self.space.input_shape:
                raise DataError(
                    f"the images have shape {list(data.input_shape)}, but the data set's first one "
                    f"has {list(self.space.input_shape)} (channels, height, width)"
                )
        except DataError as error:
            section = "training" if error.field == "batch_size" else "data"
            path = (section, error.field)
            raise self.space.document.error(path, str(error), error.hint) from None
        if data.many_labels:
            check_labels(self.space.document, self.space.file)
            if problems := self.space.document.problems:
                raise InputError(problems)
        return data

    def _check_precision(self) -> None:
        """Of CPUs: those of a cluster that is elsewhere, and GPUs, are asked by each training."""
        file = self.space.file
        elsewhere = file.resources.gpus_per_trial or self.ray.address is not None
        if elsewhere or file.training.precision is None:
            return
        import torch

        from trials.precision import Unsupported, check_precision

        try:
            check_precision(file.training.precision, torch.device("cpu"))
        except Unsupported as error:
            place = ("training", "precision")
            raise self.space.document.error(place, str(error), error.hint) from None

    def load_test(self, data: ImageData) -> Split:
        """The test split, which nothing else reads.

        Raises:
            InputError: there is none, or it does not fit the training images.
        """
        try:
            test = load_test(self.space.file.data.config, data, self._watch)
        except DataError as error:
            message = f"the test split: {error}"
            raise self.space.document.error(("data", error.field), message, error.hint) from None
        if missing := missing_classes(test, data):
            self.say(f"note: no test images of {shown_line(missing)}")
        return test

    def _watch(self, images: Iterator[Images], count: int) -> Iterator[Images]:
        return terminal.counted(images, count, "decoding images", self.console)

    def say(self, message: str) -> None:
        """A line of its own."""
        terminal.say(self.console, message)

    @contextmanager
    def driving(self, name: str, data: ImageData, design: Design | None) -> Iterator[Driver]:
        """The driver of a stage, which leaves no trial running, however the stage ends."""
        from nas.engine.halving_driver import driver_for
        from nas.study.storage import quiet_optuna

        quiet_optuna()
        driver = driver_for(self.space, design).open(
            self.place.url,
            name,
            self.space,
            data.summary,
            self.place.folder / "outbox",
            design,
            self.sampler,
            lambda line: self.say(f"note: {line}"),
            self.lock.claim,
        )
        driver.budget = self.budget
        self.budget.count_earlier(driver.trials.count_ended())
        planned = design is not None or self.space.file.confirm is not None
        if self.budget.as_many_as_fit and not planned:
            driver.wanted = inf
        interrupted = False
        with closing(driver):
            try:
                yield driver
            except KeyboardInterrupt:
                interrupted = True
                raise
            finally:
                # Nobody is told: what a callback raises may be why it ends.
                driver.listener = Silent()
                failpoint("release.begin")
                driver.requeue_running()
                failpoint("release.done")
                if interrupted:
                    print(f"interrupted: {driver.so_far}", file=sys.stderr)

    def run(
        self,
        driver: Driver,
        data: ImageData,
        test: Split | None = None,
        keep_weights: bool = True,
    ) -> None:
        """Run what is left to run; trials are evaluated on the test split where it is given.

        Raises:
            RayFailed: it has failed, not a trial.
            Interrupted: the search was asked to stop.
        """
        self._announce(driver, data)
        self.ray.start_soon()  # and Tune loads, for a second
        from nas.engine import ray_nodes, ray_tune

        self.ray.start()
        resources = self.space.file.resources
        driver.listener = progress = self._progress(driver)
        try:
            # What runs when time is up is handed out again the next time.
            with suppress(TimeUp), stop_requests() as stopped, progress:
                self.budget.begin_trainings()
                ray_tune.run(
                    driver,
                    self._job(driver, data, keep_weights),
                    data,
                    ray_nodes.Resources(resources.cpus_per_trial, resources.gpus_per_trial),
                    partial(self._is_to_stop, stopped, driver, progress),
                    test,
                )
        except ray_nodes.ResourceError as error:
            option = "--gpus-per-trial" if resources.gpus_per_trial else "--cpus-per-trial"
            raise InputError.of(option, str(error)) from None
        except DataError as error:
            path = ("data", error.field)
            raise self.space.document.error(path, str(error), error.hint) from None
        except ray_tune.FAILURES as error:
            raise RayFailed(f"Ray has failed: {in_a_line(str(error))}") from error

    def _is_to_stop(
        self, stopped: Callable[[], bool], driver: Driver, progress: SearchProgress
    ) -> bool:
        """Whether no result is to be waited for; asked several times a second."""
        self.budget.check()
        if line := self.budget.forecast(driver.epochs_of_trial):
            progress.say(line)
        return stopped()

    def _announce(self, driver: Driver, data: ImageData) -> None:
        """What will be run, and before the first stage on what data."""
        self.say(
            f"{driver.study.study_name}: {self._size(driver)}, "
            f"{len(data.train):,} training and {len(data.validation):,} validation images, "
            f"{driver.so_far}"
        )
        if not self._has_described:
            self.say(f"data: {shown_line(describe(data))}")
            if self.misses_kernels():
                self.say(_NO_KERNELS)
            self._has_described = True

    def misses_kernels(self) -> bool:
        """Whether trials here would train on kernels that were not compiled."""
        resources, precision = self.space.file.resources, self.space.file.training.precision
        on_one_thread = resources.threads == 1 and not resources.gpus_per_trial
        here = self.ray.address is None and precision != "bfloat16"
        return on_one_thread and here and best_level() is None

    def _job(self, driver: Driver, data: ImageData, keep_weights: bool) -> Job:
        from nas.engine import ray_worker
        from trials.trial import RANKINGS, SCORES

        resources, limit = self.space.file.resources, self.space.file.latency_ms
        return ray_worker.Job(
            fingerprint=data.summary.fingerprint,
            measure=measured_fields(driver.objectives)
            | frozenset(SCORES if data.imbalanced else ())
            | frozenset(RANKINGS if data.many_labels else ()),
            outbox=driver.outbox.folder.absolute(),
            weights=(self.place.folder / "weights").absolute() if keep_weights else None,
            threads=resources.threads,
            gpus=resources.gpus_per_trial,
            # Of what is searched for: the arms of a design, as of a confirmation, are given.
            latency_at_most_ms=limit.at_most if limit and driver.design is None else None,
        )

    def _progress(self, driver: Driver) -> SearchProgress:
        from nas.engine.progress import SearchProgress

        return SearchProgress(
            driver.study.study_name,
            driver.objectives,
            driver.wanted,
            driver.trials.complete_values(),
            self.quiet,
            self.callbacks,
            driver.at_rungs,
        )

    def _size(self, driver: Driver) -> str:
        if driver.design is None:
            return f"{format_count(self.space.size)} architectures"
        return f"{len(driver.design.arms)} arms with {len(driver.design.seeds)} seeds"

    def failure_of(self, driver: Driver) -> str:
        """Why a stage failed; nothing where it did not."""
        setbacks = driver.setbacks
        if setbacks.too_many_failures:
            last = shown_line(setbacks.failures[-1])
            hint = f"\nhint: {LESS_MEMORY}" if OUT_OF_MEMORY in last else ""
            count = len(setbacks.failures)
            return f"{count} trials in a row have failed, the last one: {last}{hint}"
        if setbacks.too_many_rejections:
            return (
                f"{len(setbacks.rejections)} networks in a row are too slow: "
                f"{driver.so_far}; the last one: {setbacks.rejections[-1]}"
            )
        if driver.done and driver.exhausted and driver.tried < driver.wanted:
            why = "some trainings have failed" if driver.design else _NO_OTHER
            message = f"{why}: {driver.so_far}"
            if not driver.complete:
                return message
            self.say(message)
        if self.budget.is_limited and not driver.done:
            return self._out_of_time(driver)
        return "" if driver.complete else driver.so_far

    def _out_of_time(self, driver: Driver) -> str:
        """Say that a stage ended before it was done; a search without a result has failed."""
        self.time_is_up = True
        if not driver.complete and driver.design is None:
            return f"the budget is too short for a trial: {driver.so_far}"
        self.say(
            f"the budget of {duration(self.budget.seconds)} is used, but for the results: "
            f"{driver.so_far}; the same command goes on with a new one"
        )
        return ""
