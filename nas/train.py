"""Train one network for long: ``python -m nas.train --preset mobilenet --data images:DIR``.

The same command again goes on where it was ended, whatever ended it.
"""

from __future__ import annotations

import sys

from nas.engine.signals import end_before_begun

if __name__ == "__main__" or sys.argv[0].endswith("nas-train"):
    end_before_begun()  # first: what follows loads for more than a second

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from nas.api.find_rate import find_rate
from nas.api.train_network import Described, describe_training, describe_trial, train_and_export
from nas.architecture.presets import PRESETS, PresetError
from nas.architecture.presets.options import split
from nas.architecture.reference import Reference
from nas.architecture.references import check_trainable
from nas.architecture.specification import Architecture
from nas.cli import (
    BestOption,
    NoCacheOption,
    OptionalStudyOption,
    StorageOption,
    TrialOption,
    cli_errors,
    command,
    fail,
    published_network,
    read_architecture,
    resumable,
    resume_command,
)
from nas.engine import terminal
from nas.engine.device_training import check_devices
from nas.engine.long_training import LongTraining, job_of_trial
from nas.engine.ray_failures import RayFailed
from nas.reporting.model_card import Trained
from nas.space.errors import InputError
from nas.space.long_training import LongTrainingFile, fitted, fitting, long_training
from nas.space.objectives import OBJECTIVES, score_of_data
from nas.space.shown_text import shown_line
from nas.study.location import locate_study
from nas.study.records import Records, read_records
from nas.study.selection import choose
from nas.study.trained_network import recipe_of
from nas.study.trial_record import TrialRecord
from trials.data import load
from trials.rate_range import RateRange
from trials.recipe import RECIPES, Recipe

ARCHITECTURE = "File with an architecture (.json)."
PRESET = f"A published network: {', '.join(PRESETS)}, with options as in mobilenet:alpha=.5."
REFERENCE = "A published network that is no point of the spectrum, such as inception_v3."
DATA = "Images, as data.source of a search space; default: the study's."
RECIPE = f"Recipe: {', '.join(RECIPES)}; default: final, or the study's."
OUTPUT = "Folder of the checkpoints, the curve and the exported network."
THREADS = "Threads on a CPU; with 1 networks are computed by the kernels. Default: all cores."
DEVICES = "GPUs, or cores where there is none, that each batch is split over, through Ray."
MINUTES = "Minutes between two checkpoints; there is one after each epoch in any case."
RATE = "Try learning rates, from very low to very high, say which one fits, and train nothing."
SETTINGS = "A value of training or data, such as training.batch_size=64; may be repeated."

app = command()


@dataclass(frozen=True)
class _Network:
    """What is to be trained.

    Attributes:
        any_classes: it is given as many outputs as the images have classes.
        trial: of a study, with its records.
    """

    name: str
    architecture: Architecture | Reference
    any_classes: bool = False
    trial: tuple[Records, TrialRecord] | None = None


@app.command()
def train(
    output: Annotated[Path, typer.Option(help=OUTPUT)],
    study: OptionalStudyOption = None,
    trial: TrialOption = None,
    best: BestOption = "knee",
    architecture: Annotated[Path | None, typer.Option(help=ARCHITECTURE)] = None,
    preset: Annotated[str | None, typer.Option(help=PRESET)] = None,
    reference: Annotated[str | None, typer.Option(help=REFERENCE)] = None,
    data: Annotated[str | None, typer.Option(help=DATA)] = None,
    recipe: Annotated[str | None, typer.Option(help=RECIPE)] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs; default: the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**31 - 1, help="Seed of it all.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, max=1024, help=THREADS)] = None,
    devices: Annotated[int, typer.Option(min=1, max=1024, help=DEVICES)] = 1,
    checkpoint_minutes: Annotated[float, typer.Option(min=0.0, help=MINUTES)] = 10.0,
    overrides: Annotated[list[str] | None, typer.Option("--set", help=SETTINGS)] = None,
    only_rate: Annotated[bool, typer.Option("--find-rate", help=RATE)] = False,
    no_cache: NoCacheOption = False,
    storage: StorageOption = None,
) -> None:
    """Train a network for long and export it; the same command again goes on."""
    with cli_errors(), resumable("nas.train"):
        settings = _settings(data, recipe, epochs, overrides or (), no_cache)
        published = {"--preset": preset, "--reference": reference}
        network = _network(study, storage, trial, best, architecture, published, no_cache)
        job, described = _job(network, settings, seed, threads, devices)
        console = terminal.console(stderr=True)
        if only_rate:
            print(_suggested(network.name, find_rate(job, output, console), output))
            return
        try:
            trained = train_and_export(job, output, described, console, 60 * checkpoint_minutes)
        except RayFailed as error:  # the checkpoints are as they were
            raise fail(error, resume_command("nas.train"), status=1) from None
        print(_said(network.name, job, trained, output))


