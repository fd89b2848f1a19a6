"""Widths that cost what is wanted and are near to proportion, against all widths there are."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nas.architecture.cost import count_cost
from nas.architecture.matching import MatchError, match_macs, match_params
from nas.architecture.presets import preset
from nas.architecture.specification import Architecture, Block, SpectrumPoint, Stem
from nas.architecture.width_costs import WidthCosts
from nas.architecture.width_search import MAX_DEVIATION, WidthSearch
from nas.architecture.widths import at_widths, deviation, deviation_from, widths_of

XCEPTION_MACS = 8_357_403_496
"""Of the preset, whose convolutions have one segment per channel."""


def of_matched_yaml(segments) -> Architecture:
    """The network of `search_spaces/matched.yaml`, the k x k step first."""
    point = SpectrumPoint(segments)
    blocks = tuple(Block((width, width), point, 2) for width in (32, 64, 128))
    return Architecture((3, 32, 32), 10, Stem((32,)), blocks)


def fitting(architecture: Architecture, wanted: float, tolerance: float, most: int) -> list:
    """Deviation and widths of all networks within the tolerance, the most proportional first.

    Of all widths up to so many channels whose stages are not farther from a common factor than
    they may be.
    """
    declared = np.array(widths_of(architecture))
    widths = np.indices((most,) * len(declared)).reshape(len(declared), -1).T + 1
    low = np.minimum(widths - 2, widths / (1 + MAX_DEVIATION)) / declared
    high = np.maximum(widths + 2, widths / (1 - MAX_DEVIATION)) / declared
    cost = WidthCosts(architecture, lambda cost: cost.macs)
    found = []
    for at in map(tuple, widths[low.max(axis=1) <= high.min(axis=1)].tolist()):
        macs = cost(at)
        if macs is not None and abs(macs - wanted) <= tolerance * wanted:
            found.append((deviation(tuple(declared.tolist()), at), at))
    return sorted(found)


def test_a_cost_that_falls_where_a_stage_gets_one_more_segment_is_matched_in_proportion():
    """Bisection stopped at (19, 31, 64): 17 channels are cheaper than 16, and 33 than 32."""
    architecture = of_matched_yaml("C/16")
    matched = match_macs(architecture, 8_000_000, 0.01)
    assert widths_of(matched) == (19, 36, 73)
    assert deviation_from(architecture, matched) < 0.025
    assert deviation((32, 64, 128), (19, 31, 64)) > 0.08


@st.composite
def small_networks(draw: st.DrawFn) -> Architecture:
    """Two or three stages, narrow: a channel more is a large part of the cost."""
    width = st.sampled_from([3, 4, 6, 8, 12, 16])
    segments = st.sampled_from([1, 2, 3, "C/2", "C/4", "C/8", "C"])
    point = SpectrumPoint(
        draw(segments), "relu", draw(st.sampled_from(["spatial_first", "pointwise_first"]))
    )
    stem = draw(width)
    blocks = tuple(
        Block((draw(width),), point, draw(st.sampled_from([1, 2])), residual=draw(st.booleans()))
        for _ in range(2)
    )
    try:
        architecture = Architecture((3, 8, 8), 10, Stem((stem,)), blocks)
    except ValueError:
        assume(False)
    assume(len(widths_of(architecture)) > 1)
    return architecture


@settings(max_examples=25, deadline=None)
@given(small_networks(), st.floats(0.3, 1.7), st.sampled_from([0.02, 0.005, 0.001]))
def test_no_widths_that_fit_are_missed_and_none_are_clearly_more_proportional(
    architecture, factor, tolerance
):
    declared = widths_of(architecture)
    wanted = round(factor * count_cost(architecture).macs)
    costs = WidthCosts(architecture, lambda cost: cost.macs)
    found = WidthSearch(declared, costs, wanted, tolerance).find()
    fits = fitting(architecture, wanted, tolerance, 24 if len(declared) == 3 else 50)
    if found is None:
        assert fits == []
        return
    assert abs(costs(found) - wanted) <= tolerance * wanted
    if fits:
        half_a_channel = 0.5 / min(declared)  # uniform scalings are rounded to whole ones
        assert deviation(declared, found) <= fits[0][0] + half_a_channel


def test_of_the_uniform_scalings_within_the_tolerance_the_one_with_the_least_residual_is_found():
    architecture = of_matched_yaml("C")
    matched = match_macs(architecture, 8_000_000, 0.02)
    off = abs(count_cost(matched).macs - 8_000_000)
    for tenths in range(3000, 40_000):
        widths = tuple(max(1, round(tenths / 10_000 * width)) for width in (32, 64, 128))
        network = at_widths(architecture, widths)
        assert abs(count_cost(network).macs - 8_000_000) >= off or off == 0
        if count_cost(network).macs > 9_000_000:
            break


@pytest.mark.parametrize("order", ["spatial_first", "pointwise_first"])
def test_points_of_the_full_size_network_cost_the_same(order):
    """Those that bisection missed are among them."""
    started = time.process_time()
    for segments in (3, 13, 16, "C"):
        architecture = preset("xception", segments=segments, order=order)
        matched = match_macs(architecture, XCEPTION_MACS, 1e-4)
        assert abs(count_cost(matched).macs / XCEPTION_MACS - 1) <= 1e-4
        assert deviation_from(architecture, matched) < 0.02
    assert time.process_time() - started < 10


def test_parameters_are_matched_as_exactly():
    architecture = preset("xception", segments=8)
    matched = match_params(architecture, 20_000_000, 1e-4)
    assert abs(count_cost(matched).params / 20_000_000 - 1) <= 1e-4
    assert deviation_from(architecture, matched) < 0.02


def test_the_same_is_found_again():
    found = {match_macs(of_matched_yaml(3), 8_000_000, 1e-4).key for _ in range(2)}
    assert len(found) == 1


def test_a_tolerance_that_nothing_meets_is_an_error_with_the_nearest_cost():
    with pytest.raises(MatchError, match=r"the nearest found is 8,\d{3},\d{3}|7,9\d\d,\d{3}"):
        match_macs(of_matched_yaml(4), 8_000_001, 1e-9)


def test_deviation_is_the_root_mean_square_of_what_no_common_factor_explains():
    assert deviation((8, 16, 32), (4, 8, 16)) == 0
    least = min(
        math.sqrt(sum((width / (factor * declared) - 1) ** 2 for width, declared in pairs) / 3)
        for pairs in [((5, 8), (8, 16), (16, 32))]
        for factor in (step / 10_000 for step in range(4000, 8000))
    )
    assert deviation((8, 16, 32), (5, 8, 16)) == pytest.approx(least, abs=1e-6)
    architecture = of_matched_yaml(1)
    assert deviation_from(architecture, architecture) == 0
    assert deviation_from(architecture, at_widths(architecture, (13, 25, 51))) == deviation(
        (32, 64, 128), (13, 25, 51)
    )
