"""Costs at many widths, against the cost of each network."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.architecture.cost import count_cost
from nas.architecture.presets import PRESETS, preset
from nas.architecture.specification import MAX_CHANNELS
from nas.architecture.width_costs import WidthCosts
from nas.architecture.widths import same_at_widths, widths_of
from tests.nas.strategies import architectures


@settings(max_examples=80, deadline=None)
@given(architectures(), st.data())
def test_costs_are_those_of_the_networks_and_what_is_no_network_has_none(architecture, data):
    widths = st.lists(
        st.integers(1, 40),
        min_size=len(declared := widths_of(architecture)),
        max_size=len(declared),
    )
    tried = [declared, *(tuple(data.draw(widths)) for _ in range(5))]
    for of in (lambda cost: cost.macs, lambda cost: cost.params, lambda cost: cost.activations):
        costs = WidthCosts(architecture, of)
        for at in tried:
            network = same_at_widths(architecture, at)
            assert costs(at) == (None if network is None else of(count_cost(network)))


@pytest.mark.parametrize("name", PRESETS)
def test_presets_cost_what_they_cost(name):
    costs = WidthCosts(preset(name), lambda cost: cost.macs)
    assert costs(widths_of(preset(name))) == count_cost(preset(name)).macs


def test_widths_that_no_network_may_have_cost_nothing():
    architecture = preset("xception")
    costs = WidthCosts(architecture, lambda cost: cost.macs)
    declared = widths_of(architecture)
    assert costs((MAX_CHANNELS + 1, *declared[1:])) is None
    assert costs((*declared[:-1], MAX_CHANNELS + 1)) is None
