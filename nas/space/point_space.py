"""The choices for points on the spectrum that are drawn together: for one block, or for all."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nas.architecture.specification import SpectrumPoint
from nas.space.schema import Axes, SegmentRange

Choice = str | int | bool


@dataclass(frozen=True)
class Parameter:
    """Something to choose, as plain data.

    Attributes:
        name: ``block0.segments``, or ``segments`` where it is drawn once for all blocks.
        ordered: the choices are consecutive counts of segments, the last one perhaps ``C``.
    """

    name: str
    choices: tuple[Choice, ...]
    ordered: bool = False


Draw = Callable[[Parameter], Choice]

_DEFAULTS: dict[str, Choice] = {
    "order": "spatial_first",
    "segments": "C",
    "activation": "none",
    "residual": True,
    "kernel": 3,
    "multiplier": 1,
    "dilation": 1,
    "pointwise_groups": 1,
}
_NOT_IN_PLAIN = ("segments", "activation", "multiplier", "pointwise_groups")
_FREE = ("activation", "dilation")
"""Axes that cost nothing, whatever is chosen."""


@dataclass(frozen=True)
class Point:
    """What is chosen for a block."""

    spectrum: SpectrumPoint
    residual: bool


@dataclass(frozen=True)
class PointSpace:
    """Choices by axis, at least one each, of the axes that have an effect in some order.

    In a plain convolution there is nothing to segment or activate, so those axes are not drawn.
    """

    parameters: Mapping[str, Parameter]

    @classmethod
    def of(cls, axes: Mapping[str, Any], prefix: str, narrowest: int) -> PointSpace:
        """From the axes of a file.

        Args:
            axes: choices by axis, None where the file has none.
            prefix: of the parameters' names.
            narrowest: the fewest channels that are segmented; where a range ``1..C`` ends.
        """
        orders = axes["order"] or (_DEFAULTS["order"],)
        parameters = {}
        for axis in Axes.AXES:
            if not any(axis in _active(str(order)) for order in orders):
                continue
            choices = axes[axis] or (_DEFAULTS[axis],)
            ordered = isinstance(choices, SegmentRange)
            if isinstance(choices, SegmentRange):
                last = narrowest if choices.last == "C" else choices.last
                counts: tuple[Choice, ...] = tuple(range(choices.first, last + 1))
                choices = (*counts[:-1], "C") if choices.last == "C" else counts
            parameters[axis] = Parameter(prefix + axis, choices, ordered)
        return cls(parameters)

    def draw(self, draw: Draw) -> Point:
        """The point of these choices; an axis with one choice is not drawn."""
        order = self._choose("order", draw)
        rest = (axis for axis in _active(str(order)) if axis != "order")
        return _point({"order": order} | {axis: self._choose(axis, draw) for axis in rest})

    def first(self) -> Point:
        """The first choice of every axis."""
        return _point(next(self.combinations()))

    def extremes(self) -> Iterator[Point]:
        """Points that the cheapest and the dearest one are among, at any widths.

        The more segments, the fewer MACs: of consecutive counts, those between the first and the
        last need no look.
        """
        return map(_point, self._combinations(_extremes))

    def combinations(self) -> Iterator[dict[str, Choice]]:
        """Every combination of choices by axis."""
        return self._combinations(lambda parameter: parameter.choices)

    def _combinations(
        self, choices_of: Callable[[Parameter], tuple[Choice, ...]]
    ) -> Iterator[dict[str, Choice]]:
        for order in self.parameters["order"].choices:
            axes = _active(str(order))
            choices = [
                (order,) if axis == "order" else choices_of(self.parameters[axis]) for axis in axes
            ]
            for combination in itertools.product(*choices):
                yield dict(zip(axes, combination, strict=True))

    @property
    def size(self) -> int:
        """How many combinations there are."""
        return sum(
            math.prod(
                len(self.parameters[axis].choices)
                for axis in _active(str(order))
                if axis != "order"
            )
            for order in self.parameters["order"].choices
        )

    def _choose(self, axis: str, draw: Draw) -> Choice:
        parameter = self.parameters[axis]
        return draw(parameter) if len(parameter.choices) > 1 else parameter.choices[0]


def _active(order: str) -> tuple[str, ...]:
    """The axes that have an effect in this order."""
    return tuple(axis for axis in Axes.AXES if order != "plain" or axis not in _NOT_IN_PLAIN)


def _extremes(parameter: Parameter) -> tuple[Choice, ...]:
    choices = parameter.choices
    if parameter.name.rpartition(".")[2] in _FREE:
        return choices[:1]
    return choices[:1] + choices[1:][-1:] if parameter.ordered else choices


def _point(chosen: dict[str, Any]) -> Point:
    chosen = dict(chosen)
    residual = chosen.pop("residual")
    if chosen["order"] == "plain":
        chosen["segments"] = 1
    return Point(SpectrumPoint(**chosen), residual)
