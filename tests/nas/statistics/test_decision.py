"""The verdict on planted effects, and its statistics against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.statistics.decision import Claim, judge
from nas.statistics.paired import (
    TIE,
    Comparison,
    noise_components,
)

ENDS = ("regular", "depthwise")
INTERIOR = ("2", "4", "C/4")
CLAIM = Claim(ENDS, delta=0.005)

differences = st.lists(st.integers(-40, 40), min_size=1, max_size=8).map(
    lambda values: np.array(values) / 64
)


def compared(values) -> Comparison:
    return Comparison.of(values, np.zeros(len(values)))


def flipped(values: np.ndarray, shift: float) -> float:
    """The sign-flip test as it is defined: over all signs, sums at least as large."""
    centred = values - shift
    sums = [
        float(np.dot(signs, centred)) for signs in itertools.product((-1, 1), repeat=len(values))
    ]
    return sum(s >= centred.sum() - 1e-12 for s in sums) / len(sums)


@given(differences, st.integers(-40, 40).map(lambda shift: shift / 64))
def test_the_p_value_is_that_of_flipping_all_signs(values, shift):
    assert compared(values).p_greater(shift) == pytest.approx(flipped(values, shift))
    assert compared(values).p_less(shift) == pytest.approx(flipped(-values, -shift))


@given(differences, st.floats(-1, 1), st.sampled_from([0.01, 0.025, 0.05, 0.1, 0.3]))
def test_test_and_interval_never_contradict_each_other(values, shift, alpha):
    comparison = compared(values)
    assert (comparison.p_greater(shift) <= alpha) == (comparison.lower(alpha) > shift + TIE)
    assert (comparison.p_less(shift) <= alpha) == (comparison.upper(alpha) < shift - TIE)


@given(differences)
def test_the_interval_holds_the_estimate(values):
    comparison = compared(values)
    assert comparison.lower(0.3) <= comparison.mean <= comparison.upper(0.3)


def test_too_few_seeds_say_nothing():
    comparison = compared([0.5] * 4)  # 1 in 16 is more than 5%
    assert comparison.p_greater(0) == 1 / 16
    assert comparison.lower(0.05) == -np.inf
    assert comparison.upper(0.05) == np.inf
    assert compared([0.5] * 5).lower(0.05) == 0.5


def test_many_seeds_are_sampled_with_the_same_answer():
    values = np.random.default_rng(0).normal(0.3, 1, 20)
    sums = np.array(list(itertools.product((-1.0, 1.0), repeat=20))) @ values
    exact = (sums >= values.sum() - 1e-12).mean()
    assert compared(values).p_greater(0) == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize(("first", "second"), [([], []), ([1], [1, 2]), ([np.nan], [0.5])])
def test_what_is_not_paired_is_refused(first, second):
    with pytest.raises(ValueError, match=r"paired|finite"):
        Comparison.of(first, second)


# Planted effects.


def study(effects: dict[str, float], seeds: int, noise: float, rng: np.random.Generator):
    """Accuracies of all arms: a level, an effect, what the seed does to all, and what to each."""
    shared = rng.normal(0, 0.02, seeds)
    return {
        name: 0.7 + effects.get(name, 0.0) + shared + rng.normal(0, noise, seeds)
        for name in (*ENDS, *INTERIOR)
    }


def verdicts(effects, count, seeds=8, noise=0.004, claim=CLAIM):
    rng = np.random.default_rng(1)
    return [
        judge(study(effects, 2, noise, rng), study(effects, seeds, noise, rng), claim)
        for _ in range(count)
    ]


def share(found, outcome) -> float:
    return sum(verdict.outcome == outcome for verdict in found) / len(found)


def test_a_known_winner_is_found():
    found = verdicts({"4": 0.03}, 50)
    assert share(found, "supported") > 0.95
    assert all(verdict.chosen == "4" for verdict in found)
    covered = [verdict.lower <= 0.03 <= verdict.upper for verdict in found]
    assert sum(covered) / len(covered) >= 0.9


def test_ends_that_win_refute_the_claim():
    found = verdicts({"depthwise": 0.03}, 50)
    assert share(found, "refuted") > 0.95
    assert all(verdict.best_end == "depthwise" for verdict in found)


def test_a_tie_is_not_found_to_be_a_difference():
    assert share(verdicts({}, 400, claim=Claim(ENDS, delta=0.0)), "supported") <= 0.05 + 0.025


def test_an_advantage_of_exactly_delta_is_not_found_to_be_more():
    found = verdicts(dict.fromkeys(INTERIOR, 0.005), 400)
    assert share(found, "supported") <= 0.05 + 0.025


def test_one_good_interior_point_is_not_refuted_by_the_others():
    assert share(verdicts({"2": 0.03, "4": -0.05, "C/4": -0.05}, 50), "refuted") == 0


def test_too_few_seeds_are_inconclusive_and_say_how_many_more_are_needed():
    for verdict in verdicts({"4": 0.03}, 5, seeds=3):
        assert verdict.outcome == "inconclusive"
        assert verdict.detectable == np.inf
        assert verdict.more_seeds >= 2


def test_pairing_finds_what_unpaired_runs_do_not():
    """The same noise, with the seeds of one arm in another order."""
    rng = np.random.default_rng(2)
    paired = unpaired = 0
    for _ in range(200):
        accuracies = study({"4": 0.012}, 8, 0.004, rng)
        paired += Comparison.of(accuracies["4"], accuracies["regular"]).p_greater(0) <= 0.05
        shuffled = rng.permutation(accuracies["regular"])
        unpaired += Comparison.of(accuracies["4"], shuffled).p_greater(0) <= 0.05
    assert paired > 190
    assert unpaired < 100


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_twin_arms_are_no_difference(seed):
    """The same accuracies under two names."""
    accuracies = study({}, 8, 0.004, np.random.default_rng(seed))
    accuracies |= dict.fromkeys(INTERIOR, accuracies["regular"])
    verdict = judge(accuracies, accuracies, CLAIM)
    assert verdict.outcome != "supported"
    assert verdict.estimate <= 0


def test_the_chosen_point_is_the_one_that_screening_puts_first():
    verdict = judge(
        {"4": [0.9], "2": [0.5], "C/4": [0.5]},
        {name: [0.7, 0.71, 0.69, 0.7, 0.7] for name in (*ENDS, *INTERIOR)},
        CLAIM,
    )
    assert verdict.chosen == "4"  # however good the others are by the confirmation


@pytest.mark.parametrize("without", ["regular", "interior"])
def test_a_verdict_needs_both_ends_and_an_interior_point(without):
    accuracies = study({}, 5, 0.01, np.random.default_rng(0))
    kept = {
        n: v for n, v in accuracies.items() if n != without and (without != "interior" or n in ENDS)
    }
    with pytest.raises(ValueError, match=r"not confirmed: (regular|any interior point)"):
        judge(accuracies, kept, CLAIM)


def test_noise_is_told_apart_from_what_a_seed_does_to_all():
    rng = np.random.default_rng(0)
    level, shared = rng.normal(0.7, 0.05, (8, 1)), rng.normal(0, 0.02, (1, 400))
    own, of_seeds = noise_components(level + shared + rng.normal(0, 0.005, (8, 400)))
    assert own == pytest.approx(0.005, rel=0.05)
    assert of_seeds == pytest.approx(0.02, rel=0.1)
    # Arms that are shifted by constants alone have no noise of their own.
    assert noise_components(level + shared)[0] == pytest.approx(0, abs=1e-12)


def test_a_difference_of_exactly_delta_is_not_more_for_rounding():
    """0.705 - 0.7 is a hair above 0.005 in floating point."""
    first, second = np.full(8, 0.705), np.full(8, 0.7)
    assert (first - second > 0.005).all()
    comparison = Comparison.of(first, second)
    assert comparison.p_greater(0.005) == 1.0
    assert comparison.p_less(0.005) == 1.0


def test_support_and_bounds_agree():
    for verdict in verdicts({"4": 0.012}, 100):
        assert (verdict.outcome == "supported") == (verdict.lower > CLAIM.delta)
        if verdict.outcome == "refuted":
            assert verdict.upper <= CLAIM.delta
