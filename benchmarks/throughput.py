"""Trials per hour and images per second against what a user would write instead.

    python benchmarks/throughput.py [--rounds 5] [--device cuda]

Three programs train the same networks with the same batches, optimizer and augmentation:

* this project: its engine for trials per hour, with the start of Ray and of its workers and
  without; its training loop for images per second;
* a fair plain loop: `study.optimize` over a `DataLoader` whose data set transforms one PIL image
  after another, as PyTorch's and Optuna's tutorials do, with as many threads as there are cores;
* a bare loop: the shortest one over tensors that are on the device already.

Everything is interleaved, in another order each round, and medians are compared. On GPUs all of
them use bfloat16.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import optuna
import torch
import typer
from rich.console import Console
from rich.table import Table

from nas.architecture.specification import Architecture, Block, SpectrumPoint, Stem
from nas.engine import ray_settings
from nas.engine.driver import Driver
from nas.engine.environment import describe_environment
from nas.kernels.network import accelerate
from nas.network.build import build_network
from nas.space.load import build_space, read_document
from nas.space.search_space import SearchSpace
from plain_loops import PlainImages, PlainSplits, bare_training, plain_search
from trials.data import ImageData, load
from trials.measure import now
from trials.recipe import Recipe
from trials.store import sqlite_url
from trials.train import Resident, train
from trials.trial import prepare_process

OURS = "ours"

SIZES = (8, 32)
"""Sides of the searches' images, in pixels."""

SPACE = """
name: throughput
data: {{source: synthetic, limit: {images}, shape: [3, {size}, {size}], classes: 10}}
network:
  stem: {{channels: 16}}
  blocks:
    - {{channels: 16, stride: 2}}
    - {{channels: 32, stride: 2}}
    - {{channels: 64, stride: 2}}
search:
  segments: [1, 4, C/4, C]
  activation: [none, relu]
  order: [spatial_first, pointwise_first]
training: {{recipe: proxy, epochs: {epochs}, batch_size: 64, crop: 4, flip: true}}
study: {{trials: {trials}, sampler: random}}
confirm: none
"""


def read_space(text: str) -> SearchSpace:
    """A search space out of the text of its file."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        return build_space(read_document(file.name))


@dataclass(frozen=True)
class Searched:
    """What a search trained.

    Attributes:
        trials_per_hour: from the end of the first trials, one of each worker, to that of the last:
            without the start of Ray and of its workers.
    """

    architectures: list[Architecture]
    trials_per_hour: float


def our_search(text: str, data: ImageData, gpus: float) -> Searched:
    """The same as a search of this project."""
    ray_settings.prepare(local=True)
    from nas.engine import ray_nodes, ray_tune, ray_worker

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "space.yaml").write_text(text)
        document = read_document(folder / "space.yaml")
        space = build_space(document)
        url = sqlite_url(folder / "study.db")
        driver = Driver.open(url, "throughput", space, data.summary, folder / "outbox")
        job = ray_worker.Job(
            fingerprint=data.summary.fingerprint,
            measure=frozenset(),
            outbox=driver.outbox.folder,
            weights=folder / "weights",
            threads=1,
            gpus=gpus,
        )
        with ray_nodes.cluster():
            ray_tune.run(driver, job, data, ray_nodes.Resources(1, gpus))
        trained = [record.architecture for record in driver.records().complete]
        ends = sorted(
            trial.datetime_complete.timestamp()
            for trial in driver.study.get_trials(deepcopy=False)
            if trial.datetime_complete
        )
        driver.close()
    workers = max(1, round(1 / gpus)) if gpus else len(os.sched_getaffinity(0))
    if len(ends) <= workers:
        raise typer.BadParameter(f"{len(ends)} trials: more than the {workers} workers are needed")
    steady = (len(ends) - workers) / (ends[-1] - ends[workers - 1])
    return Searched(trained, steady * 3600)


@contextmanager
def stopwatch(device: torch.device) -> Iterator[list[float]]:
    """The list gets the seconds that the block took, the device's work included."""
    taken: list[float] = []
    started = now(device)
    yield taken
    taken.append(now(device) - started)


@dataclass(frozen=True)
class Comparison:
    """Rates of two programs, round by round."""

    ours: list[float]
    theirs: list[float]

    @property
    def ratio(self) -> float:
        """Median of the rounds' ratios."""
        return statistics.median(a / b for a, b in zip(self.ours, self.theirs, strict=True))


def add_row(table: Table, what: str, comparison: Comparison) -> None:
    """Medians of both rates, and their ratio."""
    table.add_row(
        what,
        f"{statistics.median(comparison.ours):,.0f}",
        f"{statistics.median(comparison.theirs):,.0f}",
        f"{comparison.ratio:.2f}",
    )


