"""The wall time that a search may take, and what of it is left for trainings."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from math import inf, isinf
from statistics import fmean, quantiles
from typing import NamedTuple

from nas.space.errors import InputError
from nas.space.quantities import duration, seconds_of

LEAST_FOR_RESULTS_S, MOST_FOR_RESULTS_S = 5.0, 30.0
"""Seconds that are set aside for results and report. Between these it is as long as the start took,
which is longer than they take, and longer on a slow or busy machine as they are."""

RESULTS_PER_TRIAL_S = 0.002
"""Seconds more for each trial that has ended."""

RECENT = 200
"""Trainings that say how long the next one takes: the latest."""


class TimeUp(Exception):
    """No time is left for trainings; those that run are left for the next time."""


def no_epochs(_trials: int) -> float:
    """Nothing is trained after the stage that runs."""
    return 0.0


class _Running(NamedTuple):
    """A training: when it began, for how many epochs, and whether its worker had to start first."""

    begun: float
    epochs: int
    waits_for_start: bool


class TimeBudget:
    """What a search may take from the moment when this is made, its report included.

    Args:
        seconds: of wall time; without end unless given.
        clock: seconds from any moment on.
        as_many_as_fit: trials of a search, in place of the number that the space has.

    Attributes:
        epochs_after: how long what is left for the next stage trains, all its trainings together,
            by the trials that have ended in this one or run.
    """

    def __init__(
        self,
        seconds: float = inf,
        clock: Callable[[], float] = time.monotonic,
        as_many_as_fit: bool = False,
    ) -> None:
        self.seconds, self.clock, self.as_many_as_fit = seconds, clock, as_many_as_fit
        self.begun = clock()
        self.for_results = LEAST_FOR_RESULTS_S
        self.running: dict[int, _Running] = {}  # by trial
        self.paces: deque[float] = deque(maxlen=RECENT)  # seconds an epoch
        self.first_paces: list[float] = []  # of the first training of each worker, with its start
        self.workers = self.ended = 0
        self.epochs_after: Callable[[int], float] = no_epochs
        self.has_forecast = isinf(seconds)

    @classmethod
    def of(
        cls, budget: str | float | TimeBudget | None, trials: int | None, name: str
    ) -> TimeBudget:
        """What a user gave, from now on.

        One that has begun is left as it is: a command's begins before it reads its space, and
        names its own option where it is wrong.

        Args:
            budget: a duration such as ``10m``, or seconds.
            trials: wanted beside it; as many as fit unless given.
            name: of the option.

        Raises:
            InputError: it is no duration, or not above 0.
        """
        if budget is None or isinstance(budget, TimeBudget):
            return budget or cls()
        try:
            seconds = seconds_of(budget)
        except ValueError as error:
            raise InputError.of(name, str(error)) from None
        return cls(seconds, as_many_as_fit=trials is None)

    def count_earlier(self, trials: int) -> None:
        """Trials of a stage that is resumed, which the results have, too."""
        self.ended += trials

    def begin_trainings(self) -> None:
        """Everything is started: results will take no longer than that did."""
        if not self.workers:  # of a later stage it was
            started = min(self.clock() - self.begun, MOST_FOR_RESULTS_S)
            self.for_results = max(started, LEAST_FOR_RESULTS_S)

    @property
    def left(self) -> float:
        """Seconds for trainings of this stage; below zero where it is time for what comes after."""
        for_results = self.for_results + self.ended * RESULTS_PER_TRIAL_S
        pace = self._slow_pace / max(1, self.workers)
        after = for_results + self.epochs_after(self.ended + len(self.running)) * pace
        return self.seconds - (self.clock() - self.begun) - after

    def start(self, trial: int, epochs: int) -> None:
        """A trial is handed out, to be trained for so many epochs, of all seeds together."""
        waits_for_start = len(self.running) >= self.workers  # it is the first of its worker
        self.running[trial] = _Running(self.clock(), epochs, waits_for_start)
        self.workers = max(self.workers, len(self.running))

    def end(self, trial: int) -> None:
        """It has ended, or was given back."""
        if trial in self.running:
            begun, epochs, waits_for_start = self.running.pop(trial)
            paces = self.first_paces if waits_for_start else self.paces
            paces.append((self.clock() - begun) / epochs)
            self.ended += 1

    @property
    def is_limited(self) -> bool:
        """Whether there is one."""
        return not isinf(self.seconds)

    @property
    def knows_pace(self) -> bool:
        """Whether some training has ended that did not wait for the start of its worker."""
        return bool(self.paces)

    def fits(self, epochs: float, after: float | None = None) -> bool:
        """Whether trainings would end in time, if they took as long as the slow ones.

        Those are slower than nine in ten of the latest. The first of each worker, which wait for
        its start, are left out once there are others; before any has ended, nothing is known.

        Args:
            epochs: one after the other.
            after: epochs of a training that would begin now beside those that run. The others come
                once all these have ended; they begin at once unless given.
        """
        if isinf(self.seconds):
            return True
        pace = self._slow_pace
        wait = 0.0
        if after is not None:
            now = self.clock()
            rests = (run.begun + run.epochs * pace - now for run in self.running.values())
            wait = max(after * pace, *rests, 0.0)
        return wait + epochs * pace < self.left

    @property
    def _slow_pace(self) -> float:
        paces = self.paces or self.first_paces
        if not paces:
            return 0.0  # nothing is known
        # Inclusive: no slower than the slowest.
        return quantiles(paces, n=10, method="inclusive")[-1] if len(paces) > 1 else sum(paces)

    def check(self) -> None:
        """Raise `TimeUp` where no time is left."""
        if self.left <= 0:
            raise TimeUp

    def forecast(self, epochs: float) -> str:
        """A line that says how many more trials fit, once the first ones have said what they cost.

        The first of each worker are left out, for they wait for its start.

        Args:
            epochs: of a trial, of all seeds and rungs together, on average.
        """
        if self.has_forecast or len(self.paces) < max(2, self.workers):
            return ""
        self.has_forecast = True
        cost = epochs * fmean(self.paces)
        return (
            f"budget: a trial takes {duration(cost)} on one of {self.workers} workers, so about "
            f"{max(0, self.left) * self.workers / cost:.0f} more fit into the "
            f"{duration(max(0, self.left))} that are left for trainings"
        )
