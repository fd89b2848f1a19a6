"""The one process that writes a study: it hands out trials, records results and recovers.

The database is the only truth. A trial is RUNNING there from the moment it is handed out until its
result is recorded, and whatever kills the driver in between, the next one finds either a result in
the outbox, and records it, or none, and hands the same trial out again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from math import isinf
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import URL, Engine

from nas.engine.earlier_results import result_in_outbox, result_in_store
from nas.engine.fence import Fence
from nas.engine.listener import Listener, Silent
from nas.engine.lock import creating_tables
from nas.engine.new_trials import NewTrials
from nas.engine.optuna_storage import Ending, StudyTrials
from nas.engine.proposal import Proposer
from nas.engine.proposers import proposer_of
from nas.engine.setbacks import Setbacks
from nas.engine.study_setup import id_of, open_study
from nas.engine.time_budget import TimeBudget
from nas.engine.trial_result import (
    complete_ending,
    complete_record,
    failed_ending,
    record_without_result,
    rejected_ending,
)
from nas.engine.trial_spec import TrialSpec, names_architecture, spec_of, unique_key_of
from nas.space import SearchSpace
from nas.space.objectives import measured_fields
from nas.study.design import Design
from nas.study.records import Records, records_of
from nas.study.storage import open_storage, understanding
from nas.study.trial_record import TrialRecord
from nas.study.trial_rows import read_trials
from trials.data import DataSummary
from trials.failpoint import failpoint
from trials.measurement import Measurement
from trials.outbox import Outbox
from trials.store import Store, add_measurements, use_write_ahead_log

LOSSES = 3
"""Workers that may die over one trial."""


class Driver:
    """Hands out the trials of one study and records their results; made by `Driver.open`.

    Args:
        space: what is searched.
        data: what is trained on.
        study: of Optuna, for reading.
        trials: of the study, for writing.
        store: of measurements, in the same database.
        outbox: where workers leave their results.
        proposer: of new trials.
        design: what is tried, where it is not searched for.
        earlier: trials of earlier drivers.
    """

    def __init__(
        self,
        space: SearchSpace,
        data: DataSummary,
        study: optuna.Study,
        trials: StudyTrials,
        store: Store,
        outbox: Outbox,
        proposer: Proposer,
        design: Design | None = None,
        earlier: Sequence[FrozenTrial] = (),
    ) -> None:
        self.space, self.data, self.design = space, data, design
        self.study, self.trials, self.store, self.outbox = study, trials, store, outbox
        self.listener: Listener = Silent()
        self.new = NewTrials(space, proposer, trials, earlier)
        self.objectives = space.file.objective_names
        self.wanted: float = space.file.study.trials if design is None else len(design)
        self.planned = None if design is None else design.unique_keys()
        complete = [trial for trial in earlier if trial.state == TrialState.COMPLETE]
        self.complete = sum(self._is_planned(unique_key_of(trial)) for trial in complete)
        self.budget = TimeBudget()
        self.running: dict[int, TrialSpec] = {}
        self.queue: deque[TrialSpec] = deque()
        self.setbacks = Setbacks()

    @classmethod
    def open(
        cls,
        url: URL,
        name: str,
        space: SearchSpace,
        data: DataSummary,
        outbox: Path,
        design: Design | None = None,
        sampler: optuna.samplers.BaseSampler | None = None,
        say: Callable[[str], None] = lambda _: None,
        claim: Callable[[Engine], Fence] | None = None,
    ) -> Driver:
        """The driver of a study, which is made where it is not there, and recovered where it is.

        Args:
            url, name: of the database; of the study.
            outbox: folder where workers leave their results, each study's in one of its own.
            sampler: in place of the one that the space names.
            say: gets a line about each result that cannot be read.
            claim: makes a fence for what is written; that of whoever holds the study's lock.

        Raises:
            DriverReplaced: another driver has claimed the study since.
            SpaceChanged: the study exists, and what its results depend on is different.
        """
        with creating_tables(url):
            failpoint("tables.make")
            use_write_ahead_log(url)
            store = Store(url)
            storage = open_storage(url, create=True)
            failpoint("tables.made")
            fence = claim(storage.engine) if claim else Fence.claimed(storage.engine, name)
        trials = StudyTrials(storage, name, fence)
        study = open_study(trials, space, data, design)
        earlier = read_trials(study)
        results = Outbox(outbox / id_of(study), say)
        proposer = proposer_of(space, design, earlier, sampler)
        driver = cls(space, data, study, trials, store, results, proposer, design, earlier)
        driver.recover(earlier)
        return driver

    def next(self) -> TrialSpec | None:
        """The next trial to run, or nothing: all are running, or the search is over."""
        while (spec := self._take()) is not None:
            self.trials.start(spec.trial, goes_on=spec.rung > 0)
            self.running[spec.trial] = spec
            self.listener.started(spec)
            result = self._known_result(spec)
            if result is None:
                self.budget.start(spec.trial, spec.epochs)
                failpoint("trial.handed_out")
                return spec
            self.record(spec.trial, result)
        return None

    def _take(self) -> TrialSpec | None:
        """The trial to run next: one that waits, or a new one; nothing where it is not time."""
        if not self._wants_more:
            return None
        return self.queue.popleft() if self.queue else self._create(TrialState.RUNNING)

    def _create(self, state: TrialState) -> TrialSpec | None:
        """A new trial, if there is one."""
        return self.new.create(state)

    def _known_result(self, spec: TrialSpec) -> tuple[Measurement, ...] | None:
        """What the same trainings gave; what depends on the machine is measured in every study."""
        if self.space.file.times_trials(searched=self.design is None):
            return None
        measure = measured_fields(self.objectives)
        fingerprint = self.data.fingerprint
        return result_in_store(self.store, self.trials.study, spec, fingerprint, measure)

    def prepare(self) -> None:
        """Propose a trial for the next worker that is free, while none is: it waits until then."""
        if self._wants_more and not self.queue:
            spec = self._create(TrialState.WAITING)
            if spec is not None:
                self.queue.append(spec)

    @property
    def _wants_more(self) -> bool:
        """Whether the running trials are too few even if all of them succeed."""
        return not self.finished and self.complete + len(self.running) < self.wanted

    @property
    def finished(self) -> bool:
        """Whether no trial will be handed out any more: there is none left, or no time."""
        return self.done or not self._has_time

    @property
    def done(self) -> bool:
        """Whether no trial is left to be handed out, however much time there is."""
        used_up = self.exhausted and not self.queue and not self.running
        return self.complete >= self.wanted or used_up or self.setbacks.too_many

    @property
    def _has_time(self) -> bool:
        return self.budget.fits(self.epochs_of_trial)

    @property
    def epochs_of_trial(self) -> float:
        """Of all trainings of a trial together, on average."""
        seeds = 1 if self.design is not None else self.space.file.study.seeds_per_trial
        return self.space.file.training.full_recipe.epochs * seeds

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left to propose."""
        return self.new.exhausted

    def record(self, trial: int, measurements: Sequence[Measurement]) -> None:
        """Record the result of a trial: of measurements and trial all is written, or nothing.

        Until then the result is in the outbox, so that no finished training is ever lost.
        """
        spec = self.running[trial]
        self.budget.end(trial)
        last = measurements[-1]  # what has failed comes last
        match last.state:
            case "complete":
                record, ending = self._result(spec, measurements)
            case "failed":
                record = record_without_result(spec, "failed", last.reason)
                ending = failed_ending(last.reason, last.traceback)
            case "rejected":
                record = record_without_result(spec, "rejected", last.reason)
                ending = rejected_ending(last)
                measurements = ()  # it was not trained
        self._end(spec, ending, measurements)
        del self.running[trial]
        self.outbox.discard(trial)
        self.listener.finished(record)  # last, for it may raise

    def _end(
        self, spec: TrialSpec, ending: Ending, measurements: Sequence[Measurement] = ()
    ) -> None:
        """End a trial in the database, in one transaction, then here."""
        with self.trials.transaction() as session:
            add_measurements(session.connection(), measurements, self.trials.study)
            self.trials.end(session, spec.trial, ending)
        match ending.state:
            case TrialState.COMPLETE:
                self.complete += self._is_planned(spec.unique_key)
                self.setbacks.clear()
            case TrialState.FAIL:
                self.setbacks.failures.append(str(ending.attributes["reason"]))
            case TrialState.PRUNED:
                self.setbacks.rejections.append(str(ending.attributes["reason"]))
        self._tell(spec, ending)

    def _result(
        self, spec: TrialSpec, measurements: Sequence[Measurement]
    ) -> tuple[TrialRecord, Ending]:
        """What complete trainings make of a trial."""
        record = complete_record(spec, measurements, self.objectives)
        return record, complete_ending(record, self.objectives)

    def _tell(self, spec: TrialSpec, ending: Ending) -> None:
        """Tell whoever proposed a trial what came of it."""
        if ending.state == TrialState.PRUNED:
            self.new.reject(spec.trial)
        else:
            self.new.tell(spec.trial, ending.values)

    def _is_planned(self, key: str) -> bool:
        """Whether a trial is of the design, whose arms and seeds may have been more before."""
        return self.planned is None or key in self.planned

    def recover(self, earlier: Sequence[FrozenTrial]) -> None:
        """Adopt results that an earlier driver did not record; queue what it did not finish."""
        failpoint("recovery.begin")
        unfinished = [
            self._spec_of(trial)
            for trial in earlier
            if trial.state in (TrialState.RUNNING, TrialState.WAITING) and names_architecture(trial)
        ]
        self.outbox.keep_only({spec.trial for spec in unfinished})
        for spec in unfinished:
            if not self._adopt_result(spec):
                self.outbox.discard(spec.trial)
                self.queue.append(spec)
        failpoint("recovery.done")

    def worker_died(self, trial: int, reason: str) -> None:
        """The worker of a trial died: run it again, unless it has killed several."""
        spec = self.running[trial]
        self.budget.end(trial)
        if self._adopt_result(spec):
            return
        with understanding(f"trial {trial}"):
            losses = int(self.trials.get(trial).user_attrs.get("losses", 0)) + 1
        self.trials.set_attribute(trial, "losses", losses)
        del self.running[trial]
        if losses >= LOSSES:
            reason = f"its worker died {losses} times: {reason}"
            self._end(spec, failed_ending(reason))
            self.listener.finished(record_without_result(spec, "failed", reason))
        else:
            self.queue.append(spec)
            self.listener.returned(trial, f"its worker died ({losses} of {LOSSES}): {reason}")

    def requeue_running(self) -> None:
        """Leave no trial RUNNING: those without a result wait for the next driver."""
        # Asked of the database: an interruption may have come between it and what is kept here.
        for trial in self.trials.running():
            if names_architecture(trial) and not self._adopt_result(spec := self._spec_of(trial)):
                self.trials.wait(trial.number)
                self.queue.append(spec)
        self.running.clear()

    def _adopt_result(self, spec: TrialSpec) -> bool:
        """Record what the worker of a trial left in the outbox, if it left its result."""
        result = result_in_outbox(self.outbox, spec, self.data.fingerprint)
        if result is None:
            return False
        self.running[spec.trial] = spec
        self.record(spec.trial, result)
        return True

    def _spec_of(self, trial: FrozenTrial) -> TrialSpec:
        return spec_of(trial, self.space.file.training.full_recipe)

    def settle(self) -> None:
        """Let the record of each trial say so, once none is handed out any more."""

    @property
    def tried(self) -> int:
        """How many of the wanted trials there are."""
        return self.complete

    @property
    def at_rungs(self) -> tuple[int, ...]:
        """Trials that have a result at each rung, where there are some."""
        return ()

    @property
    def so_far(self) -> str:
        """How far the study is."""
        of = "" if isinf(self.wanted) else f" of {self.wanted}"
        return f"{self.complete}{of} trials are complete"

    def records(self) -> Records:
        """The study as the database has it."""
        return records_of(self.study)

    def close(self) -> None:
        """Give the database connections back."""
        self.store.close()
        self.trials.close()
