"""What the networks of trials say of themselves before they are trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from nas.network.build import build_network
from nas.study.records import Records
from nas.study.trained_network import device_of, recipe_of
from nas.study.trial_record import TrialRecord
from trials.data import ImageData
from trials.data.resident import ResidentSplit
from trials.layout import layout_of
from trials.train import seed_weights
from trials.trial import prepare_process
from trials.zero_cost import BATCH, TimedSignal, zero_cost_signals


def untrained_signals(
    records: Records, trials: Iterable[TrialRecord], data: ImageData
) -> Iterator[dict[str, TimedSignal]]:
    """The zero-cost signals of each trial's network, with the weights that its training began with.

    On the kind of device and the threads that trials have. All see the same images: drawn once, and
    not augmented.
    """
    prepare_process(records.file.resources.threads)
    device = device_of(records)
    split = ResidentSplit(data.train, data, device)
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))
    images, labels = split.batch(order[:BATCH].to(split.index_device))
    for trial in trials:
        seed_weights(recipe_of(records, trial), trial.seeds[0])
        network = build_network(trial.architecture)
        network.to(device=device, memory_format=layout_of(network))  # type: ignore[call-overload]  # as in trials.train
        yield zero_cost_signals(network, images, labels)
