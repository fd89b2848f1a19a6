"""The drawing of an architecture says what the architecture is."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings

from nas import preset
from nas.architecture.description import describe_architecture
from nas.architecture.drawing import draw_architecture
from nas.architecture.presets import PRESETS
from nas.architecture.specification import Architecture, Block, SpectrumPoint, Stem
from nas.architecture.text_drawing import draw_as_text
from tests.nas.strategies import architectures

SVG = "{http://www.w3.org/2000/svg}"
BLUE, YELLOW, DARK = {"#0072b2", "#56b4e9"}, "#e69f00", "#004a75"


def drawn(architecture: Architecture) -> ElementTree.Element:
    return ElementTree.fromstring(draw_architecture(architecture))


def bars(picture, colours) -> list[dict[str, float]]:
    """Rectangles of these colours, from top to bottom."""
    found = [r.attrib for r in picture.iter(f"{SVG}rect") if r.attrib["fill"] in colours]
    return [{k: float(v) for k, v in r.items() if k != "fill"} for r in found]


ONE_OF_EACH = Architecture(
    input_shape=(3, 32, 32),
    classes=10,
    stem=Stem((16,)),
    blocks=(
        Block((32,), SpectrumPoint(segments=4), stride=2),
        Block((32,), SpectrumPoint(segments="C", order="pointwise_first")),
        Block((64,), SpectrumPoint(segments=1, order="plain"), residual=False),
    ),
)


def test_a_stripe_is_a_segment_and_a_width_is_a_number_of_channels():
    picture = drawn(ONE_OF_EACH)
    stripes = bars(picture, BLUE)
    rows = sorted({stripe["y"] for stripe in stripes})
    # 4 segments over the 16 channels that the first block receives, 32 over those of the second.
    by_row = [[s for s in stripes if s["y"] == y] for y in rows]
    assert [len(row) for row in by_row] == [4, 32]
    widths = [sum(s["width"] for s in row) for row in by_row]
    stem, plain = bars(picture, {DARK})
    assert plain["width"] == pytest.approx(300)  # 64 channels, the most
    assert stem["width"] == pytest.approx(75)
    assert widths == pytest.approx([75, 150], abs=0.1)
    assert [bar["width"] for bar in bars(picture, {YELLOW})] == pytest.approx([150, 150], abs=0.1)


def test_the_order_is_from_top_to_bottom_and_a_shortcut_is_a_line():
    picture = drawn(ONE_OF_EACH)
    kernels = sorted({stripe["y"] for stripe in bars(picture, BLUE)})
    pointwise = [bar["y"] for bar in bars(picture, {YELLOW})]
    assert pointwise[0] > kernels[0]  # spatial first
    assert pointwise[1] < kernels[1]  # pointwise first
    projection, identity = picture.iter(f"{SVG}path")
    assert "stroke-dasharray" in projection.attrib
    assert "stroke-dasharray" not in identity.attrib


def test_it_is_described_for_who_does_not_see_it():
    title = drawn(ONE_OF_EACH).find(f"{SVG}title").text
    assert title.startswith("3 blocks: stem; 0: 32 channels, 1 convolution in 4 segments")
    words = "".join(text.text for text in drawn(ONE_OF_EACH).iter(f"{SVG}text"))
    assert "1 plain convolution" in words


@settings(max_examples=100, deadline=None)
@given(architectures())
def test_any_architecture_is_drawn_inside_its_picture(architecture):
    picture = drawn(architecture)
    _, _, width, height = map(float, picture.attrib["viewBox"].split())
    for bar in bars(picture, BLUE | {YELLOW, DARK}):
        assert bar["x"] >= 0
        assert bar["x"] + bar["width"] <= width / 2 + 1
        assert bar["y"] >= 0
        assert bar["y"] + bar["height"] <= height
    for text in picture.iter(f"{SVG}text"):
        assert 0 < float(text.attrib["y"]) < height


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_drawn(name):
    assert len(draw_architecture(preset(name))) < 400_000


def test_linear_layers_before_the_last_are_drawn_and_described():
    architecture = replace(ONE_OF_EACH, hidden=(16, 16), dropout=0.5)
    said = "head: linear layers of 16, 16, dropout 0.5"
    assert describe_architecture(architecture)[-1] == said
    assert draw_as_text(architecture).splitlines()[-3] == said
    picture = drawn(architecture)
    assert picture.find(f"{SVG}title").text.startswith("3 blocks: ")
    assert len(bars(picture, {YELLOW})) == len(bars(drawn(ONE_OF_EACH), {YELLOW})) + 2


def test_letters_draw_the_same():
    assert draw_as_text(ONE_OF_EACH).splitlines() == [
        "stem",
        f"   {18 * ' '}{12 * '█'}",
        "0: 32 channels, 1 convolution in 4 segments, spatial first, nothing",
        "   between, shortcut, stride 2",
        f" ┌ {18 * ' '}███▒▒▒███▒▒▒",
        f" └ {12 * ' '}{24 * '─'}",
        "1: 32 channels, 1 convolution in 32 segments, pointwise first, nothing",
        "   between, shortcut",
        f" ┌ {12 * ' '}{24 * '─'}",
        f" └ {12 * ' '}{12 * '█▒'}",
        "2: 64 channels, 1 plain convolution, no shortcut",
        f"   {48 * '█'}",
    ]


@given(architectures())
@settings(max_examples=20, deadline=None)
def test_letters_fit_a_note(architecture):
    lines = draw_as_text(architecture).splitlines()
    assert max(map(len, lines)) <= 72
    convolutions = sum(len(block.channels) for block in architecture.blocks)
    drawn_lines = [line for line in lines if set(line) & set("█▒─")]
    assert len(drawn_lines) >= convolutions + len(architecture.stem.channels)
