"""Several paired comparisons at once: Holm's procedure, and how often it is wrong."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.statistics.paired import Comparison
from nas.statistics.several import holm, holm_levels, judge_all

P_VALUES = st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=6)


def test_adjusted_p_values_are_those_of_a_published_example():
    """R's documentation of p.adjust: p.adjust(c(.01, .02, .03, .04), "holm")."""
    assert holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([0.04, 0.01]) == pytest.approx([0.04, 0.02])


@given(P_VALUES, st.floats(0.001, 0.5))
def test_what_is_rejected_is_what_the_procedure_rejects_step_by_step(p_values, alpha):
    rejected, order = set(), sorted(range(len(p_values)), key=p_values.__getitem__)
    for step, index in enumerate(order):
        if (len(p_values) - step) * p_values[index] > alpha:
            break
        rejected.add(index)
    assert {i for i, p in enumerate(holm(p_values)) if p <= alpha} == rejected
    levels = holm_levels(p_values, alpha)
    assert all(alpha / len(p_values) <= level <= alpha for level in levels)


def by_enumeration(differences) -> float:
    """The two-sided exact p-value, by writing out every sign."""
    n, total = len(differences), sum(differences)
    sums = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in product((-1, 1), repeat=n)
    ]
    above = sum(found >= total - 1e-12 for found in sums) / 2**n
    below = sum(found <= total + 1e-12 for found in sums) / 2**n
    return min(1.0, 2 * min(above, below))


def test_the_p_value_counts_all_signs():
    rng = np.random.default_rng(0)
    first = rng.normal(0.005, 0.01, (3, 8))
    found = judge_all([Comparison.of(d, np.zeros(8)) for d in first], 0.005, 0.05)
    p_values = [by_enumeration(d.tolist()) for d in first]
    assert [judged.p_different for judged in found] == pytest.approx(holm(p_values))


@given(st.integers(0, 10_000), st.integers(6, 9), st.sampled_from([0.0, 0.003, 0.01, 0.03]))
def test_an_interval_leaves_zero_out_exactly_where_a_difference_is_found(seed, seeds, effect):
    rng = np.random.default_rng(seed)
    differences = effect * rng.normal(1, 1, (3, 1)) + rng.normal(0, 0.01, (3, seeds))
    for judged in judge_all([Comparison.of(d, np.zeros(seeds)) for d in differences], 0.005, 0.05):
        outside = judged.interval.lower > 1e-9 or judged.interval.upper < -1e-9
        assert judged.differs == outside


def rates(effects, delta: float, studies: int = 1000, seeds: int = 8) -> tuple[float, float]:
    """Shares of simulated studies that call a difference that is none; that call one equivalent."""
    rng = np.random.default_rng(1)
    different = equivalent = 0
    for _ in range(studies):
        first = rng.normal(0, 0.01, seeds)  # the choice that the others are compared with
        others = [effect + rng.normal(0, 0.01, seeds) for effect in effects]
        found = judge_all([Comparison.of(other, first) for other in others], delta, 0.05)
        pairs = list(zip(found, effects, strict=True))
        different += any(judged.differs for judged, effect in pairs if effect == 0)
        equivalent += any(judged.equivalent for judged, effect in pairs if abs(effect) >= delta)
    return different / studies, equivalent / studies


MOST = 0.05 + 3 * (0.05 * 0.95 / 1000) ** 0.5
"""Level, and three standard errors of the simulation."""


@pytest.mark.parametrize("effects", [(0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.03), (0.0, 0.1, 0.0)])
def test_a_difference_that_is_none_is_rarely_found_in_any_comparison(effects):
    assert rates(effects, 0.005)[0] <= MOST


def test_choices_that_differ_by_delta_are_rarely_called_equivalent():
    assert rates((0.02, -0.02), 0.02)[1] <= MOST


def test_an_effect_of_three_deviations_is_found():
    rng = np.random.default_rng(2)
    first = rng.normal(0, 0.01, 8)
    better = Comparison.of(first + 0.03, first + rng.normal(0, 0.005, 8))
    same = Comparison.of(first, first + rng.normal(0, 0.001, 8))
    found, equal = judge_all([better, same], 0.005, 0.05)
    assert found.differs
    assert found.interval.lower > 0
    assert not found.equivalent
    assert equal.equivalent
    assert not equal.differs
