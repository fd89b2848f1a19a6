"""Architectures in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from nas.architecture.mixture import chosen_experts
from nas.architecture.specification import Architecture, Block, SpectrumPoint


def describe_architecture(architecture: Architecture) -> tuple[str, ...]:
    """A line for the stem, one for each block, and one for a head of more than a linear layer."""
    rectified = "" if architecture.nonlinearity == "relu" else f", {architecture.nonlinearity}"
    head = describe_head(architecture)
    return (
        f"stem: {_channels(architecture.stem.channels)}{rectified}",
        *(
            f"block {index}: {describe_block(block, in_channels, architecture.dims)}"
            for index, (block, in_channels) in enumerate(architecture.blocks_with_input())
        ),
        *((f"head: {head}",) if head else ()),
    )


def describe_head(architecture: Architecture) -> str:
    """What is before the last linear layer: ``linear layers of 4096, 4096; dropout 0.5``."""
    parts = []
    if architecture.hidden:
        noun = "a linear layer" if len(architecture.hidden) == 1 else "linear layers"
        parts.append(f"{noun} of {', '.join(map(str, architecture.hidden))}")
    if architecture.dropout:
        parts.append(f"dropout {architecture.dropout:g}")
    return ", ".join(parts)


def describe_block(block: Block, in_channels: int, dims: int = 2) -> str:
    """One line: ``24 channels, 2 convolutions in 6 segments, pointwise first, relu between``.

    Then whatever else may be searched: a shortcut or none, and options that are not at their
    default. So blocks of one search space that differ are described differently.

    Args:
        dims: of the kernels: 2 of images, 3 of clips.
    """
    return ", ".join(
        (
            _channels(block.channels),
            _convolutions(block, in_channels, dims),
            *_joint(block.point),
            *_options(block.point),
            "shortcut" if block.residual else "no shortcut",
        )
    )


def _channels(channels: tuple[int, ...]) -> str:
    widths = channels[:1] if len(set(channels)) == 1 else channels
    return f"{', '.join(map(str, widths))} {'channel' if widths == (1,) else 'channels'}"


def _convolutions(block: Block, in_channels: int, dims: int) -> str:
    point, count = block.point, len(block.channels)
    plain = "plain " if point.order == "plain" else ""
    noun = "convolution" if count == 1 else "convolutions"
    kernel, then = _kernels(point, dims)
    counts = block.segment_counts(in_channels)
    segments = "" if plain else f" in {_segments(counts)}"
    if point.order == "mixture":
        segments += f" of which an image has {_each(tuple(map(chosen_experts, counts)))}"
    return f"{count} {plain}{noun}{kernel}{segments}{then}"


def _kernels(point: SpectrumPoint, dims: int) -> tuple[str, str]:
    """The one in segments, and the one that is after it in time; of 3 there is nothing to say."""
    if point.kernel == 3:
        return "", ""
    if point.order == "space_then_time":
        return f" of 1 x {point.kernel} x {point.kernel}", f", then {point.kernel} x 1 x 1"
    return f" of {' x '.join([str(point.kernel)] * dims)}", ""


def _segments(counts: tuple[int, ...]) -> str:
    return f"{_each(counts)} {'segment' if set(counts) == {1} else 'segments'}"


def _each(counts: tuple[int, ...]) -> str:
    shown = counts[:1] if len(set(counts)) == 1 else counts
    return " and ".join(map(str, shown))


def _joint(point: SpectrumPoint) -> Iterator[str]:
    """How the two steps are joined; a plain convolution has one."""
    if point.order == "plain":
        return
    yield point.order.replace("_", " ")
    between = ["batch norm"] if point.norm_between else []
    between += [point.activation] if point.activation != "none" else []
    yield f"{' and '.join(between) or 'nothing'} between"


_TOLD = {"segments", "activation", "order", "kernel", "norm_between"}
"""Fields that the rest of a description tells."""


def _options(point: SpectrumPoint) -> Iterator[str]:
    """Every other field that is not at its default."""
    for field in fields(point):
        value = getattr(point, field.name)
        name = field.name.replace("_", " ")
        if field.name in _TOLD or value == field.default:
            continue
        if isinstance(value, bool):
            yield name if value else f"no {name}"
        else:
            yield f"{value} {name}" if name.endswith("s") else f"{name} {value}"
