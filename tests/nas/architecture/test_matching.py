from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import assume, example, given, reject, settings
from hypothesis import strategies as st
from torch import nn

from nas.architecture.cost import count_cost
from nas.architecture.matching import MatchError, ParamsError, match_macs, match_macs_and_params
from nas.architecture.presets import preset
from nas.architecture.specification import Architecture, Block, SpectrumPoint, Stem
from nas.architecture.widths import deviation_from, widths_of
from nas.network.build import build_network


def proxy(segments, order="spatial_first", activation="relu") -> Architecture:
    """A small network of three stages on 16 x 16 images."""
    point = SpectrumPoint(segments, activation, order)
    return Architecture(
        (3, 16, 16),
        10,
        Stem((16,)),
        (Block((16, 16), point, 2), Block((32, 32), point, 2), Block((64, 64), point)),
    )


SPECTRUM = [1, 2, 3, 4, "C/8", "C/4", "C/2", "C"]


@pytest.mark.parametrize("order", ["spatial_first", "pointwise_first"])
@pytest.mark.parametrize("segments", SPECTRUM)
def test_all_points_of_the_spectrum_can_cost_the_same(segments, order):
    matched = match_macs(proxy(segments, order), 1_500_000, tolerance=0.001)
    assert abs(count_cost(matched).macs - 1_500_000) <= 1500
    assert [b.point for b in matched.blocks] == [b.point for b in proxy(segments, order).blocks]
    assert all(len(set(b.channels)) == 1 for b in matched.blocks)


def test_the_plain_control_can_be_matched():
    point = SpectrumPoint(1, order="plain")
    architecture = replace(proxy(1), blocks=tuple(replace(b, point=point) for b in proxy(1).blocks))
    assert abs(count_cost(match_macs(architecture, 1_500_000)).macs - 1_500_000) <= 15_000


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(SPECTRUM),
    st.sampled_from(["spatial_first", "pointwise_first"]),
    st.integers(1_000_000, 10_000_000),
    st.floats(0.85, 1.15),
)
def test_parameters_are_brought_into_a_range_at_the_same_macs(segments, order, macs, factor):
    try:
        usual = match_macs(proxy(segments, order), macs)
    except MatchError:
        reject()
    middle = factor * count_cost(usual).params
    matched = match_macs_and_params(proxy(segments, order), macs, (0.93 * middle, 1.07 * middle))
    assert abs(count_cost(matched).macs - macs) <= 0.01 * macs
    assert 0.93 * middle <= count_cost(matched).params <= 1.07 * middle
    assert [b.point for b in matched.blocks] == [b.point for b in usual.blocks]
    assert deviation_from(proxy(segments, order), matched) < 0.3


def test_more_parameters_at_the_same_macs_are_in_late_stages():
    few, many = (
        widths_of(match_macs_and_params(proxy("C"), 1_500_000, of))
        for of in ((0, 30_000), (45_000, 60_000))
    )
    assert few[0] / few[-1] > 16 / 64 > many[0] / many[-1]


def test_a_number_of_parameters_that_no_proportions_give_is_said_with_the_nearest():
    with pytest.raises(ParamsError, match=r"no widths cost 1,500,000 MACs with 1 to 2 parameters"):
        match_macs_and_params(proxy("C"), 1_500_000, (1, 2))


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(SPECTRUM),
    st.sampled_from(["spatial_first", "pointwise_first"]),
    st.integers(300_000, 30_000_000),
)
def test_matching_keeps_the_tolerance_or_says_so(segments, order, macs):
    try:
        matched = match_macs(proxy(segments, order), macs, tolerance=0.01)
    except MatchError:
        reject()  # too coarse: the tests below say what the error tells
    assert abs(count_cost(matched).macs - macs) <= 0.01 * macs


def test_identity_shortcuts_stay_identities():
    matched = match_macs(preset("xception", segments=1), 8_357_403_496, tolerance=1e-3)
    assert count_cost(matched).macs == pytest.approx(8_357_403_496, rel=1e-3)
    middle = {block.channels for block in matched.blocks[3:11]}
    assert len(middle) == 1
    assert matched.blocks[2].channels[-1] == matched.blocks[3].channels[0]


