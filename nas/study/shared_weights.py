"""The weights of a search's shared network: in the study's folder, and what slices are worth."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas.architecture.specification import Architecture
from nas.network.slicing import build_slice
from nas.space.errors import InputError
from nas.space.shown_text import shown_line
from nas.study.records import Records
from nas.study.trained_network import device_of, recipe_of
from nas.study.trial_record import TrialRecord
from trials.data import ImageData
from trials.data.resident import ResidentSplit
from trials.layout import layout_of
from trials.precision import autocast
from trials.recipe import Recipe
from trials.train import Resident, evaluate
from trials.trial import prepare_process
from trials.zero_cost import TimedSignal

CALIBRATION_IMAGES = 2048
"""Training images that the statistics of a slice's batch norms are computed of, at most."""


@dataclass(frozen=True)
class SharedWeights:
    """The weights of a shared network.

    Attributes:
        content: as safetensors, by the names of `nas.network.slicing`.
    """

    content: bytes

    @cached_property
    def digest(self) -> str:
        """Their SHA-256, in hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()


def shared_file(folder: Path) -> Path:
    """Where a study keeps them."""
    return folder / "shared.safetensors"


def read_shared(folder: Path, digest: str) -> SharedWeights:
    """Those that a study's trials began with slices of.

    Raises:
        InputError: the file is not there, or not as it was.
    """
    file = shared_file(folder)
    try:
        found = SharedWeights(file.read_bytes())
    except OSError as error:
        raise _unusable(file, f"cannot be read: {error.strerror or error}") from None
    if found.digest != digest:
        raise _unusable(file, f"have SHA-256 {found.digest}, and had {digest}")
    return found


def _unusable(file: Path, reason: str) -> InputError:
    rule = f"the weights of the shared network {reason}"
    hint = "put them back, or begin a study under another name: --study NAME"
    return InputError.of(shown_line(str(file)), rule, hint)


def slice_scores(
    records: Records, folder: Path, trials: Iterable[TrialRecord], data: ImageData
) -> Iterator[TimedSignal]:
    """The score of each trial's network as a slice of the shared one.

    On the kind of device and the threads that trials have.

    Raises:
        InputError: the shared weights are not there, or not as they were.
    """
    prepare_process(records.file.resources.threads)
    resident = Resident(replace(data, half=None), device_of(records))
    shared = load(read_shared(folder, records.complete[0].trained.warm_start).content)
    for trial in trials:
        started = time.perf_counter()
        score = slice_score(shared, trial.architecture, resident, recipe_of(records, trial))
        yield TimedSignal(score, time.perf_counter() - started)


def slice_score(
    shared: Mapping[str, Tensor], architecture: Architecture, data: Resident, recipe: Recipe
) -> float:
    """The score of a network as a slice of the shared one, which nothing trains further.

    The statistics of its batch norms are computed anew, on training images that are not augmented
    (Guo 2020, section 3.2).
    """
    network = build_slice(shared, architecture)
    network.to(device=data.device, memory_format=layout_of(network))  # type: ignore[call-overload]
    recalibrate(network, data.train, recipe)
    return evaluate(network, data.validation, recipe.precision).score


@torch.no_grad()
def recalibrate(network: nn.Module, split: ResidentSplit, recipe: Recipe) -> None:
    """Give batch norms the mean statistics of some batches, with the weights as they are.

    Args:
        recipe: whose batches they are, in whose precision.
    """
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
            module.momentum = None  # each batch counts alike
    network.train()
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))
    count = max(1, min(CALIBRATION_IMAGES, len(split)) // recipe.batch_size)
    with autocast(recipe.precision, split.labels.device):
        for indices in torch.split(order[: count * recipe.batch_size], recipe.batch_size):
            network(split.batch(indices.to(split.index_device))[0])
