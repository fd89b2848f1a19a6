"""The trained network of a trial: from its saved weights, or trained again from its seed."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from nas.network import build_network
from nas.space.load import space_of
from nas.study import Records, TrialRecord
from nas.yaml_file import Document
from trials.data import DataError, load
from trials.recipe import Recipe
from trials.train import Resident, Training, train
from trials.trial import prepare_process


class MissingWeights(LookupError):
    """A trial's weights are not in the study's folder, or not whole."""


def weights_file(folder: Path, trial: int) -> Path:
    """Where a study keeps the weights of a trial."""
    return folder / "weights" / f"{trial}.safetensors"


def load_trained(record: TrialRecord, folder: Path) -> nn.Module:
    """The network of a trial with the weights that its worker saved.

    Raises:
        MissingWeights: they are somewhere else: on another machine of the cluster, or deleted.
    """
    file = weights_file(folder, record.number)
    network = build_network(record.architecture)
    if not file.is_file():
        raise MissingWeights(f"the weights of trial {record.number} are not in {file}")
    try:
        network.load_state_dict(load_file(file))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise MissingWeights(f"the weights in {file} cannot be used: {reason}") from None
    return network.eval()


def train_again(
    records: Records, record: TrialRecord, recipe: Recipe | None = None, seed: int | None = None
) -> Training:
    """Train the network of a trial from scratch.

    With the trial's own recipe and seed, on the same machine and number of threads, the weights
    are the same as those of the trial.

    Args:
        recipe: another one than the study's.
        seed: another one than the trial's first.

    Raises:
        DataError: the data is no longer what the study was searched on.
    """
    space = space_of(Document("the study's search space", records.document))
    data = load(space.file.data.config)
    if data.summary.fingerprint != records.data.fingerprint:
        raise DataError(
            f"the images are not those of the study: fingerprint {data.summary.fingerprint} "
            f"instead of {records.data.fingerprint}"
        )
    prepare_process(space.file.resources.threads)
    seed = record.seeds[0] if seed is None else seed
    resident = Resident(data, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    torch.manual_seed(seed)
    network = build_network(record.architecture)
    return train(network, resident, recipe or space.file.training.full_recipe, seed)
