"""Kernels in segments out of dense ones, and networks out of a shared one."""

from __future__ import annotations

import itertools
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from nas.architecture.modules import segment_groups
from nas.architecture.specification import Architecture, Block, SpectrumPoint, Stem
from nas.network.build import build_network
from nas.network.shared_network import SharedNetwork
from nas.network.slicing import (
    block_diagonal,
    build_slice,
    dense_weights,
    of_multiplier,
    slice_weights,
)

IMAGE = (3, 7, 6)


def random_tensor(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def widths(channels: int, count: int) -> list[int]:
    """Of the segments, counted without `segment_groups`: the wider ones first."""
    return [channels // count + (index < channels % count) for index in range(count)]


def zero_outside(dense: Tensor, count: int, kernel: int) -> Tensor:
    """A dense kernel that lets no segment see another one, element by element."""
    outs, ins, size, _ = dense.shape
    of_out = [s for s, width in enumerate(widths(outs, count)) for _ in range(width)]
    of_in = [s for s, width in enumerate(widths(ins, count)) for _ in range(width)]
    edge = (size - kernel) // 2
    kept = torch.zeros_like(dense)
    for o, i, y, x in itertools.product(range(outs), range(ins), range(kernel), range(kernel)):
        if of_out[o] == of_in[i]:
            kept[o, i, edge + y, edge + x] = dense[o, i, edge + y, edge + x]
    return kept


@settings(max_examples=25)
@given(data=st.data())
def test_convolved_in_segments_is_convolved_with_zeros_outside_of_the_blocks(data):
    ins, multiplier = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 3))
    outs = data.draw(st.sampled_from([ins * multiplier, data.draw(st.integers(1, 7))]))
    count = data.draw(st.integers(1, min(ins, outs)))
    kernel, size = data.draw(st.sampled_from([(1, 1), (3, 3), (3, 7), (5, 5), (5, 7)]))
    dense, x = random_tensor(outs, ins, size, size), random_tensor(2, ins, 6, 5, seed=1)
    groups = segment_groups(ins, outs, count)
    pieces = torch.split(x, [group.in_width * group.segments for group in groups], dim=1)
    kernels = block_diagonal(dense, groups, kernel)
    found = [
        F.conv2d(piece, weight, padding=kernel // 2, groups=group.segments)
        for piece, weight, group in zip(pieces, kernels, groups, strict=True)
    ]
    expected = F.conv2d(x, zero_outside(dense, count, kernel), padding=size // 2)
    torch.testing.assert_close(torch.cat(found, 1), expected, rtol=0, atol=1e-12)


def test_a_kernel_in_segments_by_hand():
    dense = torch.arange(16.0).reshape(4, 4, 1, 1)
    (halves,) = block_diagonal(dense, segment_groups(4, 4, 2), 1)
    assert halves.flatten(1).tolist() == [[0, 1], [4, 5], [10, 11], [14, 15]]
    (each,) = block_diagonal(dense, segment_groups(4, 4, 4), 1)
    assert each.flatten().tolist() == [0, 5, 10, 15]
    wide, narrow = block_diagonal(dense, segment_groups(4, 4, 3), 1)  # 2, 1 and 1 channels
    assert wide.flatten(1).tolist() == [[0, 1], [4, 5]]
    assert narrow.flatten().tolist() == [10, 15]


def test_a_smaller_multiplier_has_the_first_channels_of_each():
    dense = torch.arange(12.0).reshape(6, 2, 1, 1)  # two channels, three of each
    assert of_multiplier(dense, (4, 2), 2)[:, 0].flatten().tolist() == [0, 2, 6, 8]
    assert of_multiplier(dense, (2, 2), 1)[:, 0].flatten().tolist() == [0, 6]
    columns = of_multiplier(dense.transpose(0, 1), (2, 4), 2)
    assert torch.equal(columns, of_multiplier(dense, (4, 2), 2).transpose(0, 1))
    assert of_multiplier(dense, (6, 2), 3) is dense


def network_of(*points: SpectrumPoint, residual: bool = True) -> Architecture:
    """Blocks of even and uneven widths, the second one with a projection or none."""
    channels, strides = ((6, 6), (10, 7), (7,)), (1, 2, 1)
    blocks = zip(channels, points, strides, strict=True)
    return Architecture(
        IMAGE, 4, Stem((6,)), tuple(Block(c, p, s, residual=residual) for c, p, s in blocks)
    )


WIDEST = {
    "spatial_first": SpectrumPoint(1, order="spatial_first", kernel=5, multiplier=2),
    "pointwise_first": SpectrumPoint(1, order="pointwise_first", kernel=5, multiplier=2),
    "plain": SpectrumPoint(1, order="plain", kernel=5),
}


def shared_weights() -> dict[str, Tensor]:
    torch.manual_seed(3)
    return dense_weights([network_of(point, point, point) for point in WIDEST.values()])


def as_dense(architecture: Architecture, shared: dict[str, Tensor]) -> torch.nn.Module:
    """One segment a convolution, the slice written into the dense kernels among zeros."""
    points = [
        SpectrumPoint(
            1, b.point.activation, b.point.order, WIDEST[b.point.order].kernel, b.point.multiplier
        )
        for b in architecture.blocks
    ]
    network = build_slice(shared, network_of(*points))
    for name, parameter in network.named_parameters():
        if ".spatial." in name:
            block = architecture.blocks[int(name.split(".")[1])]
            in_channels = dict(enumerate(w for _, w in architecture.blocks_with_input()))
            pairs = block.convolution_channels(in_channels[int(name.split(".")[1])])
            pair = pairs[int(name.split(".conv")[1][0])]
            count = block.point.segment_count(block.point.spatial_channels(*pair))
            segmented = parameter.detach()
            parameter.data = widened(segmented, count, block.point)
    return network


def widened(dense: Tensor, count: int, point: SpectrumPoint) -> Tensor:
    """`zero_outside` where a channel multiplier keeps each channel's together."""
    m = point.multiplier
    dim = 0 if point.order == "spatial_first" else 1
    parts = dense.unflatten(dim, (-1, m))
    chosen = [zero_outside(parts.select(dim + 1, r), count, point.kernel) for r in range(m)]
    return torch.stack(chosen, dim + 1).flatten(dim, dim + 1)


POINTS = [
    SpectrumPoint(segments, activation, order, kernel, multiplier)
    for segments in (1, 2, 4, "C/2", "C")
    for activation, order, kernel, multiplier in (
        ("none", "spatial_first", 3, 1),
        ("elu", "spatial_first", 5, 2),
        ("relu", "pointwise_first", 3, 2),
        ("gelu", "pointwise_first", 5, 1),
    )
] + [SpectrumPoint(1, order="plain", kernel=kernel) for kernel in (3, 5)]


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_a_sliced_network_is_the_dense_one_with_zeros_in_every_order(point):
    """Even and uneven segments, kernels and multipliers, in float64."""
    architecture, shared = network_of(point, point, point), shared_weights()
    sliced, dense = build_slice(shared, architecture), as_dense(architecture, shared)
    x = random_tensor(3, *IMAGE)
    torch.testing.assert_close(
        sliced.double().eval()(x), dense.double().eval()(x), rtol=1e-12, atol=1e-12
    )


def test_grouped_pointwise_steps_and_missing_projections_are_slices_too():
    point = SpectrumPoint(3, "relu", kernel=3, pointwise_groups=2)
    shared = shared_weights()
    network = build_slice(shared, network_of(point, point, point, residual=False))
    kept = dict(network.named_parameters())
    dense = shared["blocks.0.branch.conv0.spatial_first.pointwise"][:, ::2]  # multiplier 1 of 2
    grouped = kept["blocks.0.branch.conv0.pointwise.parts.0.weight"]
    assert torch.equal(grouped, torch.cat([dense[:3, :3], dense[3:, 3:]]))
    assert not any("shortcut" in name for name in kept)


def test_the_shared_network_is_at_each_step_the_slice_that_is_drawn():
    rng = random.Random(5)
    drawn = []

    def draw() -> Architecture:
        drawn.append(network_of(*rng.choices(POINTS, k=3), residual=rng.random() < 0.5))
        return drawn[-1]

    torch.manual_seed(3)
    network = SharedNetwork([network_of(p, p, p) for p in WIDEST.values()], draw)
    before = {name: weight.detach().clone() for name, weight in network.dense.items()}
    x = random_tensor(4, *IMAGE).float()
    for _ in range(4):
        found = network.train()(x)
        alone = build_slice(before, drawn[-1]).train()
        torch.testing.assert_close(found, alone(x))
        # Gradients reach the dense weights exactly where they were taken.
        grads = torch.autograd.grad(found.square().sum(), network.weights, allow_unused=True)
        alone(x).square().sum().backward()
        pairs = zip(before.items(), grads, strict=True)
        dense = {name: torch.zeros_like(w) if g is None else g for (name, w), g in pairs}
        expected = slice_weights(dense, drawn[-1], [name for name, _ in alone.named_parameters()])
        for name, parameter in alone.named_parameters():
            torch.testing.assert_close(expected[name], parameter.grad, rtol=1e-4, atol=1e-5)
    assert len(drawn) == 4
    network.eval()(x)  # the last one again
    assert len(drawn) == 4


def test_all_weights_of_a_point_are_taken_and_all_widths_fit():
    shared = shared_weights()
    for point in POINTS:
        parameters = dict(build_network(network_of(point, point, point)).named_parameters())
        sliced = slice_weights(shared, network_of(point, point, point), list(parameters))
        assert {n: w.shape for n, w in sliced.items()} == {
            n: p.shape for n, p in parameters.items()
        }
