"""Latency of a network: warmed up, synchronised, median and spread."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import torch
from torch import nn

WARM_UPS = 5
PASSES = 30


@dataclass(frozen=True)
class Latency:
    """Of one forward pass, in milliseconds.

    Attributes:
        median_ms: over all passes.
        spread_ms: between the first and the third quartile.
    """

    median_ms: float
    spread_ms: float


def now(device: torch.device) -> float:
    """Seconds on a clock that has waited for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@torch.inference_mode()
def measure_latency(
    network: nn.Module, input_shape: tuple[int, int, int], device: torch.device, batch: int = 1
) -> Latency:
    """Time forward passes over random images (batch, C, H, W) in evaluation mode."""
    network = network.eval().to(device)
    images = torch.randn(batch, *input_shape, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    for _ in range(WARM_UPS):
        network(images)
    times_ms = []
    for _ in range(PASSES):
        started = now(device)
        network(images)
        times_ms.append((now(device) - started) * 1e3)
    first, median, third = statistics.quantiles(times_ms, n=4)
    return Latency(median, third - first)
