"""Which trial is promoted: by hand, and what holds however results come."""

from __future__ import annotations

import itertools
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from nas.engine.halving import Halving, Promotion
from nas.statistics.pareto import nondominated_order

RUNGS = (2, 6, 18)


def test_of_three_trials_the_best_is_promoted_and_so_on_up():
    halving = Halving(RUNGS, 3)
    for trial, accuracy in enumerate((0.5, 0.7, 0.6)):
        assert halving.next_promotion() is None
        halving.start(trial, 0)
        halving.record(trial, 0, (accuracy,))
    assert halving.next_promotion() == Promotion(trial=1, rung=1)
    halving.start(1, 1)
    assert halving.next_promotion() is None
    halving.record(1, 1, (0.8,))
    for trial, accuracy in enumerate((0.9, 0.1, 0.2, 0.75, 0.3, 0.4), start=3):
        halving.record(trial, 0, (accuracy,))
    # Nine trials at the lowest rung: three of them are 3, 6 and 1.
    promoted = []
    while (promotion := halving.next_promotion()) is not None:
        promoted.append(promotion)
        halving.start(*promotion)
        halving.record(*promotion, (1 - 0.1 * promotion.trial,))
    # The highest rung first: of three at the second rung 1 is the best.
    assert promoted == [(3, 1), (6, 1), (1, 2)]
    assert [len(of) for of in halving.results] == [9, 3, 1]
    assert (halving.reached(1), halving.reached(3), halving.reached(0)) == (2, 1, 0)
    assert halving.reached(99) == -1


def test_the_whole_first_front_is_promoted_before_anything_it_dominates():
    halving = Halving((1, 3), 2)
    front = [(0.1 * i, float(i)) for i in range(1, 5)]
    behind = [(accuracy - 0.05, cost + 0.5) for accuracy, cost in front]
    for trial, values in enumerate([*behind, *front]):
        halving.record(trial, 0, values)
    promoted = set()
    while (promotion := halving.next_promotion()) is not None:
        promoted.add(promotion.trial)
        halving.start(*promotion)
    assert promoted == {4, 5, 6, 7}


def test_a_training_that_fails_is_not_promoted_again():
    halving = Halving((1, 3), 2)
    halving.record(0, 0, (0.9,))
    halving.record(1, 0, (0.5,))
    halving.start(*halving.next_promotion())
    halving.drop(0)
    assert halving.next_promotion() is None
    # No trial will begin any more: the next best is the only hope for a result.
    assert halving.next_promotion(closing=True) == (1, 1)


def test_a_search_of_few_trials_ends_with_a_result():
    halving = Halving(RUNGS, 3)
    halving.start(0, 0)
    halving.start(1, 0)
    halving.record(0, 0, (0.3,))
    assert halving.next_promotion(closing=True) is None  # one is running: it may be better
    halving.record(1, 0, (0.4,))
    assert halving.next_promotion() is None
    for rung in (1, 2):
        assert halving.next_promotion(closing=True) == (1, rung)
        halving.start(1, rung)
        halving.record(1, rung, (0.5,))
    assert halving.next_promotion(closing=True) is None


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(1, 9)), min_size=1, max_size=60),
    st.integers(1, 5),
    st.integers(2, 4),
    st.integers(0, 2**31),
)
@settings(max_examples=40, deadline=None)
def test_whatever_order_results_come_in_the_best_of_each_rung_are_promoted_once(
    tabulated, workers, reduction, seed
):
    rng, halving = random.Random(seed), Halving(RUNGS, reduction)
    trained, begun = [], 0
    while True:
        while len(halving.running) < workers:
            promotion = halving.next_promotion(closing=begun == len(tabulated))
            if promotion is None:
                if begun == len(tabulated):
                    break
                promotion, begun = Promotion(begun, 0), begun + 1
            halving.start(*promotion)
            trained.append(promotion)
        if not halving.running:
            break
        trial = rng.choice(sorted(halving.running))
        rung, (accuracy, cost) = halving.running[trial], tabulated[trial]
        halving.record(trial, rung, (accuracy + rng.random() * 0.1, cost))
    assert len(trained) == len(set(trained))
    assert len(halving.results[0]) == len(tabulated)
    for lower, higher in itertools.pairwise(halving.results):
        assert higher.keys() <= lower.keys()
        trials = sorted(lower)
        best = nondominated_order([lower[t] for t in trials], len(lower) // reduction)
        assert {trials[place] for place in best} <= higher.keys()


def test_while_trials_begin_no_more_than_the_share_of_a_rung_is_promoted():
    """However often a better trial takes the place of one that was promoted."""
    halving = Halving(RUNGS, 3)
    for trial in range(90):
        halving.record(trial, 0, (0.01 * trial, 1.0))  # each dominates all before it
        while (promotion := halving.next_promotion()) is not None:
            halving.start(*promotion)
            halving.record(*promotion, (0.01 * promotion.trial, 1.0))
        counts = [len(of) for of in halving.results]
        assert counts[1:] == [counts[0] // 3, counts[1] // 3]
    missed = set(range(60, 90)) - halving.entered[1]
    assert missed
    while (promotion := halving.next_promotion(closing=True)) is not None:
        halving.start(*promotion)
        halving.record(*promotion, (0.01 * promotion.trial, 1.0))
    assert set(range(60, 90)) <= halving.entered[1]
