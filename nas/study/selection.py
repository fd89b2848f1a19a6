"""Which trial of a study is meant: by its number, or as the best of some kind."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from nas.space.objectives import MAXIMIZED, MINIMIZED, OBJECTIVES
from nas.space.quantities import epochs_in_words
from nas.statistics.pareto import knee
from nas.study.records import Records
from nas.study.trial_record import NotMeasured, TrialRecord


class NoSuchTrial(LookupError):
    """The study has no trial like that."""


def choose(records: Records, best: str = "knee", trial: int | None = None) -> TrialRecord:
    """A complete trial; of a confirmed search one that was confirmed, with its fresh means.

    Of a race one of the arms that were trained up to its last look. Their costs are equal, so that
    its knee is the best one of them.

    Args:
        best: ``knee`` (the best compromise of the front), what is maximized, such as ``accuracy``,
            or the best one inside a budget such as ``macs<=300K``, ``params<=20K`` or
            ``latency_ms<=5``.
        trial: its number; then ``best`` does not count.

    Raises:
        NoSuchTrial: there is none, or the choice is not understood.
    """
    if trial is not None:
        found = next((t for t in (*records.confirmed, *records.trials) if t.number == trial), None)
        if found is None:
            raise NoSuchTrial(f"study {records.name} has no trial {trial}")
        if found.state != "complete":
            why = f": {found.reason}" if found.reason else ""
            if found.state == "pruned":
                why = f": after {epochs_in_words(found.rungs[-1].epochs)} it was not promoted"
            raise NoSuchTrial(f"trial {trial} is {found.state}{why}")
        return found
    if names := records.file.budget_names:
        shown = ", ".join(f"{records.name}/{name}" for name in names)
        raise NoSuchTrial(f"study {records.name} is of several budgets, each with trials: {shown}")
    if not records.complete:
        raise NoSuchTrial(f"study {records.name} has no complete trial")
    if records.raced and best in ("knee", records.score):
        return records.raced[0]
    if best == "knee":
        return _knee(records)
    if best in MAXIMIZED:
        return _best(records, records.judged, best)
    return _best(records, _inside(records, best), records.objectives[0])


def _knee(records: Records) -> TrialRecord:
    """The knee of the front or, where it is confirmed, what ties with it and costs no more.

    Of those the one with the lowest validation loss, which tells networks apart that are right of
    the same images.
    """
    front = records.front
    middle = front[knee([trial.values for trial in front])]
    if not records.confirmed:
        return middle
    tied = (t for t in front if records.is_tie(t, middle) and _costs_at_most(t, middle))
    return min((middle, *tied), key=_loss)


def knee_in_words(records: Records) -> str:
    """What the knee of a study is."""
    return "best arm of the last look" if records.raced else "knee of the front"


def _costs_at_most(trial: TrialRecord, other: TrialRecord) -> bool:
    return all(a <= b for a, b in zip(trial.values[1:], other.values[1:], strict=True))


def _loss(trial: TrialRecord) -> float:
    return inf if trial.validation_loss is None else trial.validation_loss


def _best(records: Records, candidates: Sequence[TrialRecord], what: str) -> TrialRecord:
    """Of equally good trials the cheapest, by the study's own costs in their order.

    Of those that cost the same the one with the lowest validation loss. Confirmed ones tie within
    an image that judges, and the one with the lowest loss is the best.
    """
    try:
        good = {trial.number: records.value(trial, what) for trial in candidates}
    except NotMeasured as error:
        raise NoSuchTrial(f"--best {what}: {error}") from None
    best = min(candidates, key=lambda t: (-good[t.number], *t.values[1:], _loss(t), t.macs))
    if not records.confirmed or what != records.objectives[0]:
        return best
    return min((best, *(t for t in candidates if records.is_tie(t, best))), key=_loss)


def _inside(records: Records, budget: str) -> tuple[TrialRecord, ...]:
    """Complete trials inside a budget such as ``macs<=300K``."""
    name, inside, bound = (part.strip() for part in budget.partition("<="))
    if not inside or name not in MINIMIZED:
        budgets = " or ".join(f"{name}<=N" for name in MINIMIZED)
        raise NoSuchTrial(f"--best is knee, {records.score}, {budgets}; got {budget!r}")
    objective = OBJECTIVES[name]
    try:
        most = objective.parse(bound)
        costs = [records.value(trial, name) for trial in records.judged]
    except (ValueError, NotMeasured) as error:
        raise NoSuchTrial(f"--best {budget}: {error}") from None
    candidates = tuple(t for t, cost in zip(records.judged, costs, strict=True) if cost <= most)
    if not candidates:
        raise NoSuchTrial(
            f"no trial costs at most {objective.in_words(most)}; "
            f"the cheapest costs {objective.in_words(min(costs))}"
        )
    return candidates
