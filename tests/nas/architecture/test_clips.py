"""Networks of clips: what their units compute, what they cost, and what they refuse."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from nas.architecture.cost import count_block_cost, count_cost
from nas.architecture.description import describe_architecture
from nas.architecture.drawing import draw_architecture
from nas.architecture.layers import network_layers, tabulated
from nas.architecture.matching import match_macs
from nas.architecture.operators import Unit, spectrum_convolution
from nas.architecture.specification import (
    Architecture,
    ArchitectureError,
    Block,
    SpectrumPoint,
    Stem,
)
from nas.kernels.network import accelerate
from nas.network.build import build, build_network
from nas.network.ptflops import count_macs_with_ptflops
from tests.nas.strategies import architectures, orders_of
from tests.trials.test_clips import CONVOLUTIONS

ORDERS = orders_of(dims=3)


def network_of(point: SpectrumPoint, shape=(3, 6, 12, 10), **more) -> Architecture:
    blocks = (Block((12, 16), point, stride=2, **more), Block((16,), point))
    return Architecture(shape, 5, Stem((12,)), blocks)


@settings(max_examples=8, deadline=None)
@given(architectures(dims=3))
def test_closed_form_ptflops_and_torch_agree_exactly(architecture):
    network, cost = build_network(architecture).eval(), count_cost(architecture)
    assert cost.macs == count_macs_with_ptflops(network, architecture.input_shape)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        logits = network(torch.zeros(1, *architecture.input_shape))
    assert counter.get_total_flops() == 2 * cost.macs
    assert logits.shape == (1, architecture.classes)
    assert cost.params == sum(p.numel() for p in network.parameters())
    assert Architecture.from_json(architecture.to_json()) == architecture


def test_the_factorised_convolution_costs_what_its_source_says():
    """R(2+1)D has floor(27 * N * M / (9 * N + 3 * M)) channels between (Tran 2018, section 3.5).

    So that it has as many parameters as the convolution that it replaces. Of 24 to 36 these are 72,
    which a multiplier of 3 gives.
    """
    assert 27 * 24 * 36 // (9 * 24 + 3 * 36) == 3 * 24
    apart = SpectrumPoint(1, "relu", "space_then_time", multiplier=3)
    for point in (apart, SpectrumPoint(1, order="plain")):
        layer = spectrum_convolution(Unit(point, 24, 36), (24, 4, 6, 5))
        assert layer.params == 27 * 24 * 36
        assert layer.macs == 27 * 24 * 36 * 4 * 6 * 5


def test_a_unit_in_segments_costs_its_formula():
    """k^3 C M / g + M C_out, at each position of frames, rows and columns."""
    layer = spectrum_convolution(
        Unit(SpectrumPoint(4, multiplier=2, kernel=5), 12, 10), (12, 3, 5, 4)
    )
    assert layer.params == 125 * 12 * 24 // 4 + 24 * 10
    assert layer.macs == layer.params * 3 * 5 * 4
    assert layer.activations == (24 + 10) * 3 * 5 * 4


@pytest.mark.parametrize("stride", [1, 2])
def test_a_kernel_in_time_and_space_is_a_sum_of_kernels_in_space(stride):
    """Each frame of the result sees three of the input, with a two-dimensional kernel for each."""
    torch.manual_seed(0)
    point = SpectrumPoint(5, "relu")
    unit = build(spectrum_convolution(Unit(point, 12, 10, stride), (12, 5, 7, 6))).double()
    x = torch.randn(2, 12, 5, 7, 6, dtype=torch.float64)
    padded = F.pad(x, (0, 0, 0, 0, 1, 1))
    frames = []
    for start in range(0, 5, stride):
        channels, outputs = 0, []
        for conv in unit.spatial.parts:
            own = padded[:, channels : channels + conv.in_channels]
            channels += conv.in_channels
            options = {"stride": stride, "padding": 1, "groups": conv.groups}
            outputs.append(
                sum(
                    F.conv2d(own[:, :, start + t], conv.weight[:, :, t], **options)
                    for t in range(3)
                )
            )
        assert channels == 12
        mixed = unit.pointwise.conv.weight[:, :, 0]
        frames.append(F.conv2d(torch.cat(outputs, 1).relu(), mixed))
    torch.testing.assert_close(unit(x), torch.stack(frames, 2))


@pytest.mark.parametrize("stride", [1, 2])
def test_space_then_time_is_frames_by_themselves_then_positions_by_themselves(stride):
    torch.manual_seed(0)
    point = SpectrumPoint(5, "relu", "space_then_time", multiplier=2)
    unit = build(spectrum_convolution(Unit(point, 12, 10, stride), (12, 5, 7, 6))).double()
    x = torch.randn(2, 12, 5, 7, 6, dtype=torch.float64)
    pieces = x.split([conv.in_channels for conv in unit.spatial.parts], 1)
    within = [
        torch.cat(
            [
                F.conv2d(own[:, :, t], conv.weight[:, :, 0], None, stride, 1, 1, conv.groups)
                for own, conv in zip(pieces, unit.spatial.parts, strict=True)
            ],
            1,
        )
        for t in range(5)
    ]
    mixed = torch.stack(within, 2).relu()  # (N, 24, T, H, W)
    expected = torch.empty(2, 10, -(-5 // stride), *mixed.shape[3:], dtype=torch.float64)
    weight = unit.time.parts[0].weight[..., 0, 0]
    for row in range(mixed.shape[3]):
        for column in range(mixed.shape[4]):
            along = F.conv1d(mixed[..., row, column], weight, None, stride, 1)
            expected[..., row, column] = along
    torch.testing.assert_close(unit(x), expected)


@pytest.mark.parametrize("downsample", ["max_pool", "convolution", "last_convolution"])
@pytest.mark.parametrize("order", ORDERS)
def test_strides_are_of_frames_too_and_one_frame_stays_one(order, downsample):
    point = SpectrumPoint(1, order=order)
    for frames, left in ((1, 1), (2, 1), (5, 3)):
        architecture = network_of(point, (3, frames, 9, 8), downsample=downsample)
        blocks = network_layers(architecture).children["blocks"].children
        assert blocks["0"].output == (16, left, 5, 4)
        network = build_network(architecture).eval()
        assert network.blocks(network.stem(torch.zeros(1, 3, frames, 9, 8))).shape[2:] == (
            left,
            5,
            4,
        )


def test_the_convolutions_are_those_whose_gradients_are_tested():
    built = set()
    for order, downsample in product(ORDERS, ("max_pool", "convolution", "last_convolution")):
        architecture = network_of(SpectrumPoint(1, order=order), downsample=downsample)
        for module in build_network(architecture).modules():
            if isinstance(module, nn.Conv3d):
                built.add((module.kernel_size, module.stride))
    assert built == set(CONVOLUTIONS)


def test_a_block_alone_and_a_network_at_other_widths_are_counted():
    architecture = network_of(SpectrumPoint("C/4", "relu", "space_then_time"))
    layers = network_layers(architecture).children["blocks"].children
    for (block, in_channels), layer in zip(
        architecture.blocks_with_input(), layers.values(), strict=True
    ):
        assert count_block_cost(block, in_channels, layer.input[1:]).params == layer.params
    wanted = 2 * count_cost(architecture).macs
    matched = match_macs(architecture, wanted, 0.02)
    assert count_cost(matched).macs == pytest.approx(wanted, rel=0.02)
    assert matched.input_shape == architecture.input_shape


def test_it_is_described_with_kernels_of_three_axes():
    architecture = network_of(SpectrumPoint("C", "relu", "space_then_time", kernel=5))
    line = (
        "2 convolutions of 1 x 5 x 5 in 12 segments, then 5 x 1 x 1, space then time, relu between"
    )
    assert line in describe_architecture(architecture)[1]
    together = network_of(SpectrumPoint("C", "relu", kernel=5))
    line = "2 convolutions of 5 x 5 x 5 in 12 segments, spatial first, relu between"
    assert line in describe_architecture(together)[1]
    usual = network_of(SpectrumPoint("C", "relu", "space_then_time"))
    line = "2 convolutions in 12 segments, space then time, relu between"
    assert line in describe_architecture(usual)[1]
    assert "space then time" in draw_architecture(architecture)
    rows = [row for _, _, row in tabulated(network_layers(architecture)) if row.kernel != 1]
    assert {row.kernel for row in rows} == {3, (1, 5, 5), (5, 1, 1)}


def test_the_compiled_kernels_leave_clips_to_pytorch():
    for order in ORDERS:
        architecture = network_of(SpectrumPoint(1, order=order))
        assert accelerate(architecture, build_network(architecture)) is None


@pytest.mark.parametrize(
    ("shape", "order", "more", "message"),
    [
        ((3, 4, 8, 8), "mixture", {}, "blocks[0]: order mixture is of images, and these are clips"),
        ((3, 8, 8), "space_then_time", {}, "order space_then_time is of clips, and these are images"),
        ((3, 4, 8, 8), "plain", {"padding": "tensorflow"}, "clips have symmetric padding"),
        ((3, 8), "plain", {}, "input_shape is (channels, height, width), or (channels, frames,"),
        ((3, 1, 1, 8, 8), "plain", {}, "input_shape is (channels, height, width), or"),
        ((3, 0, 8, 8), "plain", {}, "height and width up to 4096; got (3, 0, 8, 8)"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(shape, order, more, message):
    with pytest.raises(ArchitectureError) as error:
        Architecture(shape, 4, Stem((8,)), (Block((8,), SpectrumPoint(1, order=order)),), **more)
    assert message in str(error.value)


def test_a_valid_stem_needs_frames_too():
    stem = Stem((4,), valid=True)
    with pytest.raises(ArchitectureError, match="a larger image; got 2 x 8 x 8"):
        Architecture((3, 2, 8, 8), 4, stem, (Block((4,)),))


def test_keys_and_json_of_networks_of_images_know_nothing_of_clips():
    """Recorded before there were any."""
    architecture = Architecture(
        (3, 8, 8), 4, Stem((8,)), (Block((8,), SpectrumPoint("C", "relu")),)
    )
    assert architecture.to_json() == (
        '{"blocks":[{"channels":[8],"point":{"activation":"relu"}}],"classes":4,'
        '"input_shape":[3,8,8],"stem":{"channels":[8]}}'
    )
    assert architecture.key == "98e7e63e80f070f8"
