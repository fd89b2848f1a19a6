"""How far the race of a study is, by its trainings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise, takewhile

from nas.space.schema import SpaceFile
from nas.statistics.race import Race, RacePlan, run_race
from nas.study.design import recipe_of_arm
from nas.study.judged import judged_score
from nas.study.plan import Registration
from nas.study.race_terms import race_seeds
from nas.study.records import Records
from trials.measurement import Measurement

Scores = Mapping[str, Mapping[int, float | None]]
"""Of each arm's ended trainings, by seed; None of one that has failed."""


def race_of(
    file: SpaceFile,
    plans: Sequence[Registration],
    judging: Scores,
    choosing: Scores,
) -> Race:
    """How far a race is, by the latest of its plans.

    Args:
        judging: scores that arms are compared by.
        choosing: scores that leaders are chosen by.

    Raises:
        ValueError: that plan is not one of a race.
    """
    latest = plans[-1].plan
    terms = latest.race
    if terms is None:
        raise ValueError("the plan has no looks")
    seeds, failed_score = race_seeds(file, terms), terms.failed_score
    alpha = latest.alpha / 2 ** extensions(plans)
    plan = RacePlan(terms.interior, latest.ends, terms.looks, latest.delta, alpha)

    def in_order(known: Mapping[int, float | None]) -> list[float]:
        ended = (known[seed] for seed in takewhile(known.__contains__, seeds))
        return [failed_score if score is None else score for score in ended]

    def of_all(scores: Scores) -> dict[str, list[float]]:
        return {arm: in_order(scores.get(arm, {})) for arm in plan.arms}

    return run_race(plan, of_all(judging), of_all(choosing))


def extensions(plans: Sequence[Registration]) -> int:
    """How often the looks of a race were changed after some of its trainings had ended.

    Each time the level is halved: looks that are added where all of it was spent would spend it
    again. All together are wrong with less than twice alpha.
    """
    return sum(
        before.plan.race is not None
        and after.plan.race is not None
        and before.plan.race.looks != after.plan.race.looks
        and after.results.get("screening", 0) > 0
        for before, after in pairwise(plans)
    )


def race_of_records(records: Records, measurements: Iterable[Measurement]) -> Race:
    """How far the race of a study is, by its trials and what was measured of them."""
    file, recipe = records.file, records.file.training.full_recipe
    measured = {(m.architecture_key, m.recipe, m.seed): m for m in measurements}
    judging: dict[str, dict[int, float | None]] = defaultdict(dict)
    choosing: dict[str, dict[int, float | None]] = defaultdict(dict)
    for trial in records.trials:
        if trial.state not in ("complete", "failed"):
            continue
        (seed,) = trial.seeds
        key = recipe_of_arm(trial.role, trial.setting, recipe).key
        found = measured.get((trial.architecture.key, key, seed))  # none of one that was lost
        choosing[trial.arm][seed] = found.score if found else None
        judging[trial.arm][seed] = judged_score(found, file.claim.on) if found else None
    return race_of(file, records.plans, judging, choosing)
