"""A mixture over segments in evaluation: does choosing a quarter of them save time?

    python benchmarks/mixture.py [--rounds 8]

One unit from channels to as many, 3 x 3, without activation, on one thread: spatial first; as a
mixture that computes the chosen segments alone, as networks in evaluation do; and as one that
computes all and masks them, as in training and in formats that are one graph. In interleaved
rounds, by processor time, and medians are shown.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, NamedTuple

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from nas.architecture.cost import cost_of
from nas.architecture.operators import Unit, spectrum_convolution
from nas.architecture.point import Segments, SpectrumPoint
from nas.engine.environment import describe_environment
from nas.network.build import build, initialize
from trials.trial import prepare_process


class Case(NamedTuple):
    """A unit, and how many images it is given at once."""

    channels: int
    size: int
    segments: Segments
    images: int


CASES = (
    *(Case(64, 8, 4, images) for images in (1, 64)),
    *(Case(64, 32, segments, images) for segments in (4, "C") for images in (1, 64)),
    *(Case(256, 32, segments, 1) for segments in (4, 2)),
)


def unit(case: Case, order: str) -> tuple[nn.Module, int]:
    """A unit in evaluation, and its MACs."""
    point = SpectrumPoint(case.segments, order=order)  # type: ignore[arg-type]  # one of two below
    shape = (case.channels, case.size, case.size)
    layer = spectrum_convolution(Unit(point, case.channels, case.channels), shape)
    module = build(layer)
    with torch.no_grad():
        initialize(module)
    laid_out = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return laid_out.eval(), cost_of(layer).macs


def milliseconds(module: nn.Module, images: Tensor, repeats: int) -> float:
    """Processor time for an image."""
    started = time.process_time()
    for _ in range(repeats):
        module(images)
    return (time.process_time() - started) / repeats / len(images) * 1e3


def measure(case: Case, rounds: int) -> tuple[str, ...]:
    """A row of the table."""
    first, first_macs = unit(case, "spatial_first")
    chosen, chosen_macs = unit(case, "mixture")
    masked, _ = unit(case, "mixture")
    masked.get_submodule("spatial").train()
    images = torch.randn(case.images, case.channels, case.size, case.size)
    images = images.contiguous(memory_format=torch.channels_last)
    repeats = max(2, 25_000 // (case.images * case.channels))
    ways: list[Callable[[], float]] = [
        partial(milliseconds, module, images, repeats) for module in (first, chosen, masked)
    ]
    with torch.inference_mode():
        taken = [[way() for way in ways] for _ in range(rounds + 1)][1:]  # the first warms up
    medians = (statistics.median(times) for times in zip(*taken, strict=True))
    what = f"{case.channels}, {case.size} x {case.size}, {case.segments}"
    macs = (f"{first_macs / 1e6:.3g}M", f"{chosen_macs / 1e6:.3g}M")
    return (what, str(case.images), *macs, *(f"{median:.3g}" for median in medians))


def main(
    rounds: Annotated[int, typer.Option(help="Rounds, of which the median is taken.")] = 8,
) -> None:
    """Print milliseconds of processor time for an image, and the machine."""
    prepare_process(1)
    table = Table(title=f"Milliseconds for an image, median of {rounds} rounds")
    for heading in (
        "channels, map, segments",
        "images at once",
        *("MACs, spatial_first", "MACs, mixture"),
        *("ms, spatial_first", "ms, mixture", "ms, all experts masked"),
    ):
        table.add_column(heading)
    for case in CASES:
        table.add_row(*measure(case, rounds))
    console, environment = Console(width=120), describe_environment()
    console.print(table)
    versions = environment["versions"]
    console.print(f"{environment['processor']}, torch {versions['torch']}, {environment['date']}")


if __name__ == "__main__":
    typer.run(main)
