"""Several trainings of one network as one trial."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from nas.study.trial_record import MEASURED, TrialRecord


def as_confirmed(trial: TrialRecord, again: TrialRecord) -> TrialRecord:
    """A trial of a search as the mean of its fresh seeds."""
    return replace(
        again,
        number=trial.number,
        choices=trial.choices,
        arm="",
        role="",
        rungs=trial.rungs,
        kernels=trial.kernels,
        searched=trial,
    )


def means_of(trials: Iterable[TrialRecord]) -> tuple[TrialRecord, ...]:
    """Complete trials, those of an arm as their mean."""
    arms: dict[str, list[TrialRecord]] = defaultdict(list)
    for trial in trials:
        if trial.state == "complete":
            arms[trial.arm or str(trial.number)].append(trial)
    return tuple(map(mean_record, arms.values()))


def mean_record(trials: Sequence[TrialRecord]) -> TrialRecord:
    """The mean of one arm's trials, under the number of the first, whose weights are kept."""
    if len(trials) == 1:
        return trials[0]
    means: dict[str, Any] = {}
    for name in MEASURED:
        values = [value for t in trials if (value := getattr(t, name)) is not None]
        means[name] = fmean(values) if values else None
    return replace(
        trials[0],
        values=tuple(fmean(values) for values in zip(*(t.values for t in trials), strict=True)),
        seconds=fmean(t.seconds for t in trials),
        curve=tuple(fmean(epoch) for epoch in zip(*(t.curve for t in trials), strict=True)),
        seeds=tuple(seed for t in trials for seed in t.seeds),
        **means,
    )
