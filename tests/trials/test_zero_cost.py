"""Zero-cost signals against small computations by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.trials.training import network
from trials.zero_cost import (
    correlation_score,
    grad_norm,
    jacob_cov,
    synflow,
    zero_cost_signals,
)

K = 1e-5


@given(
    inputs=st.integers(1, 5), hidden=st.integers(1, 5), outputs=st.integers(1, 4),
    seed=st.integers(0, 10**6),
)  # fmt: skip
@settings(deadline=None, max_examples=30)
def test_synflow_of_two_linear_layers_is_twice_all_paths(inputs, hidden, outputs, seed):
    """1'|V||W|1 flows through each layer, and each layer's weights share all of it."""
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(hidden, inputs)), rng.normal(size=(outputs, hidden))
    layers = nn.Linear(inputs, hidden, bias=False), nn.Linear(hidden, outputs, bias=False)
    for layer, weight in zip(layers, (first, second), strict=True):
        layer.weight.data = torch.from_numpy(weight)
    paths = (np.abs(second) @ np.abs(first)).sum()
    found = synflow(nn.Sequential(nn.Flatten(), *layers), (1, 1, inputs))
    assert found == pytest.approx(2 * paths, rel=1e-12)


def test_synflow_leaves_batch_norm_out_and_lets_biases_flow():
    conv, norm, linear = nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Linear(2, 1)
    conv.weight.data = torch.tensor([-3.0, 2.0]).reshape(2, 1, 1, 1)
    conv.bias.data = torch.tensor([-1.0, 4.0])
    norm.weight.data = torch.tensor([-100.0, 50.0])
    linear.weight.data = torch.tensor([[5.0, -7.0]])
    made = nn.Sequential(conv, norm, nn.ReLU(), nn.Flatten(), linear)
    # |v1||w1| + |v2||w2|, then |v1|(|w1| + |b1|) + |v2|(|w2| + |b2|).
    assert synflow(made, (1, 1, 1)) == (15 + 14) + (5 * (3 + 1) + 7 * (2 + 4))


def test_synflow_is_finite_where_float32_is_not():
    deep = nn.Sequential(*(nn.Linear(64, 64, bias=False) for _ in range(40)))
    with torch.no_grad():
        for layer in deep:
            layer.weight.fill_(1.0)
    assert synflow(nn.Sequential(nn.Flatten(), deep), (1, 8, 8)) == pytest.approx(40 * 64.0**41)


def test_grad_norm_of_a_linear_classifier_is_that_of_its_closed_form():
    """The gradient of the mean cross-entropy is X'(softmax - onehot) / B; the bias counts not."""
    torch.manual_seed(0)
    linear = nn.Linear(6, 3).double()
    images, labels = torch.randn(5, 1, 2, 3, dtype=torch.float64), torch.tensor([0, 2, 1, 1, 0])
    with torch.no_grad():
        flat = images.flatten(1).numpy()
        scores = np.exp(flat @ linear.weight.numpy().T + linear.bias.numpy())
    errors = scores / scores.sum(axis=1, keepdims=True) - np.eye(3)[labels]
    expected = np.linalg.norm(errors.T @ flat / len(flat))
    assert grad_norm(nn.Sequential(nn.Flatten(), linear), images, labels) == pytest.approx(expected)


def test_grad_norm_normalises_by_the_minibatch_and_sums_layers():
    made = network().double()
    images, labels = torch.randn(8, 3, 6, 6, dtype=torch.float64), torch.arange(8) % 4
    by_hand = network().double().train()
    nn.functional.cross_entropy(by_hand(images), labels).backward()
    expected = by_hand[0].weight.grad.norm() + by_hand[6].weight.grad.norm()
    assert grad_norm(made, images, labels) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.9])
def test_correlation_score_of_known_correlations(rho):
    """Two rows with correlation rho have the eigenvalues 1 + rho and 1 - rho."""
    orthogonal = np.array([[1, -1, 1, -1], [1, 1, -1, -1]]) / 2.0
    rows = np.stack([orthogonal[0], rho * orthogonal[0] + np.sqrt(1 - rho**2) * orthogonal[1]])
    expected = -sum(math.log(v + K) + 1 / (v + K) for v in (1 + rho, 1 - rho))
    assert correlation_score(torch.from_numpy(rows)) == pytest.approx(expected)


def test_jacob_cov_is_lower_where_a_network_sees_all_images_alike():
    """A linear network has the same gradient for all images: one eigenvalue is 3, the rest 0."""
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(12, 4)).double()
    images = torch.randn(3, 1, 3, 4, dtype=torch.float64)
    alike = -(math.log(3 + K) + 1 / (3 + K) + 2 * (math.log(K) + 1 / K))
    assert jacob_cov(linear, images) == pytest.approx(alike, rel=1e-6)
    bent = nn.Sequential(linear, nn.Tanh(), nn.Linear(4, 4).double())
    assert jacob_cov(bent, images) > alike


def test_jacob_cov_is_the_sources_computation():
    made, images = network().double(), torch.randn(7, 3, 6, 6, dtype=torch.float64)
    seen = images.clone().requires_grad_()
    outputs = network().double().train()(seen)
    outputs.backward(torch.ones_like(outputs))
    values = np.linalg.eigvals(np.corrcoef(seen.grad.reshape(7, -1).numpy())).real
    expected = -np.sum(np.log(values + K) + 1.0 / (values + K))
    assert jacob_cov(made, images) == pytest.approx(expected, rel=1e-6)


def test_images_without_any_gradient_are_the_worst_and_no_error():
    dead = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    nn.init.zeros_(dead[1].weight)
    assert jacob_cov(dead, torch.randn(3, 1, 2, 2)) == -math.inf


def test_the_network_is_as_it_was():
    made, before = network(), network()
    images, labels = torch.randn(8, 3, 6, 6), torch.arange(8) % 4
    found = zero_cost_signals(made, images, labels)
    assert list(found) == ["synflow", "jacob_cov", "grad_norm"]
    assert all(signal.seconds > 0 for signal in found.values())
    for name, value in before.state_dict().items():
        assert torch.equal(made.state_dict()[name], value)
    assert all(p.grad is None for p in made.parameters())
    assert found["synflow"].value == synflow(made, (3, 6, 6))


def test_images_with_many_labels_have_a_loss_too():
    labels = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.uint8)
    assert grad_norm(network(), torch.randn(2, 3, 6, 6), labels) > 0
