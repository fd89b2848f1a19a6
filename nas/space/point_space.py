"""The choices for points on the spectrum that are drawn together: for one block, or for all."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nas.architecture import SpectrumPoint
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


@dataclass(frozen=True)
class Point:
    """What is chosen for a block."""

    spectrum: SpectrumPoint
    residual: bool


@dataclass(frozen=True)
class PointSpace:
    """Choices by axis; every axis has at least one.

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
        parameters = {}
        for axis in Axes.AXES:
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
        rest = (axis for axis in self._active(str(order)) if axis != "order")
        return _point({"order": order} | {axis: self._choose(axis, draw) for axis in rest})

    def points(self, leave_out: tuple[str, ...] = ()) -> Iterator[Point]:
        """Every point, axes that are left out at their first choice."""
        return (_point(chosen) for chosen in self.combinations(leave_out))

    def combinations(self, leave_out: tuple[str, ...] = ()) -> Iterator[dict[str, Choice]]:
        """Every combination of choices by axis."""
        for order in self.parameters["order"].choices:
            axes = self._active(str(order))
            choices = [
                (order,)
                if axis == "order"
                else self.parameters[axis].choices[: 1 if axis in leave_out else None]
                for axis in axes
            ]
            for combination in itertools.product(*choices):
                yield dict(zip(axes, combination, strict=True))

    @property
    def size(self) -> int:
        """How many combinations there are."""
        return sum(
            math.prod(
                len(self.parameters[axis].choices)
                for axis in self._active(str(order))
                if axis != "order"
            )
            for order in self.parameters["order"].choices
        )

    def _choose(self, axis: str, draw: Draw) -> Choice:
        parameter = self.parameters[axis]
        return draw(parameter) if len(parameter.choices) > 1 else parameter.choices[0]

    def _active(self, order: str) -> tuple[str, ...]:
        return tuple(axis for axis in Axes.AXES if order != "plain" or axis not in _NOT_IN_PLAIN)


def _point(chosen: dict[str, Any]) -> Point:
    chosen = dict(chosen)
    residual = chosen.pop("residual")
    if chosen["order"] == "plain":
        chosen["segments"] = 1
    return Point(SpectrumPoint(**chosen), residual)
