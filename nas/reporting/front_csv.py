"""The front of a study as CSV."""

from __future__ import annotations

import csv
import io

from nas.analysis.confirmed_front import ConfirmedFront, ConfirmedPoint
from nas.space.objectives import COUNTED, OBJECTIVES
from nas.study.records import Records

SURENESS = ("seeds", "p_on_front", "low", "high", "tie")
"""Columns of a confirmed search: fresh seeds, P(on the front), the 95% interval of the mean over
seeds, and the trials that are within one validation image."""


def front_csv(records: Records) -> str:
    """A row for each trial of the front, cheapest first."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    # Some columns of every study, so that fronts of studies with other objectives can be compared.
    shown = {records.score, *COUNTED, "latency_ms", *records.objectives}
    names = [name for name in OBJECTIVES if name in shown]
    known = {records.score, *COUNTED, *records.objectives}
    found = ConfirmedFront.of(records)
    writer.writerow(["trial", *names, *SURENESS, "seconds", "key", "architecture"])
    for trial in records.front:
        architecture = trial.architecture
        values = [records.value(trial, name) if name in known else "" for name in names]
        sure = _sureness(found.point(trial.number) if found else None)
        rest = [round(trial.seconds, 3), architecture.key, architecture.to_json()]
        writer.writerow([trial.number, *values, len(trial.seeds), *sure, *rest])
    return out.getvalue()


def _sureness(point: ConfirmedPoint | None) -> tuple[object, ...]:
    if point is None:
        return ("", "", "", "")
    bounds = (round(point.low, 6), round(point.high, 6))
    return (round(point.probability, 4), *bounds, " ".join(map(str, point.ties)))