def _settings(
    data: str | None,
    recipe: str | None,
    epochs: int | None,
    overrides: Sequence[str],
    no_cache: bool,
) -> LongTrainingFile:
    options = {
        "--data": (("data", "source"), data),
        "--recipe": (("training", "recipe"), recipe),
        "--epochs": (("training", "epochs"), epochs),
    }
    no_file = ["data.memory=null"] if no_cache and data is not None else []
    return long_training(options, [*overrides, *no_file])


def _network(
    study: str | None,
    storage: str | None,
    trial: int | None,
    best: str,
    architecture: Path | None,
    published: dict[str, str | None],
    no_cache: bool,
) -> _Network:
    """The one network that is named."""
    given = {"--study": study, "--architecture": architecture, **published}
    named = [option for option, value in given.items() if value is not None]
    if len(named) != 1:
        got = " and ".join(named) or "none"
        raise InputError.of("nas.train", f"one of {', '.join(given)} names the network; got {got}")
    if study is None and trial is not None:
        raise InputError.of("--trial", "whose trial?", "name a study with --study")
    if architecture is not None:
        read = read_architecture(architecture)
        return _Network(f"Network {read.key}", read)
    if study is None:
        (name,) = (value for value in published.values() if value is not None)
        return _Network(name, _trainable(name), any_classes="classes" not in split(name)[1])
    place = locate_study(study, storage)
    records = read_records(place.url, place.name, cache=not no_cache)
    record = choose(records, best, trial)
    name = f"trial {record.number} of {records.name}"
    return _Network(name, record.architecture, trial=(records, record))


def _trainable(name: str) -> Architecture | Reference:
    network = published_network(name)
    if isinstance(network, Reference):
        try:
            check_trainable(network)
        except PresetError as error:
            raise InputError.of(name, str(error), error.hint) from None
    return network


def _job(
    network: _Network,
    settings: LongTrainingFile,
    seed: int | None,
    threads: int | None,
    devices: int,
) -> tuple[LongTraining, Described]:
    """The training, and how what comes of it is described."""
    if settings.data is None and network.trial is None:
        raise InputError.of("--data", "there are no images to train on", "such as --data digits")
    chosen = _recipe(network, settings)
    if settings.data is None and chosen.resized_crop:
        hint = "say which with --data, also where they are the study's"
        raise InputError.of("training.resized_crop", "pictures are decoded anew for it", hint)
    if settings.data is None:
        assert network.trial is not None  # as was just checked
        job = job_of_trial(*network.trial, chosen, seed)
        job = job if threads is None else replace(job, threads=threads, kernels=None)
        check_devices(devices, job.device, chosen.batch_size)
        return replace(job, devices=devices), describe_trial(*network.trial)
    config = fitting(settings.data.config, network.architecture, chosen)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    check_devices(devices, device, chosen.batch_size)  # before images are decoded
    images = load(config, terminal.decoding)
    job = LongTraining(
        fitted(network.architecture, images, network.any_classes),
        chosen,
        seed or 0,
        images,
        config,
        device,
        threads or max(1, torch.get_num_threads() // devices),
        devices=devices,
    )
    return job, describe_training(network.name, job)


def _recipe(network: _Network, settings: LongTrainingFile) -> Recipe:
    """The one that is named, the study's, or ours for long trainings; with what is changed."""
    if "recipe" in settings.training.model_fields_set:
        return settings.training.full_recipe
    usual = recipe_of(*network.trial) if network.trial else RECIPES["final"]
    return settings.training.changed(usual)


def _said(name: str, job: LongTraining, trained: Trained, output: Path) -> str:
    objective = OBJECTIVES[score_of_data(job.data.many_labels)]
    parts = [objective.in_words(trained.score)]
    if trained.test is not None:
        parts.append(f"{trained.test:.4f} on the test split")
    return shown_line(f"{name}, {job.recipe.epochs} epochs: {', '.join(parts)}, in {output}")


def _suggested(name: str, found: RateRange, output: Path) -> str:
    """The rate by each of two rules, as an option that trains with it.

    Raises:
        InputError: there is none to suggest.
    """
    tried = f"{found.rates[0]:.2g} to {found.rates[-1]:.2g} in {len(found.rates)} steps"
    if found.steepest is None or found.lowest is None:
        rule = f"of rates from {tried} none lowers the loss of {name} by more than batches differ"
        raise InputError.of("--find-rate", rule, f"rates.svg in {output} shows it")
    return "\n".join(
        (
            shown_line(f"{name}, learning rates from {tried}, in {output}"),
            f"--set training.learning_rate={found.steepest:.2g}  where the smoothed loss falls "
            "fastest",
            f"--set training.learning_rate={found.lowest / 10:.2g}  a tenth of the rate where it "
            "is lowest",
        )
    )


if __name__ == "__main__":
    app()
