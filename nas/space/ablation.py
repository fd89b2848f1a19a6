"""Arms that differ in one choice alone, such as the residual: what an ablation compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nas.architecture.specification import Architecture
from nas.space.axes import AXES, Choice
from nas.space.claim_section import Ablated

WITHOUT: dict[Ablated, Choice] = {
    "residual": False,
    "activation": "none",
    "order": "spatial_first",
}
"""The choice of each axis that the others are compared with, where it is there."""


@dataclass(frozen=True)
class Ablation:
    """One axis, and what of it is compared.

    Attributes:
        choices: the first is what each of the others is compared with.
        arms: that exist with every choice, and differ in nothing else; the mean over them is
            compared.
    """

    axis: Ablated
    choices: tuple[Choice, ...]
    arms: int

    def __str__(self) -> str:
        first, *others = (in_words(self.axis, choice) for choice in self.choices)
        return f"{self.axis}: {' and '.join(others)} against {first}, in {self.arms} arms of each"


def ablation_of(networks: Mapping[str, Architecture], axis: Ablated) -> Ablation:
    """What networks tell of an axis; of one that does not vary among them it has no arms."""
    groups = ablation_groups(networks, axis)
    choices = tuple(groups[0]) if groups else ()
    return Ablation(axis, choices, len(groups))


def ablation_groups(networks: Mapping[str, Architecture], axis: Ablated) -> list[dict[Choice, str]]:
    """Names of networks by their choice, in groups that differ in nothing else.

    Only groups that have every choice, what the others are compared with first. Networks whose
    blocks differ are left out, and of the order plain convolutions, which have none.
    """
    groups: dict[object, dict[Choice, str]] = {}
    for name, network in networks.items():
        points = {(block.point, block.residual) for block in network.blocks}
        if len(points) == 1 and not (axis == "order" and _is_plain(network)):
            choice, rest = _split(network, axis)
            groups.setdefault(rest, {})[choice] = name
    choices = list(dict.fromkeys(choice for group in groups.values() for choice in group))
    choices.sort(key=lambda choice: choice != WITHOUT[axis])
    if len(choices) < 2:
        return []
    return [
        {choice: group[choice] for choice in choices}
        for group in groups.values()
        if len(group) == len(choices)
    ]


def _is_plain(network: Architecture) -> bool:
    return network.blocks[0].point.order == "plain"


def _split(network: Architecture, axis: str) -> tuple[Choice, object]:
    """The choice on an axis, and that on all others."""
    choices = {name: spec.of(network.blocks[0]) for name, spec in AXES.items()}
    return choices.pop(axis), tuple(choices.items())


def rest_in_words(networks: Sequence[Architecture], axis: Ablated) -> list[str]:
    """What else each network has, as far as that varies among them: ``C/4, relu``."""
    rests = [{n: s.of(net.blocks[0]) for n, s in AXES.items() if n != axis} for net in networks]
    varying = [name for name in AXES if len({rest.get(name) for rest in rests}) > 1]
    return [
        ", ".join(in_words(name, rest[name]) for name in varying) or "the only arms"
        for rest in rests
    ]


def in_words(axis: str, choice: Choice) -> str:
    """A choice in words: ``with residual``, ``no activation``, ``spatial first``."""
    if axis == "residual":
        return "with residual" if choice else "without residual"
    return AXES[axis].in_words(choice)
