"""What a table of trainings looks like, as the Markdown of its README."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from nas.api.benchmark import Benchmark, TabularNetwork
from nas.statistics.rank_agreement import measure_fidelity


def figures_of(benchmark: Benchmark) -> Iterator[str]:
    """Lines of Markdown; of a table that is not complete only what it has."""
    trainings = list(benchmark.trainings.values())
    failed = sum(bool(training.reason) for training in trainings)
    hours = sum(training.seconds for training in trainings) / 3600
    yield (
        f"{len(trainings):,} trainings of {len(benchmark.networks)} networks "
        f"({benchmark.missing:,} missing, {failed} failed); {hours:.2f} core-hours of training"
    )
    for environment in benchmark.extent.about.get("environments", ()):
        where = [str(environment.get(name)) for name in ("processor", "commit")]
        versions = f"torch {environment.get('torch')}, kernels: {environment['kernels']}"
        made = f"{environment['trainings']:,} trainings, {environment['from']}"
        yield ", ".join([*where, versions, f"{made} to {environment['to']}"])
    if benchmark.missing:
        return
    yield from ("", *_schedules(benchmark))
    yield from ("", *_front(benchmark))
    yield from ("", *_points(benchmark))


def accuracies(benchmark: Benchmark, epochs: int) -> NDArray[np.float64]:
    """Validation accuracy (networks, seeds) after a schedule; zero where a training failed."""
    return np.array(
        [
            [
                benchmark.look_up(network.architecture, epochs, seed).accuracy or 0.0
                for seed in range(benchmark.extent.seeds)
            ]
            for network in benchmark.networks
        ]
    )


def _schedules(benchmark: Benchmark) -> Iterator[str]:
    """How far networks differ, how far seeds do, and how well a schedule ranks them."""
    full = accuracies(benchmark, benchmark.full)
    tables = {epochs: accuracies(benchmark, epochs) for epochs in benchmark.extent.schedules}
    shorter = {str(e): table[:, 0] for e, table in tables.items() if e != benchmark.full}
    agreement = measure_fidelity(full, shorter)
    taus = {a.signal: f"{a.tau:.2f} ({a.lower:.2f} to {a.upper:.2f})" for a in agreement.signals}
    ceiling = agreement.ceiling
    taus[str(benchmark.full)] = f"{ceiling.tau:.2f} ({ceiling.lower:.2f} to {ceiling.upper:.2f})"
    yield from _head(
        "epochs", "mean accuracy, lowest", "median", "highest", "SD of networks", "SD of seeds",
        f"tau with {benchmark.full} epochs",
    )  # fmt: skip
    for epochs, table in tables.items():
        means, noise = table.mean(axis=1), table.var(axis=1, ddof=1).mean()
        spread = max(means.var(ddof=1) - noise / benchmark.extent.seeds, 0.0)  # of true means
        low, median, high = np.quantile(means, [0, 0.5, 1])
        cells = [f"{low:.1%}", f"{median:.1%}", f"{high:.1%}"]
        cells += [f"{spread**0.5:.2%}", f"{noise**0.5:.2%}", taus[str(epochs)]]
        yield _row([str(epochs), *cells])


def _front(benchmark: Benchmark) -> Iterator[str]:
    """The best networks, and what they are on images that did not choose them."""
    yield from _head("block 0", "block 1", "MACs", "parameters", "validation", "test")
    for network in benchmark.best_front:
        judged = benchmark.mean_accuracy(network.key, benchmark.full, test=True)
        chosen = benchmark.mean_accuracy(network.key, benchmark.full)
        costs = [f"{network.macs:,}", f"{network.cost.params:,}"]
        blocks = [_point(network, index) for index in range(2)]
        yield _row([*blocks, *costs, f"{chosen:.1%}", f"{judged:.1%}"])


def _points(benchmark: Benchmark) -> Iterator[str]:
    """Mean accuracy and MACs of all networks with a point in a block, whatever the other one is."""
    yield from _head("point", "in block 0", "its MACs", "in block 1", "its MACs")
    means = {n.key: benchmark.mean_accuracy(n.key, benchmark.full) for n in benchmark.networks}
    for point in dict.fromkeys(_point(network, 0) for network in benchmark.networks):
        cells = [point]
        for index in range(2):
            of_point = [n for n in benchmark.networks if _point(n, index) == point]
            cells.append(f"{np.mean([means[n.key] for n in of_point]):.1%}")
            cells.append(f"{np.mean([n.macs for n in of_point]):,.0f}")
        yield _row(cells)


def _point(network: TabularNetwork, block: int) -> str:
    axes = ("segments", "activation", "order")
    return ", ".join(str(network.choices[f"block{block}.{axis}"]) for axis in axes)


def _head(*headings: str) -> Sequence[str]:
    return _row(headings), "|" + "---|" * len(headings)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
