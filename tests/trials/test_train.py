from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from trials.data import DataConfig, load
from trials.recipe import RECIPES, Recipe, recipe
from trials.train import Diverged, Resident, evaluate, seed_weights, train
from trials.trial import Subject, run_trial

CPU = torch.device("cpu")
QUICK = Recipe(
    "quick", epochs=3, batch_size=32, learning_rate=0.05, schedule="one_cycle", warmup=0.2
)


@pytest.fixture(scope="module")
def data():
    return load(DataConfig("synthetic", limit=250, shape=(3, 8, 8), classes=4))


@pytest.fixture(scope="module")
def resident(data):
    return Resident(data, CPU)


def network(seed: int = 0, dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(32, 4),
    )


# Recipes.


@given(st.integers(2, 3000), st.sampled_from([0.0, 0.1, 0.2, 0.5]))
def test_one_cycle_rises_then_falls_to_exactly_zero_at_the_budgets_end(steps, warmup):
    r = replace(QUICK, warmup=warmup)
    rates = [r.learning_rate_at(step, steps, 1000) for step in range(steps + 1)]
    assert rates[-1] == 0.0
    assert all(rate > 0 for rate in rates[:-1])
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert max(rates) <= r.learning_rate * (1 + 1e-12)
    assert peak <= warmup * steps + 1


def test_the_papers_schedules():
    """Chollet 2016, section 4.1: x0.94 every 2 epochs; x0.9 every 3,000,000 samples."""
    imagenet, jft = RECIPES["imagenet"], RECIPES["jft"]
    images, steps = 1_281_167, 5005
    at = [imagenet.learning_rate_at(epoch * steps, 10**9, images) for epoch in range(6)]
    assert at[:2] == [0.045, 0.045]
    assert at[3] == pytest.approx(0.045 * 0.94)
    assert at[5] == pytest.approx(0.045 * 0.94**2)
    step = 3_000_000 // jft.batch_size + 1
    assert jft.learning_rate_at(step, 10**9, images) == pytest.approx(0.001 * 0.9)
    assert (imagenet.momentum, imagenet.weight_decay, imagenet.dropout) == (0.9, 1e-5, 0.5)
    assert (jft.optimizer, jft.momentum, jft.polyak > 0) == ("rmsprop", 0.9, True)


def test_a_recipes_key_is_of_what_changes_results():
    assert recipe("proxy").key == recipe("proxy", epochs=99).key  # epochs are recorded apart
    assert recipe("proxy").key != recipe("proxy", learning_rate=0.2).key
    assert recipe("proxy").key == replace(recipe("proxy"), name="mine").key


# Training.


def test_training_learns_and_reports_each_epoch(resident):
    heard = []
    training = train(network(), resident, replace(QUICK, epochs=8), 0, heard.append)
    assert training.curve == tuple(heard)
    assert len(training.curve) == 8
    assert training.curve[-1].accuracy > 0.6 > 0.25
    assert training.curve[-1].train_loss < training.curve[0].train_loss
    assert training.images == 8 * (200 // 32) * 32
    assert evaluate(training.network, resident.validation) == (
        training.curve[-1].validation_loss,
        training.curve[-1].accuracy,
    )


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
    loss, accuracy = evaluate(trained.float(), resident.validation)
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
    assert evaluate(training.network, resident.validation)[1] == training.curve[-1].accuracy


def test_rmsprop_trains(resident):
    r = replace(QUICK, optimizer="rmsprop", learning_rate=0.002, epochs=6)
    assert train(network(), resident, r, 0).curve[-1].accuracy > 0.5


# Each step multiplies the weights by a million.
EXPLODING = replace(QUICK, learning_rate=1.0, weight_decay=1e6, epochs=50)


def test_a_loss_that_is_not_finite_ends_the_training_at_once(resident):
    heard = []
    with pytest.raises(Diverged, match=r"loss nan in training .* in epoch [1-9] of 50"):
        train(network(), resident, EXPLODING, 0, heard.append)
    assert len(heard) < 9


# Trials.


def subject(build) -> Subject:
    return Subject("k" * 16, "{}", build, (3, 8, 8), macs=100, params=10)


def test_a_trial_measures_each_seed_and_saves_the_first_ones_weights(resident, tmp_path):
    file = tmp_path / "weights" / "0.safetensors"
    measured = run_trial(subject(network), resident, "f" * 16, QUICK, (1, 2), True, file)
    assert [m.seed for m in measured] == [1, 2]
    assert all(m.state == "complete" and m.latency_ms > 0 for m in measured)
    assert all(len(m.curve) == 3 and m.accuracy == m.curve[-1][2] for m in measured)
    assert all(m.images_per_second > 0 and m.threads == torch.get_num_threads() for m in measured)
    again = network()
    again.load_state_dict(load_file(file))
    assert evaluate(again, resident.validation)[1] == measured[0].accuracy


def test_a_trials_initial_weights_are_drawn_from_its_seed(resident):
    def build():
        built = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
        seen.append(built[1].weight.detach().clone())
        return built

    seen: list[torch.Tensor] = []
    run_trial(subject(build), resident, "f", QUICK, (3, 4))
    run_trial(subject(build), resident, "f", QUICK, (3,))
    assert torch.equal(seen[0], seen[2])
    assert not torch.equal(seen[0], seen[1])


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError("no more"), "out of memory: no more"),
        (torch.OutOfMemoryError("CUDA out of memory"), "out of memory: CUDA out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out of memory: Default"),
        (RuntimeError("shapes"), "RuntimeError: shapes"),
    ],
)
def test_a_trial_that_fails_says_why_and_does_not_raise(resident, error, reason):
    def build():
        raise error

    measured = run_trial(subject(build), resident, "f", QUICK, (1, 2))
    assert len(measured) == 1  # the other seed would fail as well
    assert measured[0].state == "failed"
    assert measured[0].reason.startswith(reason)
    assert "Traceback" in measured[0].traceback
    assert measured[0].accuracy is None


