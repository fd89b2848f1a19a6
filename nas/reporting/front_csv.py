"""The front of a study as CSV."""

from __future__ import annotations

import csv
import io

from nas.space.objectives import COUNTED, OBJECTIVES
from nas.study.records import Records


def front_csv(records: Records) -> str:
    """A row for each trial of the front, cheapest first."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    # Some columns of every study, so that fronts of studies with other objectives can be compared.
    shown = {records.score, *COUNTED, "latency_ms", *records.objectives}
    names = [name for name in OBJECTIVES if name in shown]
    known = {records.score, *COUNTED, *records.objectives}
    writer.writerow(["trial", *names, "seconds", "key", "architecture"])
    for trial in records.front:
        architecture = trial.architecture
        values = [records.value(trial, name) if name in known else "" for name in names]
        seconds = round(trial.seconds, 3)
        writer.writerow([trial.number, *values, seconds, architecture.key, architecture.to_json()])
    return out.getvalue()
