"""Networks off the spectrum: Inception V3 as published, and the paper's modules in its figures."""

from __future__ import annotations

import hashlib
import inspect
import re
from contextlib import suppress

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import nas
from nas.architecture.cost import count_cost
from nas.architecture.matching import MatchError
from nas.architecture.operators import Unit, spectrum_convolution
from nas.architecture.presets import PresetError
from nas.architecture.references import (
    PUBLISHED,
    Reference,
    network_from_json,
    parse,
    reference_layers,
)
from nas.architecture.references.matching import match_reference
from nas.architecture.specification import Architecture, ArchitectureError, SpectrumPoint
from nas.network.build import build, build_network
from nas.network.ptflops import count_macs_with_ptflops

INCEPTION_V3 = [
    ("inception_v3", 23_834_568, 5_713_216_096),
    ("inception_v3:aux=true", 27_161_264, 5_713_216_096),
    ("inception_v3:norm_scale=false", 23_817_352, 5_713_216_096),
    ("inception_v3:image_size=224,pool_counts_padding=false", 23_834_568, 2_837_921_120),
]
"""Trainable parameters (torchvision; Keras without scale) and MACs, as built and counted."""


@pytest.mark.parametrize(("name", "params", "macs"), INCEPTION_V3)
def test_published_counts_of_inception_v3(name, params, macs):
    described = parse(name)
    assert described.name == name
    assert described.output_shape == (1000,)
    cost = count_cost(described)
    assert (cost.params, cost.macs) == (params, macs)
    with torch.device("meta"):
        network = build(described.layers)
    assert sum(p.numel() for p in network.parameters()) == params
    assert count_macs_with_ptflops(network, described.input_shape) == macs


def test_a_reference_is_a_module_with_its_input_and_its_cost():
    made = nas.reference("inception_v3", classes=7, image_size=75, aux=False)
    assert made.input_shape == (3, 75, 75)
    assert made.cost == count_cost(reference_layers("inception_v3", classes=7, image_size=75))
    assert made.network.eval()(torch.zeros(2, *made.input_shape)).shape == (2, 7)


def test_the_auxiliary_head_speaks_in_training_alone():
    network = build_network(parse("inception_v3:aux=true,classes=5"))
    images = torch.randn(2, 3, 299, 299)
    with torch.no_grad():
        logits, auxiliary = network(images)
        alone = network.eval()(images)
    assert logits.shape == auxiliary.shape == alone.shape == (2, 5)
    plain = build_network(parse("inception_v3:classes=5")).eval()
    plain.load_state_dict(
        {k: v for k, v in network.state_dict().items() if not k.startswith("auxiliary.")}
    )
    with torch.no_grad():
        torch.testing.assert_close(plain(images), alone)


