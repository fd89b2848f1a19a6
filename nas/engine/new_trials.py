"""From proposals to trials in the database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from optuna.trial import FrozenTrial, TrialState, create_trial

from nas.architecture.cost import Cost, count_cost
from nas.architecture.specification import ArchitectureError
from nas.engine.optuna_storage import StudyTrials
from nas.engine.proposal import Proposal, Proposer
from nas.engine.trial_spec import TrialSpec, names_architecture, trial_seed, unique_key_of
from nas.space import SearchSpace
from nas.study.setting import setting_to_json
from trials.failpoint import failpoint

if TYPE_CHECKING:
    from nas.study.shared_weights import SharedWeights

REJECTIONS = 20
"""Proposals in a row that may be over the budget or known before any other one is taken."""

REPEATS = 2
"""Known proposals in a row after which a new one near the last is taken.

A sampler that has found what is good draws it again and again: after 1,500 trials TPE needed five
proposals for each new network."""


class NewTrials:
    """Creates trials, none of them twice, and tells their proposer what came of them.

    Args:
        trials: of the study, that new ones are written to.
        earlier: trials that are there already.

    Attributes:
        shared: what the trials of a search begin with slices of, where they do.
    """

    def __init__(
        self,
        space: SearchSpace,
        proposer: Proposer,
        trials: StudyTrials,
        earlier: Sequence[FrozenTrial],
    ) -> None:
        self.space, self.proposer, self.trials = space, proposer, trials
        self.seen = {unique_key_of(trial) for trial in earlier if names_architecture(trial)}
        self.tickets: dict[int, int] = {}  # by the trial's number
        self.exhausted = False
        self.shared: SharedWeights | None = None

    def create(self, state: TrialState) -> TrialSpec | None:
        """A new trial in the database, in one transaction; nothing where the space is used up."""
        proposal = None if self.exhausted else self._propose()
        if proposal is None:
            self.exhausted = True
            return None
        architecture, arm = proposal.architecture, proposal.arm
        cost, seeds = count_cost(architecture), proposal.seeds or self._seeds(architecture.key)
        number = self.trials.add(
            create_trial(
                state=state,
                params=proposal.params,
                distributions=proposal.distributions,
                system_attrs=proposal.system_attrs,
                user_attrs=_attributes(proposal, cost, seeds, self._warm_start),
            )
        )
        failpoint("trial.created")
        self.tickets[number] = proposal.ticket
        self.seen.add(proposal.unique_key)
        recipe = self.space.file.training.full_recipe
        if arm is None:
            recipe = replace(recipe, warm_start=self._warm_start)
            return TrialSpec(number, architecture, cost, seeds, recipe)
        recipe, fold = arm.recipe(recipe), proposal.fold
        return TrialSpec(number, architecture, cost, seeds, recipe, arm.name, arm.role, fold=fold)

    def tell(self, number: int, values: tuple[float, ...]) -> None:
        """What came of a trial: its objectives' values, or none where it has failed."""
        ticket = self.tickets.pop(number, None)
        if ticket is not None:
            self.proposer.tell(ticket, values or None)
        elif values:  # an earlier driver proposed it
            self.proposer.learn(self.trials.get(number))

    def reject(self, number: int) -> None:
        """A trial was over a limit that had to be measured."""
        ticket = self.tickets.pop(number, None)
        if ticket is not None:
            self.proposer.reject(ticket)
        else:  # an earlier driver proposed it
            self.proposer.learn(self.trials.get(number))

    def _propose(self) -> Proposal | None:
        """A proposal that is inside the budget and new to this study."""
        repeats = 0
        for _ in range(REJECTIONS):
            try:
                proposal = self.proposer.propose()
            except ArchitectureError:
                continue
            if proposal is None:
                return None
            if proposal.unique_key not in self.seen:
                return proposal
            self.proposer.tell(proposal.ticket, None)
            repeats += 1
            if repeats == REPEATS:
                near = self.proposer.propose_near(proposal, self.seen)
                return near or self.proposer.propose_unseen(self.seen)
        return self.proposer.propose_unseen(self.seen)

    @property
    def _warm_start(self) -> str:
        return self.shared.digest if self.shared else ""

    def _seeds(self, key: str) -> tuple[int, ...]:
        study = self.space.file.study
        return tuple(
            trial_seed(study.seed, key, replicate) for replicate in range(study.seeds_per_trial)
        )


def _attributes(
    proposal: Proposal, cost: Cost, seeds: tuple[int, ...], warm_start: str
) -> dict[str, Any]:
    """What is kept with a trial from its start; `nas.study.records` reads it."""
    architecture, arm = proposal.architecture, proposal.arm
    attributes = {
        "architecture": architecture.to_json(),
        "key": architecture.key,
        "macs": cost.macs,
        "params": cost.params,
        "seeds": json.dumps(seeds),
    }
    if arm is None:
        return attributes | ({"warm_start": warm_start} if warm_start else {})
    attributes |= {"arm": arm.name, "role": arm.role, "of": arm.control_of}
    attributes |= {"fold": json.dumps(proposal.fold)} if proposal.fold else {}
    setting = setting_to_json(arm.setting)
    return attributes | ({"setting": setting} if setting else {})
