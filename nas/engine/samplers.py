"""Optuna's samplers over a study in memory.

Proposals are drawn in memory, on a copy of what the database knows. So a proposal that is over the
budget or was measured before leaves no trace in the study, a new trial is written to the database
in one transaction, and the sampler's memory can be kept to a size at which it stays fast.
"""

from __future__ import annotations

import itertools
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from nas.architecture.matching import MatchError
from nas.architecture.specification import Architecture, ArchitectureError
from nas.engine.proposal import Proposal, choice_of, count_bounds, decode_fixed
from nas.space import Choice, Parameter, SearchSpace
from nas.space.objectives import Direction
from nas.space.search_space import MATCH_TRIES, SAMPLE_TRIES
from nas.statistics.pareto import pareto_front

REJECTED = 100
"""Proposals over the budget that a sampler remembers: the latest."""

HISTORY = 300
"""Complete trials that a sampler learns from at least, besides the front: the latest.

TPE takes 11 microseconds more for each, in every proposal. Its good ones are the best tenth, but
never more than 25, which it reaches at 250."""

NEIGHBOURS = 20
"""Networks near a repeated proposal that are looked at before any other one is taken."""


class OptunaProposer:
    """Draws from one of Optuna's samplers over a study in memory.

    Args:
        seed: of what is drawn at random where the sampler repeats itself.
    """

    def __init__(
        self,
        space: SearchSpace,
        sampler: BaseSampler,
        seed: int,
        directions: Sequence[Direction],
        history: Sequence[FrozenTrial] = (),
    ) -> None:
        self.space = space
        self.directions = list(directions)
        self.sampler = sampler
        # Gaussian processes fit one flat space, so parameters without effect are drawn too.
        self.flat = isinstance(sampler, optuna.samplers.GPSampler)
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
            low, high = count_bounds(parameter)
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
                return self._adopted(architecture, params, distributions, {})
        return None

    def propose_near(self, repeated: Proposal, seen: set[str]) -> Proposal | None:
        """A network that differs in one or two choices from what the sampler wanted once more.

        The sampler is told of it by its own parameters, so it learns from what was trained. In the
        populations of NSGA-II and III it takes the place of the repeated one, as if mutated.
        """
        for attempt in range(NEIGHBOURS):
            combination = self._neighbour(repeated.params, 1 + attempt % 2)
            try:
                architecture, params, distributions = decode_fixed(self.space, combination)
            except ArchitectureError:
                continue
            if architecture.key not in seen:
                if self.flat:  # those without effect, too
                    params = repeated.params | params
                    distributions = repeated.distributions | distributions
                return self._adopted(architecture, params, distributions, repeated.system_attrs)
        return None

    def _neighbour(self, stored: Mapping[str, Any], changes: int) -> dict[str, Choice]:
        """So many choices changed; of parameters that have an effect by that alone, any choice."""
        parameters = {p.name: p for p in self.space.parameters}
        chosen = {
            name: choice_of(p, stored[name]) if name in stored else self.rng.choice(p.choices)
            for name, p in parameters.items()
        }
        drawn = [name for name in parameters if name in stored]
        for name in self.rng.sample(drawn, min(changes, len(drawn))):
            others = [choice for choice in parameters[name].choices if choice != chosen[name]]
            chosen[name] = self.rng.choice(others)
        return chosen

    def _adopted(
        self,
        architecture: Architecture,
        params: dict[str, Any],
        distributions: dict[str, BaseDistribution],
        system_attrs: dict[str, Any],
    ) -> Proposal:
        """A proposal that the sampler did not make, but learns from."""
        trial = create_trial(
            state=TrialState.RUNNING,
            params=params,
            distributions=distributions,
            system_attrs=system_attrs,
        )
        self.memory.add_trial(trial)
        number = len(self.memory.get_trials(deepcopy=False)) - 1
        return self._proposal(number, architecture, params, distributions, system_attrs)

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

    def reject(self, ticket: int) -> None:
        self.memory.tell(self.running.pop(ticket), state=TrialState.PRUNED)
        self._forget()

    def relearn(self, finished: Sequence[FrozenTrial]) -> None:
        over = [t for t in self.memory.get_trials(deepcopy=False) if t.constraints]
        self._remember([*over[-REJECTED:], *_worth_knowing(finished)])

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
        self._remember(_worth_knowing([trial for trial in trials if trial.state.is_finished()]))

    def _remember(self, kept: Sequence[FrozenTrial]) -> None:
        """Know these finished trials, what is running, and nothing else."""
        trials = self.memory.get_trials(deepcopy=False)
        running = [trials[number] for number in self.running.values()]
        self.memory = self._study([*kept, *running])
        self.kept = len(kept)
        self.running = {
            ticket: len(kept) + position for position, ticket in enumerate(self.running)
        }


def _worth_knowing(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The front, the latest of the complete trials and of the rejected ones, in their order."""
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    rejected = [t for t in trials if t.state == TrialState.PRUNED]
    front = [complete[i] for i in pareto_front([t.values for t in complete])]
    kept = {t.number for t in [*front, *complete[-HISTORY:], *rejected[-REJECTED:]]}
    return [t for t in trials if t.number in kept]


def make_sampler(name: str, seed: int) -> BaseSampler:
    """The sampler of a name in a space's file."""
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
