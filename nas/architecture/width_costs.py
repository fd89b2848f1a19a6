"""What a network costs at any widths: each of its parts is counted once at each of its widths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial

from nas.architecture.cost import Cost, cost_of
from nas.architecture.layers import block_layers, head_layers, network_layers, stem_layers
from nas.architecture.modules import Padding, Shape
from nas.architecture.specification import Architecture, ArchitectureError, Block, Shortcut
from nas.architecture.widths import Widths, stages_of

_Count = Callable[[Widths], Cost | None]


class WidthCosts:
    """Costs of one network at many widths.

    A block costs the same whatever the others are, so thousands of networks are costed in the time
    of some: candidates of a search share most of their blocks.

    Args:
        of: the part of a cost that is meant.
    """

    def __init__(self, architecture: Architecture, of: Callable[[Cost], float]) -> None:
        self._parts: list[tuple[Widths, Callable[[Widths], float | None]]] = []
        stages = iter(stages_of(architecture))
        of_stem = tuple(next(stages) for _ in architecture.stem.channels)
        self._add(1, of_stem, partial(_stem_cost, architecture), of)
        layers = network_layers(architecture).children["blocks"].children.values()
        blocks: Counter[tuple[Widths, Block, Shortcut, Shape]] = Counter()
        last = of_stem[-1]
        for (block, in_channels), layer in zip(
            architecture.blocks_with_input(), layers, strict=True
        ):
            of_block = (last, *(next(stages) for _ in block.channels))
            size = layer.input[1:]
            blocks[of_block, block, block.shortcut(in_channels), size] += 1
            last = of_block[-1]
        for (of_block, block, shortcut, size), repeated in blocks.items():
            count = partial(_block_cost, block, shortcut, size, architecture.padding)
            self._add(repeated, of_block, count, of)
        self._add(1, (last,), lambda width: cost_of(head_layers(architecture, *width)), of)

    def _add(
        self, repeated: int, stages: Widths, count: _Count, of: Callable[[Cost], float]
    ) -> None:
        """A part that is there so many times, and the stages that its widths are of."""

        @cache
        def cost(widths: Widths) -> float | None:
            counted = count(widths)
            return None if counted is None else repeated * of(counted)

        self._parts.append((stages, cost))

    def __call__(self, widths: Sequence[int]) -> float | None:
        """What the network costs; None where it cannot be built, or a shortcut would be another."""
        total: float = 0
        for stages, cost_at in self._parts:
            cost = cost_at(tuple([widths[stage] for stage in stages]))
            if cost is None:
                return None
            total += cost
        return total


def _stem_cost(architecture: Architecture, channels: Widths) -> Cost | None:
    try:
        stem = replace(architecture.stem, channels=channels)
    except ArchitectureError:
        return None
    return cost_of(stem_layers(stem, architecture.input_shape))


def _block_cost(
    declared: Block, shortcut: Shortcut, size: Shape, padding: Padding, channels: Widths
) -> Cost | None:
    in_channels, *others = channels
    try:
        block = replace(declared, channels=tuple(others))
        block.check(in_channels)
    except ArchitectureError:
        return None
    if block.shortcut(in_channels) != shortcut:
        return None
    return cost_of(block_layers(block, in_channels, size, padding))
