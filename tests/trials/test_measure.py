"""Latency is measured until it is steady."""

from __future__ import annotations

import itertools

import pytest
import torch

from trials import measure
from trials.measure import MOST_ROUNDS, PASSES, WARM_UPS, Latency, measure_latency


class Clocked(torch.nn.Module):
    """Takes the times that a test gives, in milliseconds, pass by pass."""

    def __init__(self, times_ms, monkeypatch):
        super().__init__()
        self.clock_s, self.passes = 0.0, 0
        self.times_ms = itertools.chain(itertools.repeat(100.0, WARM_UPS), times_ms)
        monkeypatch.setattr(measure, "now", lambda _device: self.clock_s)

    def forward(self, images):
        self.passes += 1
        self.clock_s += next(self.times_ms) / 1e3
        return images


def latency(times_ms, monkeypatch) -> tuple[Latency, int]:
    network = Clocked(times_ms, monkeypatch)
    found = measure_latency(network, (1, 2, 2), torch.device("cpu"))
    return found, (network.passes - WARM_UPS) // PASSES


def test_one_steady_round_is_enough_and_the_warm_up_does_not_count(monkeypatch):
    found, rounds = latency(itertools.repeat(2.0), monkeypatch)
    assert rounds == 1
    assert (found.median_ms, found.spread_ms) == pytest.approx((2, 0), abs=1e-9)


def test_a_disturbed_round_is_repeated(monkeypatch):
    disturbed = [2.0, 9.0] * (PASSES // 2)
    found, rounds = latency(itertools.chain(disturbed, itertools.repeat(2.0)), monkeypatch)
    assert rounds == 2
    assert found.median_ms == pytest.approx(2)


def test_where_no_round_is_steady_the_steadiest_counts(monkeypatch):
    """Spreads of 46% of the median, except the fourth round's of 18%."""
    wide, narrow = [2.0, 3.2] * (PASSES // 2), [2.0, 2.4] * (PASSES // 2)
    times = itertools.chain(wide * 3, narrow, itertools.cycle(wide))
    found, rounds = latency(times, monkeypatch)
    assert rounds == MOST_ROUNDS
    assert found.median_ms == pytest.approx(2.2)
    assert found.spread == pytest.approx(0.4 / 2.2, rel=0.01)


def test_a_measurement_draws_nothing_from_the_generator_of_the_trainings():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    measure_latency(torch.nn.Identity(), (1, 2, 2), torch.device("cpu"))
    assert torch.equal(torch.rand(1), expected)
