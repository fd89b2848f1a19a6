"""Who proposes the next run: Optuna's samplers, every architecture in turn, or a design.

Proposals are drawn in memory, on a copy of what the database knows. So a proposal that is over the
budget or was measured before leaves no trace in the study, a new trial is written to the database
in one transaction, and the sampler's memory can be kept to a size at which it stays fast.
"""

from __future__ import annotations

import itertools
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from nas.architecture.matching import MatchError
from nas.architecture.specification import Architecture, ArchitectureError
from nas.space import Choice, Parameter, SearchSpace
from nas.space.objectives import OBJECTIVES, Direction
from nas.space.search_space import MATCH_TRIES, SAMPLE_TRIES
from nas.statistics.pareto import pareto_front
from nas.study.design import Arm, Design

REJECTED = 100
"""Proposals over the budget that a sampler remembers: the latest."""

HISTORY = 300
"""Complete trials that a sampler learns from at least, besides the front: the latest.

TPE takes 11 microseconds more for each, in every proposal. Its good ones are the best tenth, but
never more than 25, which it reaches at 250."""


@dataclass(frozen=True)
class Proposal:
    """An architecture, and what Optuna's database keeps of how it was drawn.

    Attributes:
        ticket: by which the proposer knows it again.
        params: drawn values by the parameters' names.
        arm: of a design, with the seed that it is to be trained with; a search has neither.
    """

    ticket: int
    architecture: Architecture
    params: dict[str, Any]
    distributions: dict[str, BaseDistribution]
    system_attrs: dict[str, Any]
    arm: Arm | None = None
    seeds: tuple[int, ...] = ()

    @property
    def run(self) -> str:
        """What may be run only once in a study: an architecture, or an arm with its seed."""
        key = self.architecture.key
        return run_of(self.arm.name, key, self.seeds) if self.arm else key


class Proposer(Protocol):
    """Proposes architectures and learns from their results."""

    def propose(self) -> Proposal | None:
        """The next architecture, or nothing where all have been proposed.

        Raises:
            ArchitectureError: what was drawn is outside the budget; the next may not be.
        """

    def propose_unseen(self, seen: set[str]) -> Proposal | None:
        """Any other inside the budget whose `Proposal.run` is not among these, if there is one."""

    def tell(self, ticket: int, values: Sequence[float] | None) -> None:
        """The objectives' values of a proposal, or None where it came to nothing."""

    def learn(self, finished: FrozenTrial) -> None:
        """A complete trial that an earlier driver proposed."""


def make_proposer(space: SearchSpace, seed: int, history: Sequence[FrozenTrial]) -> Proposer:
    """The proposer that the space's file names, knowing the finished trials of earlier drivers.

    Args:
        seed: another one in every driver of a study, or a resumed study would start with the
            suggestions that it began with.
    """
    name = space.file.study.sampler
    if name == "grid":
        return GridProposer(space)
    return OptunaProposer(space, name, seed, directions(space.file.objective_names), history)


def directions(objectives: Sequence[str]) -> list[Direction]:
    """Of each objective, as Optuna names them."""
    return [OBJECTIVES[name].direction for name in objectives]


def distribution_of(parameter: Parameter) -> BaseDistribution:
    """How Optuna draws a parameter: counts of segments on a logarithmic scale, others by name."""
    if not parameter.ordered:
        return CategoricalDistribution(parameter.choices)
    low, high = _bounds(parameter)
    return IntDistribution(low, high, log=True)


def _bounds(parameter: Parameter) -> tuple[int, int]:
    """First and last count of an ordered parameter, where ``C`` counts as one more than before."""
    first = int(parameter.choices[0])
    return first, first + len(parameter.choices) - 1


