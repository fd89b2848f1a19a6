"""What is trained again, with fresh seeds, before anything is claimed of it.

The best of many is better than it will be again (the winner's curse), so what was chosen by some
seeds has to be judged by others.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import fmean

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.space import SearchSpace
from nas.space.confirm_section import ConfirmSection, most_confirmed
from nas.statistics.front_bootstrap import FrontBootstrap, bootstrap_front
from nas.statistics.pareto import pareto_front, reference_point
from nas.statistics.proportion import share_deviation
from nas.study.design import BESIDE, Arm, role_of
from nas.study.records import Records
from nas.study.trial_record import TrialRecord


def arms_to_confirm(
    records: Records,
    space: SearchSpace,
    arms: Sequence[Arm],
) -> tuple[Arm, ...]:
    """What is trained again.

    Of a design what the verdict will rest on, the least decided first: all that may be on the
    front, the best interior point, both ends, the controls with their originals, and published
    networks. Of a search the front, and the likeliest of what else may be on it.

    Args:
        records: of the study, whose arms have all been trained.
        arms: of the design; empty for a search.
    """
    if not arms:
        return _of_search(records)
    by_arm = _complete_trainings(records)
    trained = [arm for arm in arms if arm.name in by_arm]
    section = space.file.confirm
    if isinstance(section, ConfirmSection) and section.arms == "all":
        return tuple(trained)
    candidates = [arm for arm in trained if arm.role not in BESIDE]
    front = screened_front(records, candidates)
    chosen = candidates
    if front is not None:
        certain = [i for i, label in enumerate(front.labels) if label == "front"]
        chosen = [candidates[i] for i in (*front.undecided, *certain)]
    interior = [arm for arm in candidates if arm.role == "interior"]
    if interior:  # the claim is about the best of them, however far behind it is
        best = max(interior, key=lambda arm: fmean(t.score for t in by_arm[arm.name]))
        chosen = chosen if best in chosen else [*chosen, best]
    originals = {arm.control_of for arm in trained}
    rest = [
        arm
        for arm in trained
        if arm not in chosen and (arm.role in ("end", *BESIDE) or arm.name in originals)
    ]
    return (*chosen, *rest)


def screened_front(records: Records, arms: Sequence[Arm]) -> FrontBootstrap | None:
    """P(on the front) of a design's arms; None where none was trained twice: no noise is known."""
    trainings = _complete_trainings(records)
    seeds = sorted({trial.seeds[0] for arm in arms for trial in trainings[arm.name]})
    table = np.full((len(arms), len(seeds)), np.nan)
    for row, arm in enumerate(arms):
        for trial in trainings[arm.name]:
            table[row, seeds.index(trial.seeds[0])] = trial.score
    if not arms or np.isfinite(table).sum(axis=1).max() < 2:
        return None
    costs = [trainings[arm.name][0].values[1:] or (1.0,) for arm in arms]
    return bootstrap_front(table, costs, reference_point(costs))


def _complete_trainings(records: Records) -> dict[str, list[TrialRecord]]:
    """Complete trainings of a design, by arm."""
    trainings: dict[str, list[TrialRecord]] = {}
    for trial in records.trials:
        if trial.state == "complete" and trial.arm:
            trainings.setdefault(trial.arm, []).append(trial)
    return trainings


def _of_search(records: Records) -> tuple[Arm, ...]:
    """The front and what else may be on it, the likeliest first."""
    trials = records.complete
    if not trials:
        return ()
    costs = [trial.values[1:] or (1.0,) for trial in trials]
    scores = [trial.values[0] for trial in trials]
    return tuple(
        Arm(f"trial {trials[i].number}", trials[i].architecture, role_of(trials[i].architecture))
        for i in likely_rows(scores, costs, _noise(records))
    )


def likely_rows(scores: ArrayLike, costs: ArrayLike, noise: float) -> NDArray[np.intp]:
    """Which networks of a search are confirmed: the front, then what else may be on it.

    Args:
        scores: (n,) of one training each, or of as many.
        costs: (n,) or (n, m).
        noise: standard deviation of a score.
    """
    values, prices = np.asarray(scores), np.asarray(costs).reshape(np.size(scores), -1)
    found = bootstrap_front(values[:, None], prices, reference_point(prices), noise=noise)
    front = set(pareto_front(np.column_stack([values, prices])))
    order = np.argsort(-found.probabilities, kind="stable")
    first = [i for i in order if i in front]
    likely = [i for i in order if found.labels[i] != "dominated" and i not in front]
    return np.array([*first, *likely][: max(len(front), most_confirmed(len(values)))])


def _noise(records: Records) -> float:
    """Standard deviation of a trial's accuracy, before any was trained twice.

    That of a share of so many images, which is about as much as seeds give on small images; of the
    mean of a trial's seeds less.
    """
    share = fmean(trial.values[0] for trial in records.complete)
    deviation = share_deviation(share, records.data.images[1])
    return deviation / sqrt(records.file.study.seeds_per_trial)
