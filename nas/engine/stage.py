"""Runs the trials of a driver: Ray, progress, and how it ended.

What trains, and what keeps a study, loads for seconds: only once the data is there, beside Ray's
start.
"""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from nas.engine import terminal
from nas.engine.listener import Silent
from nas.engine.lock import DriverLock
from nas.engine.ray_cluster import RayCluster
from nas.engine.ray_failures import LESS_MEMORY, OUT_OF_MEMORY, RayFailed, in_a_line
from nas.engine.signals import stop_requests
from nas.engine.stall import PATIENCE_S, StallWatch
from nas.engine.study_data import StudyData
from nas.engine.time_budget import TimeBudget, TimeUp, no_epochs
from nas.engine.watchdog import Watchdog, Watched
from nas.kernels.library import best_level
from nas.space import SearchSpace
from nas.space.confirm_section import most_confirmed
from nas.space.errors import InputError
from nas.space.objectives import measured_fields
from nas.space.quantities import duration, format_count
from nas.space.shown_text import shown_line
from nas.study.design import Design
from nas.study.location import StudyPlace
from trials.data import DataError, ImageData, Split, describe
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
_GRACE_S = 300  # a search that is well ends by itself before, however busy the machine is
Callback = Callable[["TrialRecord"], object]

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
        command: how to resume.
        stall_s: how long nothing may happen before a search ends.
    """

    def __init__(
        self,
        space: SearchSpace,
        place: StudyPlace,
        ray_address: str | None = None,
        quiet: bool = False,
        sampler: BaseSampler | None = None,
        callbacks: Sequence[Callback] = (),
        budget: TimeBudget | None = None,
        command: str = "",
        stall_s: float = PATIENCE_S,
    ) -> None:
        self.space, self.place = space, place
        self.quiet = quiet
        self.command, self.stall_s = command, stall_s
        self.sampler, self.callbacks = sampler, tuple(callbacks)
        self.console = terminal.console(quiet, soft_wrap=True)
        self.budget = budget or TimeBudget()
        self.time_is_up = False
        self.lock = DriverLock(place.url, place.name)
        self.ray = RayCluster(ray_address)
        self.study_data = StudyData(space, ray_address is not None, self.console)
        self._has_described = False  # the data

    def at_budget(self, space: SearchSpace, place: StudyPlace) -> StageRunner:
        """The runner of one of several budgets, with the same Ray and the same time."""
        runner = copy.copy(self)
        runner.space, runner.place = space, place
        runner.lock = DriverLock(place.url, place.name)
        runner.study_data = StudyData(space, self.ray.address is not None, self.console)
        return runner

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
        if self.budget.as_many_as_fit and design is None:
            driver.wanted = inf
        self.budget.epochs_after = no_epochs if design else self._epochs_to_confirm
        interrupted = False
        with closing(driver), self._watchdog(driver) as self.watchdog:
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
                self.watchdog.released()
                failpoint("release.done")
                if interrupted:
                    print(f"interrupted: {driver.so_far}", file=sys.stderr)

    def _epochs_to_confirm(self, trials: int) -> float:
        """Of all trainings that confirm what so many trials found, and of the references."""
        file = self.space.file
        seeds = file.fresh_seeds or file.study.seeds_per_trial
        trainings = most_confirmed(trials) * file.fresh_seeds + len(file.references or ()) * seeds
        return trainings * file.training.full_recipe.epochs

    def _watchdog(self, driver: Driver) -> Watchdog:
        fence = driver.trials.fence
        assert fence is not None, "a driver writes"
        watched = Watched(
            os.getpid(),
            self.place.url.render_as_string(hide_password=False),
            driver.study.study_name,
            fence.study,
            fence.token,
            f"resume with:\n{self.command}" if self.command else "",
            self.stall_s + _GRACE_S,
        )
        return Watchdog(watched)

    def run(
        self,
        driver: Driver,
        data: ImageData,
        test: Split | None = None,
        keep_weights: bool = True,
        judges: bool = False,
    ) -> None:
        """Run what is left to run; trials are evaluated on the test split where it is given.

        Args:
            judges: whether a claim is judged by these trainings. Only they are handed the half of
                the validation images that is left for that, and keep where they were right.

        Raises:
            RayFailed: it has failed, not a trial; or nothing happens any more.
            Interrupted: the search was asked to stop.
        """
        self._announce(driver, data)
        self.ray.start_soon()  # and Tune loads, for a second
        from nas.engine import ray_nodes, ray_tune

        with self._failures_in_words():
            self.ray.start()
        resources = self.space.file.resources
        driver.listener = progress = self._progress(driver)
        stall = StallWatch(self.stall_s, driver.outbox.folder, is_shared=ray_nodes.is_own())
        is_to_stop = partial(self._is_to_stop, driver, progress, stall)
        # What runs when time is up is handed out again the next time.
        with self._failures_in_words(), suppress(TimeUp), stop_requests() as stopped, progress:
            self.budget.begin_trainings()
            ray_tune.run(
                driver,
                self._job(driver, data, keep_weights, judges),
                data if judges else replace(data, half=None),
                ray_nodes.Resources(resources.cpus_per_trial, resources.gpus_per_trial),
                lambda: is_to_stop(stopped()),
                test,
            )

    @contextmanager
    def _failures_in_words(self) -> Iterator[None]:
        """While Ray starts and trials run: what it cannot do, and what fails of it."""
        from nas.engine import ray_nodes, ray_tune

        self.watchdog.beat()
        try:
            yield
        except ray_nodes.ResourceError as error:
            gpus = self.space.file.resources.gpus_per_trial
            option = "--gpus-per-trial" if gpus else "--cpus-per-trial"
            raise InputError.of(option, str(error)) from None
        except DataError as error:
            path = ("data", error.field)
            raise self.space.document.error(path, str(error), error.hint) from None
        except ray_tune.FAILURES as error:
            raise RayFailed(f"Ray has failed: {in_a_line(str(error))}") from error
        finally:
            self.watchdog.rest()

    def _is_to_stop(
        self, driver: Driver, progress: SearchProgress, stall: StallWatch, stopped: bool
    ) -> bool:
        """Whether no result is to be waited for; asked several times a second."""
        self.watchdog.beat()
        self.budget.check()
        if line := self.budget.forecast(driver.epochs_of_trial):
            progress.say(line)
        if not stopped:
            stall.check(driver.running)
        return stopped

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

    def _job(self, driver: Driver, data: ImageData, keep_weights: bool, judges: bool) -> Job:
        from nas.engine import ray_worker
        from trials.trial import RANKINGS, RIGHT, SCORES

        resources, limit = self.space.file.resources, self.space.file.latency_ms
        return ray_worker.Job(
            fingerprint=data.summary.fingerprint,
            measure=measured_fields(driver.objectives)
            | frozenset(("latency_ms",) if _has_published(driver.design) else ())
            | frozenset(SCORES if data.imbalanced else ())
            | frozenset(RANKINGS if data.many_labels else ())
            | frozenset(RIGHT if judges else ()),
            outbox=driver.outbox.folder.absolute(),
            weights=(self.place.folder / "weights").absolute() if keep_weights else None,
            threads=resources.threads,
            gpus=resources.gpus_per_trial,
            # Of what is searched for: the arms of a design, as of a confirmation, are given.
            latency_at_most_ms=limit.at_most if limit and driver.design is None else None,
            shared=driver.new.shared.content if driver.new.shared else None,
        )

    def _progress(self, driver: Driver) -> SearchProgress:
        from nas.engine.progress import SearchProgress

        return SearchProgress(
            driver.study.study_name,
            driver.objectives,
            driver.wanted,
            driver.trials.complete_values(),
            self.quiet,
            tuple(map(self._unwatched, self.callbacks)),
            driver.at_rungs,
        )

    def _unwatched(self, callback: Callback) -> Callback:
        """A user's own code takes as long as it takes."""

        def call(record: TrialRecord) -> None:
            self.watchdog.rest()
            callback(record)

        return call

    def _size(self, driver: Driver) -> str:
        if driver.design is None:
            return f"{format_count(self.space.size)} architectures"
        return driver.design.in_words

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
        searched = driver.design is None
        self.time_is_up = not searched  # of a search time was left to confirm what it found
        if not driver.complete and searched:
            return f"the budget is too short for a trial: {driver.so_far}"
        confirmed = "the confirmation and " if searched and self.space.file.fresh_seeds else ""
        self.say(
            f"the budget of {duration(self.budget.seconds)} is used, but for {confirmed}the "
            f"results: {driver.so_far}; the same command goes on with a new one"
        )
        return ""


def _has_published(design: Design | None) -> bool:
    """Whether published networks are among the arms: then all are compared in speed, too."""
    return design is not None and any(arm.role == "published" for arm in design.arms)
