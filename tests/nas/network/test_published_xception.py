"""Xception's second head: two linear layers with ReLU, and dropout, whoever asks for it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from nas import Architecture, Block, Stem, count_cost, match_macs, preset
from nas.network.build import build_network
from nas.network.side_by_side import side_by_side
from nas.network.subject import subject_of
from trials.data import DataConfig, load
from trials.recipe import recipe
from trials.train import Resident, prepare

SMALL = Architecture((1, 8, 8), 10, Stem((8,)), (Block((12,)),), hidden=(16, 6), dropout=0.5)


def test_linear_layers_are_before_the_last_one_each_with_a_relu():
    network = build_network(SMALL).eval()
    x = torch.randn(3, 1, 8, 8)
    y = F.relu(network.blocks(network.stem(x))).mean((2, 3))
    linears = [m for m in network.modules() if isinstance(m, nn.Linear)]
    for linear in linears[:-1]:
        y = F.relu(linear(y))
    torch.testing.assert_close(network(x), linears[-1](y))
    assert [linear.out_features for linear in linears] == [16, 6, 10]
    assert preset("xception", fc_layers=2).hidden == (4096, 4096)


def test_a_cost_is_matched_around_the_linear_layers():
    wanted = 2 * count_cost(SMALL).macs
    matched = match_macs(SMALL, wanted)
    assert matched.hidden == SMALL.hidden
    assert abs(count_cost(matched).macs - wanted) <= 0.01 * wanted


def test_dropout_is_the_networks_own_where_the_recipe_has_none():
    data = Resident(load(DataConfig("digits")), torch.device("cpu"))
    for rate, expected in ((0.0, 0.5), (0.2, 0.2)):
        network = prepare(build_network(SMALL), data, recipe("proxy", dropout=rate))
        assert [m.p for m in network.modules() if isinstance(m, nn.Dropout)] == [expected]


def test_seeds_of_a_network_with_dropout_are_trained_one_by_one():
    """Their dropout would be drawn for all at once, and none would be what it is alone."""
    assert subject_of(SMALL, count_cost(SMALL)).join is None
    without = Architecture((1, 8, 8), 10, Stem((8,)), (Block((12,)),))
    assert subject_of(without, count_cost(without)).join is side_by_side
