from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.architecture.modules import segment_groups
from nas.architecture.presets import preset
from nas.architecture.specification import (
    Architecture,
    ArchitectureError,
    Block,
    SpectrumPoint,
    Stem,
    segment_count,
)
from tests.nas.strategies import architectures


def segment_widths(channels: int, count: int) -> list[int]:
    """Of each segment."""
    return [
        group.in_width
        for group in segment_groups(channels, channels, count)
        for _ in range(group[2])
    ]


def network(*blocks: Block, stem: int = 24) -> Architecture:
    return Architecture((1, 8, 8), 10, Stem((stem,)), blocks)


@given(st.integers(1, 2000).flatmap(lambda c: st.tuples(st.just(c), st.integers(1, c))))
def test_segments_cover_all_channels_and_differ_by_at_most_one(case):
    channels, count = case
    widths = segment_widths(channels, count)
    assert sum(widths) == channels
    assert len(widths) == count
    assert max(widths) - min(widths) <= 1
    assert list(widths) == sorted(widths, reverse=True)


@given(st.integers(1, 500).flatmap(lambda c: st.tuples(st.just(c), st.integers(1, c))))
def test_a_segment_width_gives_the_fewest_segments_that_narrow(case):
    channels, width = case
    count = segment_count(f"C/{width}", channels)
    assert max(segment_widths(channels, count)) <= width
    assert count == 1 or max(segment_widths(channels, count - 1)) > width


def test_segments_can_be_named_three_ways():
    assert segment_count(3, 24) == 3
    assert segment_count("C/8", 24) == 3
    assert segment_count("C", 24) == 24


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        (25, "25 segments are more than the 24 channels"),
        ("C/25", "a segment of 25 channels is wider than all 24"),
        (0, "segments are a count, C, or a width such as C/4; got '0'"),
        ("c", "segments are a count, C, or a width such as C/4; got 'c'"),
        ("C/0", "segments are a count, C, or a width such as C/4; got 'C/0'"),
        (True, "segments are a count, C, or a width such as C/4; got 'True'"),
    ],
)
def test_segments_that_no_convolution_can_have_are_refused(segments, message):
    with pytest.raises(ArchitectureError, match=message):
        segment_count(segments, 24)


@given(architectures())
def test_json_gives_the_same_architecture_back(architecture):
    again = Architecture.from_json(architecture.to_json())
    assert again == architecture
    assert again.key == architecture.key
    assert again.to_json() == architecture.to_json()


def test_json_is_canonical_and_leaves_defaults_out():
    assert network(Block((24, 24), SpectrumPoint("C/8", "relu"), stride=2)).to_json() == (
        '{"blocks":[{"channels":[24,24],"point":{"activation":"relu","segments":"C/8"},"stride":2}]'
        ',"classes":10,"input_shape":[1,8,8],"stem":{"channels":[24]}}'
    )


def test_the_key_is_of_the_network_not_of_how_it_was_written():
    by_count = network(Block((24, 24), SpectrumPoint(3)))
    by_width = network(Block((24, 24), SpectrumPoint("C/8")))
    assert by_count.key == by_width.key
    widening = [network(Block((48, 48), SpectrumPoint(segments))) for segments in (3, "C/8")]
    assert widening[0].key != widening[1].key  # the second convolution has 3 and 6 segments


def test_the_key_is_stable_between_versions():
    """Databases hold keys: a change here makes every earlier measurement unreachable."""
    assert (
        network(Block((24, 24), SpectrumPoint("C/8", "relu"), stride=2)).key == "3db96a8f5b5bef97"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "nested at most 32 deep"),
        ("[]", "architecture: expected an object"),
        ("{}", "architecture: input_shape is missing"),
        ('{"depth":3}', "architecture: unknown field 'depth'"),
        (
            '{"input_shape":[1,8],"classes":10,"stem":{"channels":[4]},"blocks":[]}',
            r"input_shape is \(channels, height, width\), or .* of clips; got \(1, 8\)",
        ),
        (
            '{"input_shape":[1,8,8],"classes":true,"stem":{"channels":[4]},"blocks":[]}',
            "architecture.classes: expected int; got True",
        ),
        (
            '{"input_shape":[1,8,8],"classes":10,"stem":{"channels":[4]},"blocks":[]}',
            "at least one block",
        ),
        (
            '{"input_shape":[1,8,8],"classes":10,"stem":{"channels":[4]},'
            '"blocks":[{"channels":[4],"point":{"activation":"tanh"}}]}',
            r"blocks\[0\].point.activation: one of none, relu, elu, gelu, silu, relu6; got 'tanh'",
        ),
    ],
)
def test_faulty_json_names_the_place_and_the_value(text, message):
    with pytest.raises(ArchitectureError, match=message):
        Architecture.from_json(text)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: network(Block((24,), SpectrumPoint(96))), r"blocks\[0\]: 96 segments are more"),
        (lambda: Block((24,), SpectrumPoint(kernel=4)), "kernel is one of"),
        (lambda: Block((), SpectrumPoint()), "at least one convolution"),
        (lambda: Block((0,)), "block channels are 1 to 65536"),
        (lambda: Block((4,), stride=0), "block stride is 1 to 8"),
        (lambda: SpectrumPoint(3, order="plain"), "order plain has no 1x1 step: segments is 1"),
        (lambda: SpectrumPoint(1, "relu", "plain"), "plain has no 1x1 step: activation is none"),
        (
            lambda: Block((4,), SpectrumPoint(dilation=2), stride=2, downsample="convolution"),
            "a stride or a dilation above 1, not both",
        ),
        (
            lambda: Architecture((3, 6, 6), 10, Stem((8, 8), stride=2, valid=True), (Block((8,)),)),
            "a valid stem needs a larger image; got 6 x 6",
        ),
        (
            lambda: network(Block((24,), SpectrumPoint(pointwise_groups=25))),
            "25 pointwise groups are more than the 24 channels",
        ),
    ],
)
def test_networks_that_cannot_exist_are_refused_when_made(make, message):
    with pytest.raises(ArchitectureError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpectrumPoint(3, "tanh"), "activation is one of none, relu, .*; got 'tanh'"),
        (lambda: SpectrumPoint(3, order="both"), "order is one of spatial_first, .*; got 'both'"),
        (lambda: Block((4,), downsample="mean"), "downsample is one of max_pool, .*; got 'mean'"),
        (lambda: preset("xception", padding="same"), "padding is one of .*; got 'same'"),
        (lambda: preset("mobilenet", padding=["tensorflow"]), "padding is one of .*; got"),
        (lambda: preset("xception", activation="tanh"), "activation is one of .*; got 'tanh'"),
    ],
)
def test_words_that_mean_nothing_are_refused_when_made_from_python(make, message):
    with pytest.raises(ArchitectureError, match=message):
        make()


def test_a_shortcut_is_an_identity_only_where_the_shapes_are_equal():
    assert Block((16, 24)).shortcut(24) == "identity"
    assert Block((16, 24)).shortcut(16) == "projection"
    assert Block((24,), stride=2).shortcut(24) == "projection"
    assert Block((24,), residual=False).shortcut(24) == "none"


def test_pooling_may_stride_a_dilated_block():
    assert Block((4,), SpectrumPoint(dilation=2), stride=2).convolution_stride == 1
