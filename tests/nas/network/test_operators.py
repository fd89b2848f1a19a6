"""The spectrum convolution against direct summation in float64 and the paper's identities."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from nas.architecture.modules import (
    Activation,
    SegmentGroup,
    Step,
    concatenation,
    convolution,
    pointwise_convolution,
    segment_groups,
    segmented_convolution,
    sequential,
)
from nas.architecture.operators import Unit, spectrum_convolution
from nas.architecture.pooling import average_pool, max_pool
from nas.architecture.specification import Architecture, Block, SpectrumPoint, Stem
from nas.network.build import build, build_network
from nas.network.exported_layers import Interleave, SamePad
from nas.network.ptflops import count_macs_with_ptflops
from tests.nas.strategies import architectures


def built(step: Step, channels: int, size: tuple[int, int] = (7, 7)) -> nn.Module:
    return build(step((channels, *size)))


def unit(in_channels: int, out_channels: int, point: SpectrumPoint, stride: int = 1) -> nn.Module:
    made = Unit(point, in_channels, out_channels, stride)
    return build(spectrum_convolution(made, (in_channels, 7, 7)))


def direct_convolution(
    x: np.ndarray, weights: list[np.ndarray], stride: int, dilation: int, padding: str
) -> np.ndarray:
    """Sum over each segment's own channels and taps; weights[i] is (out, in, k, k) of segment i."""
    k = weights[0].shape[-1]
    _, _, height, width = x.shape
    out_size = [-(-size // stride) for size in (height, width)]
    if padding == "tensorflow":
        before = [
            max((out - 1) * stride + (k - 1) * dilation + 1 - size, 0) // 2
            for out, size in zip(out_size, (height, width), strict=True)
        ]
    else:
        before = [dilation * (k - 1) // 2] * 2
    outputs, start = [], 0
    for weight in weights:
        stop = start + weight.shape[1]
        y = np.zeros((x.shape[0], weight.shape[0], *out_size))
        for i in range(out_size[0]):
            for j in range(out_size[1]):
                for a in range(k):
                    for b in range(k):
                        row = i * stride + a * dilation - before[0]
                        column = j * stride + b * dilation - before[1]
                        if 0 <= row < height and 0 <= column < width:
                            y[:, :, i, j] += x[:, start:stop, row, column] @ weight[:, :, a, b].T
        outputs.append(y)
        start = stop
    return np.concatenate(outputs, axis=1)


def segment_weights(conv: nn.Module, count: int) -> list[np.ndarray]:
    """The weight of each segment, in order, out of the grouped convolutions."""
    weights = []
    for part in conv.parts:
        weights += np.split(part.weight.detach().numpy(), part.groups)
    assert len(weights) == count
    return weights


@settings(max_examples=60, deadline=None)
@given(
    channels=st.integers(1, 9),
    data=st.data(),
    kernel=st.sampled_from([3, 5]),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    multiplier=st.integers(1, 2),
    padding=st.sampled_from(["symmetric", "tensorflow"]),
    size=st.tuples(st.integers(3, 7), st.integers(3, 7)),
)
def test_segmented_convolution_is_the_direct_sum(
    channels, data, kernel, stride, dilation, multiplier, padding, size
):
    count = data.draw(st.integers(1, channels))
    groups = tuple(
        group._replace(out_width=multiplier * group.out_width)
        for group in segment_groups(channels, channels, count)
    )
    conv = built(
        segmented_convolution(groups, kernel, stride, dilation, padding), channels, size
    ).double()
    x = torch.randn(2, channels, *size, dtype=torch.float64)
    expected = direct_convolution(
        x.numpy(), segment_weights(conv, count), stride, dilation, padding
    )
    np.testing.assert_allclose(conv(x).detach().numpy(), expected, atol=1e-12)


def test_even_segments_are_one_grouped_convolution_and_uneven_ones_two():
    even = built(segmented_convolution(segment_groups(24, 24, 6), 3), 24)
    assert [(p.in_channels, p.groups) for p in even.parts] == [(24, 6)]
    uneven = built(segmented_convolution(segment_groups(24, 24, 5), 3), 24)
    assert [(p.in_channels, p.groups) for p in uneven.parts] == [(20, 4), (4, 1)]


@pytest.mark.parametrize("activation", get_args(Activation))
@pytest.mark.parametrize("order", ["spatial_first", "pointwise_first"])
def test_the_two_steps_come_in_the_named_order_with_the_activation_between(order, activation):
    conv = unit(6, 8, SpectrumPoint(2, activation, order), stride=2).double()
    x = torch.randn(2, 6, 7, 7, dtype=torch.float64)
    first, second = (
        (conv.spatial, conv.pointwise)
        if order == "spatial_first"
        else (conv.pointwise, conv.spatial)
    )
    between = {
        "none": lambda y: y,
        "relu": lambda y: y.clamp(min=0),
        "elu": lambda y: torch.where(y > 0, y, y.exp() - 1),
        "gelu": lambda y: y * torch.special.ndtr(y),
        "silu": lambda y: y / (1 + (-y).exp()),
        "relu6": lambda y: y.clamp(min=0, max=6),
    }[activation]
    torch.testing.assert_close(conv(x), second(between(first(x))))
    assert first(x).shape[2:] == ((4, 4) if order == "spatial_first" else (7, 7))


@pytest.mark.parametrize("towers", [1, 2, 3, 4])
def test_equal_inception_towers_are_one_pointwise_and_a_segmented_convolution(towers):
    """Chollet 2016, figures 2 and 3: the strictly equivalent reformulation, ReLUs included."""
    c_in, width, c_out = 6, 4, 5
    x = torch.randn(2, c_in, 8, 8, dtype=torch.float64)
    reduce = [nn.Conv2d(c_in, width, 1, bias=False).double() for _ in range(towers)]
    spatial = [nn.Conv2d(width, c_out, 3, padding=1, bias=False).double() for _ in range(towers)]
    inception = torch.cat([s(F.relu(r(x))) for r, s in zip(reduce, spatial, strict=True)], dim=1)

    pointwise = nn.Conv2d(c_in, towers * width, 1, bias=False).double()
    pointwise.weight.data = torch.cat([r.weight for r in reduce])
    groups = (SegmentGroup(width, c_out, towers),)
    segmented = built(segmented_convolution(groups, 3), towers * width).double()
    segmented.parts[0].weight.data = torch.cat([s.weight for s in spatial])
    torch.testing.assert_close(segmented(F.relu(pointwise(x))), inception)


def figure_1(width: int) -> Step:
    """Chollet 2016: the towers of a canonical Inception module, average pooling in one of them."""

    def tower(*steps: Step) -> Step:
        return sequential({str(index): step for index, step in enumerate(steps)})

    pointwise, spatial = pointwise_convolution(width), convolution(width, 3, padding=1)
    return concatenation(
        tower(pointwise),
        tower(pointwise, spatial),
        tower(average_pool(), spatial),
        tower(pointwise, spatial, spatial),
    )


def figure_3(width: int, towers: int) -> Step:
    """One 1x1 convolution, then a 3x3 convolution in as many segments as there were towers."""
    channels = towers * width
    return sequential(
        {
            "pointwise": pointwise_convolution(channels),
            "spatial": segmented_convolution(segment_groups(channels, channels, towers), 3),
        }
    )


def test_inception_modules_are_trees_that_can_be_counted_and_built():
    c_in, width, positions = 6, 4, 7 * 9
    pointwise, spatial = c_in * width, 9 * width * width
    figures = {
        # Figures 1, 3 with three towers, and 4: a segment for each channel.
        figure_1(width): 3 * pointwise + 3 * spatial + 9 * c_in * width,
        figure_3(width, 3): 3 * pointwise + 3 * spatial,
        figure_3(1, 12): 12 * c_in + 12 * 9,
    }
    for step, params in figures.items():
        layer = step((c_in, 7, 9))
        module = build(layer)
        assert (layer.params, layer.macs) == (params, params * positions)
        assert sum(p.numel() for p in module.parameters()) == params
        assert module(torch.zeros(2, c_in, 7, 9)).shape == (2, *layer.output)
        assert count_macs_with_ptflops(module, (c_in, 7, 9)) == layer.macs


def test_one_segment_without_activation_is_a_regular_convolution():
    """The regular end: with nothing between, k x k then 1x1 is a k x k convolution (`plain`)."""
    two_steps = unit(5, 7, SpectrumPoint(1)).double()
    combined = torch.einsum(
        "om,mikl->oikl",
        two_steps.pointwise.conv.weight[:, :, 0, 0],
        two_steps.spatial.parts[0].weight,
    )
    plain = unit(5, 7, SpectrumPoint(1, order="plain")).double()
    plain.spatial.parts[0].weight.data = combined.detach()
    x = torch.randn(2, 5, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(two_steps(x), plain(x))


def test_one_segment_per_channel_sees_one_channel():
    spatial = unit(6, 8, SpectrumPoint("C")).spatial
    x = torch.zeros(1, 6, 5, 5)
    x[0, 2] = torch.randn(5, 5)
    seen = spatial(x).abs().amax(dim=(0, 2, 3))
    assert (seen > 0).tolist() == [False, False, True, False, False, False]


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "expected"),
    [  # computed by hand from TensorFlow's documented rule
        (8, 3, 1, 1, (1, 1)),
        (8, 3, 2, 1, (0, 1)),
        (7, 3, 2, 1, (1, 1)),
        (8, 5, 2, 1, (1, 2)),
        (8, 2, 2, 1, (0, 0)),
        (5, 3, 1, 2, (2, 2)),
        (4, 3, 5, 1, (0, 0)),
    ],
)
def test_same_padding_is_tensorflows(size, kernel, stride, dilation, expected):
    padded = SamePad(kernel, stride, dilation)(torch.ones(1, 1, size, size))[0, 0]
    for line in (padded.amax(0), padded.amax(1)):
        before = int(line.argmax())
        assert (before, len(line) - before - size) == expected


@pytest.mark.parametrize("size", [7, 8])
def test_max_pooling_with_same_padding_ignores_the_border(size):
    x = -torch.ones(1, 1, size, size)  # a border of zeros would win
    pooled = built(max_pool(2, "tensorflow"), 1, (size, size))(x)
    assert pooled.shape == (1, 1, 4, 4)
    assert (pooled == -1).all()


def test_channel_shuffle_is_shufflenets_and_extends_to_uneven_groups():
    x = torch.arange(6.0).view(1, 6, 1, 1)
    assert Interleave(6, 2)(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert Interleave(6, 4)(x).flatten().tolist() == [0, 2, 4, 5, 1, 3]  # 0 1, 2 3, 4, 5


def relative_error(actual: Tensor, expected: Tensor) -> float:
    return float((actual.double() - expected).norm() / expected.norm().clamp(min=1e-12))


@pytest.mark.parametrize("in_channels", range(1, 17))
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_strided_pointwise_gradients_on_cpu_channels_last(in_channels, stride):
    """Regression: uxlfoundation/oneDNN#6035, wrong weight gradients below eight channels."""
    torch.manual_seed(0)
    layer = built(pointwise_convolution(16, stride), in_channels, (9, 9))
    x = torch.randn(8, in_channels, 9, 9).to(memory_format=torch.channels_last)
    layer.to(memory_format=torch.channels_last)
    layer(x).square().sum().backward()
    weight = layer.conv.weight.detach().double().requires_grad_()
    F.conv2d(x.double().contiguous(), weight, stride=stride).square().sum().backward()
    assert relative_error(layer.conv.weight.grad, weight.grad) < 1e-5


@settings(max_examples=12, deadline=None)
@given(architectures(), st.integers(0, 2**31))
def test_training_gradients_in_channels_last_agree_with_float64(architecture, seed):
    """The layout and precision that trials train in, on whole random networks."""
    torch.manual_seed(seed)
    network = build_network(architecture)
    images = torch.randn(4, *architecture.input_shape)
    labels = torch.randint(architecture.classes, (4,))
    # Evaluation mode: batch statistics over few values would amplify rounding without bound.
    exact = build_network(architecture).eval().double()
    exact.load_state_dict(network.state_dict())
    F.cross_entropy(exact(images.double()), labels).backward()

    network = network.eval().to(memory_format=torch.channels_last)
    F.cross_entropy(network(images.to(memory_format=torch.channels_last)), labels).backward()
    # Of the whole network's gradient: where a value is within rounding of a ReLU's kink, one
    # position counts in one precision and not in the other, and a small gradient differs a lot.
    scale = torch.stack([p.grad.norm() for p in exact.parameters()]).norm()
    for (name, actual), (_, expected) in zip(
        network.named_parameters(), exact.named_parameters(), strict=True
    ):
        error = (actual.grad.double() - expected.grad).norm()
        assert error <= 1e-3 * scale + 1e-6, name


def test_batch_norm_in_training_is_not_disturbed_by_the_layout():
    architecture = Architecture(
        (3, 12, 12), 5, Stem((6,)), (Block((7, 7), SpectrumPoint(3, "elu"), stride=2), Block((9,)))
    )
    torch.manual_seed(0)
    network = build_network(architecture)
    images, labels = torch.randn(32, 3, 12, 12), torch.randint(5, (32,))
    exact = build_network(architecture).double()
    exact.load_state_dict(network.state_dict())
    F.cross_entropy(exact(images.double()), labels).backward()
    network.to(memory_format=torch.channels_last)
    F.cross_entropy(network(images.to(memory_format=torch.channels_last)), labels).backward()
    for (name, actual), (_, expected) in zip(
        network.named_parameters(), exact.named_parameters(), strict=True
    ):
        assert relative_error(actual.grad, expected.grad) < 1e-3, name