class OptunaProposer:
    """Draws from one of Optuna's samplers over a study in memory."""

    def __init__(
        self,
        space: SearchSpace,
        sampler: str,
        seed: int,
        directions: Sequence[Direction],
        history: Sequence[FrozenTrial] = (),
    ) -> None:
        self.space = space
        self.directions = list(directions)
        self.sampler = _make_sampler(sampler, seed)
        # Gaussian processes fit one flat space, so parameters without effect are drawn too.
        self.flat = sampler == "gp"
        self.rng = random.Random(seed)
        self.tickets = itertools.count()
        self.running: dict[int, int] = {}  # number in memory, by ticket
        self.memory = self._study(_worth_knowing(history))
        self.kept = len(self.memory.get_trials(deepcopy=False))

    def propose(self) -> Proposal:
        trial = self.memory.ask()

        def draw(parameter: Parameter) -> Choice:
            if not parameter.ordered:
                chosen = trial.suggest_categorical(parameter.name, parameter.choices)
                return cast("Choice", chosen)
            low, high = _bounds(parameter)
            count = trial.suggest_int(parameter.name, low, high, log=True)
            return parameter.choices[count - low]

        try:
            if self.flat:
                for parameter in self.space.parameters:
                    draw(parameter)
            architecture = self.space.decode(draw)
        except ArchitectureError as error:
            trial.set_constraint("budget", getattr(error, "violation", 1.0))
            self.memory.tell(trial, state=TrialState.PRUNED)
            self._forget()
            raise
        drawn = self.memory.get_trials(deepcopy=False)[trial.number]
        return self._proposal(
            trial.number, architecture, drawn.params, drawn.distributions, drawn.system_attrs
        )

    def propose_unseen(self, seen: set[str]) -> Proposal | None:
        unsolved = 0
        for combination in self._combinations():
            try:
                architecture, params, distributions = decode_fixed(self.space, combination)
            except MatchError:
                unsolved += 1
                if unsolved == MATCH_TRIES:
                    return None
                continue
            except ArchitectureError:
                continue
            if architecture.key not in seen:
                trial = create_trial(
                    state=TrialState.RUNNING, params=params, distributions=distributions
                )
                self.memory.add_trial(trial)
                number = len(self.memory.get_trials(deepcopy=False)) - 1
                return self._proposal(number, architecture, params, distributions, {})
        return None

    def _combinations(self) -> Iterator[Mapping[str, Choice]]:
        """Choices in random order: all that there are, or as many as are worth trying."""
        if self.space.size <= SAMPLE_TRIES:
            yield from self.rng.sample(list(self.space.combinations()), self.space.size)
            return
        for _ in range(SAMPLE_TRIES):
            yield {p.name: self.rng.choice(p.choices) for p in self.space.parameters}

    def _proposal(
        self,
        number: int,
        architecture: Architecture,
        params: dict[str, Any],
        distributions: dict[str, BaseDistribution],
        system_attrs: dict[str, Any],
    ) -> Proposal:
        ticket = next(self.tickets)
        self.running[ticket] = number
        return Proposal(ticket, architecture, params, distributions, system_attrs)

    def tell(self, ticket: int, values: Sequence[float] | None) -> None:
        number = self.running.pop(ticket)
        if values is None:
            self.memory.tell(number, state=TrialState.FAIL)
        else:
            self.memory.tell(number, list(values))
        self._forget()

    def learn(self, finished: FrozenTrial) -> None:
        self.memory.add_trial(finished)

    def _study(self, trials: Sequence[FrozenTrial]) -> optuna.Study:
        study = optuna.create_study(directions=self.directions, sampler=self.sampler)
        study.add_trials(trials)
        return study

    def _forget(self) -> None:
        """Keep the memory to what is worth knowing, now and then."""
        trials = self.memory.get_trials(deepcopy=False)
        if len(trials) <= self.kept + HISTORY:
            return
        running = [trials[number] for number in self.running.values()]
        kept = _worth_knowing([trial for trial in trials if trial.state.is_finished()])
        self.memory = self._study([*kept, *running])
        self.kept = len(kept)
        self.running = {
            ticket: len(kept) + position for position, ticket in enumerate(self.running)
        }


class GridProposer:
    """Every combination of choices once, in the order of the file."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.combinations = space.combinations()
        self.tickets = itertools.count()

    def propose(self) -> Proposal | None:
        combination = next(self.combinations, None)
        if combination is None:
            return None
        return Proposal(next(self.tickets), *decode_fixed(self.space, combination), {})

    def propose_unseen(self, seen: set[str]) -> Proposal | None:
        while True:
            try:
                proposal = self.propose()
            except ArchitectureError:
                continue
            if proposal is None or proposal.architecture.key not in seen:
                return proposal

    def tell(self, ticket: int, values: Sequence[float] | None) -> None:
        """A grid learns nothing."""

    def learn(self, finished: FrozenTrial) -> None:
        """A grid learns nothing."""


class DesignProposer:
    """Every arm of a design with every seed."""

    def __init__(self, space: SearchSpace, design: Design) -> None:
        self.parameters = {parameter.name: parameter for parameter in space.parameters}
        self.runs = design.runs()
        self.tickets = itertools.count()

    def propose(self) -> Proposal | None:
        arm, seed = next(self.runs, (None, 0))
        if arm is None:
            return None
        drawn = [(self.parameters[name], choice) for name, choice in arm.choices.items()]
        return Proposal(
            next(self.tickets),
            arm.architecture,
            {parameter.name: _stored(parameter, choice) for parameter, choice in drawn},
            {parameter.name: distribution_of(parameter) for parameter, _ in drawn},
            {},
            arm,
            (seed,),
        )

    def propose_unseen(self, seen: set[str]) -> Proposal | None:
        while (proposal := self.propose()) is not None:
            if proposal.run not in seen:
                return proposal
        return None

    def tell(self, ticket: int, values: Sequence[float] | None) -> None:
        """A design is fixed before its first result."""

    def learn(self, finished: FrozenTrial) -> None:
        """A design is fixed before its first result."""


def run_of(arm: str, architecture_key: str, seeds: Sequence[int]) -> str:
    """Names a run of a design."""
    return f"{arm} / {architecture_key} / {seeds[0]}"


def _stored(parameter: Parameter, choice: Choice) -> Choice:
    """A choice as Optuna keeps it: an ordered one by its count."""
    if parameter.ordered:
        return _bounds(parameter)[0] + parameter.choices.index(choice)
    return choice


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
        params[parameter.name] = _stored(parameter, chosen)
        distributions[parameter.name] = distribution_of(parameter)
        return chosen

    return space.decode(draw), params, distributions


def _worth_knowing(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The front, the latest of the complete trials and of the rejected ones, in their order."""
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    rejected = [t for t in trials if t.state == TrialState.PRUNED]
    front = [complete[i] for i in pareto_front([t.values for t in complete])]
    kept = {t.number for t in [*front, *complete[-HISTORY:], *rejected[-REJECTED:]]}
    return [t for t in trials if t.number in kept]


def _make_sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match name:
            case "tpe":
                return optuna.samplers.TPESampler(multivariate=True, group=True, seed=seed)
            case "nsga2":
                return optuna.samplers.NSGAIISampler(seed=seed)
            case "nsga3":
                return optuna.samplers.NSGAIIISampler(seed=seed)
            case "gp":
                return optuna.samplers.GPSampler(seed=seed)
            case "random":
                return optuna.samplers.RandomSampler(seed=seed)
    raise ValueError(f"no sampler is called {name}")
