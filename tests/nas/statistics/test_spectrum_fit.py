"""The curve along the spectrum: exact without noise, its test by hand, its intervals by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nas.statistics.spectrum_fit import fit_spectrum

POSITIONS = np.array([0, 0.2, 0.37, 0.4, 0.55, 0.7, 0.82, 1])
STUDIES = 300


def drawn(rng, truth, deviations, seeds):
    return [
        mean + deviation * rng.standard_normal(count)
        for mean, deviation, count in zip(truth, deviations, seeds, strict=True)
    ]


@given(st.floats(0.05, 0.95), st.floats(0.01, 1), st.floats(0, 1))
def test_without_noise_the_curve_is_found_exactly(place, curvature, top):
    values = top - curvature * (POSITIONS - place) ** 2
    fit = fit_spectrum(POSITIONS, [[value] * 3 for value in values])
    assert fit.coefficients == pytest.approx(
        (top - curvature * place**2, 2 * curvature * place, -curvature), abs=1e-9
    )
    assert fit.peak == pytest.approx((place,) * 3, abs=1e-3)
    assert fit.over_first == pytest.approx((curvature * place**2,) * 3, abs=1e-6)
    assert fit.over_last == pytest.approx((curvature * (1 - place) ** 2,) * 3, abs=1e-6)
    expected = top - curvature * (np.array(fit.places) - place) ** 2
    assert np.array(fit.curve) == pytest.approx(np.stack([expected] * 3, axis=1), abs=1e-6)
    assert np.isnan(fit.lack_of_fit.p_value)  # nothing to compare with


@pytest.mark.parametrize(("slope", "curvature", "peak"), [(1, 0, 1), (-1, 0, 0), (-0.5, 1, 1)])
def test_a_curve_without_a_peak_inside_is_highest_at_an_end(slope, curvature, peak):
    values = slope * POSITIONS + curvature * POSITIONS**2
    noise = np.array([-1e-4, 0, 1e-4])
    fit = fit_spectrum(POSITIONS, [value + noise for value in values])
    assert fit.peak.value == peak
    assert (fit.over_last if peak else fit.over_first).value == 0


def test_the_test_of_lack_of_fit_is_that_of_a_calculation_by_hand():
    """At four even positions what a quadratic leaves is the contrast (-1, 3, -3, 1) / sqrt(20).

    Of the means 0, 3, 1, 4 that is 10 / sqrt(20); times two seeds, its square is 10. The variance
    within each arm is 2, so F is 5. The squares of the contrast weigh the arms' variances.
    """
    fit = fit_spectrum([0, 1 / 3, 2 / 3, 1], [(-1, 1), (2, 4), (0, 2), (3, 5)])
    found, second = fit.lack_of_fit, 20**2 / (1 + 81 + 81 + 1)
    assert found.statistic == pytest.approx(5)
    assert found.freedom == pytest.approx((1, second))
    assert found.p_value == pytest.approx(2 * stats.t.sf(5**0.5, second))


@given(st.lists(st.integers(2, 6), min_size=8, max_size=8), st.integers(0, 10_000))
def test_with_equal_variances_it_has_the_usual_statistic(seeds, start):
    """Sums of squares of all trainings about the curve and about their arms."""
    rng = np.random.default_rng(start)
    samples = drawn(rng, rng.normal(0, 1, 8), np.ones(8), seeds)
    samples = [s.mean() + (s - s.mean()) / s.std(ddof=1) for s in samples]
    x = np.repeat(POSITIONS, seeds)
    y = np.concatenate(samples)
    about_curve = ((y - np.polyval(np.polyfit(x, y, 2), x)) ** 2).sum()
    about_arms = sum(((s - s.mean()) ** 2).sum() for s in samples)
    usual = (about_curve - about_arms) / (8 - 3) / (about_arms / (len(y) - 8))
    found = fit_spectrum(POSITIONS, samples).lack_of_fit
    assert found.statistic == pytest.approx(usual)
    assert found.freedom[0] == pytest.approx(8 - 3)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.floats(-1, 1), st.permutations(range(8)))
def test_a_shift_moves_the_curve_alone_and_the_order_of_arms_does_not_matter(start, shift, order):
    rng = np.random.default_rng(start)
    samples = drawn(rng, rng.normal(0, 0.01, 8), np.full(8, 0.01), [4] * 8)
    before = fit_spectrum(POSITIONS, samples)
    after = fit_spectrum(POSITIONS[order], [samples[arm] + shift for arm in order])
    assert after.peak == pytest.approx(before.peak, abs=1e-6)
    assert after.over_first == pytest.approx(before.over_first, abs=1e-9)
    assert np.array(after.curve) == pytest.approx(np.array(before.curve) + shift)
    assert after.peak.lower <= after.peak.value <= after.peak.upper
    for height in (after.over_first, after.over_last):
        assert 0 <= height.lower <= height.value <= height.upper


EQUAL = np.full(8, 0.007)
UNEQUAL = np.array([1, 1, 1, 1, 3, 1, 1, 1]) * 0.007
RACED = (48, 4, 4, 8, 12, 48, 48, 48)


@pytest.mark.parametrize("curve", [(0.62, 0.08, -0.06), (0.62, 0, 0), (0.62, 0.03, 0)])
@pytest.mark.parametrize(
    ("deviations", "seeds"), [(EQUAL, (4,) * 8), (UNEQUAL, (4,) * 8), (EQUAL, RACED)]
)
def test_all_intervals_hold_at_once(curve, deviations, seeds):
    """Peak inside, no peak at all, and peak at an end; 95% of studies at least."""
    rng = np.random.default_rng(3)
    places = np.linspace(0, 1, 1001)
    truth = np.polyval(curve[::-1], places)
    missed = {"peak and heights": 0, "band": 0}
    for _ in range(STUDIES):
        fit = fit_spectrum(
            POSITIONS, drawn(rng, np.polyval(curve[::-1], POSITIONS), deviations, seeds)
        )
        tops = places[truth >= truth.max() - 1e-12]  # all of them where the curve is flat
        held = any((fit.peak.lower - 1e-3 <= tops) & (tops <= fit.peak.upper + 1e-3))
        for height, end in ((fit.over_first, truth[0]), (fit.over_last, truth[-1])):
            held &= height.lower - 1e-9 <= truth.max() - end <= height.upper + 1e-9
        missed["peak and heights"] += not held
        _, lower, upper = np.array(fit.curve).T
        at = np.polyval(curve[::-1], fit.places)
        missed["band"] += not ((lower <= at) & (at <= upper)).all()
    most = stats.binom.ppf(0.999, STUDIES, 0.05)
    assert max(missed.values()) <= most, missed


@pytest.mark.parametrize(
    ("deviations", "seeds"), [(EQUAL, (4,) * 8), (UNEQUAL, (4,) * 8), (EQUAL, RACED)]
)
def test_a_quadratic_is_seldom_said_not_to_fit_and_a_step_often(deviations, seeds):
    rng = np.random.default_rng(4)
    found = {}
    for name, truth in (("quadratic", POSITIONS**2 / 20), ("step", 0.03 * (POSITIONS > 0.38))):
        p_values = [
            fit_spectrum(POSITIONS, drawn(rng, truth, deviations, seeds)).lack_of_fit.p_value
            for _ in range(STUDIES)
        ]
        found[name] = sum(p < 0.05 for p in p_values)
    # The approximation is a little off with four seeds: .064 in place of .05 with one noisy arm.
    assert found["quadratic"] <= stats.binom.ppf(0.999, STUDIES, 0.065)
    assert found["step"] > STUDIES / 2


@pytest.mark.parametrize(
    ("positions", "seeds"), [([0, 0.5, 1], 4), ([0, 0.5, 0.5, 1], 4), ([0, 0.3, 0.6, 1], 1)]
)
def test_too_few_positions_or_seeds_have_no_curve(positions, seeds):
    assert fit_spectrum(positions, [np.arange(seeds)] * len(positions)) is None


def test_seeds_that_are_too_few_for_a_bound_have_none():
    """Two seeds of four arms, one without any noise."""
    fit = fit_spectrum([0, 0.3, 0.6, 1], [(0, 1), (1, 3), (2, 3), (4, 4)])
    assert all(np.isinf(point.upper) for point in fit.curve[1:-1])
    assert (fit.peak.lower, fit.peak.upper) == (0, 1)


def test_each_arm_has_one_position():
    with pytest.raises(ValueError, match="each arm has one position"):
        fit_spectrum([0, 0.3, 0.6], [(0, 1)] * 4)
