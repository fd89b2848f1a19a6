"""The trained network of a trial: from its saved weights, or trained again from its seed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from nas.kernels.network import accelerate
from nas.network.build import build_network
from nas.network.comparison import Samples
from nas.network.subject import subject_of
from nas.study.design import recipe_of_arm
from nas.study.records import Records
from nas.study.trial_record import TrialRecord
from trials.data import DataError, ImageData, check_batch_size, load
from trials.data.image_file import ImageFile
from trials.measurement import TrainingKey
from trials.recipe import Recipe
from trials.train import Resident, Training, seed_weights, train
from trials.trial import prepare_process


class MissingWeights(LookupError):
    """A trial's weights are not in the study's folder, or not whole."""


def weights_file(folder: Path, trial: int) -> Path:
    """Where a study keeps the weights of a trial."""
    return folder / "weights" / f"{trial}.safetensors"


def load_trained(records: Records, record: TrialRecord, folder: Path) -> nn.Module:
    """The network of a trial with the weights that its worker saved.

    Raises:
        MissingWeights: they are somewhere else, on another machine of the cluster perhaps, or the
            file in their place is of another training.
    """
    file = weights_file(folder, record.number)
    network = build_network(record.architecture)
    if not file.is_file():
        raise MissingWeights(f"the weights of trial {record.number} are not in {file}")
    recipe = recipe_as_trained(records, record)
    training = TrainingKey(
        record.architecture.key,
        records.data.fingerprint,
        recipe.key,
        recipe.epochs,
        record.trained.seeds[0],
    )
    expected = {name: str(part) for name, part in training._asdict().items()}
    try:
        with safe_open(file, "pt") as content:
            saved = content.metadata() or {}
        if saved != expected:
            raise MissingWeights(f"the weights in {file} are of another training")
        network.load_state_dict(load_file(file))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise MissingWeights(f"the weights in {file} cannot be used: {reason}") from None
    return network.eval()


def recipe_of(records: Records, record: TrialRecord) -> Recipe:
    """The recipe of a trial: the study's, unless its arm has one of its own."""
    return recipe_of_arm(record.role, record.setting, records.file.training.full_recipe)


def recipe_as_trained(records: Records, record: TrialRecord) -> Recipe:
    """The same, and what the trial's weights began with: whatever else is trained draws its own."""
    return replace(recipe_of(records, record), warm_start=record.trained.warm_start)


def device_of(records: Records) -> torch.device:
    """A device of the kind that the study's trials had, or the CPU where this machine has none."""
    gpu = records.file.resources.gpus_per_trial > 0 and torch.cuda.is_available()
    return torch.device("cuda" if gpu else "cpu")


def data_of(records: Records) -> ImageData:
    """The images of a study.

    Raises:
        DataError: they cannot be read, or are no longer what the study was searched on.
    """
    data = load(records.file.data_config)
    if data.summary.fingerprint != records.data.fingerprint:
        raise DataError(
            f"the images are not those of the study: fingerprint {data.summary.fingerprint} "
            f"instead of {records.data.fingerprint}"
        )
    return data


def validation_samples(records: Records, calibration: int) -> Samples:
    """The validation split of a study, to compare exported files on.

    Args:
        calibration: so many training images, always the same, for the ranges of activations.

    Raises:
        DataError: the images are not there.
    """
    return samples_of(data_of(records), calibration)


def samples_of(data: ImageData, calibration: int = 0) -> Samples:
    """The validation split of data that is there already."""
    chosen = np.random.default_rng(0).permutation(len(data.train))[:calibration]
    images = data.validation.images
    return Samples(
        images if isinstance(images, ImageFile) else torch.from_numpy(images),
        torch.from_numpy(data.validation.labels),
        torch.tensor(data.mean),
        torch.tensor(data.std),
        torch.from_numpy(data.train.images[chosen]),
    )


def train_again(
    records: Records, record: TrialRecord, recipe: Recipe | None = None, seed: int | None = None
) -> Training:
    """Train the network of a trial from scratch.

    On the kind of device that the study's trials had, and on the kernels of this one. With the
    trial's own recipe and seed, on the same CPU and number of threads, and with kernels of the same
    sources, the weights are the same as those of the trial, unless that was warm-started.

    Args:
        recipe: another one than the study's.
        seed: another one than the trial's first.

    Raises:
        DataError: the data is no longer what the study was searched on, or has fewer images than
            the recipe's batches.
    """
    data = data_of(records)
    recipe = recipe or recipe_of(records, record)
    check_batch_size(data, recipe.batch_size)
    prepare_process(records.file.resources.threads)
    seed = record.trained.seeds[0] if seed is None else seed
    resident = Resident(data, device_of(records))
    seed_weights(recipe, seed)
    subject = subject_of(record.architecture, record.cost)
    # As its trial was: with other kernels the last digits differ.
    level = record.kernels.partition(" ")[0]
    on_kernels = partial(accelerate, record.architecture, level=level) if level else None
    return train(subject.build(), resident, recipe, seed, accelerate=on_kernels)