def test_batch_norm_without_scale_is_that_of_ones():
    with_scale, without = (
        build_network(reference_layers("inception_v3", image_size=75, norm_scale=scale)).eval()
        for scale in (True, False)
    )
    without.load_state_dict(with_scale.state_dict())  # fresh scales are ones
    x = torch.randn(1, 3, 75, 75)
    with torch.no_grad():
        torch.testing.assert_close(without(x), with_scale(x))
    norms = [m for m in without.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert not any(m.weight.requires_grad for m in norms)
    without.train()(torch.randn(2, 3, 75, 75)).sum().backward()
    assert all(m.bias.grad is not None and m.weight.grad is None for m in norms)


def test_tensorflow_leaves_padding_out_of_the_mean_and_pytorch_counts_it():
    """At a corner four of nine values are there; away from the border there is no difference."""
    pools = {
        counts: next(
            module
            for module in build(
                reference_layers("inception_v3", image_size=75, pool_counts_padding=counts).layers
            ).modules()
            if isinstance(module, nn.AvgPool2d)
        )
        for counts in (True, False)
    }
    x = torch.ones(1, 1, 4, 4)
    assert pools[True](x)[0, 0, 0, 0] == pytest.approx(4 / 9)
    assert pools[False](x)[0, 0, 0, 0] == 1
    x = torch.randn(1, 2, 5, 5)
    torch.testing.assert_close(pools[True](x)[..., 1:-1, 1:-1], pools[False](x)[..., 1:-1, 1:-1])


@pytest.mark.parametrize("size", [75, 107])
def test_the_padding_that_is_counted_changes_the_logits_of_inception_v3(size):
    networks = [
        build_network(
            reference_layers("inception_v3", image_size=size, pool_counts_padding=counts)
        ).eval()
        for counts in (True, False)
    ]
    networks[1].load_state_dict(networks[0].state_dict())
    x = torch.randn(2, 3, size, size)
    with torch.no_grad():
        counted, left_out = (network(x) for network in networks)
    assert float((counted - left_out).abs().max() / counted.abs().max()) > 0.01


# The figures of section 1.


@pytest.mark.parametrize("widths", [(4, 4, 4), (3, 5, 1, 4)])
def test_figures_2_and_3_are_one_network(widths):
    """Chollet 2016: a strictly equivalent reformulation, ReLUs included."""
    towers, segmented = (
        build(
            reference_layers(
                "inception_module", figure=figure, in_channels=6, image_size=8, widths=widths
            ).layers
        ).double()
        for figure in (2, 3)
    )
    reduce, spatial = segmented[0].weight, list(segmented[2].parts)
    weights = [tower[2].weight.data for tower in towers]
    reduce.data = torch.cat([tower[0].weight for tower in towers]).data
    if len(spatial) == 1:
        spatial[0].weight.data = torch.cat(weights)
    else:
        for conv, weight in zip(spatial, weights, strict=True):
            conv.weight.data = weight
    x = torch.randn(2, 6, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(towers(x), segmented(x), rtol=1e-12, atol=1e-12)


def test_figure_4_is_a_segment_for_each_channel_pointwise_first_with_a_relu():
    module = build(
        reference_layers(
            "inception_module", figure=4, in_channels=6, image_size=7, widths=(5, 4)
        ).layers
    )
    point = SpectrumPoint("C", "relu", "pointwise_first")
    unit = build(spectrum_convolution(Unit(point, 6, 9), (6, 7, 7)))
    unit.load_state_dict(dict(zip(unit.state_dict(), module.state_dict().values(), strict=True)))
    x = torch.randn(2, 6, 7, 7)
    torch.testing.assert_close(F.relu(unit(x)), module(x))


@pytest.mark.parametrize("figure", [1, 2, 3, 4])
def test_costs_of_the_figures_are_those_of_the_modules(figure):
    described = reference_layers("inception_module", figure=figure, in_channels=6, image_size=9)
    module = build(described.layers)
    cost = count_cost(described)
    assert cost.params == sum(p.numel() for p in module.parameters())
    assert cost.macs == cost.params * 81 == count_macs_with_ptflops(module, (6, 9, 9))


# By name.


def test_a_name_with_other_options_is_another_network():
    names = [
        "inception_v3",
        "inception_v3:aux=true",
        "inception_module",
        "inception_module:figure=2",
    ]
    assert len({parse(name).key for name in names}) == 4
    assert parse("inception_v3:aux=false").name == "inception_v3"  # as it is anyway
    assert isinstance(parse("inception_v3"), Reference)
    assert isinstance(parse("mobilenet:alpha=.25"), Architecture)


@pytest.mark.parametrize(
    ("text", "rule", "hint"),
    [
        ("inception_v4", "a published network is one of mobilenet, .*inception_v3", "xception"),
        ("inception_v3:aux=1", "inception_v3: aux is true or false; got '1'", "aux=true"),
        ("inception_v3:alpha=1", "inception_v3 has no option 'alpha'", "any of classes"),
        (
            "inception_module:widths=4+x",
            "whole numbers joined by [+]; got '4[+]x'",
            "widths=64[+]96",
        ),
        ("inception_module:figure=one", "figure is a whole number; got 'one'", "figure=1"),
    ],
)
def test_what_is_no_network_is_refused_with_a_hint(text, rule, hint):
    with pytest.raises(PresetError, match=rule) as caught:
        parse(text)
    assert hint.replace("[+]", "+") in caught.value.hint


def texts() -> st.SearchStrategy[str]:
    """Names and options, most of them right or nearly so."""
    names = [*PUBLISHED, "vgg", ""]
    options = {
        option for made in PUBLISHED.values() for option in inspect.signature(made).parameters
    }
    numbers = st.integers(-2, 5000).map(str) | st.floats().map(str)
    values = (
        numbers | st.sampled_from(["true", "C/4", "relu6", "floor", "3+4", "plain"]) | st.text()
    )
    pairs = st.tuples(st.sampled_from([*sorted(options), "x"]), values).map("=".join)
    named = st.tuples(st.sampled_from(names), st.lists(pairs | st.text(), max_size=3).map(",".join))
    return st.text() | named.map(":".join)


@settings(max_examples=300, deadline=None)
@given(texts())
def test_any_text_is_a_network_or_refused_with_one_type_of_error(text):
    with suppress(ArchitectureError):
        assert count_cost(parse(text)).params > 0


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("inception_v3:image_size=32", "image_size is 75 to 4096; got 32"),
        ("inception_v3:image_size=128,aux=true", "image_size is 299 to 4096; got 128"),
        ("inception_v3:classes=1", "classes are 2 or more; got 1"),
        ("inception_module:figure=5", "figure is 1 to 4; got 5"),
        ("inception_module:figure=1,widths=1+2+3", "figure 1 has four towers, .*; got 3"),
        ("inception_module:widths=0", r"widths are 1 to 1024; got \(0,\)"),
        ("inception_module:in_channels=0", "in_channels is 1 to 65536; got 0"),
        ("mobilenet:alpha=-1", "alpha is above 0 and at most 100; got -1.0"),
        ("mobilenet:rho=0", "rho is above 0 and at most 100; got 0.0"),
        (
            "mobilenet:padding=floor,image_size=30",
            "padding floor needs a larger image; got 30 x 30",
        ),
        ("xception:fc_layers=9", "fc_layers is 0 to 8; got 9"),
        ("xception:dropout=1", "dropout is 0 or more and below 1; got 1.0"),
        ("xception:padding=floor", "padding floor is of blocks that stride by a convolution"),
        ("xception:image_size=99999", "height and width up to 4096"),
    ],
)
def test_layers_that_cannot_exist_are_refused(text, rule):
    with pytest.raises(ArchitectureError, match=rule):
        parse(text)


