from __future__ import annotations

import itertools
import math
import random

import pytest
import torch

from nas import Architecture, build_network, count_cost, load_space
from nas.architecture.cost import count_block_cost
from nas.space import Infeasible
from nas.space.errors import InputError
from nas.space.quantities import format_count
from tests.conftest import ROOT

MINIMAL = """
name: tiny
data: {source: synthetic, shape: [3, 8, 8], classes: 4}
network:
  stem: {channels: 6}
  blocks:
    - {channels: 6}
    - {channels: 8, stride: 2}
"""


@pytest.fixture
def space(tmp_path):
    def load(search: str = "", *overrides: str):
        (tmp_path / "space.yaml").write_text(MINIMAL + search)
        return load_space(tmp_path / "space.yaml", overrides)

    return load


def architectures(space, limit=5000) -> set[Architecture]:
    found = set()
    for combination in itertools.islice(space.combinations(), limit):
        found.add(space.decode(lambda parameter, c=combination: c[parameter.name]))
    return found


@pytest.mark.parametrize("name", ["spectrum", "cifar10", "smoke"])
def test_shipped_spaces_load_and_their_samples_are_networks(spaces, name):
    space = load_space(spaces / f"{name}.yaml")
    for seed in range(20):
        architecture = space.sample(seed)
        assert architecture == space.sample(seed)
        budget = space.file.macs
        if budget is not None:
            assert count_cost(architecture).macs <= budget.at_most
    build_network(architecture)


def test_the_spectrum_space_has_the_sizes_that_its_file_says(spaces):
    space = load_space(spaces / "spectrum.yaml")
    assert len(space.parameters) == 12
    assert space.size == (6 * 3 * 2 * 2) ** 3
    assert {p.choices for p in space.parameters if p.name == "block1.segments"} == {
        (1, 3, "C/8", "C/4", "C/2", "C")
    }


def test_each_axis_is_drawn_for_each_block(space):
    drawn = space("search: {segments: [1, 2], residual: [true, false]}")
    assert [p.name for p in drawn.parameters] == [
        "block0.segments",
        "block0.residual",
        "block1.segments",
        "block1.residual",
    ]
    assert drawn.size == len(architectures(drawn)) == 16


def test_scope_network_draws_once_for_all_blocks(space):
    drawn = space("search: {segments: [1, 2], residual: [true, false], scope: network}")
    assert [p.name for p in drawn.parameters] == ["segments", "residual"]
    found = architectures(drawn)
    assert drawn.size == len(found) == 4
    assert all(a.blocks[0].point == a.blocks[1].point for a in found)


def test_a_plain_convolution_has_nothing_to_segment_or_activate(space):
    drawn = space(
        "search: {order: [spatial_first, plain], segments: [1, 2, 3], activation: [none, elu]}"
    )
    assert drawn.size == (3 * 2 + 1) ** 2
    found = architectures(drawn)
    assert len(found) == drawn.size
    plain = [b.point for a in found for b in a.blocks if b.point.order == "plain"]
    assert {(p.segments, p.activation) for p in plain} == {(1, "none")}

    asked = []

    def draw(parameter):
        asked.append(parameter.name)
        return "plain" if parameter.name.endswith("order") else parameter.choices[0]

    drawn.decode(draw)
    assert asked == ["block0.order", "block1.order"]


def test_a_range_has_every_count_and_ends_with_a_segment_per_channel(space):
    drawn = space("search: {segments: 1..C, order: [spatial_first, pointwise_first]}")
    segments = {p.name: p.choices for p in drawn.parameters if p.name.endswith("segments")}
    # Block 1 goes from 6 to 8 channels: six is what either order can have.
    assert segments == {
        "block0.segments": (1, 2, 3, 4, 5, "C"),
        "block1.segments": (1, 2, 3, 4, 5, "C"),
    }
    for architecture in architectures(drawn):
        build_network(architecture)
    bounded = space("search: {segments: 2..4}")
    assert {p.choices for p in bounded.parameters} == {(2, 3, 4)}


