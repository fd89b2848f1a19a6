"""Training: it learns, is exact, ends when it diverges, and is paired by its seed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.conftest import ROOT
from tests.trials.training import CPU, EXPLODING, QUICK, needs_gpu, network
from trials.recipe import Recipe
from trials.train import Diverged, Resident, evaluate, seed_weights, train


def test_training_learns_and_reports_each_epoch(resident):
    heard = []
    training = train(network(), resident, replace(QUICK, epochs=8), 0, heard.append)
    assert training.curve == tuple(heard)
    assert len(training.curve) == 8
    assert training.curve[-1].score > 0.6 > 0.25
    assert training.curve[-1].train_loss < training.curve[0].train_loss
    assert training.images == 8 * (200 // 32) * 32
    assert evaluate(training.network, resident.validation)[:2] == (
        training.curve[-1].validation_loss,
        training.curve[-1].score,
    )


def test_a_training_does_not_load_the_compiler():
    """Which nothing here uses, and which any optimizer of `torch.optim` loads for a second."""
    program = """
import sys, torch
from tests.trials.training import QUICK, network
from trials.data import DataConfig, load
from trials.train import Resident, train

data = load(DataConfig("synthetic", limit=100, shape=(3, 8, 8), classes=4))
train(network(), Resident(data, torch.device("cpu")), QUICK, 0)
print("torch._dynamo" in sys.modules)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout == "False\n"


@needs_gpu
def test_training_on_a_gpu_learns_as_on_the_cpu(data):
    r = replace(QUICK, epochs=8)
    on_cpu = train(network(), Resident(data, CPU), r, 0).curve[-1]
    on_gpu = train(network(), Resident(data, torch.device("cuda")), r, 0).curve[-1]
    assert on_gpu.score > 0.6
    assert on_gpu.train_loss == pytest.approx(on_cpu.train_loss, abs=0.15)


def test_the_same_seed_gives_the_same_weights_and_another_seed_does_not(resident):
    augmented = replace(QUICK, crop=1, flip=True)
    weights = [
        torch.cat(
            [
                p.detach().flatten()
                for p in train(network(), resident, augmented, seed).network.parameters()
            ]
        )
        for seed in (5, 5, 6)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_one_step_is_sgd_with_nesterov_momentum_written_out(resident):
    """Against the update rule in float64, with weight decay on matrices and kernels only."""
    r = replace(
        QUICK,
        epochs=2,
        batch_size=200,
        nesterov=True,
        weight_decay=0.01,
        label_smoothing=0.1,
        learning_rate=0.03,
    )
    start = network()
    exact = network().double()
    velocity = {name: torch.zeros_like(p) for name, p in exact.named_parameters()}
    generator = torch.Generator().manual_seed(7)
    for step in range(2):
        order = torch.randperm(200, generator=generator)
        images, labels = resident.train.batch(order)
        exact.train()
        loss = F.cross_entropy(exact(images.double()), labels, label_smoothing=0.1)
        gradients = torch.autograd.grad(loss, list(exact.parameters()))
        rate = r.learning_rate_at(step, 2, 200)
        with torch.no_grad():
            for (name, p), g in zip(exact.named_parameters(), gradients, strict=True):
                g = g + (0.01 * p if p.ndim >= 2 else 0)
                velocity[name] = 0.9 * velocity[name] + g
                p -= rate * (g + 0.9 * velocity[name])
    trained = train(start, resident, r, seed=7).network
    for (name, actual), (_, expected) in zip(
        trained.named_parameters(), exact.named_parameters(), strict=True
    ):
        torch.testing.assert_close(actual.double(), expected, atol=2e-5, rtol=1e-4, msg=name)


def test_evaluation_is_the_plain_mean_over_all_images(data, resident):
    trained = train(network(), resident, QUICK, 0).network.double().eval()
    pixels = torch.from_numpy(data.validation.images).double()
    images = ((pixels - torch.tensor(data.mean)) / torch.tensor(data.std)).permute(0, 3, 1, 2)
    labels = torch.from_numpy(data.validation.labels)
    with torch.no_grad():
        logits = trained(images)
    loss, accuracy, right, top5 = evaluate(trained.float(), resident.validation)
    assert top5 is None  # of four classes
    assert torch.equal(right, logits.argmax(1) == labels)
    assert accuracy == pytest.approx((logits.argmax(1) == labels).double().mean().item())
    assert loss == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-4)


def test_dropout_is_the_recipes(resident):
    with_dropout = network(dropout=0.9)
    train(with_dropout, resident, replace(QUICK, dropout=0.25), 0)
    assert with_dropout[5].p == 0.25


def test_polyak_averaging_evaluates_averaged_weights(resident):
    last = network()
    training = train(last, resident, replace(QUICK, polyak=0.99, schedule="step"), 0)
    assert training.network is not last
    differences = [
        float((a - b).detach().abs().max())
        for a, b in zip(training.network.parameters(), last.parameters(), strict=True)
    ]
    assert max(differences) > 0
    assert evaluate(training.network, resident.validation)[1] == training.curve[-1].score


def test_rmsprop_trains(resident):
    r = replace(QUICK, optimizer="rmsprop", learning_rate=0.002, epochs=6)
    assert train(network(), resident, r, 0).curve[-1].score > 0.5


def test_a_loss_that_is_not_finite_ends_the_training_at_once(resident):
    heard = []
    with pytest.raises(Diverged, match=r"loss nan in training .* in epoch [1-9] of 50"):
        train(network(), resident, EXPLODING, 0, heard.append)
    assert len(heard) < 9


# Pairing.


def batches_seen(resident, seed: int, width: int, recipe: Recipe) -> list[torch.Tensor]:
    """What a network is shown in a training; it has as many channels as it is given."""
    seen = []

    class Watching(nn.Sequential):
        def forward(self, images):
            if self.training:
                seen.append(images.clone())
            return super().forward(images)

    seed_weights(recipe, seed)
    net = Watching(
        nn.Conv2d(3, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 4)
    )
    train(net, resident, recipe, seed)
    return seen


def test_runs_with_the_same_seed_see_the_same_images_in_the_same_order(resident):
    """Whatever the architecture, and whichever stream its weights come from: they are paired."""
    augmented = replace(QUICK, epochs=2, crop=2, flip=True)
    first = batches_seen(resident, 7, 4, augmented)
    other_network = batches_seen(resident, 7, 9, augmented)
    twin = batches_seen(resident, 7, 4, replace(augmented, initialisation=1))
    other_seed = batches_seen(resident, 8, 4, augmented)
    assert all(map(torch.equal, first, other_network))
    assert all(map(torch.equal, first, twin))
    assert not any(map(torch.equal, first, other_seed))


def test_a_twin_begins_with_other_weights():
    weights = []
    for stream in (0, 1, 1, 2):
        seed_weights(replace(QUICK, initialisation=stream), 7)
        weights.append(torch.randn(5))
    assert torch.equal(weights[1], weights[2])
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[3])
