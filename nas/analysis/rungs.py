"""The rungs of a search with successive halving: what each cost, and how alike they rank."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nas.statistics.rank_agreement import Agreement, agreement
from nas.study.records import Records
from nas.study.trial_record import TrialRecord

NEAR_ZERO = 0.2
"""A tau below this is of rungs that rank trials little better than chance."""

LEAST_COMPARED = 10
"""Trials below which a tau says nothing: where normal values correlate by 0.7, it is below 0.2 by
chance among four trials in 18 of 100 cases, among ten in 6."""

MOST_COMPARED = 300
"""Trials, evenly from all: the interval of more takes seconds and is narrow already."""


@dataclass(frozen=True)
class Rung:
    """One rung.

    Attributes:
        epochs: of a training.
        trials: that have a result there.
        promoted: those of them that have one at the next rung; 0 of the last.
        seconds: of training, all seeds of all trials together.
        agreement: of what is maximized there with the same at the next rung, over the trials that
            have both, with the same seeds; None of the last rung, and of too few trials.
    """

    epochs: int
    trials: int
    promoted: int
    seconds: float
    agreement: Agreement | None


def rungs_of(records: Records) -> tuple[Rung, ...]:
    """The rungs of a study, the lowest first; none without successive halving."""
    fidelity = records.file.study.fidelity
    if fidelity is None:
        return ()
    reached = [
        [trial for trial in records.trials if len(trial.rungs) > place]
        for place in range(len(fidelity.rungs))
    ]
    return tuple(
        Rung(
            epochs,
            len(reached[place]),
            len(promoted),
            sum(trial.rungs[place].seconds for trial in reached[place]),
            _with_next(promoted, place),
        )
        for place, (epochs, promoted) in enumerate(
            zip(fidelity.rungs, [*reached[1:], []], strict=True)
        )
    )


def _with_next(promoted: Sequence[TrialRecord], place: int) -> Agreement | None:
    if len(promoted) < LEAST_COMPARED:
        return None
    if len(promoted) > MOST_COMPARED:
        evenly = np.linspace(0, len(promoted) - 1, MOST_COMPARED).astype(int)
        promoted = [promoted[i] for i in evenly]
    here, next_one = (
        [trial.rungs[at].values[0] for trial in promoted] for at in (place, place + 1)
    )
    return agreement("the next rung", next_one, here)


def doubts(rungs: Sequence[Rung]) -> Iterator[str]:
    """A line for each rung that ranks trials little better than chance."""
    for lower, higher in pairwise(rungs):
        found = lower.agreement
        if found is not None and found.tau < NEAR_ZERO:
            yield (
                f"{lower.epochs} and {higher.epochs} epochs hardly rank alike the {lower.promoted} "
                f"trials that have both (tau {found.tau:.2f}, {found.lower:.2f} to "
                f"{found.upper:.2f}): more epochs at the lower rung may promote better networks"
            )