def test_a_gpu_that_is_of_no_use_any_more_ends_the_process_and_not_the_search(resident):
    """Every later trial of the process would fail; its death gives the trial back instead."""

    def build():
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(torch.AcceleratorError):
        run_trial(subject(build), resident, "f", QUICK, (1,))


def test_a_diverging_trial_is_failed_as_not_finite(resident):
    measured = run_trial(subject(network), resident, "f", EXPLODING, (1,))
    assert measured[0].state == "failed"
    assert measured[0].reason.startswith("not finite: loss ")


def test_no_measurement_has_a_number_that_is_not_finite(resident):
    measured = run_trial(subject(network), resident, "f", QUICK, (1,))
    assert all(math.isfinite(x) for epoch in measured[0].curve for x in epoch)
    assert np.isfinite(measured[0].validation_loss)


def needs_gpu(test):
    skip = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    return pytest.mark.gpu(skip(test))


@needs_gpu
def test_training_on_a_gpu_learns_as_on_the_cpu(data):
    r = replace(QUICK, epochs=8)
    on_cpu = train(network(), Resident(data, CPU), r, 0).curve[-1]
    on_gpu = train(network(), Resident(data, torch.device("cuda")), r, 0).curve[-1]
    assert on_gpu.accuracy > 0.6
    assert on_gpu.train_loss == pytest.approx(on_cpu.train_loss, abs=0.15)


@needs_gpu
def test_batches_on_a_gpu_are_those_of_the_cpu(data):
    indices = torch.arange(20)
    on_cpu, _ = Resident(data, CPU).train.batch(indices)
    on_gpu, _ = Resident(data, torch.device("cuda")).train.batch(indices.cuda())
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=1e-5, atol=1e-5)


@needs_gpu
def test_a_trial_on_a_gpu_measures_latency_and_memory_and_saves_its_weights(data, tmp_path):
    resident = Resident(data, torch.device("cuda"))
    file = tmp_path / "0.safetensors"
    (measured,) = run_trial(subject(network), resident, "f", QUICK, (1,), True, file)
    assert measured.state == "complete", measured.traceback
    assert measured.device.startswith("cuda: ")
    assert measured.latency_ms > 0
    assert measured.peak_memory_bytes > 0
    loaded = network()
    loaded.load_state_dict(load_file(file))
    assert evaluate(loaded, Resident(data, CPU).validation)[1] == pytest.approx(
        measured.accuracy, abs=0.05
    )


@needs_gpu
def test_a_trial_that_needs_more_memory_than_a_gpu_has_costs_the_next_one_nothing(data):
    resident = Resident(data, torch.device("cuda"))

    def build():  # images of 32,768 x 32,768
        return nn.Sequential(nn.Upsample(scale_factor=4096), network())

    (failed,) = run_trial(subject(build), resident, "f", QUICK, (1,))
    assert failed.reason.startswith("out of memory: ")
    (measured,) = run_trial(subject(network), resident, "f", QUICK, (1,))
    assert measured.state == "complete"


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


def test_the_test_split_is_evaluated_where_it_is_there(data):
    tested = Resident(data, CPU, data.validation)
    (measured,) = run_trial(subject(network), tested, "f", QUICK, (1,))
    assert measured.test_accuracy == measured.accuracy
    (untested,) = run_trial(subject(network), Resident(data, CPU), "f", QUICK, (1,))
    assert untested.test_accuracy is None
