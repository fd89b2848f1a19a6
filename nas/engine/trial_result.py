"""From the measurements of a trial's trainings to the record of the trial."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean

from nas.engine.trial_spec import TrialSpec
from nas.space.objectives import OBJECTIVES
from nas.study.trial_record import State, TrialRecord
from trials.measurement import Measurement


def complete_record(
    spec: TrialSpec, measurements: Sequence[Measurement], objectives: Sequence[str]
) -> TrialRecord:
    """The record of a trial: the mean over its seeds."""
    epochs = zip(*(m.curve for m in measurements), strict=True)
    return replace(
        _record(spec, "complete"),
        values=tuple(OBJECTIVES[name].value(spec.cost, measurements) for name in objectives),
        accuracy=OBJECTIVES["accuracy"].value(spec.cost, measurements),
        test_accuracy=_mean(m.test_accuracy for m in measurements),
        balanced_accuracy=_mean(m.balanced_accuracy for m in measurements),
        seconds=sum(m.seconds for m in measurements),
        curve=tuple(fmean(accuracy for _, _, accuracy in epoch) for epoch in epochs),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    """Over the trainings in which it was measured; None where it was in none."""
    measured = [value for value in values if value is not None]
    return fmean(measured) if measured else None


def failed_record(spec: TrialSpec, reason: str) -> TrialRecord:
    """The record of a trial that has no result."""
    return replace(_record(spec, "failed"), reason=reason)


def _record(spec: TrialSpec, state: State) -> TrialRecord:
    return TrialRecord(
        number=spec.trial,
        state=state,
        architecture=spec.architecture,
        macs=spec.cost.macs,
        params=spec.cost.params,
        seeds=spec.seeds,
        arm=spec.arm,
        role=spec.role,
    )
