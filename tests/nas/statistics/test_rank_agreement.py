"""Kendall's tau of signals with long trainings, against SciPy's and on planted networks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nas.statistics import rank_agreement
from nas.statistics.rank_agreement import measure_fidelity


def planted_quality(count: int, noise: float, seeds: int = 2):
    """Architectures of known quality, measured with noise by each long seed."""
    rng = np.random.default_rng(0)
    quality = np.linspace(0, 1, count)
    return quality, quality[:, None] + rng.normal(0, noise, (count, seeds))


def test_agreement_is_kendalls_tau_and_the_ceiling_that_of_two_seeds():
    quality, long = planted_quality(12, 0.2)
    found = measure_fidelity(long, {"quality": quality})
    expected = np.mean([stats.kendalltau(quality, long[:, s]).statistic for s in (0, 1)])
    assert found.signals[0].tau == pytest.approx(expected)
    assert found.ceiling.tau == pytest.approx(stats.kendalltau(*long.T).statistic)
    assert found.ceiling.lower < found.ceiling.tau < found.ceiling.upper


def test_a_signal_as_good_as_another_seed_reaches_the_ceiling():
    _, long = planted_quality(40, 0.15, seeds=3)
    found = measure_fidelity(long[:, :2], {"a third seed": long[:, 2], "noise": noise(40)})
    third, nothing = found.signals
    assert third.of_ceiling == pytest.approx(1.0, abs=0.15)
    assert third.of_ceiling_interval[0] < 1 < third.of_ceiling_interval[1]
    assert nothing.lower < 0 < nothing.upper
    assert nothing.of_ceiling < 0.4


def test_the_best_third_is_each_long_seeds_own_with_what_ties_with_its_last():
    first = [9, 8, 7, 7, 6, 5, 4, 3, 2.0]
    second = [1, 2, 3, 4, 5, 6, 7, 8, 9.0]
    signal = [1, 4, 2, 3, 0, 7, 8, 6, 5.0]
    found = measure_fidelity(np.transpose([first, second]), {"signal": signal})
    at_top = [
        stats.kendalltau(signal[:4], first[:4]).statistic,
        stats.kendalltau(signal[6:], second[6:]).statistic,
    ]
    assert found.signals[0].top.value == pytest.approx(np.mean(at_top))
    seeds = [stats.kendalltau(first[s], second[s]).statistic for s in (slice(4), slice(6, 9))]
    assert found.ceiling.top.value == pytest.approx(np.mean(seeds))
    assert found.signals[0].top.lower < found.signals[0].top.value < found.signals[0].top.upper


def test_another_seed_reaches_the_ceiling_among_the_best_third_too(monkeypatch):
    """Among the best by the mean of both seeds it would be .17, and the ceiling .02."""
    monkeypatch.setattr(rank_agreement, "DRAWS", 10)  # their intervals are not looked at
    rng = np.random.default_rng(3)
    found = [
        measure_fidelity(long[:, :2], {"a third seed": long[:, 2]})
        for long in (np.linspace(0, 1, 24)[:, None] + rng.normal(0, 0.2, (200, 24, 3)))
    ]
    ceiling = np.mean([f.ceiling.top.value for f in found])
    third = np.mean([f.signals[0].top.value for f in found])
    assert ceiling == pytest.approx(0.22, abs=0.05)
    assert third == pytest.approx(ceiling, abs=0.05)


def test_a_signal_is_compared_with_a_baseline_on_the_same_networks():
    quality, long = planted_quality(40, 0.1)
    signals = {"quality": quality, "size": quality + noise(40) / 3, "noise": noise(40)[::-1]}
    found = {s.signal: s for s in measure_fidelity(long, signals, baseline="size").signals}
    assert found["size"].above_baseline is None
    difference = found["quality"].above_baseline
    assert difference.value == pytest.approx(found["quality"].tau - found["size"].tau)
    # Both see the same networks, so that less is uncertain of the difference than of each.
    assert 0 < difference.lower < difference.value < difference.upper
    assert found["noise"].above_baseline.upper < 0


def test_what_is_no_number_is_ranked_last():
    long = np.transpose([np.arange(5.0), np.arange(5.0)])
    signals = {"one": [np.nan, 1, 2, 3, np.inf], "infinite": [-np.inf, 1, 2, 3, 4]}
    found = measure_fidelity(long, signals)
    assert [signal.tau for signal in found.signals] == pytest.approx([1, 1])


def noise(count: int):
    return np.random.default_rng(5).normal(size=count)


def test_architectures_that_no_seed_ranks_have_no_ceiling_to_share():
    long = np.random.default_rng(1).normal(0.7, 0.01, (8, 2))
    found = measure_fidelity(long, {"any": long[:, 0]})
    assert found.signals[0].of_ceiling is None


@pytest.mark.parametrize("shape", [(2, 2), (5, 1), (5,)])
def test_too_few_architectures_or_seeds_are_refused(shape):
    with pytest.raises(ValueError, match="three architectures or more"):
        measure_fidelity(np.zeros(shape), {})
