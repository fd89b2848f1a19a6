"""A mixture over segments: what it computes, counts, learns and skips."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from nas.architecture.cost import count_cost
from nas.architecture.description import describe_block
from nas.architecture.drawing import draw_architecture
from nas.architecture.layers import network_layers, tabulated
from nas.architecture.mixture import chosen_experts
from nas.architecture.operators import Unit, spectrum_convolution
from nas.architecture.specification import Architecture, Block, SpectrumPoint, Stem
from nas.architecture.text_drawing import draw_as_text
from nas.kernels.network import accelerate
from nas.network.build import build, build_network, initialize
from nas.network.export import export_network
from nas.network.exported_layers import SegmentMixture
from nas.network.exported_module import import_model
from nas.network.formats import FORMATS, FormatOptions
from nas.network.side_by_side import side_by_side

CASES = [(2, 1), (3, 2), (8, 3), ("C/2", 1), ("C", 2)]
"""Segments of 12 channels and the multiplier; 8 are uneven."""


def mixture_of(segments: int | str, multiplier: int = 1, stride: int = 1, **more) -> SegmentMixture:
    """The k x k step of a unit, with a gate that has its preferences."""
    point = SpectrumPoint(segments, order="mixture", multiplier=multiplier)
    unit = build(spectrum_convolution(Unit(point, 12, 10, stride, **more), (12, 7, 9)))
    initialize(unit)
    nn.init.normal_(unit.spatial.gate.linear.weight)
    return unit.spatial.double()


def by_hand(mixture: SegmentMixture, x: Tensor, stride: int) -> Tensor:
    """Each image and expert by itself, symmetric padding."""
    weights, biases = mixture.gate.linear.weight, mixture.gate.linear.bias
    kernels = [k for conv in mixture._convs() for k in conv.weight.chunk(conv.groups)]
    images = []
    for image in x:
        scores = weights @ image.mean(dim=(1, 2)) + biases
        shares = scores.exp() / scores.exp().sum()
        kept = sorted(range(len(kernels)), key=lambda i: -shares[i])[: -(-len(kernels) // 4)]
        outputs, start = [], 0
        for expert, kernel in enumerate(kernels):
            own = image[None, start : start + kernel.shape[1]]
            y = F.conv2d(own, kernel, stride=stride, padding=1)[0]
            outputs.append(y * shares[expert] if expert in kept else torch.zeros_like(y))
            start += kernel.shape[1]
        images.append(torch.cat(outputs))
    return torch.stack(images)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("segments", "multiplier"), CASES)
def test_each_image_has_the_experts_that_the_gate_weighs_most(segments, multiplier, stride):
    """In evaluation the chosen ones alone are computed, in training all: with equal outputs."""
    torch.manual_seed(1)
    mixture = mixture_of(segments, multiplier, stride)
    x = torch.randn(6, 12, 7, 9, dtype=torch.float64)
    expected = by_hand(mixture, x, stride)
    torch.testing.assert_close(mixture.train()(x), expected)
    torch.testing.assert_close(mixture.eval()(x), expected)
    last = x.to(memory_format=torch.channels_last)
    torch.testing.assert_close(mixture.to(memory_format=torch.channels_last)(last), expected)
    used = expected.abs().amax(dim=(2, 3)) > 0
    assert len(used.unique(dim=0)) > 1  # images choose differently


def test_padding_as_tensorflows_is_of_the_experts_and_not_of_the_gate():
    mixture = mixture_of(3, stride=2, padding="tensorflow").eval()
    x = torch.randn(2, 12, 7, 9, dtype=torch.float64)
    padded = mixture.experts[:-1](x)
    assert padded.shape[2:] == (9, 11)
    # With 7 x 9 pixels TensorFlow pads one on each side: as symmetric padding.
    torch.testing.assert_close(mixture(x), by_hand(mixture, x, 2))


def test_a_quarter_of_the_segments_is_chosen():
    assert [chosen_experts(n) for n in (1, 2, 4, 5, 8, 9, 24)] == [1, 1, 1, 2, 2, 3, 6]


def counted(module: nn.Module, x: Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(x)
    return counter.get_total_flops() // 2


def network_of(segments: int | str, order: str = "mixture", **more) -> Architecture:
    point = SpectrumPoint(segments, "relu", order, **more)
    blocks = (Block((12, 20), point, stride=2), Block((20,), point))
    return Architecture((3, 9, 11), 5, Stem((12,)), blocks)


@pytest.mark.parametrize("segments", [2, 5, "C/4", "C"])
def test_the_gate_and_what_is_computed_for_an_image_is_counted(segments):
    """By PyTorch's counter, also of several images; 5 segments are uneven."""
    architecture = network_of(segments)
    network = build_network(architecture).eval()
    cost = count_cost(architecture)
    for images in (1, 3):
        assert counted(network, torch.randn(images, 3, 9, 11)) == images * cost.macs
    assert sum(p.numel() for p in network.parameters()) == cost.params
    in_training = counted(network.train(), torch.randn(2, 3, 9, 11))
    assert in_training > 2 * cost.macs  # all experts


