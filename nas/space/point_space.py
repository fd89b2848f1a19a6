"""The choices for points on the spectrum that are drawn together: for one block, or for all."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from nas.architecture.specification import PLAIN_VALUES, Block, SpectrumPoint
from nas.space.axes import AXES, Choice
from nas.space.block_frame import BlockFrame
from nas.space.value_types import SegmentRange


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


@dataclass(frozen=True)
class Point:
    """What is chosen for a block.

    Attributes:
        spectrum: where its convolutions are on the spectrum.
        fields: of the block itself, by name.
    """

    spectrum: SpectrumPoint
    fields: tuple[tuple[str, Choice], ...]

    @classmethod
    def of(cls, chosen: Mapping[str, Any]) -> Point:
        """The point of these choices by axis; of axes that have no effect there are none."""
        spectrum: dict[str, Any] = dict(PLAIN_VALUES) if chosen["order"] == "plain" else {}
        spectrum |= {n: choice for n, choice in chosen.items() if AXES[n].sets is SpectrumPoint}
        return cls(
            SpectrumPoint(**spectrum),
            tuple((n, choice) for n, choice in chosen.items() if AXES[n].sets is Block),
        )

    def block(self, frame: BlockFrame) -> Block:
        """The block of a frame at this point."""
        fields: dict[str, Any] = dict(self.fields)
        return Block(frame.channels, self.spectrum, frame.stride, frame.downsample, **fields)


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
        orders = axes["order"] or (AXES["order"].default,)
        parameters = {}
        for name, axis in AXES.items():
            if not any(axis.has_effect(str(order)) for order in orders):
                continue
            choices = axes[name] or (axis.default,)
            ordered = isinstance(choices, SegmentRange)
            if isinstance(choices, SegmentRange):
                choices = choices.counts(narrowest)
            parameters[name] = Parameter(prefix + name, choices, ordered)
        return cls(parameters)

    def draw(self, draw: Draw) -> Point:
        """The point of these choices; an axis with one choice is not drawn."""
        order = self._choose("order", draw)
        rest = (axis for axis in _active(str(order)) if axis != "order")
        return Point.of({"order": order} | {axis: self._choose(axis, draw) for axis in rest})

    def first(self) -> Point:
        """The first choice of every axis."""
        return Point.of(next(self.combinations()))

    def widest(self, order: str) -> Point:
        """One segment, the largest kernel and multiplier and a shortcut, where those may be.

        In the order that is given, or in the first one where that may not be.
        """
        orders = self.parameters["order"].choices
        order = order if order in orders else str(orders[0])
        axes = (axis for axis in _active(order) if axis != "order")
        return Point.of({"order": order} | {axis: _widest(self.parameters[axis]) for axis in axes})

    def extremes(self) -> Iterator[Point]:
        """Points that the cheapest and the most expensive one are among, at any widths.

        The more segments, the fewer MACs and parameters: of consecutive counts, those between the
        first and the last need no look. Those of a mixture do, whose gate grows with them.
        """
        mixed = "mixture" in self.parameters["order"].choices
        return map(Point.of, self._combinations(partial(_extremes, all_counts=mixed)))

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
    return tuple(name for name, axis in AXES.items() if axis.has_effect(order))


def _widest(parameter: Parameter) -> Choice:
    axis, choices = parameter.name.rpartition(".")[2], parameter.choices
    if axis in ("segments", "pointwise_groups"):
        return 1
    largest = axis in ("kernel", "multiplier", "residual")
    return max(choices, key=int) if largest else choices[0]


def _extremes(parameter: Parameter, all_counts: bool) -> tuple[Choice, ...]:
    choices = parameter.choices
    if not AXES[parameter.name.rpartition(".")[2]].costs:
        return choices[:1]
    return choices[:1] + choices[1:][-1:] if parameter.ordered and not all_counts else choices
