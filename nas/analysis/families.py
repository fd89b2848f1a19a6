"""Families of arms: those that differ in their segments alone, along the spectrum."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from nas.architecture.position import position
from nas.architecture.specification import Architecture, Block
from nas.space.axes import AXES, AxisSpec


def families(networks: Mapping[str, Architecture]) -> dict[str, tuple[str, ...]]:
    """Names of the arms of each family, along the spectrum; families by their names.

    A family is named by the order of its two steps and whatever else varies between the arms.
    """
    varying = [p for p in _IN_WORDS if _varies(networks.values(), p)]
    found: dict[str, list[str]] = {}
    for arm in sorted(networks, key=lambda arm: position(networks[arm])):
        found.setdefault(_family(networks[arm], varying), []).append(arm)
    return {family: tuple(found[family]) for family in sorted(found)}


def _varies(networks: Iterable[Architecture], property_of: Callable[[Block], str]) -> bool:
    """Whether networks that have two steps differ in a property of their blocks."""
    two_steps = (n for n in networks if _of_blocks(n, _order) != "plain")
    return len({_of_blocks(network, property_of) for network in two_steps}) > 1


def _order(block: Block) -> str:
    return block.point.order.replace("_", " ")


def _family(network: Architecture, varying: Sequence[Callable[[Block], str]]) -> str:
    order = _of_blocks(network, _order)
    return ", ".join((order, *(_of_blocks(network, property_of) for property_of in varying)))


def _of_blocks(architecture: Architecture, property_of: Callable[[Block], str]) -> str:
    words = {property_of(block) for block in architecture.blocks}
    return words.pop() if len(words) == 1 else "mixed"


def _in_words(axis: AxisSpec) -> Callable[[Block], str]:
    return lambda block: axis.in_words(axis.of(block))


_IN_WORDS = [_in_words(axis) for name, axis in AXES.items() if name not in ("order", "segments")]
"""What else may vary."""
