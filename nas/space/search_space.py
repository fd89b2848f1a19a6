"""The set of architectures that a file describes: size, sample, decode."""

from __future__ import annotations

import functools
import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from nas.architecture.cost import Cost, count_block_cost, count_cost
from nas.architecture.matching import match_cost
from nas.architecture.specification import (
    Architecture,
    ArchitectureError,
    Shape,
    Stem,
)
from nas.space.axes import AXES, Choice
from nas.space.block_frame import BlockFrame
from nas.space.equal_params import with_equal_params
from nas.space.match_section import MatchSection, name_at_budget
from nas.space.objectives import COUNTED, OBJECTIVES
from nas.space.point_space import Draw, Parameter, Point, PointSpace
from nas.space.quantities import format_count
from nas.space.schema import BlockSection, SpaceFile
from nas.space.yaml_document import Document, document_of

SAMPLE_TRIES = 10_000
MATCH_TRIES = 20
"""Solving widths that do not exist takes a second each time."""


class Infeasible(ArchitectureError):
    """An architecture outside a limit.

    Attributes:
        limit: the cost that has it, such as ``macs``; empty where all were tried in vain.
        violation: how far outside, relative to the limit; above zero.
    """

    def __init__(self, message: str, limit: str = "", violation: float = 1.0) -> None:
        super().__init__(message)
        self.limit, self.violation = limit, violation


