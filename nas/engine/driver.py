"""The one process that writes a study: it hands out trials, records results and recovers.

The database is the only truth. A trial is RUNNING there from the moment it is handed out until its
result is recorded, and whatever kills the driver in between, the next one finds either a result in
the outbox, and records it, or none, and hands the same trial out again.
"""

from __future__ import annotations

import hashlib
import json
import uuid
import warnings
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.engine import URL

from nas.architecture.cost import Cost, count_cost
from nas.architecture.specification import Architecture, ArchitectureError
from nas.engine.lock import creating_tables
from nas.engine.samplers import (
    DesignProposer,
    Proposal,
    Proposer,
    directions,
    make_proposer,
    run_of,
)
from nas.space import SearchSpace
from nas.space.objectives import OBJECTIVES
from nas.study.design import Design, arms_to_json, recipe_of_role
from nas.study.identity import SpaceChanged, differences, identity
from nas.study.records import Records, State, TrialRecord, open_storage, records_of
from trials.data import DataSummary
from trials.measurement import Measurement, Outbox, TrainingKey
from trials.recipe import Recipe
from trials.store import Store, use_write_ahead_log

REJECTIONS = 20
"""Proposals in a row that may be over the budget or known before any other one is taken."""

FAILURES = 10
"""Failed trials in a row after which there is something wrong with more than the architectures."""

LOSSES = 3
"""Workers that may die over one trial."""


@dataclass(frozen=True)
class TrialSpec:
    """A trial to run.

    Attributes:
        arm: its name in a design; empty in a search.
        role: of the arm.
    """

    trial: int
    architecture: Architecture
    cost: Cost
    seeds: tuple[int, ...]
    recipe: Recipe
    arm: str = ""
    role: str = ""

    @property
    def run(self) -> str:
        """What may be run only once in a study; see `Proposal.run`."""
        key = self.architecture.key
        return run_of(self.arm, key, self.seeds) if self.arm else key


class Listener(Protocol):
    """Hears what happens to trials."""

    def started(self, spec: TrialSpec) -> None:
        """A trial was handed out."""

    def finished(self, record: TrialRecord) -> None:
        """A trial is complete or has failed."""

    def returned(self, trial: int, reason: str) -> None:
        """A trial lost its worker and will run again."""


class _Silence:
    """Hears nothing."""

    def started(self, spec: TrialSpec) -> None:
        pass

    def finished(self, record: TrialRecord) -> None:
        pass

    def returned(self, trial: int, reason: str) -> None:
        pass


def trial_seed(study_seed: int, architecture_key: str, replicate: int) -> int:
    """Seed of one training: of the study, the network and the replicate, and of nothing else."""
    text = f"{study_seed}/{architecture_key}/{replicate}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])


