"""The front of a study as CSV."""

from __future__ import annotations

import csv
import io

from nas.space.objectives import COUNTED
from nas.study.records import Records


def front_csv(records: Records) -> str:
    """A row for each trial of the front, cheapest first."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = list(dict.fromkeys(("accuracy", "macs", "params", "latency_ms", *records.objectives)))
    known = {*COUNTED, *records.objectives}
    writer.writerow(["trial", *names, "seconds", "key", "architecture"])
    for trial in records.front:
        architecture = trial.architecture
        values = [records.value(trial, name) if name in known else "" for name in names]
        seconds = round(trial.seconds, 3)
        writer.writerow([trial.number, *values, seconds, architecture.key, architecture.to_json()])
    return out.getvalue()
