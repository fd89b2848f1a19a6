from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from nas.statistics.front_bootstrap import bootstrap_front
from nas.statistics.pareto import hypervolume, pareto_front

REFERENCE = (0.0, 100.0)


def test_what_is_far_apart_is_decided():
    rng = np.random.default_rng(0)
    accuracies = np.array([[0.5], [0.6], [0.7], [0.55]]) + rng.normal(0, 0.002, (4, 6))
    front = bootstrap_front(accuracies, [10, 20, 30, 40], REFERENCE)
    assert front.labels == ("front", "front", "front", "dominated")
    assert len(front.undecided) == 0
    assert front.noise == pytest.approx(0.002, rel=0.4)


def test_the_probability_is_that_of_the_means_being_in_another_order():
    """Two architectures of equal cost: the better one is the front."""
    noise, trainings = 0.01, 40
    rng = np.random.default_rng(1)
    residuals = rng.normal(0, noise, (2, trainings))
    residuals -= residuals.mean(axis=1, keepdims=True)
    accuracies = np.array([[0.70], [0.702]]) + residuals
    spread = np.sqrt((accuracies[1] - accuracies[0]).var(ddof=1) / trainings)
    front = bootstrap_front(accuracies, [5, 5], REFERENCE)
    assert front.probabilities[1] == pytest.approx(stats.norm.cdf(0.002 / spread), abs=0.05)
    assert front.probabilities.sum() == pytest.approx(1)


def test_what_a_seed_does_to_all_leaves_their_order_alone():
    shared = np.random.default_rng(2).normal(0, 0.05, 8)
    front = bootstrap_front(np.array([[0.700], [0.701]]) + shared, [5, 5], REFERENCE)
    assert front.labels == ("dominated", "front")


def test_one_seed_has_the_noise_of_the_others():
    rng = np.random.default_rng(3)
    accuracies = np.full((3, 10), np.nan)
    accuracies[0] = 0.70 + rng.normal(0, 0.01, 10)
    accuracies[1, 0] = accuracies[0].mean()
    accuracies[2, 0] = accuracies[0].mean() - 0.2
    front = bootstrap_front(accuracies, [5, 5, 5], REFERENCE)
    assert front.probabilities[0] == pytest.approx(0.5, abs=0.1)
    assert front.labels == ("undecided", "undecided", "dominated")
    assert set(front.undecided) == {0, 1}


def test_the_bootstrap_is_as_wide_as_the_noise():
    """With three seeds, too: deviations from three trainings' own mean are too small by themselves."""
    accuracies = np.array([[0.69, 0.70, 0.71]])
    volumes = bootstrap_front(accuracies, [50], REFERENCE).volumes
    assert (volumes / 50).std() == pytest.approx(0.01 / np.sqrt(3), rel=0.05)
    low, high = bootstrap_front(accuracies, [50], REFERENCE).volume_interval()
    assert low < 0.70 * 50 < high


def test_few_seeds_give_the_fronts_of_all_their_resamples():
    """Against enumeration: 3 seeds have 27 resamples."""
    accuracies = np.array([[0.60, 0.64, 0.61], [0.62, 0.61, 0.66]])
    means = accuracies.mean(axis=1)
    hits, volumes = np.zeros(2), []
    for columns in itertools.product(range(3), repeat=3):
        drawn = means + (accuracies[:, columns].mean(axis=1) - means) * np.sqrt(3 / 2)
        points = np.column_stack([drawn, [10, 20]])
        hits[pareto_front(points)] += 1
        volumes.append(hypervolume(points, REFERENCE))
    front = bootstrap_front(accuracies, [10, 20], REFERENCE)
    np.testing.assert_allclose(front.probabilities, hits / 27, atol=0.04)
    assert front.volumes.mean() == pytest.approx(np.mean(volumes), rel=0.005)


@pytest.mark.parametrize(
    ("accuracies", "message"),
    [
        ([[0.5, 0.6], [np.nan, np.nan]], "architecture 1 was never trained"),
        ([[0.5, np.nan], [np.nan, 0.6]], "the noise is unknown"),
        ([0.5, 0.6], "got accuracies of shape"),
    ],
)
def test_what_cannot_be_known_is_refused(accuracies, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_front(accuracies, [1, 2], REFERENCE)


def test_equally_good_architectures_are_hardly_ever_called_dominated():
    """However many there are, for there is a best-looking one among them by chance."""
    rng = np.random.default_rng(3)
    for arms, seeds in ((5, 3), (19, 8)):
        dominated = sum(
            bootstrap_front(
                rng.normal(0.7, 0.01, (arms, seeds)), [1.0] * arms, (0.0, 2.0)
            ).labels.count("dominated")
            for _ in range(10)
        )
        assert dominated / (10 * arms) <= 0.1


def test_few_seeds_stay_paired():
    """What a seed does to all is large; the difference is small, and the same in each seed."""
    shared = np.array([0.0, 0.03, -0.02, 0.015])
    table = np.stack([0.7 + shared, 0.704 + shared + [0, 1e-4, -1e-4, 0]])
    front = bootstrap_front(table, [1.0, 1.0], (0.0, 2.0))
    assert front.labels == ("dominated", "front")


def test_exact_ties_are_on_the_front_together():
    front = bootstrap_front(np.full((4, 6), 0.7), [1.0] * 4, (0.0, 2.0))
    assert front.labels == ("front",) * 4


def test_the_interval_of_the_hypervolume_holds_the_true_one():
    """The front of noisy means looks better than the true one; the interval must not."""
    rng = np.random.default_rng(5)
    levels, costs = np.linspace(0.6, 0.7, 8), np.linspace(10, 80, 8)
    truth = hypervolume(np.column_stack([levels, costs]), REFERENCE)
    held = 0
    for _ in range(40):
        noisy = levels[:, None] + rng.normal(0, 0.02, (8, 8))
        low, high = bootstrap_front(noisy, costs, REFERENCE).volume_interval()
        held += low <= truth <= high
    assert held >= 32


def test_noise_that_others_tell_serves_single_runs():
    front = bootstrap_front([[0.5], [0.6], [0.59]], [10, 20, 30], REFERENCE, noise=0.01)
    assert front.noise == 0.01
    # A difference of one deviation each: the dearer one is on the front with P(z > 0.01/0.0141).
    expected = stats.norm.sf(0.01 / (0.01 * 2**0.5))
    assert front.probabilities[2] == pytest.approx(expected, abs=0.03)
    assert front.labels[0] == "front"