@dataclass(frozen=True, init=False)
class SearchSpace:
    """What may be searched: ``SearchSpace(name=..., data=..., network=..., search=...)``.

    The sections of a search-space file, as keywords or in a mapping; a file is read by `from_yaml`.
    The shape of the images and the number of classes are read from the data where the sections do
    not have them.

    Attributes:
        file: everything the sections say.
        input_shape: (channels, height, width) of the images; see `Architecture`.
        classes: number of labels.
        document: the sections as they were written, and where.

    Raises:
        InputError: everything that is wrong, each with its place.
    """

    file: SpaceFile
    input_shape: Shape
    classes: int
    document: Document = field(repr=False, compare=False)

    def __init__(
        self, sections: Mapping[str, object] | None = None, /, **more_sections: object
    ) -> None:
        from nas.space.load import build_space  # its checks ask a space how large it is

        document = document_of({**(sections or {}), **more_sections}, "search space")
        vars(self).update(vars(build_space(document)))

    @classmethod
    def from_yaml(cls, path: str | Path, overrides: Sequence[str] = ()) -> SearchSpace:
        """Read a file; see `nas.load_space`, which this is."""
        from nas.space.load import load_space

        return load_space(path, overrides)

    @classmethod
    def of(
        cls,
        document: Document,
        file: SpaceFile,
        input_shape: Shape,
        classes: int,
    ) -> SearchSpace:
        """A space of parts that have been checked; see `nas.space.load.build_space`."""
        space = object.__new__(cls)
        vars(space).update(document=document, file=file, input_shape=input_shape, classes=classes)
        return space

    @cached_property
    def frames(self) -> tuple[BlockFrame, ...]:
        """The blocks, repeated ones written out."""
        frames: list[BlockFrame] = []
        width = self.file.network.stem.channels[-1]
        for section in self._sections:
            frames.append(section.frame(width, self.file.search))
            width = frames[-1].channels[-1]
        return tuple(frames)

    @property
    def _sections(self) -> list[BlockSection]:
        return [block for block in self.file.network.blocks for _ in range(block.repeat)]

    @cached_property
    def point_spaces(self) -> tuple[PointSpace, ...]:
        """Choices for each block, or one set of choices for all blocks."""
        search = {axis: getattr(self.file.search, axis) for axis in AXES}
        if self.file.search.scope == "network":
            narrowest = min(frame.narrowest for frame in self.frames)
            return (PointSpace.of(search, "", narrowest),)
        spaces = []
        for index, (section, frame) in enumerate(zip(self._sections, self.frames, strict=True)):
            axes = {axis: getattr(section, axis) or search[axis] for axis in AXES}
            spaces.append(PointSpace.of(axes, f"block{index}.", frame.narrowest))
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
            Infeasible: it costs more than ``macs.at_most`` or ``params.at_most``.
            MatchError: no widths give it the cost that is to be equal. Latencies are not matched
                here, for they have to be measured: see `nas.study.design`.
        """
        architecture = self.draw_unlimited(draw)
        matched = self.file.matched
        if matched is not None and matched.cost in COUNTED:
            objective = OBJECTIVES[matched.cost]
            architecture = match_cost(
                architecture, matched.wanted, objective.count, objective.unit, matched.tolerance
            )
        self._check_limits(count_cost(architecture))
        return architecture

    def _check_limits(self, cost: Cost) -> None:
        """Raise `Infeasible` for the limit that is missed by most."""
        counts = {name: OBJECTIVES[name].count(cost) for name in self.file.limits}
        excess = {name: counts[name] / most - 1 for name, most in self.file.limits.items()}
        worst = max(excess, key=excess.__getitem__, default=None)
        if worst is not None and excess[worst] > 0:
            shown, most = OBJECTIVES[worst].in_words(counts[worst]), self.file.limits[worst]
            raise Infeasible(f"{shown} are more than {format_count(most)}", worst, excess[worst])

    def sample(self, seed: int) -> Architecture:
        """A random architecture inside the budget.

        Raises:
            Infeasible: none was found in 10,000 tries, or in 20 where widths are solved.
        """
        rng = random.Random(seed)
        tries = MATCH_TRIES if self.file.matched else SAMPLE_TRIES
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

    def name_of(self, combination: Mapping[str, Choice]) -> str:
        """A combination in words: what of it varies, such as ``C/4, spatial first``."""
        varying = [p.name for p in self.parameters if p.name in combination]
        order = [name for name in varying if name.endswith("order")]
        rest = [name for name in varying if name not in order]
        return ", ".join(_label(n, combination[n]) for n in (*rest, *order)) or "the only arm"

    @cached_property
    def architectures(
        self,
    ) -> tuple[tuple[dict[str, Choice], Architecture | ArchitectureError], ...]:
        """Every combination with its architecture, or with why there is none inside the budget.

        Of spaces that are small enough to be a design: their widths are solved here, once.
        """
        found: list[tuple[dict[str, Choice], Architecture | ArchitectureError]] = []
        for combination in self.combinations():
            try:
                found.append((combination, self._chosen(combination)))
            except ArchitectureError as error:
                found.append((combination, error))
        matched = self.file.matched
        return tuple(with_equal_params(found, matched, self.unmatched) if matched else found)

    @cached_property
    def budgets(self) -> tuple[SearchSpace, ...]:
        """The designs of several budgets, each a space of one, named by it; else the space itself.

        Each is a study of its own name, and so has seeds of its own.
        """
        match = self.file.match
        if match is None or not match.budget_names:
            return (self,)
        named = zip(match.budget_names, match.budgets, strict=True)
        return tuple(self._at_budget(match, name, round(budget)) for name, budget in named)

    def _at_budget(self, match: MatchSection, budget_name: str, budget: int) -> SearchSpace:
        name, value = name_at_budget(self.file.name, budget_name), self.document.value
        section = {**value["match"], match.cost: budget}
        document = replace(self.document, value={**value, "name": name, "match": section})
        file = self.file.model_copy(update={"name": name, "match": match.at(budget)})
        return SearchSpace.of(document, file, self.input_shape, self.classes)

    def unmatched(self, combination: Mapping[str, Choice]) -> Architecture:
        """A combination at the declared widths, whatever it costs.

        Raises:
            ArchitectureError: it cannot exist.
        """
        return self.draw_unlimited(lambda parameter: combination[parameter.name])

    def draw_unlimited(self, draw: Draw) -> Architecture:
        """The architecture of these choices at the declared widths, whatever it costs.

        Raises:
            ArchitectureError: it cannot exist.
        """
        return self._at([space.draw(draw) for space in self.point_spaces])

    @property
    def widest(self) -> tuple[Architecture, ...]:
        """Networks whose weights those of all others are slices of: see `nas.network.slicing`."""
        orders = (order for s in self.point_spaces for order in s.parameters["order"].choices)
        return tuple(
            self._at([space.widest(str(order)) for space in self.point_spaces])
            for order in dict.fromkeys(orders)
        )

    def _chosen(self, combination: Mapping[str, Choice]) -> Architecture:
        return self.decode(lambda parameter: combination[parameter.name])

    @cached_property
    def macs_range(self) -> tuple[int, int]:
        """Lowest and highest MACs of an architecture at the declared widths."""
        return self._range(lambda cost: cost.macs)

    @cached_property
    def params_range(self) -> tuple[int, int]:
        """Lowest and highest number of parameters of an architecture at the declared widths."""
        return self._range(lambda cost: cost.params)

    def _range(self, of: Callable[[Cost], int]) -> tuple[int, int]:
        """A block costs the same whatever the others are, so each is costed by itself, those that
        share a point together; equal blocks are costed once.
        """
        cost_of = functools.cache(_cost_of)
        blocks = list(zip(self.frames, self._block_sizes(), strict=True))
        shared = self.file.search.scope == "network"
        groups = [blocks] if shared else [[block] for block in blocks]
        first = self.first()
        stem_and_head = of(count_cost(first)) - sum(
            of(count_block_cost(block, in_channels, size))
            for (block, in_channels), (_, size) in zip(
                first.blocks_with_input(), blocks, strict=True
            )
        )
        costs = [
            [sum(of(cost_of(*block, point)) for block in group) for point in space.extremes()]
            for group, space in zip(groups, self.point_spaces, strict=True)
        ]
        return stem_and_head + sum(map(min, costs)), stem_and_head + sum(map(max, costs))

    def first(self) -> Architecture:
        """The network at the first choice of everything, whatever the budget.

        Raises:
            ArchitectureError: no architecture can exist for these images.
        """
        return self._at([space.first() for space in self.point_spaces])

    @property
    def orders(self) -> tuple[str, ...]:
        """The orders of the two steps that may be chosen somewhere, plain ones left out."""
        orders = [order for s in self.point_spaces for order in s.parameters["order"].choices]
        return tuple(str(order) for order in dict.fromkeys(orders) if order != "plain")

    def _block_sizes(self) -> Iterator[Shape]:
        """(height, width) of what each block receives; of clips the frames before them."""
        size = tuple(map(self._stem.output_size, self.input_shape[1:]))
        for frame in self.frames:
            yield size
            size = tuple(-(-n // frame.stride) for n in size)

    @property
    def _stem(self) -> Stem:
        stem = self.file.network.stem
        return Stem(stem.channels, stem.stride, stem.kernel)

    def _at(self, points: Sequence[Point]) -> Architecture:
        """The network at the declared widths with these points: one for each block or for all."""
        spread = points if len(points) == len(self.frames) else list(points) * len(self.frames)
        return Architecture(
            self.input_shape,
            self.classes,
            self._stem,
            tuple(point.block(frame) for frame, point in zip(self.frames, spread, strict=True)),
        )


def _cost_of(frame: BlockFrame, size: Shape, point: Point) -> Cost:
    return count_block_cost(point.block(frame), frame.in_channels, size)


def _label(name: str, choice: Choice) -> str:
    block, _, axis = name.rpartition(".")
    return f"{block} {AXES[axis].in_words(choice)}".strip()
