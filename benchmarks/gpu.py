"""Images per second of one process on a GPU: steps started or replayed, seeds alone or at once.

    python benchmarks/gpu.py [--batch-size 512] [--rounds 5]

Networks of 32 to 128 channels on 32 x 32 images, those of `precision.py`, at three points of the
spectrum. Evaluation is left out; recording a graph is not. Everything is interleaved, and medians
are shown. `--device cpu` shows that it runs.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import nn

from nas.engine.environment import describe_environment
from nas.network.build import build_network
from nas.network.side_by_side import side_by_side
from precision import POINTS, architecture
from trials.data import DataConfig, ImageData, load
from trials.recipe import Recipe, recipe
from trials.side_by_side import train_side_by_side
from trials.train import Resident, Training, train

AT_ONCE = (2, 8)


@dataclass(frozen=True)
class Images:
    """What all trainings train with, and where."""

    data: ImageData
    resident: Resident

    def network(self, segments: int | str) -> nn.Module:
        """One to train, at a point of the spectrum."""
        return build_network(architecture(self.data, segments))


def alone(segments: int | str, images: Images, usual: Recipe) -> float:
    """Images per second of one training."""
    training = train(images.network(segments), images.resident, usual, 0)
    return training.images / training.seconds


def at_once(count: int, segments: int | str, images: Images, usual: Recipe) -> float:
    """Images per second of several together."""
    networks = [images.network(segments) for _ in range(count)]
    found = train_side_by_side(networks, side_by_side, images.resident, usual, range(count))
    trained = [training for training in found if isinstance(training, Training)]
    return sum(t.images for t in trained) / sum(t.seconds for t in trained)


def main(
    batch_size: Annotated[int, typer.Option(help="Images of a step, for each seed.")] = 512,
    images: Annotated[int, typer.Option(help="Images to train with.")] = 25_600,
    epochs: Annotated[int, typer.Option(help="Epochs of each training.")] = 5,
    rounds: Annotated[int, typer.Option(help="Rounds, of which the median is taken.")] = 5,
    device: Annotated[str, typer.Option(help="Device: cuda or cpu.")] = "cuda",
) -> None:
    """Print rates and the machine."""
    config = DataConfig("synthetic", limit=images + 100, validation=100 / (images + 100))
    data = load(replace(config, shape=(3, 32, 32), classes=10))
    made = Images(data, Resident(data, torch.device(device)))
    usual = recipe("proxy", epochs=epochs, batch_size=batch_size, crop=4, flip=True)
    ways: dict[str, Callable[[int | str], float]] = {
        "steps started": partial(alone, images=made, usual=replace(usual, graph="off")),
        "steps replayed": partial(alone, images=made, usual=usual),
    }
    for count in AT_ONCE:
        ways[f"{count} seeds at once"] = partial(at_once, count, images=made, usual=usual)
    rates: dict[tuple[str, int | str], list[float]] = {}
    for _ in track(range(rounds + 1), "rounds"):  # the first warms up
        for segments in POINTS:
            for name, way in ways.items():
                rates.setdefault((name, segments), []).append(way(segments))
    table = Table(title=f"Images/s on {device}, batches of {batch_size}, median of {rounds} rounds")
    for heading in ("", *(f"{segments} segments" for segments in POINTS)):
        table.add_column(heading, justify="right" if heading else "left")
    for name in ways:
        medians = [statistics.median(rates[name, segments][1:]) for segments in POINTS]
        table.add_row(name, *(f"{median:,.0f}" for median in medians))
    console, environment = Console(width=110), describe_environment()
    console.print(table)
    where = ", ".join(environment["gpus"]) or environment["processor"]
    console.print(f"{where}, torch {environment['versions']['torch']}, {environment['date']}")


if __name__ == "__main__":
    typer.run(main)
