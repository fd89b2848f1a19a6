"""Several estimates of one difference as a whole: published numbers, and what has to hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nas.statistics.random_effects import random_effects

BCG = np.array(
    [
        *([4, 119, 11, 128], [6, 300, 29, 274], [3, 228, 11, 209], [62, 13536, 248, 12619]),
        *([33, 5036, 47, 5761], [180, 1361, 372, 1079], [8, 2537, 10, 619]),
        *([505, 87886, 499, 87892], [29, 7470, 45, 7232], [17, 1699, 65, 1600]),
        *([186, 50448, 141, 27197], [5, 2493, 3, 2338], [27, 16886, 29, 17825]),
    ]
)
"""Thirteen trials of a vaccine (Colditz et al. 1994): ill and well with it, ill and well without."""

CLASP = np.array(
    [
        *([5, 156, 8, 74], [5, 303, 17, 303], [12, 565, 9, 477], [69, 1570, 94, 1565]),
        *([9, 103, 11, 105], [313, 4659, 352, 4650]),
    ]
)
"""Six trials (DerSimonian and Kacker 2007, Table 1): cases and all with the drug, and without."""


def log_relative_risks() -> tuple[np.ndarray, np.ndarray]:
    a, b, c, d = BCG.T
    return np.log(a / (a + b)) - np.log(c / (c + d)), np.sqrt(
        1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)
    )


def log_odds_ratios() -> tuple[np.ndarray, np.ndarray]:
    a, n, c, m = CLASP.T
    return np.log(a / (n - a)) - np.log(c / (m - c)), np.sqrt(
        1 / a + 1 / (n - a) + 1 / c + 1 / (m - c)
    )


def test_published_estimates_of_six_trials():
    # DerSimonian and Kacker 2007, Tables 3 and 4, Paule and Mandel's row.
    found = random_effects(*log_odds_ratios(), confidence=0.95)
    error = (found.mean.upper - found.mean.mean) / stats.t.ppf(0.975, 5)
    assert (found.tau, found.mean.mean, error) == pytest.approx((0.3681, -0.3811, 0.2060), abs=5e-5)


def test_published_estimates_of_thirteen_trials():
    found = random_effects(*log_relative_risks())
    assert found.tau**2 == pytest.approx(0.3181, abs=1e-4)  # Viechtbauer's metafor, dat.bcg
    assert found.i_squared == pytest.approx(1 - 12 / 152.2330, abs=1e-6)  # its Q
    # With REML's variance, .3132, metafor's Hartung-Knapp interval is -1.1084 to -0.3206.
    assert (found.mean.lower, found.mean.upper) == pytest.approx((-1.1084, -0.3206), abs=5e-3)


def test_two_estimates_have_an_interval_as_wide_as_it_is_and_no_prediction():
    found = random_effects([0.0, 2.0], [0.1, 0.1])
    # Of two equally sure ones the squares are 2 / v: v is 2, the mean's error 1.
    assert found.tau**2 == pytest.approx(2 - 0.1**2)
    assert found.mean == pytest.approx((1, 1 - 12.7062, 1 + 12.7062), abs=1e-4)
    assert found.new is None


numbers = st.floats(-1, 1).map(lambda x: round(x, 6))
errors = st.floats(0.001, 1)
estimates = st.lists(st.tuples(numbers, errors), min_size=2, max_size=8)


@given(estimates)
def test_it_solves_the_equation_of_paule_and_mandel_and_hartung_and_knapp_s(known):
    y, e = map(np.array, zip(*known, strict=True))
    found = random_effects(y, e)
    weights = 1 / (e**2 + found.tau**2)
    mean = (weights * y).sum() / weights.sum()
    per_degree = (weights * (y - mean) ** 2).sum() / (len(y) - 1)
    assert found.mean.mean == pytest.approx(mean)
    if found.tau > 1e-6:
        assert per_degree == pytest.approx(1, rel=1e-6)
    else:
        assert per_degree <= 1 + 1e-6
    # Their interval, its factor at least one.
    error = (max(1.0, per_degree) / weights.sum()) ** 0.5
    half = stats.t.ppf(0.975, len(y) - 1) * error
    assert found.mean.upper - mean == pytest.approx(half, rel=1e-5)
    assert 0 <= found.i_squared < 1


@given(st.lists(st.tuples(numbers, st.floats(1e-18, 1e-12)), min_size=2, max_size=8))
def test_estimates_that_are_all_but_exact_have_the_spread_that_is_seen(known):
    y, e = map(np.array, zip(*known, strict=True))
    assert random_effects(y, e).tau == pytest.approx(y.std(ddof=1), rel=1e-6, abs=1e-9)


@given(estimates, numbers, st.floats(0.01, 10))
def test_it_goes_with_the_origin_and_the_unit(known, shift, unit):
    y, e = map(np.array, zip(*known, strict=True))
    found, moved = random_effects(y, e), random_effects(unit * (y + shift), unit * e)
    assert moved.mean == pytest.approx(unit * (np.array(found.mean) + shift), abs=1e-6 * unit)
    assert moved.tau == pytest.approx(unit * found.tau, abs=1e-5 * unit)
    assert moved.i_squared == pytest.approx(found.i_squared, abs=1e-6)


@given(estimates)
def test_a_new_difference_is_less_sure_than_their_mean(known):
    y, e = map(np.array, zip(*known, strict=True))
    found = random_effects(y, e)
    assert (found.new is None) == (len(known) == 2)
    if found.new is not None:
        assert found.new.lower <= found.mean.lower <= found.mean.upper <= found.new.upper
        assert found.new.mean == found.mean.mean


def test_the_mean_of_true_differences_is_covered_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(2000):
        errors_ = rng.uniform(0.5, 2, 4)
        found = random_effects(rng.normal(rng.normal(0, 3, 4), errors_), errors_)
        inside += found.mean.lower <= 0 <= found.mean.upper
    assert 0.94 < inside / 2000 < 0.98  # more of equal ones, for tau is not known


@pytest.mark.parametrize(
    ("y", "e"), [([1], [1]), ([1, 2], [1]), ([1, 2], [1, 0]), ([1, np.nan], [1, 1])]
)
def test_what_is_no_estimate_is_refused(y, e):
    with pytest.raises(ValueError, match="difference"):
        random_effects(y, e)