def test_a_space_may_have_more_architectures_than_a_float_has_room_for(space):
    drawn = space(
        "search: {segments: 1..C, activation: [none, relu], order: [spatial_first]}",
        "network.blocks[0]={channels: 128, repeat: 150}",
    )
    *_, last = drawn.point_spaces
    size = 6 * 2 * (128 * 2) ** 149 * last.size  # the first has six channels to segment
    assert drawn.size == size > 10**308
    assert format_count(drawn.size) == f"10^{round(math.log10(size))}"
    assert drawn.sample(0) != drawn.sample(1)


def test_a_block_may_replace_the_axes_of_the_search(space):
    drawn = space(
        "search: {segments: [1, 2, 4]}",
        "network.blocks[1].segments=[8, C]",
        "network.blocks[1].convs=1",
        "network.blocks[0].channels=8",
    )
    choices = {p.name: p.choices for p in drawn.parameters}
    assert choices == {"block0.segments": (1, 2, 4), "block1.segments": (8, "C")}


def test_repeated_blocks_are_blocks_of_their_own(space):
    drawn = space("search: {segments: [1, 2]}", "network.blocks[1].repeat=3")
    assert len(drawn.frames) == 4
    assert [frame.in_channels for frame in drawn.frames] == [6, 6, 8, 8]
    assert drawn.size == 2**4


@pytest.mark.parametrize(
    "search",
    [
        "search: {segments: [1, 2, C/3, C], order: [spatial_first, pointwise_first, plain], residual: [true, false]}",
        "search: {segments: [C/3, C], order: [plain, pointwise_first], kernel: [3, 5], multiplier: [1, 2]}",
        "search: {segments: [1, 2, C], order: [spatial_first, pointwise_first], scope: network, pointwise_groups: [1, 2]}",
        "search: {segments: 1..C}",
        "search: {segments: 1..C, order: [pointwise_first, spatial_first, plain], scope: network, residual: [false, true], kernel: [5, 3]}",
        "search: {segments: 2..5, order: [pointwise_first], dilation: [2, 1], activation: [relu, none]}",
        "search: {order: plain, segments: 1..C, residual: [true, false], kernel: [3, 7]}",
        "search: {segments: 1..C, order: [mixture, spatial_first], residual: [true, false]}",
    ],
)
@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("network.blocks[1].channels=[7, 11]", "data.shape=[2, 9, 13]"),
        ("network.blocks[0].repeat=2", "network.blocks[1].channels=6", "network.stem.stride=2"),
    ],
)
def test_the_cost_range_is_that_of_all_architectures(space, search, overrides):
    """Brute force over the whole space."""
    drawn = space(search, *overrides)
    costs = [count_cost(architecture) for architecture in architectures(drawn, 50_000)]
    macs, params = {cost.macs for cost in costs}, {cost.params for cost in costs}
    assert drawn.size <= 50_000
    assert drawn.macs_range == (min(macs), max(macs))
    assert drawn.params_range == (min(params), max(params))


def test_the_cost_range_of_a_large_space_needs_few_looks(space, monkeypatch):
    looks = []

    def count(block, *rest):
        looks.append(block)
        return count_block_cost(block, *rest)

    monkeypatch.setattr("nas.space.search_space.count_block_cost", count)
    drawn = space(
        "search: {segments: 1..C, order: [spatial_first, pointwise_first], residual: [true, false]}",
        "network.stem.channels=728",
        "network.blocks=[{channels: 728, convs: 3, repeat: 8}]",
    )
    lowest, highest = drawn.macs_range
    assert highest > lowest
    assert len(looks) <= 8 + 8  # the first architecture; two ends, two orders, with and without


def test_a_stem_may_have_equal_convolutions(space):
    drawn = space("", "network.stem.channels=[6, 6]")
    assert drawn.sample(0).stem.channels == (6, 6)


def test_axes_without_effect_are_not_there(space):
    drawn = space(
        "search: {segments: 1..C, order: plain, activation: [none, elu], pointwise_groups: [1, 9],"
        " residual: [true, false]}"
    )
    assert [p.name for p in drawn.parameters] == ["block0.residual", "block1.residual"]
    assert drawn.size == len(list(drawn.combinations())) == 4


