"""Tables of trainings that were never made."""

from __future__ import annotations

from collections.abc import Callable

from nas.api.benchmark import Benchmark, Extent, TabularNetwork, TabularTraining
from nas.space import SearchSpace

SECTIONS = {
    "name": "tabular",
    "data": {"source": "synthetic", "limit": 80, "shape": [3, 8, 8], "classes": 4},
    "network": {"stem": {"channels": 8}, "blocks": [{"channels": 12}]},
    "search": {"segments": [1, "C"], "activation": ["none", "relu"]},
    "training": {"epochs": 4, "batch_size": 16},
}

Accuracy = Callable[[TabularNetwork, int, int], float]
"""Of a network after these epochs with this seed."""


def table_of(
    space: SearchSpace, accuracy: Accuracy, schedules: tuple[int, ...] = (1, 2, 4), seeds: int = 2
) -> Benchmark:
    """Each epoch takes a second for each hundred thousand MACs; tests find one point less."""
    empty = Benchmark(space, Extent(schedules, seeds), {})
    trainings = {}
    for network in empty.networks:
        for epochs in schedules:
            for seed in range(seeds):
                reached = accuracy(network, epochs, seed)
                trainings[network.key, epochs, seed] = TabularTraining(
                    network.key,
                    epochs,
                    seed,
                    reached,
                    reached - 0.01 if epochs == schedules[-1] else None,
                    tuple(2.0 / (1 + e) for e in range(epochs)),
                    tuple(2.5 / (1 + e) for e in range(epochs)),
                    tuple(reached * (e + 1) / epochs for e in range(epochs)),
                    epochs * network.macs / 1e5,
                )
    return Benchmark(space, empty.extent, trainings)
