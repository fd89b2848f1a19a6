"""Activations and their gradients stay in channels_last, without which training is far slower."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.architecture.operators import OPERATORS
from nas.architecture.specification import Architecture, Block, SpectrumPoint, Stem
from nas.network.build import build_network
from nas.network.exported_layers import GlobalMean, Interleave, Subsample
from tests.nas.strategies import orders_of

LAST = torch.channels_last


POINTS = ((1, 1), (3, 2), ("C/2", 3), ("C", 1))
"""Segments and pointwise groups, of both the even and the uneven ones."""

BLOCKS = ((1, "max_pool", False), (2, "max_pool", True), (2, "convolution", True))
"""Stride, how, and whether with a shortcut."""


def channels_are_innermost(x: Tensor) -> bool:
    """Whole, or some channels of a tensor that is in channels_last."""
    if x.is_contiguous(memory_format=LAST):
        return True
    (_, channels, _, width), (_, channel, row, column) = x.shape, x.stride()
    return channel == 1 and column >= channels and row == width * column


def out_of_layout(architecture: Architecture) -> list[str]:
    """Modules whose output, or its gradient in a training step, is not in channels_last."""
    network = build_network(architecture).to(memory_format=LAST)
    found: list[str] = []

    def check(name: str, what: str, x: Tensor) -> None:
        if not channels_are_innermost(x):
            found.append(f"{what} of {name}: {tuple(x.shape)}, {x.stride()}")

    def look(name: str, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            check(name, "output", output)
            if output.requires_grad:  # an image that is padded does not
                output.register_hook(lambda gradient: check(name, "gradient", gradient))

    for name, module in network.named_modules():
        module.register_forward_hook(lambda _m, _i, output, name=name: look(name, output))
    images = torch.randn(4, *architecture.input_shape).to(memory_format=LAST)
    F.cross_entropy(network(images), torch.randint(architecture.classes, (4,))).backward()
    return found


@pytest.mark.parametrize("order", orders_of(dims=2))
@pytest.mark.parametrize("padding", ["symmetric", "tensorflow"])
def test_a_training_step_of_every_kind_of_network_stays_in_channels_last(order, padding):
    points = [SpectrumPoint(1, order=order)]
    if OPERATORS[order].separable:
        points = [SpectrumPoint(s, "relu", order, pointwise_groups=g) for s, g in POINTS]
    for point, (stride, downsample, residual) in itertools.product(points, BLOCKS):
        first = Block((8, 8), point, stride=stride, downsample=downsample, residual=residual)
        second = Block((8,), point, residual=residual)
        network = Architecture((3, 8, 8), 4, Stem((6,)), (first, second), padding=padding)
        assert out_of_layout(network) == []


@pytest.mark.parametrize(
    ("layer", "plain"),
    [
        (Subsample(2), lambda x: x[..., ::2, ::2]),
        (Subsample(3), lambda x: x[..., ::3, ::3]),
        (GlobalMean(), lambda x: x.mean(dim=(2, 3))),
        (Interleave(12, 3), lambda x: x.unflatten(1, (3, 4)).transpose(1, 2).flatten(1, 2)),
        (Interleave(12, 5), lambda x: x[:, [0, 3, 6, 8, 10, 1, 4, 7, 9, 11, 2, 5]]),
    ],
)
@pytest.mark.parametrize("size", [1, 6, 7])
def test_what_is_written_for_the_layout_is_bit_for_bit_what_is_meant(layer: nn.Module, plain, size):
    x = torch.randn(3, 12, size, size)
    ours = x.to(memory_format=LAST).requires_grad_()
    meant = ours.detach().clone().requires_grad_()
    assert torch.equal(layer(ours), plain(meant))
    weights = torch.randn_like(plain(x))
    (layer(ours) * weights).sum().backward()
    (plain(meant) * weights).sum().backward()
    assert torch.equal(ours.grad, meant.grad)