def test_without_momentum_there_is_no_nesterov_momentum(space):
    recipe = space("training: {momentum: 0}").file.training.full_recipe
    assert (recipe.momentum, recipe.nesterov) == (0, False)
    assert space("training: {momentum: 0.5}").file.training.full_recipe.nesterov
    torch.optim.SGD(
        [torch.zeros(1)], recipe.learning_rate, recipe.momentum, nesterov=recipe.nesterov
    )


def test_architectures_over_the_budget_are_rejected_before_training(space):
    free = space("search: {segments: [1, 2, C], residual: [true, false]}")
    lowest, highest = free.macs_range
    middle = (lowest + highest) // 2
    bounded = space(
        f"search: {{segments: [1, 2, C], residual: [true, false]}}\nmacs: {{at_most: {middle}}}"
    )
    assert all(count_cost(bounded.sample(seed)).macs <= middle for seed in range(50))
    with pytest.raises(Infeasible, match="MACs are more than") as caught:
        bounded.decode(lambda parameter: parameter.choices[0])
    assert caught.value.violation > 0


def test_matched_architectures_all_cost_the_same(space):
    matched = space(
        "search: {segments: [1, 2, 3, C], order: [spatial_first, pointwise_first]}\n"
        "macs: {match: 100K, tolerance: 2%}"
    )
    costs = [count_cost(matched.sample(seed)).macs for seed in range(30)]
    assert all(abs(cost - 100_000) <= 2000 for cost in costs)
    assert matched.file.objective_names == ("accuracy",)


def test_choices_that_are_the_same_network_have_the_same_key(spaces):
    space = load_space(spaces / "spectrum.yaml")
    rng = random.Random(0)
    for _ in range(50):
        values = {p.name: rng.choice(p.choices) for p in space.parameters}
        by_count = space.decode(lambda p, v=values: (v | {"block0.segments": 3})[p.name])
        by_width = space.decode(lambda p, v=values: (v | {"block0.segments": "C/8"})[p.name])
        assert by_count.key == by_width.key  # 24 channels in segments of 8


def test_shapes_and_classes_come_from_the_data_where_the_file_has_none(spaces):
    space = load_space(spaces / "spectrum.yaml")
    assert (space.input_shape, space.classes) == ((1, 8, 8), 10)


def test_a_count_above_the_channels_of_any_block_is_not_clamped(space):
    with pytest.raises(InputError, match=r"7 is more than the 6 channels of blocks\[0\]"):
        space("search: {segments: [1, 7]}")
    with pytest.raises(InputError, match=r"7 is more than the 6 channels of blocks\[1\]"):
        # Block 1's own input is the narrow one.
        space("search: {segments: [1, 2]}", "network.blocks[1].segments=[7]")
    space(
        "search: {segments: [1, 2]}",
        "network.blocks[1].segments=[7]",
        "network.blocks[1].order=pointwise_first",
    )


def test_samples_do_not_depend_on_the_process():
    """Hash randomisation must not reach a sample."""
    import subprocess
    import sys

    file = ROOT / "search_spaces" / "spectrum.yaml"
    program = f"from nas import load_space; print(load_space({str(file)!r}).sample(3).key)"
    keys = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(keys) == 1


def test_several_limits_hold_at_once(spaces):
    free = load_space(spaces / "spectrum.yaml")
    costs = [count_cost(free.sample(seed)) for seed in range(40)]
    macs = sorted(cost.macs for cost in costs)[20]
    params = sorted(cost.params for cost in costs)[15]
    limits = (f"macs={{at_most: {macs}}}", f"params.at_most={params}")
    space = load_space(spaces / "spectrum.yaml", limits)
    found = [count_cost(space.sample(seed)) for seed in range(40)]
    assert all(cost.macs <= macs and cost.params <= params for cost in found)
    assert not all(cost.params <= params for cost in costs if cost.macs <= macs)  # it does limit


def test_a_limit_that_nothing_keeps_is_named(spaces):
    rule = r"params.at_most: 10 is less than the cheapest architecture costs, .* parameters"
    with pytest.raises(InputError, match=rule):
        load_space(spaces / "smoke.yaml", ["params.at_most=10"])
