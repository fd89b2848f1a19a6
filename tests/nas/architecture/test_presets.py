"""Published networks by name: their options as text and from Python, and what is refused."""

from __future__ import annotations

import json

import pytest

from nas.architecture.presets import PresetError, parse, preset
from nas.architecture.specification import Architecture, ArchitectureError
from tests.conftest import ROOT

RECORDED = json.loads((ROOT / "tests" / "golden" / "architecture_keys.json").read_text())
"""JSON of architectures by their keys, as versions before these options wrote them."""


@pytest.mark.parametrize("key", RECORDED)
def test_architectures_of_earlier_versions_keep_their_keys_and_json(key):
    architecture = Architecture.from_json(RECORDED[key])
    assert architecture.key == key
    assert architecture.to_json() == RECORDED[key]


def test_presets_of_earlier_versions_are_the_same_networks():
    first = dict(list(RECORDED.items())[:6])
    assert preset("xception").key in first
    assert preset("mobilenet", width=0.25, image_size=128, classes=10, segments=3).key in first
    assert preset("mobilenet", padding="symmetric").key in first


def test_options_are_read_as_the_types_that_they_have():
    text = "xception:segments=4,residual=false,width=.5,activation=elu,classes=10"
    options = {"segments": 4, "residual": False, "width": 0.5, "activation": "elu", "classes": 10}
    assert parse(text) == preset("xception", **options)
    assert parse("xception:segments=C/4") == preset("xception", segments="C/4")
    assert parse("mobilenet") == preset("mobilenet")


WRONG = [
    ("mobilnet", "preset is one of mobilenet, xception", "got 'mobilnet'", "xception"),
    ("mobilenet:alhpa=1", "mobilenet has no option 'alhpa'", "", "any of classes, image_size"),
    ("mobilenet:width=x", "mobilenet: width is a number", "got 'x'", "mobilenet:width=.5"),
    ("mobilenet:width=nan", "mobilenet: width is a number", "got 'nan'", "such as"),
    ("mobilenet:classes=1.5", "classes is a whole number", "got '1.5'", "mobilenet:classes=1"),
    ("mobilenet:padding=same", "padding is one of symmetric, tensorflow", "got 'same'", "such as"),
    ("xception:residual=yes", "residual is true or false", "got 'yes'", "residual=true"),
    ("xception:", "followed by options, as in NAME:option=value", "got ''", "mobilenet:alpha=.5"),
    ("xception:width", "followed by options, as in NAME:option=value", "got 'width'", "such as"),
    ("xception:width=1,width=2", "an option stands once", "got width twice", "leave one out"),
    ("xception:width=" + "1" * 5000, "followed by options", "got 'width=111", "such as"),
]


@pytest.mark.parametrize(("text", "rule", "value", "hint"), WRONG, ids=range(len(WRONG)))
def test_what_is_no_preset_is_refused_with_rule_value_and_hint(text, rule, value, hint):
    with pytest.raises(PresetError) as caught:
        parse(text)
    assert rule in str(caught.value)
    assert value in str(caught.value)
    assert hint in caught.value.hint
    assert len(str(caught.value)) < 300


def test_an_option_that_would_change_nothing_is_refused():
    with pytest.raises(ArchitectureError, match=r"of separable units; got 7 with separable=false"):
        parse("mobilenet:separable=false,segments=7")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alhpa": 1}, "mobilenet has no option 'alhpa'"),
        ({"width": "1"}, "width is a number; got '1'"),
        ({"classes": True}, "classes is a whole number; got True"),
        ({"image_size": 224.0}, "image_size is a whole number; got 224.0"),
        ({"segments": None}, "segments is a whole number or a text; got None"),
    ],
)
def test_options_from_python_have_their_types(options, message):
    with pytest.raises(PresetError, match=message):
        preset("mobilenet", **options)
