"""Axes: what a registry's entry says of itself, and what follows from it."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from nas import Block, SpectrumPoint
from nas.architecture.description import describe_block
from nas.architecture.specification import PLAIN_VALUES
from nas.space.axes import AXES, AxisSpec
from nas.space.schema import BlockSection, SearchSection
from nas.space.value_types import Choices


def test_the_order_is_drawn_first_and_every_axis_is_a_key_of_the_file():
    assert next(iter(AXES)) == "order"  # whether the others have an effect depends on it
    assert set(AXES) <= set(SearchSection.model_fields) & set(BlockSection.model_fields)


@pytest.mark.parametrize("axis", AXES.values(), ids=lambda axis: axis.name)
def test_an_axis_sets_a_field_whose_default_is_chosen_where_it_is_not_named(axis):
    assert axis.name in {field.name for field in fields(axis.sets)}
    assert axis.default == getattr(
        SpectrumPoint() if axis.sets is SpectrumPoint else Block((8,)), axis.name
    )
    assert not axis.has_effect("plain") or axis.name not in PLAIN_VALUES


def test_valid_values_are_those_of_the_type():
    values = {name: axis.valid_values for name, axis in AXES.items()}
    assert values["activation"] == "none, relu, elu, gelu, silu, relu6"
    assert values["residual"] == "true, false"
    assert values["kernel"] == "3, 5, 7"
    assert values["dilation"] == "1 to 64"
    assert "C/n" in values["segments"]


@pytest.mark.parametrize(
    ("axis", "choice", "words"),
    [
        ("order", "pointwise_first", "pointwise first"),
        ("segments", "C/4", "C/4"),
        ("activation", "none", "no activation"),
        ("activation", "elu", "elu"),
        ("residual", False, "no residual"),
        ("residual", True, "residual"),
        ("pointwise_groups", 2, "pointwise groups 2"),
    ],
)
def test_a_choice_in_words(axis, choice, words):
    assert AXES[axis].in_words(choice) == words


def test_a_field_that_nothing_else_names_is_an_axis_with_one_entry():
    axis = AxisSpec("norm_between", Choices[bool])
    assert axis.default is False
    assert axis.valid_values == "true, false"
    assert not axis.has_effect("plain")
    assert axis.has_effect("spatial_first")
    assert axis.in_words(True) == "norm between"


@pytest.mark.parametrize(
    "axis", [a for a in AXES.values() if a.sets is SpectrumPoint], ids=lambda axis: axis.name
)
def test_choices_that_differ_are_described_differently(axis):
    other = {"order": "pointwise_first", "segments": 2, "activation": "relu", "kernel": 5}
    point = replace(SpectrumPoint(), **{axis.name: other.get(axis.name, 2)})
    assert describe_block(Block((8,), point), 8) != describe_block(Block((8,)), 8)
