"""Who proposes the next trial: a sampler, every architecture in turn, or a design."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from nas.architecture.specification import ArchitectureError
from nas.engine.proposal import (
    Proposal,
    Proposer,
    decode_fixed,
    directions,
    distribution_of,
    stored_choice,
)
from nas.engine.samplers import OptunaProposer, make_sampler
from nas.space import SearchSpace
from nas.study.design import Design
from nas.study.trial_record import is_pruned


def proposer_of(
    space: SearchSpace,
    design: Design | None,
    earlier: Sequence[FrozenTrial],
    sampler: optuna.samplers.BaseSampler | None = None,
) -> Proposer:
    """The proposer of a study.

    Args:
        earlier: trials that it has already.
        sampler: in place of the one that the space names.
    """
    if design is not None:
        return DesignProposer(space, design)
    # Another seed in every driver of a study.
    digest = hashlib.sha256(f"{space.file.study.seed}/{len(earlier)}".encode()).digest()
    states = (TrialState.COMPLETE, TrialState.PRUNED)
    known = [t for t in earlier if t.state in states and not is_pruned(t)]
    return make_proposer(space, int.from_bytes(digest[:4]), known, sampler)


def make_proposer(
    space: SearchSpace,
    seed: int,
    history: Sequence[FrozenTrial],
    sampler: optuna.samplers.BaseSampler | None = None,
) -> Proposer:
    """The proposer that the space's file names, knowing the finished trials of earlier drivers.

    Args:
        seed: another one in every driver of a study, or a resumed study would start with the
            suggestions that it began with.
        sampler: in place of the one that the file names.
    """
    name = space.file.study.sampler
    if sampler is None and name == "grid":
        return GridProposer(space)
    sampler = sampler or make_sampler(name, seed)
    return OptunaProposer(space, sampler, seed, directions(space.file.objective_names), history)


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

    def propose_near(self, repeated: Proposal, seen: set[str]) -> Proposal | None:
        return self.propose_unseen(seen)

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

    def reject(self, ticket: int) -> None:
        """A grid learns nothing."""

    def relearn(self, finished: Sequence[FrozenTrial]) -> None:
        """A grid learns nothing."""

    def learn(self, finished: FrozenTrial) -> None:
        """A grid learns nothing."""


class DesignProposer:
    """Every arm of a design with every seed."""

    def __init__(self, space: SearchSpace, design: Design) -> None:
        self.parameters = {parameter.name: parameter for parameter in space.parameters}
        self.design, self.trials = design, design.trials()
        self.tickets = itertools.count()

    def propose(self) -> Proposal | None:
        arm, seed = next(self.trials, (None, 0))
        if arm is None:
            return None
        drawn = [(self.parameters[name], choice) for name, choice in arm.choices.items()]
        return Proposal(
            next(self.tickets),
            arm.network,
            {parameter.name: stored_choice(parameter, choice) for parameter, choice in drawn},
            {parameter.name: distribution_of(parameter) for parameter, _ in drawn},
            {},
            arm,
            (seed,),
            self.design.fold(seed),
        )

    def propose_near(self, repeated: Proposal, seen: set[str]) -> Proposal | None:
        return self.propose_unseen(seen)

    def propose_unseen(self, seen: set[str]) -> Proposal | None:
        while (proposal := self.propose()) is not None:
            if proposal.unique_key not in seen:
                return proposal
        return None

    def tell(self, ticket: int, values: Sequence[float] | None) -> None:
        """A design is fixed before its first result."""

    def reject(self, ticket: int) -> None:
        """A design is fixed before its first result."""

    def relearn(self, finished: Sequence[FrozenTrial]) -> None:
        """A design is fixed before its first result."""

    def learn(self, finished: FrozenTrial) -> None:
        """A design is fixed before its first result."""
