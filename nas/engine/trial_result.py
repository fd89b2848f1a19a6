"""From the measurements of a trial's trainings to its record, and to what the database gets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from optuna.trial import TrialState

from nas.engine.optuna_storage import Ending
from nas.engine.trial_spec import TrialSpec
from nas.space.objectives import OBJECTIVES
from nas.study.trial_record import MEASURED, State, TrialRecord
from trials.measurement import Measurement


def complete_record(
    spec: TrialSpec, measurements: Sequence[Measurement], objectives: Sequence[str]
) -> TrialRecord:
    """The record of a trial: the mean over its seeds."""
    epochs = zip(*(m.curve for m in measurements), strict=True)
    means: dict[str, Any] = {
        name: _mean(getattr(m, name) for m in measurements) for name in MEASURED
    }
    return replace(
        _record(spec, "complete"),
        values=tuple(OBJECTIVES[name].value(spec.cost, measurements) for name in objectives),
        **means,
        seconds=sum(m.seconds for m in measurements),
        kernels=measurements[0].versions.get("kernels", ""),
        curve=tuple(fmean(score for _, _, score in epoch) for epoch in epochs),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    """Over the trainings in which it was measured; None where it was in none."""
    measured = [value for value in values if value is not None]
    return fmean(measured) if measured else None


def record_without_result(spec: TrialSpec, state: State, reason: str) -> TrialRecord:
    """The record of a trial that has failed or was rejected."""
    return replace(_record(spec, state), reason=reason)


def complete_ending(record: TrialRecord, objectives: Sequence[str]) -> Ending:
    """What is written of a trial with a result; `nas.study.trial_record` reads it."""
    kept = {name: getattr(record, name) for name in MEASURED if name not in objectives}
    attributes = {"curve": json.dumps(record.curve), "seconds": record.seconds}
    attributes |= {name: value for name, value in kept.items() if value is not None}
    attributes |= {"kernels": record.kernels} if record.kernels else {}
    return Ending(TrialState.COMPLETE, record.values, attributes, record.curve)


def failed_ending(reason: str, traceback: str = "") -> Ending:
    """What is written of a trial that has failed."""
    attributes = {"reason": reason} | ({"traceback": traceback} if traceback else {})
    return Ending(TrialState.FAIL, attributes=attributes)


def rejected_ending(measurement: Measurement) -> Ending:
    """What is written of a trial whose network is over a limit."""
    names = ("reason", "latency_ms", "latency_spread_ms")
    return Ending(
        TrialState.PRUNED, attributes={name: getattr(measurement, name) for name in names}
    )


def _record(spec: TrialSpec, state: State) -> TrialRecord:
    return TrialRecord(
        number=spec.trial,
        state=state,
        network=spec.architecture,
        macs=spec.cost.macs,
        params=spec.cost.params,
        seeds=spec.seeds,
        arm=spec.arm,
        role=spec.role,
        fold=spec.fold,
        warm_start=spec.recipe.warm_start,
    )
