"""The wall time that a search may take, and what of it is left for trainings."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from math import inf, isinf
from statistics import fmean, quantiles

from nas.space.errors import InputError
from nas.space.quantities import duration, parse_duration

LEAST_FOR_RESULTS_S, MOST_FOR_RESULTS_S = 5.0, 30.0
"""Seconds that are set aside for results and report. Between these it is as long as the start took,
which is longer than they take, and longer on a slow or busy machine as they are."""

RESULTS_PER_TRIAL_S = 0.002
"""Seconds more for each trial that has ended."""

RECENT = 200
"""Trainings that say how long the next one takes: the latest."""


class TimeUp(Exception):
    """No time is left for trainings; those that run are left for the next time."""


class TimeBudget:
    """What a search may take from the moment when this is made, its report included.

    Args:
        seconds: of wall time; without end unless given.
        clock: seconds from any moment on.
        as_many_as_fit: trials of a search, in place of the number that the space has.
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
        self.running: dict[int, tuple[float, int]] = {}  # when it began, and epochs, by trial
        self.paces: deque[float] = deque(maxlen=RECENT)  # seconds an epoch
        self.workers = self.ended = 0
        self.has_forecast = isinf(seconds)

    @classmethod
    def of(
        cls, budget: str | float | TimeBudget | None, trials: int | None, name: str
    ) -> TimeBudget:
        """What a user gave, from now on; one that has begun is left as it is.

        Args:
            budget: a duration such as ``10m``, or seconds.
            trials: wanted beside it; as many as fit unless given.
            name: of the option.

        Raises:
            InputError: it is no duration.
        """
        if budget is None or isinstance(budget, TimeBudget):
            return budget or cls()
        try:
            seconds = parse_duration(budget if isinstance(budget, str) else f"{budget}s")
        except ValueError as error:
            raise InputError.of(name, str(error)) from None
        return cls(seconds, as_many_as_fit=trials is None)

    def begin_trainings(self) -> None:
        """Everything is started: results will take no longer than that did."""
        if not self.workers:  # of a later stage it was
            started = min(self.clock() - self.begun, MOST_FOR_RESULTS_S)
            self.for_results = max(started, LEAST_FOR_RESULTS_S)

    @property
    def left(self) -> float:
        """Seconds for trainings; below zero where it is time for the results."""
        for_results = self.for_results + self.ended * RESULTS_PER_TRIAL_S
        return self.seconds - (self.clock() - self.begun) - for_results

    def start(self, trial: int, epochs: int) -> None:
        """A trial is handed out, to be trained for so many epochs, of all seeds together."""
        self.running[trial] = (self.clock(), epochs)
        self.workers = max(self.workers, len(self.running))

    def end(self, trial: int) -> None:
        """It has ended, or was given back."""
        if trial in self.running:
            begun, epochs = self.running.pop(trial)
            self.paces.append((self.clock() - begun) / epochs)
            self.ended += 1

    def fits(self, epochs: float) -> bool:
        """Whether a trial that is wanted would end in time, if it took as long as the slow ones.

        That is nine in ten of the latest; of the first one nothing is known.
        """
        if isinf(self.seconds):
            return True
        slow = quantiles(self.paces, n=10)[-1] if len(self.paces) > 1 else sum(self.paces)
        return epochs * slow < self.left

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
        known = list(self.paces)[self.workers :]
        if self.has_forecast or len(known) < max(2, self.workers):
            return ""
        self.has_forecast = True
        cost = epochs * fmean(known)
        return (
            f"budget: a trial takes {duration(cost)} on one of {self.workers} workers, so about "
            f"{max(0, self.left) * self.workers / cost:.0f} more fit into the "
            f"{duration(max(0, self.left))} that are left for trainings"
        )
