"""What bfloat16 on the CPU costs in accuracy, and what it saves in time.

    python benchmarks/precision.py [--source parquet:DIR] [--seeds 8]

Networks at three points of the spectrum are trained in float32, on the project's kernels where they
were compiled, and in bfloat16, on PyTorch's, with the same seeds. For each point, and for their
mean, the difference of the accuracies has the interval of the exact paired test
(`nas.statistics.paired`). Both trainings of a seed run one after the other in one process with one
thread, in turn the one or the other first; their times are of the processor, evaluation included.
"""

from __future__ import annotations

import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from multiprocessing import get_context
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from nas.architecture.specification import Architecture, Block, SpectrumPoint, Stem
from nas.cli import cli_errors
from nas.engine.environment import describe_environment
from nas.kernels.network import accelerate
from nas.network.build import build_network
from nas.statistics.paired import Comparison
from trials.data import DataConfig, ImageData, load
from trials.precision import check_precision
from trials.recipe import Precision, Recipe, recipe
from trials.train import Resident, seed_weights, train
from trials.trial import prepare_process

POINTS: tuple[int | str, ...] = (1, "C/4", "C")
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Pair:
    """Both trainings of one seed.

    Attributes:
        accuracy: by precision, on the validation images.
        step_s: by precision, seconds of the processor for a step, its share of evaluations
            included.
    """

    accuracy: dict[Precision, float]
    step_s: dict[Precision, float]


def architecture(data: ImageData, segments: int | str) -> Architecture:
    """A network of ``search_spaces/cifar10.yaml``."""
    point = SpectrumPoint(segments, "relu")
    blocks = tuple(Block((c, c), point, stride=2) for c in (32, 64, 128))
    return Architecture(data.input_shape, len(data.classes), Stem((16,)), blocks)


def train_pair(data: ImageData, segments: int | str, usual: Recipe, seed: int) -> Pair:
    """Train one network in both precisions."""
    resident = Resident(data, torch.device("cpu"))
    accuracy, step_s = dict[Precision, float](), dict[Precision, float]()
    precisions: list[Precision] = ["float32", "bfloat16"]
    for precision in precisions[:: -1 if seed % 2 else 1]:
        chosen = replace(usual, precision=precision)
        seed_weights(chosen, seed)
        built = architecture(data, segments)
        network = build_network(built)
        began = time.process_time()
        training = train(network, resident, chosen, seed, accelerate=partial(accelerate, built))
        steps = training.images // chosen.batch_size
        step_s[precision] = (time.process_time() - began) / steps
        accuracy[precision] = training.curve[-1].score
    return Pair(accuracy, step_s)


def add_row(table: Table, name: str, first: np.ndarray, second: np.ndarray, ratio: float) -> None:
    """Accuracies (seeds,) in float32 and in bfloat16, and how much faster the second was."""
    points = Comparison.of(100 * second, 100 * first).interval((1 - CONFIDENCE) / 2)
    table.add_row(
        name,
        f"{first.mean():.2%}",
        f"{second.mean():.2%}",
        f"{points.mean:+.2f} [{points.lower:+.2f}, {points.upper:+.2f}]",
        f"{ratio:.2f}",
    )


def tabulate(pairs: dict[int | str, list[Pair]]) -> Table:
    """One row for each point, and one for the mean over the points of each seed."""
    table = Table(title=f"bfloat16 against float32, {len(pairs[POINTS[0]])} seeds")
    columns = ("segments", "float32", "bfloat16", f"difference, points, {CONFIDENCE:.0%}", "speed")
    for heading in columns:
        table.add_column(heading, justify="left" if heading == "segments" else "right")
    accuracy = {
        precision: np.array([[p.accuracy[precision] for p in pairs[point]] for point in POINTS])
        for precision in ("float32", "bfloat16")
    }  # (points, seeds) each
    ratios = [[p.step_s["float32"] / p.step_s["bfloat16"] for p in pairs[s]] for s in POINTS]
    for row, point in enumerate(POINTS):
        both = accuracy["float32"][row], accuracy["bfloat16"][row]
        add_row(table, str(point), *both, statistics.median(ratios[row]))
    means = accuracy["float32"].mean(axis=0), accuracy["bfloat16"].mean(axis=0)
    add_row(table, "mean", *means, statistics.geometric_mean(map(statistics.median, ratios)))
    return table


def main(
    source: Annotated[str, typer.Option(help="Images to train with.")] = "hub:uoft-cs/cifar10",
    images: Annotated[int, typer.Option(help="Images; half of them judge.")] = 6000,
    epochs: Annotated[int, typer.Option(help="Epochs of each training.")] = 4,
    batch_size: Annotated[int, typer.Option(help="Images of a step.")] = 128,
    seeds: Annotated[int, typer.Option(help="Trainings in each precision and point.")] = 8,
    processes: Annotated[int | None, typer.Option(help="Default: one for each core.")] = None,
) -> None:
    """Print accuracies, their differences, speed ratios and the machine."""
    with cli_errors():
        check_precision("bfloat16", torch.device("cpu"))
        data = load(DataConfig(source, validation=0.5, limit=images))
    usual = recipe("proxy", epochs=epochs, batch_size=batch_size, crop=4, flip=True)
    pairs: dict[int | str, list[Pair]] = {point: [] for point in POINTS}
    workers = processes or len(os.sched_getaffinity(0))
    console = Console(width=110)
    with ProcessPoolExecutor(workers, get_context("spawn"), prepare_process, (1,)) as pool:
        jobs = [
            (point, pool.submit(train_pair, data, point, usual, seed))
            for seed, point in product(range(seeds), POINTS)
        ]
        for done, (point, job) in enumerate(jobs, 1):
            pairs[point].append(job.result())
            console.print(f"{done} of {len(jobs)} pairs")
    console.print(tabulate(pairs))
    environment = describe_environment()
    console.print(
        f"{environment['processor']}, torch {environment['versions']['torch']}, "
        f"{environment['date']}; {len(data.train):,} images to train with, "
        f"{len(data.validation):,} to judge, {epochs} epochs"
    )


if __name__ == "__main__":
    typer.run(main)
