"""The set of architectures that a file describes: size, sample, decode."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from nas.architecture import (
    MAX_CHANNELS,
    Architecture,
    ArchitectureError,
    Block,
    Downsample,
    Stem,
)
from nas.cost import count_cost
from nas.matching import match_macs
from nas.space.point_space import Choice, Draw, Parameter, Point, PointSpace
from nas.space.quantities import format_count
from nas.space.schema import Axes, BlockSection, SpaceFile

SAMPLE_TRIES = 10_000
MATCH_TRIES = 20
"""Solving widths that do not exist takes a second each time."""


class Infeasible(ArchitectureError):
    """An architecture outside the budget.

    Attributes:
        violation: how far outside, relative to the budget; above zero.
    """

    def __init__(self, message: str, violation: float = 1.0) -> None:
        super().__init__(message)
        self.violation = violation


@dataclass(frozen=True)
class BlockFrame:
    """What the file fixes of a block, whatever its point."""

    in_channels: int
    channels: tuple[int, ...]
    stride: int
    downsample: Downsample

    def narrowest(self, orders: Sequence[str]) -> int:
        """The fewest channels that any of its convolutions is segmented over in these orders."""
        widths = {
            "spatial_first": min((self.in_channels, *self.channels[:-1])),
            "pointwise_first": min(self.channels),
        }
        return min(widths.get(order, MAX_CHANNELS) for order in orders)

    def block(self, point: Point) -> Block:
        """The block at a point."""
        return Block(self.channels, point.spectrum, self.stride, self.downsample, point.residual)


@dataclass(frozen=True)
class SearchSpace:
    """What may be searched.

    Attributes:
        file: everything the file says.
        input_shape: (channels, height, width) of the images.
        classes: number of labels.
    """

    file: SpaceFile
    input_shape: tuple[int, int, int]
    classes: int

    @cached_property
    def frames(self) -> tuple[BlockFrame, ...]:
        """The blocks, repeated ones written out."""
        frames: list[BlockFrame] = []
        width = self.file.network.stem.channels[-1]
        for section in self._sections:
            channels = section.convolution_channels
            frames.append(BlockFrame(width, channels, section.stride, section.downsample))
            width = channels[-1]
        return tuple(frames)

    @property
    def _sections(self) -> list[BlockSection]:
        return [block for block in self.file.network.blocks for _ in range(block.repeat)]

    @cached_property
    def point_spaces(self) -> tuple[PointSpace, ...]:
        """Choices for each block, or one set of choices for all blocks."""
        search = {axis: getattr(self.file.search, axis) for axis in Axes.AXES}
        if self.file.search.scope == "network":
            narrowest = min(frame.narrowest(_orders(search)) for frame in self.frames)
            return (PointSpace.of(search, "", narrowest),)
        spaces = []
        for index, (section, frame) in enumerate(zip(self._sections, self.frames, strict=True)):
            axes = {axis: getattr(section, axis) or search[axis] for axis in Axes.AXES}
            narrowest = frame.narrowest(_orders(axes))
            spaces.append(PointSpace.of(axes, f"block{index}.", narrowest))
        return tuple(spaces)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Everything with more than one choice, in the order in which it is drawn."""
        return tuple(
            parameter
            for space in self.point_spaces
            for parameter in space.parameters.values()
            if len(parameter.choices) > 1
        )

    def decode(self, draw: Draw) -> Architecture:
        """The architecture of these choices, inside the budget.

        Args:
            draw: called once for each parameter that has an effect.

        Raises:
            Infeasible: it costs more than ``macs.at_most``.
            MatchError: no widths give it the cost ``macs.match``.
        """
        architecture = self._at([space.draw(draw) for space in self.point_spaces])
        budget = self.file.macs
        if budget is None:
            return architecture
        if budget.match is not None:
            return match_macs(architecture, budget.match, budget.tolerance)
        macs, most = count_cost(architecture).macs, budget.at_most or 0
        if macs > most:
            raise Infeasible(
                f"{format_count(macs)} MACs are more than {format_count(most)}", macs / most - 1
            )
        return architecture

    def sample(self, seed: int) -> Architecture:
        """A random architecture inside the budget.

        Raises:
            Infeasible: none was found in 10,000 tries, or in 20 where widths are solved.
        """
        rng = random.Random(seed)
        tries = MATCH_TRIES if self.file.macs and self.file.macs.match else SAMPLE_TRIES
        for _ in range(tries):
            try:
                return self.decode(lambda parameter: rng.choice(parameter.choices))
            except ArchitectureError as error:
                reason = error
        raise Infeasible(f"no architecture in {tries:,} tries; the last: {reason}")

    @property
    def size(self) -> int:
        """How many combinations of choices there are; different ones may be the same network."""
        return math.prod(space.size for space in self.point_spaces)

    def combinations(self) -> Iterator[dict[str, Choice]]:
        """Every combination, by the parameters' names."""
        for combination in itertools.product(*(s.combinations() for s in self.point_spaces)):
            yield {
                space.parameters[axis].name: choice
                for space, chosen in zip(self.point_spaces, combination, strict=True)
                for axis, choice in chosen.items()
            }

    @cached_property
    def macs_range(self) -> tuple[int, int]:
        """MACs of the cheapest and of the dearest architecture at the declared widths.

        A block costs the same whatever the others are, so each is minimized by itself.
        """
        base = [next(space.points()) for space in self.point_spaces]
        base_macs = cheapest = dearest = count_cost(self._at(base)).macs
        for index, space in enumerate(self.point_spaces):
            macs = [
                count_cost(self._at([*base[:index], point, *base[index + 1 :]])).macs
                for point in space.points(leave_out=("activation",))
            ]
            cheapest += min(macs) - base_macs
            dearest += max(macs) - base_macs
        return cheapest, dearest

    def _at(self, points: Sequence[Point]) -> Architecture:
        """The network at the declared widths with these points: one for each block or for all."""
        spread = points if len(points) == len(self.frames) else list(points) * len(self.frames)
        stem = self.file.network.stem
        return Architecture(
            self.input_shape,
            self.classes,
            Stem(stem.channels, stem.stride, stem.kernel),
            tuple(frame.block(point) for frame, point in zip(self.frames, spread, strict=True)),
        )


def _orders(axes: dict[str, tuple[str, ...] | None]) -> tuple[str, ...]:
    return axes["order"] or ("spatial_first",)
