"""What is trained again, with fresh seeds, before anything is claimed of it.

The best of many is better than it will be again (the winner's curse), so what was chosen by some
seeds has to be judged by others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from nas.cost import count_cost
from nas.matching import MatchError, match_macs
from nas.pareto import pareto_front
from nas.space import SearchSpace
from nas.space.quantities import format_count
from nas.study.design import Arm, role_of
from nas.study.records import Records, TrialRecord
from nas.verdict.noisy_front import NoisyFront, noisy_front


def runs_by_arm(records: Records) -> dict[str, dict[int, TrialRecord]]:
    """Complete runs of a design, by arm and seed."""
    arms: dict[str, dict[int, TrialRecord]] = {}
    for trial in records.trials:
        if trial.state == "complete" and trial.arm:
            arms.setdefault(trial.arm, {})[trial.seeds[0]] = trial
    return arms


def accuracy_table(
    runs: dict[str, dict[int, TrialRecord]], arms: Sequence[str]
) -> NDArray[np.float64]:
    """Accuracies (arms, seeds), nan where a run is missing; the seeds in increasing order."""
    seeds = sorted({seed for arm in arms for seed in runs.get(arm, {})})
    return np.array(
        [
            [runs[arm][seed].accuracy if seed in runs.get(arm, {}) else np.nan for seed in seeds]
            for arm in arms
        ],
        dtype=np.float64,
    ).reshape(len(arms), len(seeds))


def screened_front(records: Records, arms: Sequence[Arm]) -> NoisyFront | None:
    """P(on the front) of a design's arms; None where one seed is all that there is of each."""
    table = accuracy_table(runs_by_arm(records), [arm.name for arm in arms])
    if not arms or table.shape[1] < 2 or np.isfinite(table).sum(axis=1).min() < 1:
        return None
    return noisy_front(table, _costs(records, arms), reference=(0.0, 1e18))


def _costs(records: Records, arms: Sequence[Arm]) -> list[float]:
    """The second objective of each; equal ones where accuracy is the only objective."""
    runs = runs_by_arm(records)
    return [
        next(iter(runs[arm.name].values())).values[1] if len(records.objectives) > 1 else 1.0
        for arm in arms
    ]


def arms_to_confirm(
    records: Records,
    space: SearchSpace,
    arms: Sequence[Arm],
    say: Callable[[str], None] = lambda _line: None,
) -> tuple[Arm, ...]:
    """The arms that the verdict will rest on, the least decided first.

    Of a design all that may be on the front, both ends and the controls with their originals; of a
    search the front, and networks at both ends that cost as many MACs as its most accurate one.

    Args:
        records: of the study, whose arms have all been run.
        arms: of the design; empty for a search.
        say: told of an end that cannot be had.
    """
    if not arms:
        return _of_search(records, space, say)
    confirm = space.file.confirm
    trained = [arm for arm in arms if runs_by_arm(records).get(arm.name)]
    if confirm is not None and confirm.arms == "all":
        return tuple(trained)
    candidates = [arm for arm in trained if not arm.of]
    front = screened_front(records, candidates)
    if front is None:
        chosen = candidates
    else:
        certain = [i for i, label in enumerate(front.labels) if label == "front"]
        chosen = [candidates[i] for i in (*front.undecided, *certain)]
    interior = [arm for arm in candidates if arm.role == "interior"]
    if not any(arm.role == "interior" for arm in chosen) and interior:
        # The claim is about the best interior point, however far behind it is.
        best = max(interior, key=lambda arm: _mean_accuracy(records, arm))
        chosen = [*chosen, best]
    originals = {arm.of for arm in trained}
    rest = [
        arm
        for arm in trained
        if arm not in chosen and (arm.role == "end" or arm.of or arm.name in originals)
    ]
    return (*chosen, *rest)


def _mean_accuracy(records: Records, arm: Arm) -> float:
    runs = runs_by_arm(records)[arm.name].values()
    return float(np.mean([run.accuracy for run in runs]))


def _of_search(records: Records, space: SearchSpace, say: Callable[[str], None]) -> tuple[Arm, ...]:
    front = [records.complete[i] for i in pareto_front(records.points)]
    best = max(front, key=lambda trial: trial.accuracy or 0.0)
    arms = {
        trial.architecture.key: Arm(
            f"trial {trial.number}", trial.architecture, role_of(trial.architecture)
        )
        for trial in sorted(front, key=lambda trial: -(trial.accuracy or 0.0))
    }
    for name, architecture in space.ends().items():
        try:
            end = match_macs(architecture, best.macs)
        except MatchError as error:
            say(f"the end {name} is not confirmed: {error}")
            continue
        cost = format_count(count_cost(end).macs)
        arms[end.key] = Arm(f"{name} at {cost} MACs", end, "end")
    return tuple(arms.values())
