"""Which networks Keras has, too, and the options with which ours compute the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nas.architecture.presets.options import known, split
from nas.architecture.reference import Reference
from nas.architecture.references import PUBLISHED, parse
from nas.architecture.specification import Architecture

KERAS_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "xception": {},
    "mobilenet": {"activation": "relu6", "padding": "floor"},
    "inception_v3": {"norm_scale": "false", "pool_counts_padding": "false"},
}
"""Networks of `keras.applications`, and options that are not the defaults here."""

GOES_BACK = ("xception", "mobilenet")
"""Those whose weights are written for Keras, too."""


def keras_architecture(text: str) -> Architecture | Reference:
    """A network as Keras has it, but for the options that are said: ``xception:classes=10``.

    Raises:
        PresetError: no such preset, option or type; it has a hint.
        ArchitectureError: with these options some layer cannot exist.
    """
    name, options = split(text)
    known(name, {name: PUBLISHED[name] for name in KERAS_OPTIONS}, "preset of a Keras file")
    written = [f"{key}={value}" for key, value in {**KERAS_OPTIONS[name], **options}.items()]
    return parse(":".join((name, ",".join(written))) if written else name)


def keras_name_of(architecture: Architecture) -> str | None:
    """Which network of Keras an architecture is, whatever its size and widths; None: of none."""
    for name in GOES_BACK:
        published = keras_architecture(name)
        assert isinstance(published, Architecture)
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
        dropout=other.dropout,
        stem=replace(published.stem, channels=other.stem.channels),
        blocks=tuple(replace(block, channels=theirs.channels) for block, theirs in blocks),
    )


def _convolutions(architecture: Architecture) -> tuple[int, ...]:
    """Of the stem and of each block."""
    return (
        len(architecture.stem.channels),
        *(len(block.channels) for block in architecture.blocks),
    )
