"""Which networks Keras has, too, and the options with which ours compute the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nas.architecture.presets import PRESETS
from nas.architecture.presets.options import from_text, known, split
from nas.architecture.specification import Architecture

KERAS_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "xception": {},
    "mobilenet": {"activation": "relu6", "padding": "floor"},
}
"""Presets of `keras.applications`, and options that are not the preset's own defaults."""


def keras_architecture(text: str) -> Architecture:
    """A preset as Keras has it, but for the options that are said: ``xception:classes=10``.

    Raises:
        PresetError: no such preset, option or type; it has a hint.
        ArchitectureError: with these options some layer cannot exist.
    """
    name, options = split(text)
    makers = {name: PRESETS[name] for name in KERAS_OPTIONS}
    maker = known(name, makers, "preset of a Keras file")
    return maker(**from_text(name, maker, {**KERAS_OPTIONS[name], **options}))


def keras_name_of(architecture: Architecture) -> str | None:
    """The preset that Keras has, too, and that an architecture is, whatever its size and widths."""
    for name, options in KERAS_OPTIONS.items():
        published = PRESETS[name](**from_text(name, PRESETS[name], options))
        if _with_widths(published, architecture).key == architecture.key:
            return name
    return None


def _with_widths(published: Architecture, other: Architecture) -> Architecture:
    """A published network with the images, classes and channels of another; its convolutions stay.

    Where they have other numbers of convolutions it is returned as it is.
    """
    if _convolutions(published) != _convolutions(other):
        return published
    blocks = zip(published.blocks, other.blocks, strict=True)
    return replace(
        published,
        input_shape=other.input_shape,
        classes=other.classes,
        stem=replace(published.stem, channels=other.stem.channels),
        blocks=tuple(replace(block, channels=theirs.channels) for block, theirs in blocks),
    )


def _convolutions(architecture: Architecture) -> tuple[int, ...]:
    """Of the stem and of each block."""
    return (
        len(architecture.stem.channels),
        *(len(block.channels) for block in architecture.blocks),
    )
