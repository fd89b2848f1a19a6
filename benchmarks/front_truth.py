"""How much of a reported front is true: all networks of a search, trained again with fresh seeds.

    python benchmarks/front_truth.py --study runs/spectrum
    python benchmarks/front_truth.py

The first trains them and writes the table, or what is missing of it; the second reads the table.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import astuple, dataclass, fields
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import torch
import typer

from child_processes import end_with_parent
from nas.api.benchmark import STUDIES
from nas.api.study import load_study
from nas.architecture.cost import count_cost
from nas.architecture.specification import Architecture
from nas.cli import cli_errors
from nas.network.subject import subject_of
from nas.study.design import design_seeds
from nas.study.records import Records
from trials.data import DataConfig, load, load_test
from trials.recipe import Recipe
from trials.train import Resident
from trials.trial import prepare_process, run_trial

FOLDER = STUDIES / "2026-11-27-digits-front"
SEEDS = 20


@dataclass(frozen=True)
class Network:
    """A network of the search.

    Attributes:
        searched: its accuracy there, with one seed.
    """

    trial: int
    macs: int
    params: int
    searched: float
    architecture: str


@dataclass(frozen=True)
class Training:
    """One training of a network with a fresh seed."""

    trial: int
    seed: int
    accuracy: float
    validation_loss: float
    test_accuracy: float


@functools.cache  # once in each process
def images_of(config: DataConfig) -> tuple[str, Resident]:
    """Fingerprint and images of a data set, the test images with them."""
    data = load(config)
    return data.summary.fingerprint, Resident(data, torch.device("cpu"), load_test(config, data))


def start_process() -> None:
    """Set up a process of the pool."""
    prepare_process(1)
    end_with_parent()


def train(network: Network, seed: int, recipe: Recipe, config: DataConfig) -> Training:
    """Train a network as a trial of the search was trained."""
    fingerprint, images = images_of(config)
    architecture = Architecture.from_json(network.architecture)
    subject = subject_of(architecture, count_cost(architecture))
    (found,) = run_trial(subject, images, fingerprint, recipe, (seed,))
    assert found.accuracy is not None, found.reason
    assert found.validation_loss is not None
    assert found.test_accuracy is not None
    return Training(network.trial, seed, found.accuracy, found.validation_loss, found.test_accuracy)


def networks_of(records: Records) -> list[Network]:
    """The networks of a search, in the order of its trials."""
    return [
        Network(t.number, t.macs, t.params, t.score, t.architecture.to_json())
        for t in records.complete
    ]


def train_all(records: Records, folder: Path) -> None:
    """Train what is missing of the table, seed after seed, and keep each result at once."""
    networks, file = networks_of(records), records.file
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / "networks.csv", networks)
    table = folder / "trainings.csv"
    made = list(read_trainings(folder)) if table.is_file() else []
    known = {(training.trial, training.seed) for training in made}
    seeds = design_seeds(file.name, file.study.seed, "truth", SEEDS)
    missing = [(n, s) for s in seeds for n in networks if (n.trial, s) not in known]
    context = get_context("spawn")
    with (
        ProcessPoolExecutor(2, context, start_process) as pool,
        table.open("a", newline="") as out,
    ):
        writer = csv.writer(out, lineterminator="\n")
        if not made:
            writer.writerow([field.name for field in fields(Training)])
        recipe, config = file.training.full_recipe, file.data.config
        futures = [pool.submit(train, n, s, recipe, config) for n, s in missing]
        for done in as_completed(futures):
            writer.writerow(astuple(done.result()))
            out.flush()


def write_rows(path: Path, networks: list[Network]) -> None:
    """Write networks as CSV."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Network)])
        writer.writerows(map(astuple, networks))


def read_trainings(folder: Path) -> Iterator[Training]:
    """The trainings of the table."""
    with (folder / "trainings.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            yield Training(
                int(row["trial"]),
                int(row["seed"]),
                float(row["accuracy"]),
                float(row["validation_loss"]),
                float(row["test_accuracy"]),
            )


app = typer.Typer()


@app.command()
def main(
    study: Annotated[Path | None, typer.Option(help="Folder of the search, to train.")] = None,
    folder: Annotated[Path, typer.Option(help="Folder of the table.")] = FOLDER,
) -> None:
    """Train the networks of a search with fresh seeds, and say how true its front is."""
    with cli_errors():
        if study is not None:
            train_all(load_study(study).records, folder)


if __name__ == "__main__":
    app()
