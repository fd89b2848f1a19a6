"""Several things timed side by side: in rounds, in each of which every one has its turn.

What a machine does beside them, and how warm it is, then falls on all of them alike.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from trials.device_lock import DeviceLock
from trials.measure import PASSES, WARM_UPS, now

ROUNDS = 5
TURN_S = 1.0
"""After which a turn ends, however few passes it had; warming up takes no longer, either."""

FEWEST = 3
"""Passes in a turn."""


@dataclass(frozen=True)
class Contender:
    """What is timed.

    Attributes:
        prepare: is called before each turn, as for the number of threads of the process.
        run: one pass.
    """

    prepare: Callable[[], object]
    run: Callable[[], object]


@dataclass(frozen=True)
class Quartiles:
    """Of the passes of all rounds, in milliseconds."""

    first_ms: float
    median_ms: float
    third_ms: float


def time_interleaved(
    contenders: Sequence[Contender],
    device: torch.device,
    on_round: Callable[[int], object] = lambda _round: None,
) -> list[Quartiles]:
    """Time all of them, in `ROUNDS` rounds, each in another order.

    Trainings of this user on the device wait during a turn, as for `trials.measure`.
    """
    times_ms: list[list[float]] = [[] for _ in contenders]
    order, shuffle = list(range(len(contenders))), random.Random(0).shuffle
    lock = DeviceLock.of(device)
    for number in range(ROUNDS):
        on_round(number)
        shuffle(order)
        for index in order:
            with lock.alone():
                contenders[index].prepare()
                _turn(contenders[index].run, device, WARM_UPS)
                times_ms[index] += _turn(contenders[index].run, device, PASSES)
    return [Quartiles(*statistics.quantiles(times, n=4)) for times in times_ms]


def _turn(run: Callable[[], object], device: torch.device, most: int) -> list[float]:
    """Milliseconds of each pass."""
    times_ms: list[float] = []
    began = now(device)
    while len(times_ms) < most and (len(times_ms) < FEWEST or now(device) - began < TURN_S):
        started = now(device)
        run()
        times_ms.append((now(device) - started) * 1e3)
    return times_ms
