from __future__ import annotations

import copy
import dataclasses
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from nas.architecture.cost import count_cost
from nas.architecture.presets import preset
from nas.architecture.specification import Architecture, Block, SpectrumPoint, Stem
from nas.kernels import network as kernel_network
from nas.kernels.library import best_level, library
from nas.kernels.network import accelerate
from nas.network.build import build_network
from nas.network.subject import subject_of
from tests.nas.strategies import architectures
from trials.data import DataConfig, load
from trials.recipe import recipe
from trials.train import Resident, seed_weights, train

needs_kernels = pytest.mark.skipif(best_level() is None, reason="no kernels were compiled")

NETWORKS = {
    "one segment": (SpectrumPoint(1, "relu"), {}),
    "three uneven segments": (SpectrumPoint(3, "elu"), {}),
    "C/4, pointwise first": (SpectrumPoint("C/4", "relu", "pointwise_first"), {}),
    "depthwise": (SpectrumPoint("C", "silu"), {}),
    "plain": (SpectrumPoint(1, "none", "plain"), {}),
    "no shortcut": (SpectrumPoint("C/2", "gelu"), {"residual": False}),
    "strided convolution": (SpectrumPoint("C/4", "none"), {"downsample": "convolution"}),
    "multiplier, 5 x 5": (SpectrumPoint("C/4", "relu", kernel=5, multiplier=2), {}),
    "shuffled": (SpectrumPoint("C/4", "relu", pointwise_groups=3), {}),
    "shuffled, pointwise first": (
        SpectrumPoint("C/4", "relu", "pointwise_first", pointwise_groups=2),
        {},
    ),
    "dilated": (SpectrumPoint("C/4", "relu", dilation=2), {}),
    "MobileNet's unit": (SpectrumPoint("C", "relu", norm_between=True), {}),
}


def network_of(name: str, padding: str = "symmetric") -> Architecture:
    """Two blocks on odd sizes: one that halves them and one that keeps them."""
    point, options = NETWORKS[name]
    blocks = (
        Block((12, 20), point, stride=2, **options),
        Block((20, 20), point, residual=options.get("residual", True)),
    )
    return Architecture((3, 9, 11), 5, Stem((8,)), blocks, padding=padding)


def step(network, images, labels):
    """Loss and gradients of a step; the statistics are updated."""
    network.train()
    network.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    return loss.item(), [parameter.grad.double() for parameter in network.parameters()]