def bottleneck(segments, *, width: int = 64, blocks: int = 3) -> Architecture:
    """ResNet's blocks: narrow inside, identity shortcuts around."""
    block = Block((width // 4, width), SpectrumPoint(segments, "relu"))
    return Architecture((3, 16, 16), 10, Stem((width,)), (block,) * blocks)


@pytest.mark.parametrize("macs", [400_000, 777_777, 3_000_000])
@pytest.mark.parametrize("segments", [1, 3, "C/4", "C"])
def test_identity_shortcuts_around_bottlenecks_stay_identities(segments, macs):
    matched = match_macs(bottleneck(segments), macs, tolerance=0.02)
    assert count_cost(matched).macs == pytest.approx(macs, rel=0.02)
    assert shortcuts(matched) == ["identity"] * 3


def test_projections_stay_projections_where_stages_become_nearly_equal():
    """Not next to each other in the list of widths: 10, then 40 inside, then 11."""
    block = Block((40, 11), SpectrumPoint("C"))
    architecture = Architecture((3, 16, 16), 10, Stem((10,)), (block,))
    for macs in range(40_000, 400_000, 20_000):
        assert shortcuts(match_macs(architecture, macs, 0.02)) == ["projection"]


def test_stages_that_are_equal_after_rounding_do_not_mislead_the_scaling():
    """9 and 10 channels round to the same width at many scales; no residual minds that."""
    point = SpectrumPoint("C", "relu")
    blocks = tuple(Block((width,), point, residual=False) for width in (10, 9, 10))
    architecture = Architecture((3, 16, 16), 10, Stem((9,)), blocks)
    for macs in range(20_000, 400_000, 20_000):
        matched = match_macs(architecture, macs, 0.02)
        widths = [matched.stem.channels[0], *(block.channels[0] for block in matched.blocks)]
        assert max(widths) - min(widths) <= max(2, 0.3 * max(widths)), (macs, widths)


def shortcuts(architecture: Architecture) -> list[str]:
    """The kind of each block's shortcut, from the modules that were built."""
    kinds = {type(None): "none", nn.Identity: "identity", nn.Sequential: "projection"}
    with torch.device("meta"):
        network = build_network(architecture)
    return [kinds[type(getattr(block, "shortcut", None))] for block in network.blocks]


@st.composite
def residual_networks(draw: st.DrawFn) -> Architecture:
    """Few different widths, so that identity shortcuts and bottlenecks are common."""
    width = st.sampled_from([6, 8, 12, 16, 24])
    orders = st.sampled_from(["spatial_first", "pointwise_first"])
    segments = st.sampled_from([1, 2, 3, "C/4", "C/2", "C"])
    blocks = tuple(
        Block(
            tuple(draw(st.lists(width, min_size=1, max_size=3))),
            SpectrumPoint(draw(segments), "relu", draw(orders)),
            stride=draw(st.sampled_from([1, 1, 2])),
            residual=draw(st.sampled_from([True, True, False])),
        )
        for _ in range(draw(st.integers(1, 4)))
    )
    return Architecture((3, 16, 16), 10, Stem((draw(width),)), blocks)


@settings(max_examples=30, deadline=None)
@given(residual_networks(), st.floats(0.4, 4))
def test_every_shortcut_keeps_its_kind_at_the_cost_that_was_asked_for(architecture, factor):
    macs = round(factor * count_cost(architecture).macs)
    try:
        matched = match_macs(architecture, macs, tolerance=0.01)
    except MatchError:
        assume(False)
    assert abs(count_cost(matched).macs - macs) <= 0.01 * macs
    assert shortcuts(matched) == shortcuts(architecture)


def own_match_is_not_the_nearest_scale() -> Architecture:
    """Other widths cost the same: the cost of C/4 is not monotone in the width."""
    stages = ((8,), (24,), (6,))
    points = (SpectrumPoint(1, "relu"), SpectrumPoint("C/4", "relu"), SpectrumPoint("C/4", "relu"))
    blocks = tuple(Block(c, p, residual=True) for c, p in zip(stages, points, strict=True))
    return Architecture((3, 16, 16), 10, Stem((6,)), blocks)


@settings(max_examples=30, deadline=None)
@example(own_match_is_not_the_nearest_scale())
@given(residual_networks())
def test_a_network_that_costs_what_is_asked_for_is_its_own_match(architecture):
    assert match_macs(architecture, count_cost(architecture).macs, tolerance=1e-9) == architecture


def test_a_cost_out_of_reach_is_an_error_with_the_nearest_one():
    with pytest.raises(MatchError, match=r"no widths cost 10 MACs within 1.00%; the nearest found"):
        match_macs(proxy("C"), 10)


@pytest.mark.parametrize("macs", [0, 10, 10**18])
def test_a_cost_that_no_widths_have_is_refused_without_a_search(monkeypatch, macs):
    """A search has thousands of candidates, for each arm of a design."""
    counted = []

    def count(architecture):
        counted.append(architecture)
        return count_cost(architecture)

    monkeypatch.setattr("nas.architecture.matching.count_cost", count)
    monkeypatch.setattr("nas.architecture.matching.WidthSearch", lambda *_: pytest.fail("a search"))
    with pytest.raises(MatchError, match="the nearest found"):
        match_macs(proxy("C"), macs)
    assert len(counted) <= 3


def test_segments_that_need_wider_layers_than_the_budget_allows_are_an_error():
    with pytest.raises(MatchError, match="no widths cost 100,000 MACs"):
        match_macs(proxy(16), 100_000)
