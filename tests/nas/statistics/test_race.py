"""The race, against a plain loop that was written from its description alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import NormalDist, fmean, variance

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nas.statistics.boundaries import boundaries
from nas.statistics.race import BEHIND, RacePlan, run_race
from nas.statistics.race_outcome import decide, outcome_of
from nas.statistics.race_samples import sidak, welch_z

LOOKS = (4, 8, 12, 16)
NORMAL = NormalDist()


def _plan(interior=3, ends=2, looks=LOOKS, delta=0.005):
    names = tuple(f"point {k}" for k in range(interior))
    return RacePlan(names, tuple(f"end {k}" for k in range(ends)), looks, delta)


def _scores(plan, effects, seed=0, noise=0.007, shared=0.0):
    rng = np.random.default_rng(seed)
    common = rng.normal(0, shared, plan.looks[-1])
    return {
        arm: (0.7 + effects.get(arm, 0.0) + common + rng.normal(0, noise, plan.looks[-1])).tolist()
        for arm in plan.arms
    }


def _z(a, b, before, seeds, shift):
    """Welch's t of the fresh seeds, by SciPy, as a standard normal number."""
    fresh = seeds - before
    va, vb = variance(a[:seeds]), variance(b[:seeds])
    t = (fmean(a[before:seeds]) - fmean(b[before:seeds]) - shift) / math.sqrt((va + vb) / fresh)
    freedom = (va + vb) ** 2 / ((va**2 + vb**2) / (seeds - 1))
    return float(np.clip(stats.norm.isf(stats.t.sf(t, freedom)), -8, 8))


def _corrected(z, count):
    return NORMAL.inv_cdf((1 - NORMAL.cdf(-z)) ** count)


@dataclass
class _ByHand:
    """The issue's rules, step by step, by plain loops over numbers."""

    plan: RacePlan
    scores: dict[str, list[float]]
    refuted: list[str] = field(default_factory=list)
    trained: dict[str, int] = field(default_factory=dict)
    leaders: list[str] = field(default_factory=list)
    best_ends: list[str] = field(default_factory=list)
    supported: bool = False

    def run(self):
        looks, ends = self.plan.looks, list(self.plan.ends)
        for k, seeds in enumerate(looks):
            left = [a for a in self.plan.interior if a not in self.refuted]
            if k:
                left.sort(key=lambda arm, ends=ends: -self._above(arm, ends))
                ends.sort(key=lambda end: -fmean(self.scores[end][: looks[k - 1]]))
            self.leaders.append(left[0])
            self.best_ends.append(ends[0])
            self.trained |= dict.fromkeys(ends, seeds)
            self.supported = min(self._support(k, end) for end in ends) >= self._bound(k)
            racing, waiting = (left[:2], left[2:]) if k else (left, [])
            while True:
                self.trained |= dict.fromkeys(racing, seeds)
                self.refuted += [arm for arm in racing if self._is_refuted(k, arm)]
                if self.supported or not waiting or not set(racing) <= set(self.refuted):
                    break
                racing, waiting = waiting[:2], waiting[2:]
            if self.supported or len(self.refuted) == len(self.plan.interior):
                return
            ends = [e for e in ends if not any(self._is_behind(e, f, seeds) for f in ends)]

    def _above(self, arm, ends):
        seeds = range(self.trained[arm])
        return fmean(self.scores[arm][s] - fmean(self.scores[e][s] for e in ends) for s in seeds)

    def _stage(self, k, first, second):
        before, seeds = (0, *self.plan.looks)[k], self.plan.looks[k]
        return self.scores[first], self.scores[second], before, seeds

    def _support(self, k, end):
        delta, interior = self.plan.delta, self.plan.interior
        highest = max(_z(*self._stage(0, arm, end), delta) for arm in interior)
        z = [_corrected(highest, len(interior))]
        z += [_z(*self._stage(j, self.leaders[j], end), delta) for j in range(1, k + 1)]
        return self._combination(z)

    def _is_refuted(self, k, arm):
        delta, ends = self.plan.delta, self.plan.ends
        z = [_corrected(max(_z(*self._stage(0, end, arm), -delta) for end in ends), len(ends))]
        z += [_z(*self._stage(j, self.best_ends[j], arm), -delta) for j in range(1, k + 1)]
        return any(self._combination(z[: j + 1]) >= self._bound(j) for j in range(k + 1))

    def _combination(self, z):
        stages = [b - a for a, b in zip((0, *self.plan.looks), self.plan.looks, strict=False)]
        total = sum(math.sqrt(m) * value for m, value in zip(stages, z, strict=False))
        return total / math.sqrt(sum(stages[: len(z)]))

    def _bound(self, k):
        return boundaries(self.plan.looks, self.plan.alpha)[k]

    def _is_behind(self, end, other, seeds):
        a, b = self.scores[other][:seeds], self.scores[end][:seeds]
        test = stats.ttest_ind(a, b, equal_var=False, alternative="greater")
        return test.pvalue < BEHIND / len(self.plan.ends)


