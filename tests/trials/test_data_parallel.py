"""Several processes with a part of each batch compute what one does with the whole of it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.distributed as dist
from PIL import Image
from torch import nn
from torch.nn import functional as F

from nas import Architecture, Block, SpectrumPoint, Stem, build_network
from nas.network.exported_layers import SegmentMixture, ShiftNorm2d
from nas.network.whole_batches import over_whole_batches
from tests.trials.processes import together
from tests.trials.training import CPU
from trials.checkpoint import Checkpoints, OtherCheckpoints
from trials.data import DataConfig, Resize, load
from trials.data_parallel import WholeDropout, one_says_so, rolled
from trials.device_lock import DeviceLock
from trials.recipe import RECIPES
from trials.resumable import Watch, train_resumably
from trials.share import Share
from trials.train import Resident, seed_weights

NETWORK = Architecture(
    (3, 8, 8),
    4,
    Stem((6,)),
    (Block((7, 7), SpectrumPoint(3, "relu"), stride=2), Block((10,), SpectrumPoint("C"))),
)
MIXTURE = replace(NETWORK, blocks=(Block((12,), SpectrumPoint(3, order="mixture"), stride=2),))
DATA = DataConfig("synthetic", limit=250, shape=(3, 8, 8), classes=4)
CHANGES = {"epochs": 2, "batch_size": 32, "crop": 1, "flip": True, "dropout": 0.3}


@pytest.mark.parametrize(("batch", "count"), [(12, 1), (12, 3), (4, 4)])
def test_shares_are_all_of_a_batch(batch, count):
    places = [i for rank in range(count) for i in range(batch)[Share(rank, count).part(batch)]]
    assert places == list(range(batch))


def test_a_batch_without_equal_parts_has_no_shares():
    with pytest.raises(ValueError, match="a batch of 5 has no 2 equal parts"):
        Share(0, 2).part(5)


def normed(kind, count, *size, share=None):
    """Output, gradients and statistics of a batch norm over random images; of a part of them."""
    torch.manual_seed(0)
    x, weight = 5 + torch.randn(2, count, 4, *size, dtype=torch.float64)
    norm = kind(4).double()
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.uniform_(0.5, 2)
    if share:
        over_whole_batches(norm)
        x, weight = x[share.part(count)], weight[share.part(count)]
    x.requires_grad_()
    y = norm(x)
    (weight * y.square()).mean().backward()
    found = {"y": y.detach(), "x": x.grad, **norm.state_dict()}
    return found | {f"by {name}": p.grad for name, p in norm.named_parameters()}


def normed_part(*images):
    return normed(*images, share=Share(dist.get_rank(), dist.get_world_size()))


@pytest.mark.parametrize(
    ("count", "images"),
    [
        (3, (nn.BatchNorm2d, 12, 5, 3)),
        (2, (ShiftNorm2d, 12, 5, 3)),
        (2, (nn.BatchNorm3d, 12, 2, 5, 3)),
        (2, (nn.BatchNorm2d, 2, 1, 1)),  # of one value in each process
    ],
)
def test_batch_norm_is_that_of_the_whole_batch(count, images):
    """Known answer: PyTorch's batch norm of the whole batch, in float64."""
    whole = normed(*images)
    parts = together(count, normed_part, *images)
    close = {"rtol": 1e-11, "atol": 1e-12}
    torch.testing.assert_close(torch.cat([part["y"] for part in parts]), whole["y"], **close)
    by_images = torch.cat([part["x"] for part in parts]) / count  # of a mean over fewer images
    torch.testing.assert_close(by_images, whole["x"], **close)
    for name in whole.keys() - {"x", "y"}:
        found = torch.stack([part[name] for part in parts])
        if name.startswith("by "):
            found = found.mean(0, keepdim=True)
        torch.testing.assert_close(found, whole[name].expand_as(found), **close)


def dropped_part():
    torch.manual_seed(1)
    return WholeDropout(0.3)(torch.ones(4, 9))


def test_dropout_drops_what_it_drops_of_the_whole_batch():
    found = torch.cat(together(2, dropped_part))
    torch.manual_seed(1)
    torch.testing.assert_close(found, F.dropout(torch.ones(8, 9), 0.3), rtol=1e-6, atol=0)
    assert 0 < int((found == 0).sum()) < 72


def asked():
    return one_says_so(dist.get_rank() == 1), one_says_so(False)


def test_all_processes_hear_what_one_of_them_says():
    assert together(3, asked) == [(True, False)] * 3


def rolled_part():
    return rolled(torch.arange(12).view(6, 2)[Share(dist.get_rank(), 3).part(6)])


def test_mixup_mixes_over_the_edges_of_parts():
    found = torch.cat(together(3, rolled_part))
    assert torch.equal(found, torch.arange(12).view(6, 2).roll(1, dims=0))


def trained_part(folder, architecture, recipe, data, stops=()):
    """What the training of a process has come to; after each of `stops` steps a new one goes on."""
    share = Share(dist.get_rank(), dist.get_world_size())
    kind = Checkpoints if share.rank == 0 else OtherCheckpoints
    kept, stops = kind(folder, pytest.fail), list(stops)
    while True:
        left = iter([False] * (stops.pop(0) - 1) + [True]) if stops else None

        def asked(left=left):
            return one_says_so(share.rank == 0 and left is not None and next(left))

        network = begun(architecture, recipe)
        over_whole_batches(network)
        found = train_resumably(
            network, Resident(load(data), CPU), recipe, 3, kept, {}, watch=Watch(asked), share=share
        )
        if found:
            return found.curve, found.network.state_dict()