def compare_searches(table: Table, text: str, size: int, rounds: int, device: torch.device) -> None:
    """Trials per hour of this project's engine and of plain loops.

    The plain ones load in their own process, and in two more.
    """
    space = read_space(text)
    data, recipe = load(space.file.data.config), space.file.training.full_recipe
    splits = PlainSplits(
        PlainImages(data.train, data, recipe), PlainImages(data.validation, data, None)
    )
    gpus = 0.25 if device.type == "cuda" else 0.0
    # Warms up, and says which networks all will train.
    trained = our_search(text, data, gpus).architectures
    steady: list[float] = []
    contenders: dict[str, Callable[[], object]] = {
        OURS: lambda: steady.append(our_search(text, data, gpus).trials_per_hour),
        "one process": lambda: plain_search(trained, splits, recipe, device, 0),
        "2 loader processes": lambda: plain_search(trained, splits, recipe, device, 2),
    }
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(rounds):
        order = list(contenders)
        for name in order[round_ % 3 :] + order[: round_ % 3]:
            with stopwatch(device) as taken:
                contenders[name]()
            rates[name].append(len(trained) / taken[0] * 3600)
    plain = [name for name in contenders if name != OURS]
    for ours, what in ((rates[OURS], "with Ray's start"), (steady, "without Ray's start")):
        for name in plain:
            row = f"trials/hour, {size} x {size} images, {what}, against study.optimize ({name})"
            add_row(table, row, Comparison(ours, rates[name]))


def width_32(segments: int | str) -> Architecture:
    """A proxy of width 32 on 32 x 32 images."""
    point = SpectrumPoint(segments, "relu")
    blocks = tuple(Block((c, c), point, stride=2) for c in (32, 64, 128))
    return Architecture((3, 32, 32), 10, Stem((32,)), blocks)


def compare_loops(
    architecture: Architecture, data: ImageData, recipe: Recipe, rounds: int, device: torch.device
) -> Comparison:
    """Images per second of this project's training loop and of the bare one, without augmentation.

    Evaluation is left out on both sides.
    """
    resident = Resident(data, device)
    recipe = replace(recipe, crop=0, flip=False)
    images, labels = resident.train.batch(torch.arange(len(resident.train), device=device))
    images = images.contiguous(memory_format=torch.channels_last)
    steps = recipe.epochs * (len(data.train) // recipe.batch_size)
    count = steps * recipe.batch_size
    ours, bare = [], []
    for round_ in range(rounds + 1):
        for ours_now in (True, False) if round_ % 2 else (False, True):
            torch.manual_seed(round_)
            network = build_network(architecture)
            if ours_now:
                on_kernels = partial(accelerate, architecture)
                training = train(network, resident, recipe, round_, accelerate=on_kernels)
                ours.append(training.images / training.seconds)
            else:
                network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
                with stopwatch(device) as taken:
                    bare_training(network, images, labels, recipe, steps)
                bare.append(count / taken[0])
    return Comparison(ours[1:], bare[1:])  # the first round warms up


def compare_widths(
    table: Table, text: str, batch_size: int, rounds: int, device: torch.device
) -> None:
    """Images per second of both training loops, on one thread, for three widths of a segment."""
    space = read_space(text)
    data, recipe = load(space.file.data.config), space.file.training.full_recipe
    recipe = replace(recipe, batch_size=batch_size)
    threads = torch.get_num_threads()
    prepare_process(1)
    for architecture, name in (
        (width_32(1), "regular, 1 segment"),
        (width_32("C/4"), "four channels each, C/4"),
        (width_32("C"), "depthwise, C"),
    ):
        comparison = compare_loops(architecture, data, recipe, rounds, device)
        add_row(table, f"images/s, width 32, {name}, against a bare loop", comparison)
    torch.set_num_threads(threads)


def main(
    rounds: Annotated[int, typer.Option(help="Rounds, of which the median is taken.")] = 5,
    images: Annotated[int, typer.Option(help="Images to train and validate with.")] = 1500,
    epochs: Annotated[int, typer.Option(help="Epochs of each trial.")] = 3,
    trials: Annotated[int, typer.Option(help="Trials in each round.")] = 24,
    device: Annotated[str, typer.Option(help="Device: cpu or cuda.")] = "cpu",
    batch_size: Annotated[
        int, typer.Option(help="Batch size of the comparison of training loops.")
    ] = 64,
) -> None:
    """Print rates, ratios and the machine."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    console = Console(width=110)
    target = torch.device(device)
    table = Table(title=f"Median of {rounds} interleaved rounds on {device}")
    for heading in ("what", "this project", "instead", "ratio"):
        table.add_column(heading, justify="left" if heading == "what" else "right")

    texts = {
        size: SPACE.format(images=images, epochs=epochs, trials=trials, size=size) for size in SIZES
    }
    for size, text in texts.items():
        compare_searches(table, text, size, rounds, target)
    compare_widths(table, texts[32], batch_size, rounds, target)
    console.print(table)
    environment = describe_environment()
    gpus = ", ".join(environment["gpus"]) or "no GPU"
    console.print(
        f"{environment['processor']}, {environment['cores']} cores, {gpus}, "
        f"torch {environment['versions']['torch']}, {environment['date']}"
    )


if __name__ == "__main__":
    typer.run(main)
