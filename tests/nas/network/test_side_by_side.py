"""Several seeds as one network: each is trained as if it were alone, whatever the others do."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from safetensors.torch import load_file
from torch import nn

from nas.architecture.cost import count_cost
from nas.architecture.specification import Architecture, Block, SpectrumPoint, Stem
from nas.network.build import build_network
from nas.network.side_by_side import side_by_side
from nas.network.subject import subject_of
from tests.nas.strategies import architectures, orders_of
from tests.trials.training import CPU, needs_gpu
from trials.data import DataConfig, load
from trials.recipe import Recipe, recipe
from trials.side_by_side import train_side_by_side, worth_joining
from trials.train import Diverged, Resident, seed_weights, train
from trials.trial import run_trial

LAST = torch.channels_last
SEEDS = (3, 11, 42)
SHORT = recipe("proxy", epochs=2, batch_size=16, learning_rate=0.02, crop=1, flip=True)


@pytest.fixture(scope="module")
def images():
    """48 images to train with and 32 to validate."""
    return load(DataConfig("synthetic", limit=80, validation=0.4, shape=(3, 7, 7), classes=4))


@pytest.fixture(scope="module")
def resident(images):
    return Resident(images, CPU)


def networks(architecture: Architecture, r: Recipe = SHORT) -> list[nn.Module]:
    built = []
    for seed in SEEDS:
        seed_weights(r, seed)
        built.append(build_network(architecture))
    return built


def of_blocks(*points: SpectrumPoint, **more: object) -> Architecture:
    blocks = tuple(Block((10, 11), point, stride=2, **more) for point in points)
    return Architecture((3, 7, 7), 4, Stem((9,)), blocks)


ARCHITECTURES = {
    "orders": of_blocks(*(SpectrumPoint(1, order=order) for order in orders_of(dims=2))),
    "uneven segments": of_blocks(SpectrumPoint(4, "elu"), SpectrumPoint(3, "none")),
    "one per channel": of_blocks(SpectrumPoint("C", "gelu"), SpectrumPoint("C/2", "silu")),
    "residual": of_blocks(SpectrumPoint("C/4", "relu", "pointwise_first"), residual=True),
    "shuffled": of_blocks(SpectrumPoint(2, "relu", pointwise_groups=3)),
    "mixture": of_blocks(SpectrumPoint(4, "elu", "mixture"), SpectrumPoint("C", order="mixture")),
    "strided": of_blocks(SpectrumPoint(3, norm_between=True), downsample="convolution"),
}


@given(architectures())
@settings(max_examples=5, deadline=None)
def test_every_architecture_has_a_network_of_several(architecture):
    """Outputs, and the statistics that a batch leaves."""
    alone = networks(architecture)
    joined = side_by_side(alone).to(memory_format=LAST)
    images = torch.randn(len(SEEDS), 4, *architecture.input_shape)
    found = joined(torch.cat(list(images), dim=1).contiguous(memory_format=LAST))
    expected = torch.cat([net(x) for net, x in zip(alone, images, strict=True)], dim=1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    states = [net.state_dict() for net in alone]
    for name, tensor in joined.state_dict().items():
        if tensor.ndim:
            together = torch.cat([state[name] for state in states])
            torch.testing.assert_close(tensor, together, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_seed_is_trained_as_if_it_were_alone(resident, name):
    """Losses, scores, weights and statistics after six steps, each with images of its own."""
    r = replace(SHORT, polyak=0.9 if name == "strided" else 0.0)
    together = train_side_by_side(networks(ARCHITECTURES[name]), side_by_side, resident, r, SEEDS)
    for net, seed, found in zip(networks(ARCHITECTURES[name]), SEEDS, together, strict=True):
        expected = train(net, resident, r, seed)
        for epoch, other in zip(found.curve, expected.curve, strict=True):
            assert epoch.train_loss == pytest.approx(other.train_loss, abs=1e-5)
            assert epoch.validation_loss == pytest.approx(other.validation_loss, abs=1e-5)
            assert epoch.score == other.score
        assert found.images == expected.images
        states = found.network.state_dict(), expected.network.state_dict()
        for key, tensor in states[0].items():
            torch.testing.assert_close(tensor, states[1][key], atol=1e-5, rtol=1e-5, msg=key)


@pytest.mark.parametrize("segments", [1, 3])
def test_a_seed_that_diverges_leaves_the_others_as_they_are(resident, segments):
    architecture = of_blocks(SpectrumPoint(segments, "relu"), SpectrumPoint(segments))
    exploding = networks(architecture)
    with torch.no_grad():
        next(exploding[1].parameters()).fill_(torch.nan)
    found = train_side_by_side(exploding, side_by_side, resident, SHORT, SEEDS)
    assert isinstance(found[1], Diverged)
    assert str(found[1]).startswith("loss nan in training and nan in validation in epoch 1 of 2")
    expected = train_side_by_side(networks(architecture), side_by_side, resident, SHORT, SEEDS)
    for one in (0, 2):
        for key, tensor in found[one].network.state_dict().items():
            torch.testing.assert_close(tensor, expected[one].network.state_dict()[key], msg=key)
        assert found[one].curve == pytest.approx(expected[one].curve)


def test_the_seeds_of_a_trial_are_trained_at_once(resident, monkeypatch, tmp_path):
    """Where that is worth it, and each has the measurement that it would have alone."""
    architecture = ARCHITECTURES["uneven segments"]
    subject = subject_of(architecture, count_cost(architecture))
    expected = run_trial(subject, resident, "f", SHORT, SEEDS, weights=tmp_path / "alone")
    monkeypatch.setattr("trials.trial.worth_joining", lambda *_: True)
    monkeypatch.setattr("trials.trial.train", None)
    monkeypatch.setattr("trials.trial.MOST", 2)
    found = run_trial(subject, resident, "f", SHORT, SEEDS[:2], weights=tmp_path / "together")
    for measured, alone in zip(found, expected, strict=False):
        assert (measured.state, measured.seed) == ("complete", alone.seed)
        assert measured.accuracy == alone.accuracy
        assert measured.validation_loss == pytest.approx(alone.validation_loss, abs=1e-5)
        assert measured.images_per_second > 0
    weights = [load_file(tmp_path / name) for name in ("together", "alone")]
    torch.testing.assert_close(*weights, atol=1e-5, rtol=1e-5)


def test_a_seed_of_a_trial_that_diverges_fails_alone_and_comes_last(resident, monkeypatch):
    """It has been trained alone once more, and the trial still fails."""
    architecture = ARCHITECTURES["residual"]
    subject = subject_of(architecture, count_cost(architecture))
    trained = []

    def diverging(_network, _data, _recipe, seed, **_options):
        trained.append(seed)
        raise Diverged("loss nan")

    def side_by_side_but_one(nets, *rest):
        next(nets[1].parameters()).data.fill_(torch.nan)
        return train_side_by_side(nets, *rest)

    monkeypatch.setattr("trials.trial.worth_joining", lambda *_: True)
    monkeypatch.setattr("trials.trial.train", diverging)
    monkeypatch.setattr("trials.trial.train_side_by_side", side_by_side_but_one)
    found = run_trial(subject, resident, "f", SHORT, SEEDS)
    states = [(m.seed, m.state) for m in found]
    assert states == [(3, "complete"), (42, "complete"), (11, "failed")]
    assert trained == [11]
    assert found[-1].reason == "not finite: loss nan"


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory"), TypeError("no such module")])
def test_what_cannot_be_trained_at_once_is_trained_one_by_one(resident, monkeypatch, error):
    def failing(*_):
        raise error

    architecture = ARCHITECTURES["strided"]
    subject = subject_of(architecture, count_cost(architecture))
    monkeypatch.setattr("trials.trial.worth_joining", lambda *_: True)
    with pytest.warns(UserWarning, match=f"seeds are trained one by one: {error}"):
        found = run_trial(replace(subject, join=failing), resident, "f", SHORT, SEEDS)
    assert [m.seed for m in found if m.state == "complete"] == list(SEEDS)


def test_when_seeds_are_trained_at_once():
    cuda, usual = torch.device("cuda"), recipe("proxy")
    assert worth_joining(cuda, usual, {"accuracy", "latency_ms"})
    assert not worth_joining(CPU, usual, ())
    assert not worth_joining(cuda, recipe("imagenet"), ())  # dropout
    assert not worth_joining(cuda, usual, {"peak_memory_bytes"})


def test_a_module_that_is_not_known_is_refused():
    with pytest.raises(TypeError, match="how several networks compute Softmax is not known"):
        side_by_side([nn.Sequential(nn.Softmax(1)) for _ in SEEDS])


@needs_gpu
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_on_a_gpu_each_seed_is_trained_as_if_it_were_alone(images, name):
    on_gpu = Resident(images, torch.device("cuda"))
    r = replace(SHORT, precision="float32")
    together = train_side_by_side(networks(ARCHITECTURES[name]), side_by_side, on_gpu, r, SEEDS)
    for net, seed, found in zip(networks(ARCHITECTURES[name]), SEEDS, together, strict=True):
        expected = train(net, on_gpu, r, seed)
        for epoch, other in zip(found.curve, expected.curve, strict=True):
            assert epoch.train_loss == pytest.approx(other.train_loss, abs=0.02)


@needs_gpu
def test_on_a_gpu_a_trial_of_several_seeds_gives_a_measurement_of_each(images):
    architecture = ARCHITECTURES["residual"]
    subject = subject_of(architecture, count_cost(architecture))
    found = run_trial(subject, Resident(images, torch.device("cuda")), "f", SHORT, SEEDS)
    assert [(m.seed, m.state) for m in found] == [(seed, "complete") for seed in SEEDS]