class Driver:
    """Hands out the trials of one study and records their results.

    Args:
        url: of the database.
        name: of the study.
        space: what is searched.
        document: the file as searched, kept with the study.
        data: what is trained on.
        outbox: folder where workers leave their results, each study's in one of its own.
        design: what is run, where it is not searched for.

    Raises:
        SpaceChanged: the study exists, and what its results depend on is different.
    """

    def __init__(
        self,
        url: URL,
        name: str,
        space: SearchSpace,
        document: dict[str, Any],
        data: DataSummary,
        outbox: Path,
        design: Design | None = None,
    ) -> None:
        self.space, self.data, self.design = space, data, design
        self.listener: Listener = _Silence()
        self.recipe = space.file.training.full_recipe
        self.objectives = space.file.objective_names
        self.wanted = space.file.study.trials if design is None else len(design)
        self.planned = (
            None
            if design is None
            else {run_of(arm.name, arm.architecture.key, (seed,)) for arm, seed in design.runs()}
        )

        with creating_tables(url):
            use_write_ahead_log(url)
            self.store = Store(url)
            self.storage = open_storage(url, create=True)
        self.study = self._open_study(name, document)
        self.outbox = Outbox(outbox / self.study.user_attrs["id"])

        trials = self.study.get_trials(deepcopy=False)
        seed = int.from_bytes(
            hashlib.sha256(f"{space.file.study.seed}/{len(trials)}".encode()).digest()[:4]
        )
        history = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        self.proposer: Proposer = (
            make_proposer(space, seed, history) if design is None else DesignProposer(space, design)
        )
        self.ids = {trial.number: trial._trial_id for trial in trials}
        self.seen = {_run(trial) for trial in trials if "key" in trial.user_attrs}
        self.complete = sum(self._is_wanted(_run(trial)) for trial in history)
        self.running: dict[int, TrialSpec] = {}
        self.tickets: dict[int, int] = {}
        self.queue: deque[TrialSpec] = deque()
        self.failures_in_row: list[str] = []
        self.exhausted = False
        self._recover(trials)

    # Handing out.

    def next(self) -> TrialSpec | None:
        """The next trial to run, or nothing: all are running, or the search is over."""
        while not self.finished and self.complete + len(self.running) < self.wanted:
            spec = self.queue.popleft() if self.queue else self._create(TrialState.RUNNING)
            if spec is None:
                break
            # Nothing where it is RUNNING already.
            self.storage.set_trial_state_values(self.ids[spec.trial], TrialState.RUNNING)
            self.running[spec.trial] = spec
            self.listener.started(spec)
            known = self._known(spec)
            if known is None:
                return spec
            self.record(spec.trial, known)
        return None

    def prepare(self) -> None:
        """Propose a trial for the next worker that is free, while none is: it waits until then."""
        if not self.finished and not self.queue and self.complete + len(self.running) < self.wanted:
            spec = self._create(TrialState.WAITING)
            if spec is not None:
                self.queue.append(spec)

    @property
    def finished(self) -> bool:
        """Whether no trial will be handed out any more."""
        used_up = self.exhausted and not self.queue and not self.running
        return self.complete >= self.wanted or used_up or self.too_many_failures

    @property
    def too_many_failures(self) -> bool:
        """Whether so many trials have failed in a row that the others would, too."""
        return len(self.failures_in_row) >= FAILURES

    # Recording.

    def record(self, trial: int, measurements: Sequence[Measurement]) -> None:
        """Record the result of a trial.

        The measurements are written first, so that no finished training is ever lost; then what
        the dashboard shows; the trial's state comes last.
        """
        spec = self.running[trial]
        for measurement in measurements:
            self.store.add(measurement)
        failed = [m for m in measurements if m.state == "failed"]
        if failed:
            self._fail(spec, failed[0].reason, failed[0].traceback)
        else:
            self._complete(spec, measurements)
        del self.running[trial]
        self.outbox.discard(trial)

    def worker_died(self, trial: int, reason: str) -> None:
        """The worker of a trial died: run it again, unless it has killed several."""
        left = self._left(self.running[trial])
        if left is not None:
            self.record(trial, left)
            return
        spec = self.running[trial]
        attrs = self.storage.get_trial(self.ids[trial]).user_attrs
        losses = int(attrs.get("losses", 0)) + 1
        self._set(trial, "losses", losses)
        del self.running[trial]
        if losses >= LOSSES:
            self._fail(spec, f"its worker died {losses} times: {reason}")
        else:
            self.queue.append(spec)
            self.listener.returned(trial, f"its worker died ({losses} of {LOSSES}): {reason}")

    def requeue_running(self) -> None:
        """Leave no trial RUNNING: those without a result wait for the next driver."""
        # Asked of the database: an interruption may have come between it and what is kept here.
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if "key" not in trial.user_attrs:
                continue
            spec = self._assignment(trial)
            self.ids[trial.number] = trial._trial_id
            left = self._left(spec)
            if left is None:
                self.storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
            else:
                self.running[trial.number] = spec
                self.record(trial.number, left)
        self.running.clear()
        self.queue.clear()

    def close(self) -> None:
        """Give the database connections back."""
        self.store.close()
        self.storage.engine.dispose()

    def records(self) -> Records:
        """The study as the database has it."""
        return records_of(self.study)

    # Inside.

    def _open_study(self, name: str, document: dict[str, Any]) -> optuna.Study:
        """The study of this name; a new one, also where its maker died before it was set up."""
        study = optuna.create_study(
            study_name=name,
            storage=self.storage,
            directions=directions(self.objectives),
            load_if_exists=True,
        )
        now = identity(self.space.file)
        if "identity" not in study.user_attrs:
            if study.get_trials(deepcopy=False):
                raise SpaceChanged(f"study {name} was made by another program")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                study.set_metric_names(list(self.objectives))
            study.set_user_attr("id", uuid.uuid4().hex)
            study.set_user_attr("data", json.dumps(asdict(self.data)))
            study.set_user_attr("space", json.dumps(document))
            study.set_user_attr("identity", json.dumps(now))
            self._keep_arms(study)
            return study
        changed = differences(json.loads(study.user_attrs["identity"]), now)
        before = json.loads(study.user_attrs["data"])["fingerprint"]
        if before != self.data.fingerprint:
            changed.append(
                f"images: their fingerprint was {before}, is now {self.data.fingerprint}"
            )
        if changed:
            raise SpaceChanged("\n".join(changed))
        study.set_user_attr("space", json.dumps(document))  # the data may have been moved
        self._keep_arms(study)
        return study

    def _keep_arms(self, study: optuna.Study) -> None:
        if self.design is not None:
            study.set_user_attr("arms", arms_to_json(self.design.arms))

    def _is_wanted(self, run: str) -> bool:
        """Whether a run is of the design, whose arms and seeds may have been more before."""
        return self.planned is None or run in self.planned

    def _recover(self, trials: Sequence[FrozenTrial]) -> None:
        """Adopt results that an earlier driver did not record; queue what it did not finish."""
        unfinished = [
            self._assignment(trial)
            for trial in trials
            if trial.state in (TrialState.RUNNING, TrialState.WAITING)
            and "key" in trial.user_attrs  # one enqueued by hand names no architecture
        ]
        self.outbox.keep_only({spec.trial for spec in unfinished})
        for spec in unfinished:
            left = self._left(spec)
            if left is not None:
                self.running[spec.trial] = spec
                self.record(spec.trial, left)
            else:
                self.outbox.discard(spec.trial)
                self.queue.append(spec)

    def _left(self, spec: TrialSpec) -> tuple[Measurement, ...] | None:
        """What a worker left of these very trainings: a folder may hold another study's results."""
        left = self.outbox.get(spec.trial)
        if not left:
            return None
        trainings = self._trainings(spec)
        if left[-1].state == "failed":  # the seeds after it were not tried
            trainings = trainings[: len(left)]
        return left if [m.training for m in left] == trainings else None

    def _trainings(self, spec: TrialSpec) -> list[TrainingKey]:
        key, data = spec.architecture.key, self.data.fingerprint
        recipe, epochs = spec.recipe.key, spec.recipe.epochs
        return [TrainingKey(key, data, recipe, epochs, seed) for seed in spec.seeds]

    def _create(self, state: TrialState) -> TrialSpec | None:
        """A new trial in the database, in one transaction; nothing where the space is used up."""
        proposal = None if self.exhausted else self._propose()
        if proposal is None:
            self.exhausted = True
            return None
        architecture, cost = proposal.architecture, count_cost(proposal.architecture)
        arm, seeds = proposal.arm, proposal.seeds or self._seeds(architecture)
        frozen = create_trial(
            state=state,
            params=proposal.params,
            distributions=proposal.distributions,
            system_attrs=proposal.system_attrs,
            user_attrs={
                "architecture": architecture.to_json(),
                "key": architecture.key,
                "macs": cost.macs,
                "params": cost.params,
                "seeds": json.dumps(seeds),
            }
            | ({"arm": arm.name, "role": arm.role, "of": arm.control_of} if arm else {}),
        )
        trial_id = self.storage.create_new_trial(self.study._study_id, frozen)
        number = self.storage.get_trial_number_from_id(trial_id)
        self.ids[number] = trial_id
        self.tickets[number] = proposal.ticket
        self.seen.add(proposal.run)
        recipe = arm.recipe(self.recipe) if arm else self.recipe
        name, role = (arm.name, arm.role) if arm else ("", "")
        return TrialSpec(number, architecture, cost, seeds, recipe, name, role)

    def _propose(self) -> Proposal | None:
        """A proposal that is inside the budget and new to this study."""
        for _ in range(REJECTIONS):
            try:
                proposal = self.proposer.propose()
            except ArchitectureError:
                continue
            if proposal is None:
                return None
            if proposal.run not in self.seen:
                return proposal
            self.proposer.tell(proposal.ticket, None)
        return self.proposer.propose_unseen(self.seen)

    def _seeds(self, architecture: Architecture) -> tuple[int, ...]:
        study = self.space.file.study
        return tuple(
            trial_seed(study.seed, architecture.key, replicate)
            for replicate in range(study.seeds_per_trial)
        )

    def _assignment(self, trial: FrozenTrial) -> TrialSpec:
        architecture = Architecture.from_json(trial.user_attrs["architecture"])
        attrs = trial.user_attrs
        arm, role = attrs.get("arm", ""), attrs.get("role", "")
        recipe = recipe_of_role(role, self.recipe)
        seeds = tuple(json.loads(attrs["seeds"]))
        cost = count_cost(architecture)
        return TrialSpec(trial.number, architecture, cost, seeds, recipe, arm, role)

    def _known(self, spec: TrialSpec) -> tuple[Measurement, ...] | None:
        """Measurements of the same trainings in this database, by another study perhaps.

        Of failures only those that would happen again: memory or a disk may be free the next time.
        What depends on the machine, such as a latency, is measured in every study.
        """
        if any(OBJECTIVES[name].of_machine for name in self.objectives):
            return None
        measurements: list[Measurement] = []
        for training in self._trainings(spec):
            found = self.store.find(training)
            if found is None or (found.state == "failed" and not found.repeatable):
                return None
            measurements.append(found)
            if found.state == "failed":
                break
        return tuple(measurements)

    def _complete(self, spec: TrialSpec, measurements: Sequence[Measurement]) -> None:
        values = [OBJECTIVES[name].value(spec.cost, measurements) for name in self.objectives]
        tested = [m.test_accuracy for m in measurements if m.test_accuracy is not None]
        epochs = zip(*(m.curve for m in measurements), strict=True)
        record = replace(
            _record(spec, "complete"),
            accuracy=OBJECTIVES["accuracy"].value(spec.cost, measurements),
            test_accuracy=fmean(tested) if tested else None,
            seconds=sum(m.seconds for m in measurements),
            curve=tuple(fmean(accuracy for _, _, accuracy in epoch) for epoch in epochs),
        )
        self._set(record.number, "curve", json.dumps(record.curve))
        self._set(record.number, "seconds", record.seconds)
        if record.test_accuracy is not None:
            self._set(record.number, "test_accuracy", record.test_accuracy)
        self.storage.set_trial_state_values(self.ids[record.number], TrialState.COMPLETE, values)
        self.complete += self._is_wanted(spec.run)
        self.failures_in_row.clear()
        self._finish(replace(record, values=tuple(values)))

    def _fail(self, spec: TrialSpec, reason: str, traceback: str = "") -> None:
        self._set(spec.trial, "reason", reason)
        if traceback:
            self._set(spec.trial, "traceback", traceback)
        self.storage.set_trial_state_values(self.ids[spec.trial], TrialState.FAIL)
        self.failures_in_row.append(reason)
        self._finish(replace(_record(spec, "failed"), reason=reason))

    def _finish(self, record: TrialRecord) -> None:
        ticket = self.tickets.pop(record.number, None)
        if ticket is not None:
            self.proposer.tell(ticket, record.values or None)
        elif record.values:
            self.proposer.learn(self.storage.get_trial(self.ids[record.number]))
        self.listener.finished(record)

    def _set(self, trial: int, name: str, value: object) -> None:
        self.storage.set_trial_user_attr(self.ids[trial], name, value)


def _run(trial: FrozenTrial) -> str:
    """What `Proposal.run` was of a trial."""
    attrs = trial.user_attrs
    key: str = attrs["key"]
    return run_of(attrs["arm"], key, json.loads(attrs["seeds"])) if attrs.get("arm") else key


def _record(spec: TrialSpec, state: State) -> TrialRecord:
    return TrialRecord(
        number=spec.trial,
        state=state,
        architecture=spec.architecture,
        macs=spec.cost.macs,
        params=spec.cost.params,
        seeds=spec.seeds,
        arm=spec.arm,
        role=spec.role,
    )