def _run_as_the_engine_does(plan, scores):
    """Train what is missing, look, and so on; every time from the beginning."""
    known = dict.fromkeys(plan.arms, 0)
    while (race := run_race(plan, {a: scores[a][:n] for a, n in known.items()})).missing:
        assert all(seeds > known[arm] for arm, seeds in race.missing.items())
        known |= race.missing
    return race, known


effects = st.lists(st.sampled_from([-0.02, -0.005, 0.0, 0.005, 0.01, 0.03]), min_size=5, max_size=5)


@given(effects, st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_it_decides_what_its_description_does(effects, seed):
    plan = _plan()
    scores = _scores(plan, dict(zip(plan.arms, effects, strict=True)), seed)
    race, known = _run_as_the_engine_does(plan, scores)
    by_hand = _ByHand(plan, scores)
    by_hand.run()
    assert race.is_over
    assert race.supported == by_hand.supported
    assert sorted(race.refuted) == sorted(by_hand.refuted)
    assert known == by_hand.trained == race.trained


@given(effects, st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_trainings_that_it_did_not_ask_for_change_nothing(effects, seed):
    plan = _plan()
    scores = _scores(plan, dict(zip(plan.arms, effects, strict=True)), seed)
    race, _ = _run_as_the_engine_does(plan, scores)
    assert run_race(plan, scores).looks == race.looks
    assert decide(run_race(plan, scores)) == decide(race)


@given(effects, st.integers(0, 10_000), st.sampled_from([0.0, 0.005, 0.01]))
@settings(max_examples=30, deadline=None)
def test_bounds_do_not_contradict_the_decision(effects, seed, delta):
    plan = _plan(delta=delta)
    scores = _scores(plan, dict(zip(plan.arms, effects, strict=True)), seed)
    race = run_race(plan, scores)
    found = decide(race)
    assert race.supported == (found.lower >= delta - 1e-6)
    for name, arm in found.arms.items():
        assert arm.refuted == (name in race.refuted)
        assert arm.refuted == (arm.upper <= delta + 1e-6)
        for interval in arm.against.values():
            assert interval.lower < interval.mean < interval.upper
    assert race.is_refuted == (found.upper <= delta + 1e-6)
    assert found.outcome == outcome_of(race) == _by_bounds(race, found.lower, found.upper)


def _by_bounds(race, lower, upper):
    """What is said, by what the best point's advantage lies between."""
    if race.supported:
        return "wins by more than delta"
    if lower > 0:
        return "wins"
    if upper < 0:
        return "ends win"
    if race.is_refuted:
        return "equivalent within delta" if lower > -race.plan.delta else "no win by delta"
    return "open"


def test_a_winner_is_found_and_the_race_ends():
    plan = _plan(interior=6, ends=3, looks=(4, 8, 12, 16, 24, 32, 48))
    race, known = _run_as_the_engine_does(plan, _scores(plan, {"point 2": 0.03}))
    found = decide(race)
    assert found.outcome == "wins by more than delta"
    assert found.leader == "point 2"
    assert found.lower > plan.delta
    assert found.lower < found.estimate < found.upper
    assert sum(known.values()) < 9 * 16


def test_ends_that_win_are_found():
    plan = _plan(interior=6, ends=3, looks=(4, 8, 12, 16, 24, 32, 48))
    better = dict.fromkeys(plan.ends, 0.03)
    found = decide(_run_as_the_engine_does(plan, _scores(plan, better))[0])
    assert found.outcome == "ends win"
    assert found.upper < 0


def test_equal_arms_are_found_to_be_equivalent():
    plan = _plan(looks=(4, 8, 12, 16, 24, 32, 48))
    found = decide(_run_as_the_engine_does(plan, _scores(plan, {}, noise=0.002))[0])
    assert found.outcome == "equivalent within delta"
    assert -plan.delta < found.lower < found.upper <= plan.delta


def test_noise_leaves_it_open_at_the_last_look():
    plan = _plan()
    race, known = _run_as_the_engine_does(plan, _scores(plan, {}, noise=0.05))
    assert decide(race).outcome == "open"
    assert max(known.values()) == 16


def test_an_end_that_is_far_behind_is_trained_no_more():
    plan = _plan(ends=3, looks=(4, 8, 12, 16, 24, 32, 48))
    behind = {"end 1": -0.1, "point 0": 0.008}
    race, known = _run_as_the_engine_does(plan, _scores(plan, behind, seed=3))
    assert known["end 1"] < known["end 0"]
    assert "end 1" not in race.ends
    against = decide(race).arms["point 0"].against["end 1"]
    assert against.lower > 0.05


def test_a_seed_that_is_easy_for_all_is_no_merit():
    # Leaders have been trained with easier seeds than those that are behind.
    plan = _plan(looks=(4, 8, 12))
    scores = _scores(plan, {}, seed=5, noise=0.05)
    plain = run_race(plan, {arm: values[:8] for arm, values in scores.items()})
    for values in scores.values():
        values[4:8] = [value + 0.1 for value in values[4:8]]
    easier = run_race(plan, {arm: values[:8] for arm, values in scores.items()})
    assert len(set(plain.trained.values())) > 1
    assert easier.ranking == plain.ranking


def test_an_arm_that_was_left_behind_does_not_lead():
    plan = _plan(interior=3, ends=1, looks=(4, 8))
    noise = np.array([0.01, -0.01, 0.01, -0.01])
    fell = np.concatenate([0.71 + noise, 0.69 + noise]).tolist()
    scores = {"point 0": fell, "point 1": fell, "end 0": (0.7 + np.tile(noise, 2)).tolist()}
    race = run_race(plan, scores | {"point 2": (0.709 + noise).tolist()})
    assert race.is_over
    assert race.ranking[0] == "point 2"  # by four seeds, before the others fell
    assert decide(race).leader == "point 0"


def test_an_end_is_dropped_by_the_images_that_judge():
    plan = _plan(interior=1, ends=2)
    judging = _scores(plan, {"point 0": 0.006})
    elsewhere = {**judging, "end 0": [score - 0.1 for score in judging["end 0"]]}
    assert not any(look.dropped for look in run_race(plan, judging, elsewhere).looks)
    assert run_race(plan, elsewhere, judging).looks[0].dropped == ("end 0",)


def test_arms_without_noise_are_compared_by_what_they_are():
    plan = _plan()
    scores = {arm: [0.7] * 16 for arm in plan.arms} | {"point 1": [0.72] * 16}
    assert decide(run_race(plan, scores)).outcome == "wins by more than delta"
    scores["point 1"] = [0.7] * 16
    assert run_race(plan, scores).is_refuted


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=2), st.floats(0.1, 10), st.integers(3, 40))
def test_welch_is_that_of_scipy(means, ratio, count):
    expected = stats.ttest_ind_from_stats(
        means[0], 1, count, means[1], ratio, count, equal_var=False, alternative="greater"
    )
    z = welch_z(np.array(means[0] - means[1]), np.array(1.0), np.array(ratio**2), count, count)
    assert stats.norm.sf(float(z)) == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-14)


def test_sidak_is_the_level_of_the_largest():
    assert stats.norm.sf(sidak(2.0, 6)) == pytest.approx(1 - stats.norm.cdf(2.0) ** 6)
    assert sidak(1.3, 1) == pytest.approx(1.3)


@pytest.mark.parametrize(
    ("interior", "ends", "looks", "match"),
    [
        ((), ("end",), (4,), "point between"),
        (("point",), (), (4,), "end of the spectrum"),
        (("a", "a"), ("end",), (4,), "different names"),
        (("a",), ("end",), (1, 4), "two seeds"),
        (("a",), ("end",), (4, 4), "increase"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(interior, ends, looks, match):
    with pytest.raises(ValueError, match=match):
        RacePlan(interior, ends, looks)


def test_scores_are_finite():
    plan = _plan()
    with pytest.raises(ValueError, match="scores of point 0 are finite"):
        run_race(plan, {"point 0": [0.5, math.nan]})
