"""A driver whose trials climb rungs: successive halving, kept in the study's database.

A trial is one architecture. Between two rungs it is WAITING, and has what it gave at each rung so
far as an attribute (``rungs``), and the rung that it was last promoted to as another (``rung``):
where that has no result yet, it is to be trained. It is COMPLETE with the values of the last rung,
and of no other. Once a search is over, trials that were not promoted are PRUNED; where more trials
are wanted later they wait again, for among more of them they may be promoted.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace
from math import isinf

import optuna
from optuna.trial import FrozenTrial, TrialState

from nas.engine.driver import Driver
from nas.engine.halving import Halving, Promotion
from nas.engine.optuna_storage import Ending
from nas.engine.rung_values import RungValues
from nas.engine.trial_result import complete_record
from nas.engine.trial_spec import TrialSpec, names_architecture
from nas.space import SearchSpace
from nas.space.quantities import epochs_in_words
from nas.study.design import Design
from nas.study.storage import understanding
from nas.study.trial_record import RUNGS, RungResult, TrialRecord, is_pruned
from trials.bounded_json import validated
from trials.measurement import Measurement


def driver_for(space: SearchSpace, design: Design | None) -> type[Driver]:
    """What runs a stage: all arms of a design are trained for as long."""
    return HalvingDriver if design is None and space.file.study.fidelity else Driver


class HalvingDriver(Driver):
    """Hands out trials at one rung after the other; made by `Driver.open`."""

    def recover(self, earlier: Sequence[FrozenTrial]) -> None:
        """As any driver does, and learn what the rungs have given."""
        fidelity = self.space.file.study.fidelity
        assert fidelity is not None  # or this were another driver
        self.halving = Halving(fidelity.rungs, fidelity.reduction)
        self.told = RungValues(self.halving, self.trials.get)
        self.results: dict[int, tuple[RungResult, ...]] = {}
        self.waiting: set[int] = set()
        known = [trial for trial in earlier if names_architecture(trial)]
        for trial in known:
            with understanding(f"trial {trial.number}"):
                self._recall(trial)
        super().recover([trial for trial in earlier if trial.number not in self.waiting])
        self.pruned = [trial.number for trial in known if is_pruned(trial)]
        if self.results:
            self.new.proposer.relearn(self.told.trials())

    def _recall(self, trial: FrozenTrial) -> None:
        results = validated(RUNGS, trial.user_attrs.get("rungs", "[]"), finite=False)
        if results:
            self.results[trial.number] = results
        self.told.remember(trial)
        for rung, result in enumerate(results):
            self.halving.record(trial.number, rung, result.values)
        if trial.state == TrialState.WAITING and self._is_between_rungs(trial):
            self.waiting.add(trial.number)
        self.halving.entered[_rung(trial)].add(trial.number)  # also where it failed there
        if trial.state == TrialState.PRUNED and not is_pruned(trial):
            self.told.too_slow.add(trial.number)

    def _reopen(self) -> None:
        """Trials that were not promoted wait again: there are to be more."""
        if self.pruned:
            self.trials.reopen(self.pruned)
            self.waiting.update(self.pruned)
            self.pruned = []
            name, storage = self.study.study_name, self.trials.storage
            self.study = optuna.load_study(study_name=name, storage=storage)

    def settle(self) -> None:
        """Trials that were not promoted are pruned."""
        self.trials.prune(sorted(self.waiting))

    def _take(self) -> TrialSpec | None:
        spec = None if self.finished else self._choose()
        if spec is not None:
            self.halving.start(spec.trial, spec.rung)
        return spec

    def _choose(self) -> TrialSpec | None:
        self._reopen()
        highest, closing = self._highest_in_time(), self._closing
        promotion = self.halving.next_promotion(closing, highest)
        new_may_begin = not (closing and self._hopes(highest))
        queued = [s for s in self.queue if s.rung <= highest and (s.rung or new_may_begin)]
        waiting = max(queued, key=lambda spec: spec.rung, default=None)
        # A new trial that was prepared for the next worker comes after what can be promoted.
        if waiting is not None and (promotion is None or waiting.rung >= promotion.rung):
            self.queue.remove(waiting)
            return waiting
        if promotion is None and self._wants_new and new_may_begin:
            new = self._create(TrialState.RUNNING)
            if new is not None:
                return new
            promotion = self.halving.next_promotion(True, highest)  # the space is used up
        return None if promotion is None else self._promote(promotion)

    def worker_died(self, trial: int, reason: str) -> None:
        super().worker_died(trial, reason)
        if trial not in self.running:
            self.halving.drop(trial)

    def requeue_running(self) -> None:
        super().requeue_running()
        self.halving.running.clear()

    @property
    def _closing(self) -> bool:
        """Whether no trial is to begin any more: there are enough, or time only to promote."""
        if not self._begins_more:
            return True
        if not self.budget.is_limited:
            return False
        workers, queued = max(1, self.budget.workers), [s.rung for s in self.queue if s.rung]
        first = self.halving.rungs[0] * self._seeds
        with_new = self.halving.epochs_to_close(workers, queued, new=1) * self._seeds
        if self.budget.fits(with_new, after=first):
            return False
        # The first trainings, which waited for their workers, are slower than others will be: where
        # it seems that no trial could reach the last rung, that may be wrong.
        without = self.halving.epochs_to_close(workers, queued) * self._seeds
        return self.budget.knows_pace or self.budget.fits(without, after=0)

    def _hopes(self, highest: int) -> bool:
        """Whether what runs is waited for, after which the best trial can go up to a new rung."""
        hope = self.halving.hope() if self.running else None
        return hope is not None and hope.rung <= highest

    def _highest_in_time(self) -> int:
        """The highest rung at which a training would end in time; -1 where none would."""
        fits = self.budget.fits
        rungs = enumerate(self.halving.rungs)
        return max((rung for rung, e in rungs if fits(e * self._seeds)), default=-1)

    def _create(self, state: TrialState) -> TrialSpec | None:
        spec = super()._create(state)
        return None if spec is None else self._at_rung(spec, 0)

    def _promote(self, promotion: Promotion) -> TrialSpec:
        trial, rung = promotion
        self.trials.set_attribute(trial, "rung", rung)
        self.waiting.discard(trial)
        kept = self.trials.get(trial)
        if "losses" in kept.user_attrs:  # of another training
            self.trials.set_attribute(trial, "losses", 0)
        return self._spec_of(kept)

    def _spec_of(self, trial: FrozenTrial) -> TrialSpec:
        return self._at_rung(super()._spec_of(trial), _rung(trial))

    def _at_rung(self, spec: TrialSpec, rung: int) -> TrialSpec:
        return replace(
            spec, recipe=replace(spec.recipe, epochs=self.halving.rungs[rung]), rung=rung
        )

    def _is_between_rungs(self, trial: FrozenTrial) -> bool:
        return self.halving.reached(trial.number) >= _rung(trial)

    @property
    def _wants_more(self) -> bool:
        return not self.finished and self._wants_new and not self._closing

    @property
    def _wants_new(self) -> bool:
        """Whether more trials are to be proposed."""
        begun = sum(spec.rung == 0 for spec in (*self.running.values(), *self.queue))
        return not self.exhausted and self.tried + begun < self.wanted

    @property
    def _begins_more(self) -> bool:
        """Whether more trials are to begin, if there is time."""
        return self._wants_new or any(spec.rung == 0 for spec in self.queue)

    @property
    def _has_time(self) -> bool:
        highest = self._highest_in_time()
        if highest < 0:
            return False
        if self.running or self._wants_new or any(spec.rung <= highest for spec in self.queue):
            return True
        return self.halving.next_promotion(True, highest) is not None

    @property
    def epochs_of_trial(self) -> float:
        share = 1 / self.halving.reduction
        epochs: float = sum(e * share**rung for rung, e in enumerate(self.halving.rungs))
        return self._seeds * epochs

    @property
    def _seeds(self) -> int:
        return self.space.file.study.seeds_per_trial

    @property
    def done(self) -> bool:
        if self.setbacks.too_many:
            return True
        more = self.queue or self.running or self._wants_new
        return not more and self.halving.next_promotion(closing=True) is None

    @property
    def tried(self) -> int:
        return len(self.halving.results[0])

    @property
    def at_rungs(self) -> tuple[int, ...]:
        return tuple(map(len, self.halving.results))

    @property
    def so_far(self) -> str:
        rungs = zip(self.at_rungs[1:], self.halving.rungs[1:], strict=True)
        higher = ", ".join(f"{count} for {epochs}" for count, epochs in rungs)
        first = f"trained for {epochs_in_words(self.halving.rungs[0])}"
        of = "" if isinf(self.wanted) else f" of {self.wanted}"
        return f"{self.tried}{of} trials are {first}, {higher}"

    def _result(
        self, spec: TrialSpec, measurements: Sequence[Measurement]
    ) -> tuple[TrialRecord, Ending]:
        record = complete_record(spec, measurements, self.objectives)
        result = RungResult(spec.recipe.epochs, record.values, record.seconds)
        results = (*self.results.get(spec.trial, ())[: spec.rung], result)
        kept = {"rungs": RUNGS.dump_json(results).decode()}
        if spec.rung == self.halving.top:
            record, ending = super()._result(spec, measurements)
            ending = replace(ending, attributes={**ending.attributes, **kept})
        else:
            record = replace(record, state="waiting")
            kept["ended"] = datetime.datetime.now().isoformat()  # at a later rung it may be pruned
            ending = Ending(TrialState.WAITING, attributes=kept, curve=record.curve)
        self.results[spec.trial] = results
        return replace(record, rungs=results), ending

    def _tell(self, spec: TrialSpec, ending: Ending) -> None:
        trial = spec.trial
        if ending.state in (TrialState.FAIL, TrialState.PRUNED):
            self.halving.drop(trial)
            if ending.state == TrialState.PRUNED:
                self.told.too_slow.add(trial)
            if ending.state == TrialState.PRUNED and trial not in self.new.tickets:
                self.new.proposer.relearn(
                    self.told.trials()
                )  # what it was told of is otherwise now
            else:
                super()._tell(spec, ending)
            return
        if ending.state == TrialState.WAITING:
            self.waiting.add(trial)
        self.setbacks.clear()
        before, values = self.told.rung, self.results[trial][-1].values
        self.halving.record(trial, spec.rung, values)
        learned = self.told.rung
        if trial in self.new.tickets:  # its first result
            if learned == 0:
                self.new.tell(trial, values)
            else:
                self.new.reject(trial)
        elif spec.rung in (0, learned) or learned != before:
            self.new.proposer.relearn(self.told.trials())


def _rung(trial: FrozenTrial) -> int:
    """The one that a trial was last promoted to."""
    return int(trial.user_attrs.get("rung", 0))