def begun(architecture, recipe):
    seed_weights(recipe, 3)
    network = build_network(architecture)
    for module in network.modules():
        if isinstance(module, SegmentMixture):
            module.balance = 1.0  # of the loss that is computed over the batch: else a hundredth
    return network


@pytest.fixture
def streamed(tmp_path):
    """Pictures of four colours that are decoded at each step."""
    rng = np.random.default_rng(0)
    for label in range(4):
        (tmp_path / "pictures" / f"{label}").mkdir(parents=True)
        for number in range(24):
            pixels = rng.normal(60 * label + 30, 30, (11, 9 + number, 3)).clip(0, 255)
            file = tmp_path / "pictures" / f"{label}" / f"{number}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(file)
    config = DataConfig(f"images:{tmp_path / 'pictures'}", resize=Resize((8, 8)), validation=0.25)
    return replace(config, stream=True, memory=0)


def check_agreement(folder, architecture, recipe, data):
    """Weights and statistics of two processes are those of one within 1e-5 of their scale."""
    kept = Checkpoints(folder / "whole", pytest.fail)
    network = begun(architecture, recipe)
    whole = train_resumably(network, Resident(load(data), CPU), recipe, 3, kept, {})
    arguments = folder / "parts", architecture, recipe, data
    (curve, first), (same_curve, second) = together(2, trained_part, *arguments)
    for key, expected in whole.network.state_dict().items():
        assert torch.equal(first[key], second[key])
        error = (first[key] - expected).abs().max() / expected.abs().max().clamp(min=1e-2)
        assert error < 1e-5, key
    assert curve == same_curve
    for found, expected in zip(curve, whole.curve, strict=True):
        assert found.train_loss == pytest.approx(expected.train_loss, rel=1e-5)
        assert found.validation_loss == pytest.approx(expected.validation_loss, rel=1e-5)


@pytest.mark.parametrize("name", ["final", "imagenet"])
def test_two_processes_train_what_one_does_with_the_whole_batch(tmp_path, name):
    """Clipping, averages, dropout, augmentation, mixup and weighted classes included."""
    recipe = replace(RECIPES[name], **CHANGES, class_weights="balanced", mixup=0.4)
    check_agreement(tmp_path, NETWORK, recipe, DATA)


def test_the_experts_of_a_mixture_are_balanced_over_the_whole_batch(tmp_path):
    recipe = replace(RECIPES["proxy"], **CHANGES | {"epochs": 1})
    check_agreement(tmp_path, MIXTURE, recipe, DATA)


def test_each_process_decodes_its_pictures_of_a_batch(tmp_path, streamed):
    recipe = replace(RECIPES["proxy"], epochs=2, batch_size=12, flip=True, resized_crop=0.3)
    check_agreement(tmp_path, NETWORK, recipe, streamed)


def test_interrupted_they_go_on_to_the_same_bits(tmp_path):
    recipe = replace(RECIPES["final"], **CHANGES)
    whole, _ = together(2, trained_part, tmp_path / "a", NETWORK, recipe, DATA)
    stops = tmp_path / "b", NETWORK, recipe, DATA, (1, 3, 2)
    parts, _ = together(2, trained_part, *stops)
    assert parts[0] == whole[0]
    assert all(torch.equal(parts[1][key], whole[1][key]) for key in whole[1])


def measured_beside(folder):
    """Trains while the first process is held up, where a measurement begins, before each batch."""
    first = dist.get_rank() == 0
    held_up = iter(range(3)) if first else iter(())
    measured = []

    def measure():
        with lock().alone():
            measured.append(time.monotonic())
            time.sleep(0.02)

    def lock():
        return DeviceLock(folder, CPU, patience_s=20.0)

    def before_batch(_use):
        if next(held_up, None) is not None:
            pool.submit(measure)
            time.sleep(0.2)  # in which the others come as far as they can

    share, recipe = Share(dist.get_rank(), 2), replace(RECIPES["proxy"], epochs=1, batch_size=32)
    kept = (Checkpoints if first else OtherCheckpoints)(folder / "kept", pytest.fail)
    network = begun(NETWORK, recipe)
    over_whole_batches(network)
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as pool:
        patch.setattr(DeviceLock, "of", lambda _device: lock())
        data = Resident(load(DATA), CPU, before_batch=before_batch)
        watch = Watch(lambda: one_says_so(False))
        train_resumably(network, data, recipe, 3, kept, {}, watch=watch, share=share)
    return len(measured)


def test_a_latency_is_measured_between_two_steps_of_all(tmp_path):
    """Where each gave way by itself, one with its lock would wait for one without, in a step."""
    assert together(2, measured_beside, tmp_path / "lock") == [3, 0]


def test_parts_of_a_batch_are_augmented_as_the_whole_is():
    split, indices = Resident(load(DATA), CPU).train, torch.arange(12)

    def batch(*share):
        generator = torch.Generator().manual_seed(5)
        return split.batch(indices, 2, True, generator, *share)

    whole, parts = batch(), [batch(Share(rank, 3)) for rank in range(3)]
    for found, expected in zip(zip(*parts, strict=True), whole, strict=True):
        assert torch.equal(torch.cat(found), expected)