@needs_kernels
@pytest.mark.parametrize("padding", ["symmetric", "tensorflow"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_on_the_kernels_trains_as_pytorchs(name, padding):
    torch.manual_seed(3)
    architecture = network_of(name, padding)
    plain = build_network(architecture)
    images, labels = torch.randn(37, 3, 9, 11), torch.randint(5, (37,))
    exact = copy.deepcopy(plain).double()
    ours = accelerate(architecture, copy.deepcopy(plain))
    for _ in range(2):  # the second with statistics that are not the first ones
        loss, expected = step(exact, images.double(), labels)
        found_loss, found = step(ours, images, labels)
        assert found_loss == pytest.approx(loss, rel=1e-5)
        scale = max(gradient.abs().max() for gradient in expected)
        for mine, theirs in zip(found, expected, strict=True):
            assert (mine - theirs).abs().max() / scale < 1e-4
    for mine, theirs in zip(ours.network.buffers(), exact.buffers(), strict=True):
        torch.testing.assert_close(mine.double(), theirs.double(), rtol=1e-4, atol=1e-4)
    exact.eval(), ours.eval()
    with torch.no_grad():
        expected = exact(images.double())
        torch.testing.assert_close(ours(images).double(), expected, rtol=1e-3, atol=1e-3)


@needs_kernels
def test_the_same_step_gives_the_same_bits_whatever_ran_before():
    architecture = network_of("three uneven segments")
    plain = build_network(architecture)
    images, labels = torch.randn(37, 3, 9, 11), torch.randint(5, (37,))
    first, again = (accelerate(architecture, copy.deepcopy(plain)) for _ in range(2))
    with torch.no_grad():
        again(torch.full((5, 3, 9, 11), math.nan))
    again.load_state_dict(first.state_dict())
    _, expected = step(first, images, labels)
    _, found = step(again, images, labels)
    assert all(torch.equal(*pair) for pair in zip(expected, found, strict=True))


@needs_kernels
def test_each_image_is_evaluated_alike_in_any_batch():
    architecture = network_of("C/4, pointwise first")
    ours = accelerate(architecture, build_network(architecture)).eval()
    images = torch.randn(150, 3, 9, 11)
    with torch.no_grad():
        together = ours(images)
        one_by_one = torch.cat([ours(image[None]) for image in images[:3]])
    torch.testing.assert_close(together[:3], one_by_one, rtol=1e-5, atol=1e-5)


@needs_kernels
def test_a_loss_that_is_not_finite_is_not_hidden():
    architecture = network_of("depthwise")
    ours = accelerate(architecture, build_network(architecture))
    images = torch.randn(5, 3, 9, 11)
    images[2, 1, 4, 4] = math.nan
    loss, found = step(ours, images, torch.randint(5, (5,)))
    assert not math.isfinite(loss)
    assert any(not gradient.isfinite().all() for gradient in found)


@needs_kernels
def test_what_the_kernels_do_not_compute_the_plain_network_does():
    architecture = network_of("depthwise")
    plain = build_network(architecture)
    ours = accelerate(architecture, plain).eval()
    images = torch.randn(2, 3, 9, 11, requires_grad=True)
    expected = torch.autograd.grad(plain(images).sum(), images)[0]
    assert torch.equal(torch.autograd.grad(ours(images).sum(), images)[0], expected)
    parameter = next(ours.parameters())
    assert ours(images.detach()).grad_fn is not None
    assert torch.autograd.grad(ours(images.detach()).sum(), parameter)[0].abs().max() > 0


@needs_kernels
@pytest.mark.parametrize(
    ("images", "error"),
    [
        (torch.zeros(2, 3, 9, 11, dtype=torch.float64), TypeError),
        (torch.zeros(2, 3, 20, 20), ValueError),
        (torch.zeros(2, 1, 9, 11), ValueError),
        (torch.zeros(3, 9, 11), ValueError),
    ],
)
def test_memory_that_is_not_what_a_network_takes_is_not_read(images, error):
    architecture = network_of("depthwise")
    ours = accelerate(architecture, build_network(architecture))
    with pytest.raises(error, match=r"float32|shape"):
        ours(images)


@needs_kernels
def test_weights_in_another_order_of_memory_are_refused():
    architecture = network_of("depthwise")
    ours = accelerate(architecture, build_network(architecture))
    ours.network.to(memory_format=torch.channels_last)
    with pytest.raises(TypeError, match="contiguous"):
        ours(torch.zeros(2, 3, 9, 11))


@needs_kernels
def test_one_image_of_one_pixel_has_no_statistics():
    architecture = dataclasses.replace(network_of("plain"), input_shape=(3, 1, 1))
    ours = accelerate(architecture, build_network(architecture))
    with pytest.raises(ValueError, match="more than one value"):
        ours(torch.zeros(1, 3, 1, 1))


@needs_kernels
def test_a_weight_that_is_changed_before_the_backward_pass_is_seen():
    architecture = network_of("plain")
    ours = accelerate(architecture, build_network(architecture))
    loss = ours(torch.randn(3, 3, 9, 11)).sum()
    with torch.no_grad():
        next(ours.parameters()).add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@needs_kernels
def test_a_pass_whose_memory_was_used_again_has_no_gradient():
    architecture = network_of("plain")
    ours = accelerate(architecture, build_network(architecture))
    loss = ours(torch.randn(3, 3, 9, 11)).sum()
    ours(torch.randn(3, 3, 9, 11))
    with pytest.raises(RuntimeError, match="call backward before"):
        loss.backward()


@needs_kernels
def test_a_copy_has_memory_of_its_own():
    architecture = network_of("plain")
    ours = accelerate(architecture, build_network(architecture))
    loss = ours(torch.randn(3, 3, 9, 11)).sum()
    copied = copy.deepcopy(ours)
    copied(torch.randn(3, 3, 9, 11))
    loss.backward()
    assert all(parameter.grad is not None for parameter in ours.parameters())
    assert all(parameter.grad is None for parameter in copied.parameters())


def train_once(architecture, data, accelerated, **changes):
    training = dataclasses.replace(recipe("proxy", epochs=2, batch_size=24), **changes)
    subject = subject_of(architecture, count_cost(architecture))
    seed_weights(training, 5)
    return train(
        subject.build(), data, training, 5, accelerate=subject.accelerate if accelerated else None
    )


@needs_kernels
@pytest.mark.parametrize("changes", [{}, {"polyak": 0.9, "dropout": 0.2, "crop": 1, "flip": True}])
def test_a_training_on_the_kernels_ends_where_pytorchs_does(changes):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        images = load(DataConfig("synthetic", limit=120, shape=(3, 8, 8), classes=4))
        data = Resident(images, torch.device("cpu"))
        blocks = (Block((12, 12), SpectrumPoint(3, "silu"), stride=2),)
        architecture = Architecture((3, 8, 8), 4, Stem((8,)), blocks)
        ours, theirs = (train_once(architecture, data, on, **changes) for on in (True, False))
    finally:
        torch.set_num_threads(threads)
    assert (ours.kernels, theirs.kernels) == (library().name, None)
    assert ours.network.state_dict().keys() == theirs.network.state_dict().keys()
    for mine, other in zip(ours.curve, theirs.curve, strict=True):
        assert mine.train_loss == pytest.approx(other.train_loss, rel=1e-3)
        assert mine.validation_loss == pytest.approx(other.validation_loss, rel=1e-3)


def test_without_kernels_pytorchs_own_are_used(monkeypatch):
    monkeypatch.setattr(kernel_network, "library", lambda _level: None)
    architecture = network_of("plain")
    assert accelerate(architecture, build_network(architecture)) is None


def test_what_no_kernel_computes_is_left_to_pytorch():
    for architecture in (
        replace(network_of("plain"), nonlinearity="relu6"),
        preset("mobilenet", alpha=0.25, image_size=33, activation="relu6", padding="floor"),
    ):
        assert accelerate(architecture, build_network(architecture)) is None


def with_kernels(architecture: Architecture) -> Architecture:
    """ReLU6 and mixtures have none."""

    def compiled(point: SpectrumPoint) -> SpectrumPoint:
        relu = "relu" if point.activation == "relu6" else point.activation
        order = "spatial_first" if point.order == "mixture" else point.order
        return replace(point, activation=relu, order=order)

    blocks = tuple(replace(block, point=compiled(block.point)) for block in architecture.blocks)
    return replace(architecture, nonlinearity="relu", blocks=blocks)


@needs_kernels
@given(
    architecture=architectures().map(with_kernels),
    images=st.integers(2, 70),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=25, deadline=None)
def test_any_network_gives_pytorchs_loss_and_statistics(architecture, images, seed):
    torch.manual_seed(seed)
    plain = build_network(architecture)
    x = torch.randn(images, *architecture.input_shape)
    labels = torch.randint(architecture.classes, (images,))
    ours = accelerate(architecture, copy.deepcopy(plain))
    assert ours is not None
    exact = plain.double()
    loss, _ = step(exact, x.double(), labels)
    found, _ = step(ours, x, labels)
    assert found == pytest.approx(loss, rel=1e-3)
    for mine, theirs in zip(ours.network.buffers(), exact.buffers(), strict=True):
        torch.testing.assert_close(mine.double(), theirs.double(), rtol=1e-2, atol=1e-3)
