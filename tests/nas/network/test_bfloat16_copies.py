"""A network with copies of its weights in bfloat16 is the network under autocast, bit for bit."""

from __future__ import annotations

import copy

import torch
from hypothesis import given, reject, settings
from torch import nn
from torch.nn import functional as F

from nas.network.build import build_network
from tests.nas.strategies import architectures
from trials.bfloat16_copies import Bfloat16Copies
from trials.precision import Unsupported, check_convolutions


def assert_equal_steps(network: nn.Module, images: torch.Tensor) -> None:
    """Of gradients and outputs, in two steps with moved weights between them."""
    plain = copy.deepcopy(network)
    copies = Bfloat16Copies(network)
    for _ in range(2):
        outputs = []
        for forward in (plain, copies):
            with torch.autocast("cpu", torch.bfloat16):
                outputs.append(forward(images))
            labels = torch.arange(len(images)) % outputs[-1].shape[1]
            F.cross_entropy(outputs[-1].float(), labels).backward()
        copies.hand_over_gradients()
        assert torch.equal(*outputs)
        for (name, expected), found in zip(
            plain.named_parameters(), network.parameters(), strict=True
        ):
            assert (expected.grad is None) == (found.grad is None), name
            if found.grad is not None:
                assert found.grad.dtype == torch.float32
                assert torch.equal(expected.grad, found.grad), name
                with torch.no_grad():
                    expected -= 0.1 * expected.grad
                    found -= 0.1 * found.grad
                expected.grad = found.grad = None
        copies.refresh()


@given(architectures())
@settings(max_examples=10, deadline=None)
def test_a_step_of_every_architecture(architecture):
    torch.manual_seed(0)
    network = build_network(architecture).to(memory_format=torch.channels_last)
    images = torch.randn(4, *architecture.input_shape).to(memory_format=torch.channels_last)
    try:
        check_convolutions(network, images)
    except Unsupported:
        reject()
    assert_equal_steps(network.train(), images)


def test_weights_that_are_shared_frozen_or_unused():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
            self.second.weight = self.first.weight
            self.frozen = nn.Linear(6, 6).requires_grad_(False)
            self.unused = nn.Linear(6, 6)

        def forward(self, x):
            return self.frozen(self.second(self.first(x)).relu()) + self.first(x)

    torch.manual_seed(0)
    assert_equal_steps(Odd(), torch.randn(5, 6))
    assert_equal_steps(nn.Linear(6, 3), torch.randn(5, 6))
