"""Which trial of a study is meant: by its number, or as the best of some kind."""

from __future__ import annotations

import re

import numpy as np

from nas.space.quantities import format_count, parse_count
from nas.statistics.pareto import knee
from nas.study.records import Records, TrialRecord


class NoSuchTrial(LookupError):
    """The study has no trial like that."""


def choose(records: Records, best: str = "knee", trial: int | None = None) -> TrialRecord:
    """A complete trial.

    Args:
        best: ``knee`` (the best compromise of the front), ``accuracy``, or the most accurate one
            inside a budget such as ``macs<=300K``.
        trial: its number; then ``best`` does not count.

    Raises:
        NoSuchTrial: there is none, or the choice is not understood.
    """
    if trial is not None:
        found = next((t for t in records.trials if t.number == trial), None)
        if found is None:
            raise NoSuchTrial(f"study {records.name} has no trial {trial}")
        if found.state != "complete":
            why = f": {found.reason}" if found.reason else ""
            raise NoSuchTrial(f"trial {trial} is {found.state}{why}")
        return found
    if not records.complete:
        raise NoSuchTrial(f"study {records.name} has no complete trial")
    if best == "knee":
        return records.complete[knee(records.points)]
    candidates = records.complete
    budget = re.fullmatch(r"macs\s*<=\s*(\S+)", best)
    if budget:
        try:
            most = parse_count(budget[1])
        except ValueError as error:
            raise NoSuchTrial(f"--best {best}: {error}") from None
        candidates = tuple(t for t in candidates if t.macs <= most)
        if not candidates:
            cheapest = min(t.macs for t in records.complete)
            raise NoSuchTrial(
                f"no trial costs at most {format_count(most)} MACs; "
                f"the cheapest costs {format_count(cheapest)}"
            )
    elif best != "accuracy":
        raise NoSuchTrial(f"--best is knee, accuracy or macs<=N; got {best!r}")
    # Of equally accurate ones, the cheapest.
    order = np.lexsort(([t.macs for t in candidates], [-(t.accuracy or 0) for t in candidates]))
    return candidates[int(order[0])]
