"""What a study could have found, and how many seeds would settle it, against studies as judged."""

from __future__ import annotations

import numpy as np
import pytest

from nas.statistics.decision import Claim, judge
from nas.statistics.paired import Comparison
from nas.statistics.sensitivity import lower_bounds, seeds_that_settle, smallest_detectable

DELTA, ALPHA, NOISE = 0.005, 0.05, 0.006
ENDS = ("plain", "C")
INTERIOR = ("2", "4")


def studies(means, seeds: int, count: int, seed: int = 1):
    """Accuracies by arm of many studies, normal around their means, with what a seed does to all."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        shared = rng.normal(0, 0.01, seeds)
        yield {a: 0.7 + m + shared + rng.normal(0, NOISE, seeds) for a, m in means.items()}


def outcomes(means, seeds: int, count: int) -> list[str]:
    claim = Claim(ENDS, DELTA, ALPHA)
    found = studies(means, seeds, count)
    return [judge({"2": [0.8], "4": [0.7]}, study, claim).outcome for study in found]


def exactly(means, seeds: int):
    """A study whose estimated means and variances are the true ones."""
    (study,) = studies(dict.fromkeys(means, 0.0), seeds, 1, seed=3)
    table = np.array(list(study.values()))
    table -= table.mean(axis=1, keepdims=True)
    whitened = np.linalg.inv(np.linalg.cholesky(np.cov(table))) @ table
    values = 0.7 + np.array(list(means.values()))[:, None] + NOISE * whitened
    return dict(zip(means, values, strict=True))


def test_the_detectable_advantage_is_found_in_four_of_five_studies():
    means = {"2": 0.0, "4": -0.1, "plain": 0.0, "C": 0.0}
    study = exactly(means, 8)
    differences = [study["2"] - study[end] for end in ENDS]
    detectable = smallest_detectable(differences, ALPHA, DELTA)
    found = outcomes(means | {"2": detectable}, 8, 600)
    assert found.count("supported") / 600 == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("advantage", [0.012, -0.002])
def test_so_many_seeds_settle_it_in_four_of_five_studies(advantage):
    means = {"2": advantage, "4": -0.01, "plain": 0.0, "C": -0.001}
    study = exactly(means, 8)
    interior, ends = ([study[name] for name in names] for names in (INTERIOR, ENDS))
    needed = seeds_that_settle(interior, ends, 0, ALPHA, DELTA)
    settled = [
        np.mean([outcome != "inconclusive" for outcome in outcomes(means, seeds, 200)])
        for seeds in (needed, needed - 2)
    ]
    assert settled[0] > 0.73
    assert settled[1] < 0.85


def test_what_is_too_close_to_delta_is_never_settled():
    means = {"2": DELTA, "4": -0.1, "plain": 0.0, "C": 0.0}
    study = exactly(means, 8)
    interior, ends = ([study[name] for name in names] for names in (INTERIOR, ENDS))
    assert seeds_that_settle(interior, ends, 0, ALPHA, DELTA, most=200) is None


def test_too_few_seeds_could_have_found_nothing():
    assert smallest_detectable(np.zeros((2, 4)), ALPHA, DELTA) == np.inf  # 1 in 16 is above 5%


@pytest.mark.parametrize("seeds", [3, 5, 8, 10])
def test_bounds_are_those_of_the_sign_flip_test(seeds):
    samples = np.random.default_rng(0).normal(size=(20, seeds))
    expected = [Comparison.of(sample, np.zeros(seeds)).lower(ALPHA) for sample in samples]
    assert lower_bounds(samples, ALPHA) == pytest.approx(expected)


def test_bounds_of_many_seeds_are_nearly_those():
    samples = np.random.default_rng(0).normal(size=(50, 16))
    expected = [Comparison.of(sample, np.zeros(16)).lower(ALPHA) for sample in samples]
    assert lower_bounds(samples, ALPHA) == pytest.approx(expected, abs=0.05)
