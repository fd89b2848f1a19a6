"""What a shared network is worth on `studies/spectrum-bench`, all of whose networks are trained.

    python benchmarks/shared_network.py --data DIR

With CIFAR-10's parquet files in DIR. The shared network of the table's space is trained as a search
with `warm: shared` does it. Ranked by their accuracy as slices of it, and by short trainings that
begin with these, the 256 networks are compared with the longest schedule's trainings, each of which
began with weights of its own. The table has the same short trainings from scratch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Annotated

import torch
import typer
from rich.console import Console
from torch import Tensor

from nas.api.benchmark import STUDIES, Benchmark, TabularNetwork, load_benchmark
from nas.cli import cli_errors
from nas.engine.shared_training import EPOCHS, shared_recipe, train_shared
from nas.engine.terminal import counted, plain_table, print_table, say
from nas.engine.trial_spec import trial_seed
from nas.network.shared_network import SharedNetwork
from nas.network.subject import subject_of
from nas.space.load import load_space
from nas.statistics.rank_agreement import Agreement, measure_fidelity
from nas.study.shared_weights import slice_score
from trials.data import ImageData, load
from trials.recipe import Recipe
from trials.train import Resident
from trials.trial import run_trial

FOLDER = STUDIES / "spectrum-bench"
BASELINE = "MACs"


def main(
    data: Annotated[Path, typer.Option(help="Folder with CIFAR-10's parquet files.")],
    multiple: Annotated[
        int, typer.Option(help="Epochs of the shared network, as a multiple of a trial's.")
    ] = EPOCHS,
    every: Annotated[int, typer.Option(help="Of so many networks one is compared.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the shared network.")] = 0,
) -> None:
    """Print the rank agreement with the longest schedule, and what warm starts gain."""
    with cli_errors():
        overrides = [f"data.source=parquet:{data}", f"study.seed={seed}"]
        space = load_space(FOLDER / "space.yaml", overrides)
        table, console = load_benchmark("spectrum-bench"), Console()
        networks = table.networks[::every]
        images, recipe = load(space.file.data_config), space.file.training.full_recipe
        longer = replace(shared_recipe(space), epochs=multiple * recipe.epochs)
        training = train_shared(space, images, longer)
        assert isinstance(training.network, SharedNetwork)
        say(console, f"{longer.epochs} epochs of the shared network: {training.seconds:.0f} s")
        shared = {name: weight.detach() for name, weight in training.network.dense.items()}
        shown = counted(networks, len(networks), "networks", console)
        recipe = replace(recipe, epochs=table.extent.schedules[0])
        warm = [_warm(network, shared, images, recipe) for network in shown]
        slices, short = zip(*warm, strict=True)
        named = {"slices, not trained": slices, f"{recipe.epochs} epochs, warm": short}
        _print(table, networks, named, console)


def _warm(
    network: TabularNetwork, shared: Mapping[str, Tensor], images: ImageData, recipe: Recipe
) -> tuple[float, float]:
    """The accuracy of a network as a slice, and after a short training from there."""
    resident = Resident(images, torch.device("cpu"))
    score = slice_score(shared, network.architecture, resident, recipe)
    subject = subject_of(network.architecture, network.cost, shared)
    seed = trial_seed(0, network.key, 0)  # as in the table
    (measurement,) = run_trial(subject, resident, "", recipe, [seed])
    return score, measurement.accuracy or 0.0


def _print(
    table: Benchmark,
    networks: Sequence[TabularNetwork],
    warm: Mapping[str, Sequence[float]],
    console: Console,
) -> None:
    """Agreements, and mean accuracies."""

    def cold(epochs: int, seed: int) -> list[float]:
        found = (table.look_up(n.choices, epochs=epochs, seed=seed) for n in networks)
        return [training.accuracy or 0.0 for training in found]

    long = [cold(table.full, seed) for seed in range(table.extent.seeds)]
    signals = {**warm, **{f"{e} epochs, cold": cold(e, 0) for e in table.extent.schedules[:-1]}}
    means = {name: fmean(values) for name, values in signals.items()}
    signals[BASELINE] = [network.macs for network in networks]
    found = measure_fidelity(list(zip(*long, strict=True)), signals, BASELINE)
    means[found.ceiling.signal] = fmean(map(fmean, long))
    shown = plain_table(("signal",), ("tau", "interval", "top third", "mean accuracy"))
    for agreement in (found.ceiling, *found.signals):
        shown.add_row(*_cells(agreement, means.get(agreement.signal)))
    print_table(shown, console)


def _cells(agreement: Agreement, mean: float | None) -> Iterator[str]:
    yield agreement.signal
    yield f"{agreement.tau:.2f}"
    yield f"{agreement.lower:.2f} to {agreement.upper:.2f}"
    yield f"{agreement.top.value:.2f}" if agreement.top else ""
    yield "" if mean is None else f"{mean:.3f}"


if __name__ == "__main__":
    typer.run(main)
