"""What is trained again, with fresh seeds, before anything is claimed of it.

The best of many is better than it will be again (the winner's curse), so what was chosen by some
seeds has to be judged by others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

import numpy as np

from nas.architecture.cost import count_cost
from nas.architecture.matching import MatchError, match_cost
from nas.architecture.position import ends_of
from nas.architecture.specification import Architecture
from nas.space import SearchSpace
from nas.space.objectives import COUNTED, OBJECTIVES
from nas.statistics.front_bootstrap import FrontBootstrap, bootstrap_front
from nas.statistics.pareto import reference_point
from nas.study.design import Arm, role_of
from nas.study.records import Records
from nas.study.trial_record import TrialRecord


def arms_to_confirm(
    records: Records,
    space: SearchSpace,
    arms: Sequence[Arm],
    say: Callable[[str], None] = lambda _line: None,
) -> tuple[Arm, ...]:
    """The arms that the verdict will rest on, the least decided first.

    Of a design all that may be on the front, the best interior point, both ends and the controls
    with their originals; of a search the front, its best interior point, and networks at both ends
    that cost what that point does.

    Args:
        records: of the study, whose arms have all been trained.
        arms: of the design; empty for a search.
        say: told of an end that cannot be had.
    """
    if not arms:
        return _of_search(records, space, say)
    by_arm = _complete_trainings(records)
    trained = [arm for arm in arms if arm.name in by_arm]
    if space.file.confirm is not None and space.file.confirm.arms == "all":
        return tuple(trained)
    candidates = [arm for arm in trained if not arm.control_of]
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
        if arm not in chosen and (arm.role == "end" or arm.control_of or arm.name in originals)
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


def _of_search(records: Records, space: SearchSpace, say: Callable[[str], None]) -> tuple[Arm, ...]:
    interior = [t for t in records.complete if role_of(t.architecture) == "interior"]
    if not interior:
        say("no interior point is complete: there is nothing to compare with the ends")
        return ()
    best = max(interior, key=lambda trial: trial.score)
    front = [trial for trial in records.front if trial is not best]
    arms = {
        trial.architecture.key: Arm(
            f"trial {trial.number}", trial.architecture, role_of(trial.architecture)
        )
        for trial in (best, *sorted(front, key=lambda trial: -trial.score))
    }
    for name, end in ends_of(best.architecture, space.orders).items():
        try:
            matched = _at_equal_cost(end, best.architecture, space)
        except MatchError as error:
            say(f"the end {name} is not confirmed: {error}")
            continue
        arms[matched.key] = Arm(f"{name} at the cost of trial {best.number}", matched, "end")
    return tuple(arms.values())


def _at_equal_cost(end: Architecture, best: Architecture, space: SearchSpace) -> Architecture:
    """An end that costs what the best interior point does, by the first cost that is counted."""
    file = space.file
    by = file.matched.cost if file.matched else file.counted_costs[0]
    objective = OBJECTIVES[by if by in COUNTED else "macs"]
    wanted = objective.count(count_cost(best))
    return match_cost(end, wanted, objective.count, objective.unit)
