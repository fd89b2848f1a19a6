"""A training step at every point of the spectrum: this project's kernels against PyTorch's.

    python benchmarks/spectrum_speed.py [--rounds 7] [--figure FILE]

The same network and batch on one thread, forward and backward: on the kernels that were compiled
when the project was installed; by PyTorch as this project builds its networks; and by PyTorch as
they are usually written, whose strided shortcuts are slices. In interleaved rounds, by processor
time, and medians are compared: a busy machine costs all of them alike.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from plotly.subplots import make_subplots
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F

from nas.architecture.cost import count_cost
from nas.architecture.specification import Architecture, Block, SpectrumPoint, Stem
from nas.engine.environment import describe_environment
from nas.kernels.library import best_level
from nas.kernels.network import accelerate
from nas.network.build import build_network
from nas.network.exported_layers import Subsample
from trials.trial import prepare_process

SEGMENTS: tuple[int | str, ...] = (1, 2, 4, "C/8", "C/4", "C/2", "C")
OURS, FIXED, USUAL = "our kernels", "PyTorch", "PyTorch, sliced shortcuts"


@dataclass(frozen=True)
class Size:
    """Networks of one size: images, stem, blocks and batch."""

    name: str
    image: tuple[int, int, int]
    stem: int
    channels: tuple[int, ...]
    batch: int

    def architecture(self, segments: int | str) -> Architecture:
        """Blocks of two convolutions at a point of the spectrum, each halving its input."""
        point = SpectrumPoint(segments, "relu")
        blocks = tuple(Block((c, c), point, stride=2) for c in self.channels)
        return Architecture(self.image, 10, Stem((self.stem,)), blocks)


SIZES = (
    Size("32 x 32", (3, 32, 32), 16, (32, 64, 64), 128),
    Size("16 x 16", (3, 16, 16), 32, (32, 64, 128), 128),
    Size("8 x 8", (1, 8, 8), 24, (24, 48, 48), 64),
)


class Sliced(nn.Module):
    """Every n-th row and column, whose gradient is not in ``channels_last``."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[..., :: self.stride, :: self.stride]


def as_usual(network: nn.Module) -> nn.Module:
    """The network with slices in place of this project's subsampling."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Subsample):
                setattr(module, name, Sliced(child.stride))
    return network


def contenders_of(architecture: Architecture, batch: int) -> dict[str, Callable[[], None]]:
    """A step of each, on the same images."""
    network = build_network(architecture)
    images = torch.randn(batch, *architecture.input_shape)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch,))
    channels_last = {"memory_format": torch.channels_last}
    networks = {
        OURS: accelerate(architecture, copy.deepcopy(network)),
        FIXED: copy.deepcopy(network).to(**channels_last),  # type: ignore[call-overload]
        USUAL: as_usual(network).to(**channels_last),  # type: ignore[call-overload]
    }

    def step(network: nn.Module) -> None:
        F.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
        network.zero_grad(set_to_none=True)

    return {name: partial(step, network) for name, network in networks.items() if network}


def step_seconds(architecture: Architecture, batch: int, rounds: int) -> dict[str, float]:
    """Median processor seconds of each, the first round left out."""
    contenders = contenders_of(architecture, batch)
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for round_ in range(rounds + 1):
        for name in names[round_ % 3 :] + names[: round_ % 3]:
            started = time.process_time()
            contenders[name]()
            taken[name].append(time.process_time() - started)
    return {name: statistics.median(times[1:]) for name, times in taken.items()}


def draw(found: dict[str, dict[int | str, dict[str, float]]], path: Path) -> None:
    """MACs per second along the spectrum, a panel for each size."""
    figure = make_subplots(1, len(found), subplot_titles=list(found), shared_yaxes=True)
    for column, rates in enumerate(found.values(), start=1):
        for name, color in ((OURS, "#0072B2"), (FIXED, "#D55E00"), (USUAL, "#999999")):
            figure.add_scatter(
                x=[str(segments) for segments in rates],
                y=[rate[name] / 1e9 for rate in rates.values()],
                name=name,
                line_color=color,
                showlegend=column == 1,
                row=1,
                col=column,
            )
    figure.update_xaxes(title="segments", type="category")
    figure.update_yaxes(title="GMACs/s of a step", rangemode="tozero", col=1)
    figure.update_layout(
        template="plotly_white",
        width=1000,
        height=340,
        margin_t=40,
        legend={"orientation": "h", "y": -0.25},
    )
    figure.write_image(path, scale=2)


def main(
    rounds: Annotated[int, typer.Option(help="Rounds, of which the median is taken.")] = 7,
    figure: Annotated[Path | None, typer.Option(help="A picture of the rates.")] = None,
) -> None:
    """Print milliseconds of a step and ratios, for each size and point."""
    if best_level() is None:
        raise typer.BadParameter("no kernels were compiled when the project was installed")
    prepare_process(1)
    console = Console(width=110)
    found: dict[str, dict[int | str, dict[str, float]]] = {}
    for size in SIZES:
        table = Table(title=f"{size.name} images, batches of {size.batch}: milliseconds of a step")
        for heading in ("segments", OURS, FIXED, USUAL, "ratios", "GMACs/s of ours"):
            table.add_column(heading, justify="right")
        rates = found[size.name] = {}
        for segments in SEGMENTS:
            architecture = size.architecture(segments)
            seconds = step_seconds(architecture, size.batch, rounds)
            # A step is three times a forward pass: two gradients, each of as many MACs.
            macs = 3 * count_cost(architecture).macs * size.batch
            rates[segments] = {name: macs / taken for name, taken in seconds.items()}
            ratios = [seconds[name] / seconds[OURS] for name in (FIXED, USUAL)]
            table.add_row(
                str(segments),
                *(f"{seconds[name] * 1e3:.1f}" for name in (OURS, FIXED, USUAL)),
                " ".join(f"{ratio:.2f}" for ratio in ratios),
                f"{rates[segments][OURS] / 1e9:.0f}",
            )
        console.print(table)
    if figure:
        draw(found, figure)
    environment = describe_environment()
    console.print(
        f"{environment['processor']}, torch {environment['versions']['torch']}, "
        f"{environment['date']}"
    )


if __name__ == "__main__":
    typer.run(main)
