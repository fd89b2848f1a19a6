"""The front of a study as CSV."""

from __future__ import annotations

import csv
import io

from nas.study.records import Records


def front_csv(records: Records) -> str:
    """A row for each trial of the front, cheapest first."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["trial", "accuracy", "macs", "params", "latency_ms", "seconds", "key", "architecture"]
    )
    for trial in records.front:
        architecture = trial.architecture
        writer.writerow(
            [
                trial.number,
                trial.accuracy,
                trial.macs,
                trial.params,
                "" if trial.latency_ms is None else trial.latency_ms,
                round(trial.seconds, 3),
                architecture.key,
                architecture.to_json(),
            ]
        )
    return out.getvalue()
