"""Turns of several things, and what is said of their times."""

from __future__ import annotations

import pytest
import torch

from trials import interleaved
from trials.interleaved import FEWEST, ROUNDS, TURN_S, Contender, time_interleaved
from trials.measure import PASSES, WARM_UPS

CPU = torch.device("cpu")


class Clock:
    """Passes of so many milliseconds; the log has whose turn it was, and what was run."""

    def __init__(self, monkeypatch):
        self.seconds, self.log = 0.0, []
        monkeypatch.setattr(interleaved, "now", lambda _device: self.seconds)

    def contender(self, name, times_ms):
        passes = iter(times_ms)

        def run():
            self.log.append(name)
            self.seconds += next(passes) / 1e3

        return Contender(lambda: self.log.append(f"prepare {name}"), run)


def test_every_contender_has_its_turn_in_every_round(monkeypatch):
    clock = Clock(monkeypatch)
    each = WARM_UPS + PASSES
    names = "abc"
    found = time_interleaved(
        [clock.contender(name, [1.0 + i] * each * ROUNDS) for i, name in enumerate(names)], CPU
    )
    turns = [clock.log[i : i + 1 + each] for i in range(0, len(clock.log), 1 + each)]
    assert all(turn == [f"prepare {turn[1]}", *turn[1] * each] for turn in turns)
    order = [turn[1] for turn in turns]
    rounds = [order[i : i + 3] for i in range(0, len(order), 3)]
    assert len(rounds) == ROUNDS
    assert all(sorted(round_) == sorted(names) for round_ in rounds)
    assert len({tuple(round_) for round_ in rounds}) > 1
    assert [q.median_ms for q in found] == pytest.approx([1, 2, 3])


def test_quartiles_are_over_all_rounds_without_the_warm_ups(monkeypatch):
    """1 to 150 ms: the quartiles of 150 numbers are at places 37.75, 75.5 and 113.25."""
    clock = Clock(monkeypatch)
    monkeypatch.setattr(interleaved, "TURN_S", 1e9)
    times = [
        time
        for number in range(ROUNDS)
        for time in (*[1e4] * WARM_UPS, *range(number * PASSES + 1, (number + 1) * PASSES + 1))
    ]
    (found,) = time_interleaved([clock.contender("a", times)], CPU)
    assert (found.first_ms, found.median_ms, found.third_ms) == pytest.approx((37.75, 75.5, 113.25))


def test_a_turn_of_something_slow_ends_early(monkeypatch):
    clock = Clock(monkeypatch)
    time_interleaved([clock.contender("a", [2e3 * TURN_S] * 1000)], CPU)
    assert clock.log.count("a") == 2 * FEWEST * ROUNDS