def test_a_width_scales_all_channels_of_inception_v3_alike():
    assert parse("inception_v3:width=1") == parse("inception_v3")
    assert parse("inception_v3").key == hashlib.sha256(b"inception_v3").hexdigest()[:16]
    described = parse("inception_v3:width=.3,image_size=75,classes=10")
    assert described.name == "inception_v3:classes=10,image_size=75,width=0.3"
    published = build_network(parse("inception_v3:image_size=75,classes=10"))
    network = build_network(described)
    pairs = zip(network.modules(), published.modules(), strict=True)
    widths = [(a.out_channels, b.out_channels) for a, b in pairs if isinstance(a, nn.Conv2d)]
    assert len(widths) == 94
    assert all(a == max(1, round(0.3 * b)) for a, b in widths)
    cost = count_cost(described)
    assert cost.params == sum(p.numel() for p in network.parameters())
    assert cost.macs == count_macs_with_ptflops(network, (3, 75, 75))
    with pytest.raises(ArchitectureError, match="width is above 0 and at most 100; got 0"):
        parse("inception_v3:width=0")


@pytest.mark.parametrize("macs", [300_000, 5_000_000.5, 1_000_000_000])
def test_a_width_gives_inception_v3_the_macs_that_are_wanted(macs):
    found = match_reference(parse("inception_v3:classes=10,image_size=75,norm_scale=false"), macs)
    assert count_cost(found).macs == pytest.approx(macs, rel=0.01)
    assert found == parse(found.name)
    assert "norm_scale=false,width=" in found.name


def test_macs_that_no_width_gives_are_refused():
    with pytest.raises(MatchError, match="no widths cost 20,000 MACs within"):
        match_reference(parse("inception_v3:image_size=75"), 20_000)


def test_a_reference_is_its_name_as_json():
    reference = parse("inception_v3:width=.1,image_size=80")
    text = '{"reference":"inception_v3:image_size=80,width=0.1"}'
    assert reference.to_json() == text
    assert network_from_json(text) == reference
    preset = nas.preset("mobilenet", image_size=64)
    assert network_from_json(preset.to_json()) == preset


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"reference":"xception"}', "reference is the name of one; got xception"),
        ('{"reference":3}', "reference is the name of one; got 3"),
        ('{"reference":"inception_v3:image_size=9"}', "image_size is 75 to 4096; got 9"),
        ('{"reference":"inception_v3","classes":3}', "architecture: unknown field 'reference'"),
        ("inception_v3", "not JSON"),
    ],
)
def test_json_of_no_network_is_refused(text, said):
    with pytest.raises(ArchitectureError, match=re.escape(said)):
        network_from_json(text)
