"""Latency of a network: alone on its device, warmed up, synchronised, median and spread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from trials.device_lock import DeviceLock
from trials.layout import layout_of
from trials.measurement import STEADY

WARM_UPS = 5
PASSES = 30
"""Forward passes in a round."""

MOST_ROUNDS = 10
"""Until a round is steady: on a busy machine none may be."""


@dataclass(frozen=True)
class Latency:
    """Of one forward pass, in milliseconds.

    Attributes:
        median_ms: over all passes.
        spread_ms: between the first and the third quartile.
    """

    median_ms: float
    spread_ms: float

    @property
    def spread(self) -> float:
        """As a share of the median."""
        return self.spread_ms / self.median_ms


def now(device: torch.device) -> float:
    """Seconds on a clock that has waited for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@torch.inference_mode()
def measure_latency(
    network: nn.Module, input_shape: tuple[int, ...], device: torch.device, batch: int = 1
) -> Latency:
    """Time forward passes over random images or clips (batch, *input_shape) in evaluation mode."""
    network = network.eval()
    # As it is trained: the layout of the weights changes a small network's latency by some percent.
    layout = layout_of(network)
    network.to(device=device, memory_format=layout)  # type: ignore[call-overload]
    # A generator of its own: what is drawn here shall change no training that follows.
    images = torch.randn(batch, *input_shape, generator=torch.Generator().manual_seed(0))
    images = images.to(device).contiguous(memory_format=layout)
    return time_passes(lambda: network(images), device)


def time_passes(run: Callable[[], object], device: torch.device) -> Latency:
    """Time something after a warm-up, while no training of this user computes on the device.

    In rounds, until one is steady or `MOST_ROUNDS` are over: then the one with the least spread.
    """
    best: Latency | None = None
    with DeviceLock.of(device).alone():
        for _ in range(WARM_UPS):
            run()
        for _ in range(MOST_ROUNDS):
            found = _round(run, device)
            if best is None or found.spread < best.spread:
                best = found
            if best.spread <= STEADY:
                break
    assert best is not None  # there is a round
    return best


def _round(run: Callable[[], object], device: torch.device) -> Latency:
    times_ms = []
    for _ in range(PASSES):
        started = now(device)
        run()
        times_ms.append((now(device) - started) * 1e3)
    first, median, third = statistics.quantiles(times_ms, n=4)
    return Latency(median, third - first)
