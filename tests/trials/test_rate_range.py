"""A range test: what it suggests of a known curve, and that it is the recipe with other rates."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from tests.trials.training import CPU, EXPLODING, QUICK, network
from trials.data import DataConfig, load
from trials.rate_range import SMOOTHING, STEPS, RateRange, range_test, rising_rates
from trials.recipe import RECIPES
from trials.train import Resident


@pytest.fixture(scope="module")
def data():
    return load(DataConfig("synthetic", limit=250, shape=(3, 8, 8), classes=4))


def found(smoothed: np.ndarray) -> RateRange:
    """Of the losses that give these when they are smoothed."""
    means = smoothed * (1 - SMOOTHING ** np.arange(1, len(smoothed) + 1))
    losses = np.diff(means, prepend=0.0)
    losses += (1 - SMOOTHING) * np.concatenate([[0.0], means[:-1]])
    return RateRange(rising_rates()[: len(losses)], tuple(losses / (1 - SMOOTHING)))


def test_rates_rise_evenly_over_seven_powers_of_ten():
    rates = rising_rates()
    assert (len(rates), rates[0], rates[-1]) == (400, 1e-6, 10.0)
    np.testing.assert_allclose(np.diff(np.log10(rates)), 7 / 399, rtol=1e-9)


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=30))
def test_a_smoothed_loss_is_a_mean_whose_weights_fall_with_age(losses):
    weights = 0.95 ** np.arange(len(losses))[::-1]
    smoothed = RateRange(rising_rates()[: len(losses)], tuple(losses)).smoothed
    assert smoothed[0] == pytest.approx(losses[0])
    assert smoothed[-1] == pytest.approx(np.average(losses, weights=weights))


def test_the_steepest_and_the_lowest_rate_of_a_known_curve():
    """A step down whose middle is at step 240, and a rise from step 340 on."""
    step = np.arange(380)
    curve = 1 / (1 + np.exp((step - 240) / 10)) + (np.maximum(step - 340, 0) / 20) ** 2
    rates = rising_rates()
    range_ = found(curve)
    np.testing.assert_allclose(range_.smoothed, curve, atol=1e-9)
    assert range_.steepest == rates[240]
    assert range_.lowest == rates[340]


def test_what_comes_first_and_after_the_lowest_loss_counts_for_nothing():
    """A fall in the first steps is that of a few batches; one from a peak is no learning."""
    step = np.arange(400)
    fall = np.interp(step, [0, 10, 200, 280, 320, 340, 350], [3.4, 3, 3, 2, 2, 8, 3])
    rates = rising_rates()
    assert rates[200] < found(fall).steepest < rates[280]
    assert rates[278] < found(fall).lowest < rates[321]


@pytest.mark.parametrize(
    "losses",
    [
        range(1, 401),
        range(40, 0, -1),
        [2.0],
        np.random.default_rng(0).normal(2.3, 0.1, 400),
        [2.3 + (-1) ** step * 0.1 - 0.0001 * step for step in range(400)],
    ],
    ids=["rises", "too few", "one", "noise", "falls by less than batches differ"],
)
def test_of_a_loss_that_no_rate_lowers_or_of_too_few_steps_none_is_suggested(losses):
    range_ = RateRange(rising_rates()[: len(losses)], tuple(map(float, losses)))
    assert range_.steepest is None
    assert range_.lowest is None


def test_the_losses_are_those_of_a_plain_loop_with_the_same_rates(data, monkeypatch):
    """PyTorch's own SGD, over several epochs in the order that a training with the seed has."""
    monkeypatch.setattr("trials.rate_range.STEPS", 20)  # of 6 in an epoch
    recipe = replace(QUICK, polyak=0.9, label_smoothing=0.1)
    losses = range_test(network(), Resident(data, CPU), recipe, 3).losses
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (data.mean, data.std))
    images = (torch.tensor(data.train.images).permute(0, 3, 1, 2).float() - mean) / std
    labels = torch.tensor(data.train.labels)
    plain, order, expected = network(), torch.Generator().manual_seed(3 + 1), []
    optimizer = torch.optim.SGD(plain.parameters(), momentum=0.9)
    rates = iter(rising_rates())
    for _ in range(4):
        batches = torch.randperm(len(labels), generator=order)[:192].split(32)
        for batch, rate in zip(batches, rates, strict=False):
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad()
            loss = F.cross_entropy(plain(images[batch]), labels[batch], label_smoothing=0.1)
            loss.backward()
            optimizer.step()
            expected.append(loss.item())
    np.testing.assert_allclose(losses, expected, rtol=1e-4)


def test_it_ends_where_the_loss_is_several_times_its_lowest(data):
    recipe = replace(RECIPES["jft"], batch_size=32)
    range_ = range_test(network(), Resident(data, CPU), recipe, 0)
    assert len(range_.losses) < STEPS
    smoothed = np.array(range_.smoothed)
    above = smoothed > 4 * np.minimum.accumulate(smoothed)
    assert above.tolist() == [False] * (len(smoothed) - 1) + [True]
    assert range_.steepest < range_.lowest < range_.rates[-1]


def test_it_ends_before_a_loss_that_is_not_finite(data):
    recipe = replace(EXPLODING, weight_decay=1e20)
    range_ = range_test(network(), Resident(data, CPU), recipe, 0)
    assert len(range_.rates) == len(range_.losses) < 40
    assert all(map(math.isfinite, range_.losses))
    assert range_.steepest is None
