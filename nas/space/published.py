"""Published networks in a study: by name, at the size and with the classes of its images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from nas.architecture.cost import count_cost
from nas.architecture.layers import network_layers, tabulated
from nas.architecture.matching import match_cost
from nas.architecture.point import PLAIN_VALUES
from nas.architecture.presets import PresetError, parse
from nas.architecture.reference import Reference
from nas.architecture.references import check_trainable, reference_named, with_options
from nas.architecture.references.matching import match_reference
from nas.architecture.specification import Architecture, ArchitectureError, Block, Shape
from nas.space.match_section import MatchSection
from nas.space.objectives import COUNTED, OBJECTIVES
from nas.space.published_names import PLAIN
from nas.space.search_space import SearchSpace

LARGEST = 1024
"""Height and width up to which it is looked for a size that a network fits."""


def published_network(space: SearchSpace, text: str) -> Architecture:
    """A published network at the study's input and with its classes, as wide as it is.

    Raises:
        ArchitectureError: the images are too small for its strides, and how large they have to be;
            or it takes images with other channels.
    """
    if text == PLAIN:
        first = space.first()
        return replace(first, blocks=tuple(_plain_blocks(first)))
    if len(space.input_shape) == 4:
        raise ArchitectureError(f"{text} is a network of images, and these are clips")
    channels, height, width = space.input_shape
    network = replace(parse(text), classes=space.classes)
    found = _at(network, space.input_shape)
    if found is not None:
        return found
    smallest = next(
        (s for s in range(min(height, width), LARGEST) if _at(network, (channels, s, s))), None
    )
    fits = f"the smallest that it fits is {smallest} x {smallest}" if smallest else "it fits none"
    raise ArchitectureError(
        f"{text} has more strides than images of {height} x {width} have room for; {fits}"
    )


def reference_network(space: SearchSpace, text: str) -> Architecture | Reference:
    """As `published_network`, also of what is no point of the spectrum: those take RGB squares.

    Raises:
        PresetError: it takes other images, or no recipe trains it; it has a hint.
        ArchitectureError: the images are too small.
    """
    found = reference_named(text)
    if found is None:
        return published_network(space, text)
    channels, *sides = space.input_shape
    if channels != 3 or len(sides) != 2 or len(set(sides)) != 1:
        shape = " x ".join(map(str, space.input_shape))
        rule = f"{text} takes square images of 3 channels; these are {shape}"
        raise PresetError(rule, "pictures in colour (data: {resize: {size: 96}}), or leave it out")
    check_trainable(found)
    try:
        return with_options(found, classes=space.classes, image_size=sides[0])
    except ArchitectureError as error:
        raise ArchitectureError(f"{text}: {error}") from None


def _plain_blocks(architecture: Architecture) -> Iterator[Block]:
    for block in architecture.blocks:
        yield replace(block, point=replace(block.point, order="plain", **PLAIN_VALUES))


def _at(network: Architecture, input_shape: Shape) -> Architecture | None:
    """The network for images of another shape; None where a stride is left nothing to step over."""
    try:
        found = replace(network, input_shape=input_shape)
        rows = list(tabulated(network_layers(found)))
    except ArchitectureError:
        return None
    strided = (layer.input for _, layer, row in rows if row.stride > 1)
    return found if all(min(height, width) > 1 for _, height, width in strided) else None


def published_arms(space: SearchSpace) -> Iterator[tuple[str, Architecture]]:
    """The published networks among a design's arms, of the matched cost where that is counted.

    Raises:
        ArchitectureError: one cannot exist for these images.
        MatchError: no width gives it the cost.
    """
    design = space.file.design
    for text in (design.arms or ()) if design else ():
        yield text, published_arm(space, text)


def published_arm(space: SearchSpace, text: str) -> Architecture:
    """One of `published_arms`."""
    network, matched = published_network(space, text), space.file.matched
    if matched is None or matched.cost not in COUNTED:
        return network
    return _matched(network, matched)


@cache
def _matched(network: Architecture, matched: MatchSection) -> Architecture:
    """Widths are searched for a second, and asked for by checks, tables and the study."""
    cost = OBJECTIVES[matched.cost]
    return match_cost(network, matched.wanted, cost.count, cost.unit, matched.tolerance)


def with_macs(
    network: Architecture | Reference, macs: float, tolerance: float
) -> Architecture | Reference:
    """A network with widths that cost so many MACs.

    Raises:
        MatchError: no widths do.
    """
    if abs(count_cost(network).macs / macs - 1) <= tolerance:
        return network
    if isinstance(network, Reference):
        return match_reference(network, macs, tolerance)
    return match_cost(network, macs, OBJECTIVES["macs"].count, "MACs", tolerance)
