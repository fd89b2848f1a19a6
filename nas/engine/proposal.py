"""What is to be tried next, and how Optuna keeps what was chosen for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial

from nas.architecture.reference import Reference
from nas.architecture.specification import Architecture
from nas.space import Choice, Parameter, SearchSpace
from nas.space.objectives import OBJECTIVES, Direction
from nas.study.design import Arm, unique_key
from trials.data.folds import Fold


@dataclass(frozen=True)
class Proposal:
    """An architecture, and what Optuna's database keeps of how it was drawn.

    Attributes:
        ticket: by which the proposer knows it again.
        params: drawn values by the parameters' names.
        arm: of a design, with the seed that it is to be trained with and the fold of the images
            that judges, if one does; a search has none of them.
    """

    ticket: int
    architecture: Architecture | Reference
    params: dict[str, Any]
    distributions: dict[str, BaseDistribution]
    system_attrs: dict[str, Any]
    arm: Arm | None = None
    seeds: tuple[int, ...] = ()
    fold: Fold | None = None

    @property
    def unique_key(self) -> str:
        """What is tried only once in a study."""
        arm = self.arm.name if self.arm else ""
        return unique_key(self.architecture.key, arm, self.seeds, self.fold)


class Proposer(Protocol):
    """Proposes architectures and learns from their results."""

    def propose(self) -> Proposal | None:
        """The next architecture, or nothing where all have been proposed.

        Raises:
            ArchitectureError: what was drawn is outside the budget; the next may not be.
        """

    def propose_near(self, repeated: Proposal, seen: set[str]) -> Proposal | None:
        """One inside the budget whose `Proposal.unique_key` is new, near one that is not.

        Args:
            repeated: told to have come to nothing.
        """

    def propose_unseen(self, seen: set[str]) -> Proposal | None:
        """Any other inside the budget whose `Proposal.unique_key` is new, if there is one."""

    def tell(self, ticket: int, values: Sequence[float] | None) -> None:
        """The objectives' values of a proposal, or None where it came to nothing."""

    def reject(self, ticket: int) -> None:
        """A proposal is over a limit that had to be measured."""

    def relearn(self, finished: Sequence[FrozenTrial]) -> None:
        """These are all trials with a result, in place of what was told of them before."""

    def learn(self, finished: FrozenTrial) -> None:
        """A complete or rejected trial that an earlier driver proposed."""


def directions(objectives: Sequence[str]) -> list[Direction]:
    """The direction of each objective, as Optuna names it."""
    return [OBJECTIVES[name].direction for name in objectives]


def distribution_of(parameter: Parameter) -> BaseDistribution:
    """How Optuna draws a parameter: counts of segments on a logarithmic scale, others by name."""
    if not parameter.ordered:
        return CategoricalDistribution(parameter.choices)
    low, high = count_bounds(parameter)
    return IntDistribution(low, high, log=True)


def count_bounds(parameter: Parameter) -> tuple[int, int]:
    """First and last count of an ordered parameter, where ``C`` counts as one more than before."""
    first = int(parameter.choices[0])
    return first, first + len(parameter.choices) - 1


def stored_choice(parameter: Parameter, choice: Choice) -> Choice:
    """A choice as Optuna keeps it: an ordered one by its count."""
    if parameter.ordered:
        return count_bounds(parameter)[0] + parameter.choices.index(choice)
    return choice


def choice_of(parameter: Parameter, stored: Choice) -> Choice:
    """The choice that Optuna keeps as `stored_choice`."""
    if parameter.ordered:
        return parameter.choices[int(stored) - count_bounds(parameter)[0]]
    return stored


def decode_fixed(
    space: SearchSpace, combination: Mapping[str, Choice]
) -> tuple[Architecture, dict[str, Any], dict[str, BaseDistribution]]:
    """The architecture of given choices, with those that have an effect as Optuna keeps them.

    Raises:
        ArchitectureError: it is outside the budget.
    """
    params: dict[str, Any] = {}
    distributions: dict[str, BaseDistribution] = {}

    def draw(parameter: Parameter) -> Choice:
        chosen = combination[parameter.name]
        params[parameter.name] = stored_choice(parameter, chosen)
        distributions[parameter.name] = distribution_of(parameter)
        return chosen

    return space.decode(draw), params, distributions
