"""Results that are there already: in the outbox, or in the database by another study."""

from __future__ import annotations

from collections.abc import Collection

from nas.engine.trial_spec import TrialSpec
from trials.measurement import Measurement
from trials.outbox import Outbox
from trials.store import Store


def result_in_outbox(
    outbox: Outbox, spec: TrialSpec, fingerprint: str
) -> tuple[Measurement, ...] | None:
    """What a worker left of these very trainings: a folder may hold another study's results.

    Args:
        fingerprint: of the data.
    """
    measurements = outbox.get(spec.trial)
    if not measurements:
        return None
    trainings, found = spec.trainings(fingerprint), [m.training for m in measurements]
    if measurements[-1].state != "complete":  # it comes last, and others may not have been tried
        return measurements if set(found) <= set(trainings) else None
    return measurements if found == trainings else None


def result_in_store(
    store: Store, study: str, spec: TrialSpec, fingerprint: str, measure: Collection[str]
) -> tuple[Measurement, ...] | None:
    """Measurements of the same trainings in this database, by another study perhaps.

    Args:
        study: whose own ones come first.
        fingerprint: of the data.
        measure: fields of `Measurement` that are needed; another study may not have wanted them.
    """
    measurements: list[Measurement] = []
    for training in spec.trainings(fingerprint):
        found = (m for m in store.find(training, study) if _is_enough(m, measure))
        measurement = next(found, None)
        if measurement is None:
            return None
        measurements.append(measurement)
        if measurement.state == "failed":
            break
    return tuple(measurements)


def _is_enough(measurement: Measurement, measure: Collection[str]) -> bool:
    """Of failures only those that would happen again: memory or a disk may be free next time."""
    if measurement.state != "complete":
        return measurement.repeatable
    return all(getattr(measurement, name) is not None for name in measure)