def test_the_formula_of_one_unit():
    """12 channels in 4 segments, 3 x 3, to 10 channels on 7 x 9: one expert, the gate and the 1x1."""
    unit = spectrum_convolution(Unit(SpectrumPoint(4, order="mixture"), 12, 10), (12, 7, 9))
    assert unit.macs == 63 * 9 * 3 * 3 + 12 * 4 + 63 * 12 * 10
    assert unit.params == 9 * 3 * 12 + (12 * 4 + 4) + 12 * 10
    assert unit.macs == sum(layer.macs for _, layer, _ in tabulated(unit))


def test_one_segment_is_the_unit_without_a_gate_and_the_same_network():
    one, plain_unit = network_of(1), network_of(1, "spatial_first")
    assert network_layers(one) == network_layers(plain_unit)
    assert one.key == plain_unit.key
    assert one.to_json() != plain_unit.to_json()
    assert network_of(2).key != network_of(2, "spatial_first").key


def test_training_adds_the_gradient_of_the_load_balancing_loss():
    """Fedus 2021, equation 4: 0.01 * experts * sum of (share of choices) * (mean weight)."""
    torch.manual_seed(0)
    mixture = mixture_of("C").train()
    x, direction = torch.randn(8, 12, 7, 9, dtype=torch.float64), torch.randn(8, 12, 7, 9)
    ours = torch.autograd.grad((mixture(x) * direction).sum(), mixture.gate.linear.weight)[0]

    weights = mixture.gate(x).softmax(1)
    chosen = weights.topk(3).indices
    share = torch.bincount(chosen.flatten(), minlength=12) / chosen.numel()
    balance = 0.01 * 12 * (share * weights.mean(0)).sum()
    alone = mixture.eval()(x)
    expected = torch.autograd.grad(
        (alone * direction).sum() + balance, mixture.gate.linear.weight, retain_graph=True
    )[0]
    torch.testing.assert_close(ours, expected)
    without = torch.autograd.grad((alone * direction).sum(), mixture.gate.linear.weight)[0]
    assert (ours - without).abs().max() > 1e-4


def test_networks_side_by_side_choose_and_balance_each_for_itself():
    torch.manual_seed(2)
    for segments in (5, "C"):
        networks = [build_network(network_of(segments)) for _ in range(3)]
        for module in (m for net in networks for m in net.modules()):
            if isinstance(module, SegmentMixture):
                nn.init.normal_(module.gate.linear.weight)
        images = torch.randn(3, 8, 3, 9, 11)
        joined = side_by_side(networks)
        logits = joined(torch.cat(list(images), dim=1))
        expected = [net(x) for net, x in zip(networks, images, strict=True)]
        torch.testing.assert_close(logits, torch.cat(expected, dim=1), rtol=1e-4, atol=1e-5)
        sum(y.square().sum() for y in expected).backward()
        logits.square().sum().backward()
        for name, parameter in joined.named_parameters():
            alone = torch.cat([dict(net.named_parameters())[name].grad for net in networks])
            torch.testing.assert_close(parameter.grad, alone, rtol=1e-3, atol=1e-4, msg=name)


def test_the_kernels_leave_it_to_pytorch():
    architecture = network_of(4)
    assert accelerate(architecture, build_network(architecture)) is None


@pytest.mark.parametrize("segments", [5, "C/4"])
def test_the_exported_source_has_it_and_skips_too(segments, tmp_path):
    architecture = network_of(segments)
    network = build_network(architecture).eval()
    folder = export_network(architecture, network, tmp_path)
    source = (folder / "model.py").read_text()
    assert "class SegmentMixture(nn.Module):" in source
    assert "import nas" not in source
    exported = import_model(folder).load()
    x = torch.randn(3, 3, 9, 11)
    torch.testing.assert_close(exported(x), network(x))
    assert counted(exported, x) == 3 * count_cost(architecture).macs


@pytest.mark.parametrize("name", ["pt2", "onnx"])
def test_formats_of_other_programs_compute_the_same(name, tmp_path):
    """One graph for all images, in which all experts are computed; see `export_network`'s check."""
    if FORMATS[name].missing:
        pytest.skip("the extra is not installed")
    architecture = network_of(5)
    network = build_network(architecture).eval()
    folder = export_network(architecture, network, tmp_path, formats=FormatOptions((name,)))
    run = FORMATS[name].load(folder / FORMATS[name].file, 1)
    x = torch.randn(3, 3, 9, 11)
    torch.testing.assert_close(run(x), network(x), rtol=1e-4, atol=1e-5)


def test_a_copy_has_hooks_of_its_own_and_no_state_beside_its_weights():
    network = build_network(network_of("C"))
    again = copy.deepcopy(network)
    again.load_state_dict(network.state_dict())
    x = torch.randn(2, 3, 9, 11)
    assert torch.equal(network(x), again(x))


def test_it_is_described_and_drawn():
    block = Block((12, 20), SpectrumPoint("C", "relu", "mixture"))
    about = describe_block(block, 8)
    assert "2 convolutions in 8 and 12 segments of which an image has 2 and 3, mixture" in about
    architecture = network_of(6)
    drawing = draw_architecture(architecture)
    pale, full = (sum(drawing.count(c) for c in pair) for pair in (_PALE, _FULL))
    assert (pale, full) == (3 * 4, 3 * 2)
    assert "\u2591" in draw_as_text(architecture)
    assert "\u2591" not in draw_as_text(network_of(6, "spatial_first"))


_PALE, _FULL = ("#b3d4e8", "#d5ecf9"), ("#0072b2", "#56b4e9")
