"""A driver whose trials climb rungs: successive halving, kept in the study's database.

A trial is one architecture. Between two rungs it is WAITING, and has what it gave at each rung so
far as an attribute (``rungs``), and the rung that it was last promoted to as another (``rung``):
where that has no result yet, it is to be trained. It is COMPLETE with the values of the last rung,
and of no other. Once a search is over, trials that were not promoted are PRUNED; where more trials
are wanted later they wait again, for among more of them they may be promoted.
"""

from __future__ import annotations

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
from nas.study.trial_record import RUNGS, RungResult, TrialRecord, is_pruned
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
            self._recall(trial)
        super().recover([trial for trial in earlier if trial.number not in self.waiting])
        for spec in self.queue:
            self.halving.start(spec.trial, spec.rung)
        self.pruned = [trial.number for trial in known if is_pruned(trial)]
        if self.results:
            self.new.proposer.relearn(self.told.trials())

    def _recall(self, trial: FrozenTrial) -> None:
        results = RUNGS.validate_json(trial.user_attrs.get("rungs", "[]"))
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
        if self.finished:
            return None
        self._reopen()
        highest = self._highest_in_time()
        promotion = self.halving.next_promotion(not self._wants_new, highest)
        queued = [spec for spec in self.queue if spec.rung <= highest]
        waiting = max(queued, key=lambda spec: spec.rung, default=None)
        # A new trial that was prepared for the next worker comes after what can be promoted.
        if waiting is not None and (promotion is None or waiting.rung >= promotion.rung):
            self.queue.remove(waiting)
            return waiting
        if promotion is None and self._wants_new:
            new = self._create(TrialState.RUNNING)
            if new is not None:
                return new
            promotion = self.halving.next_promotion(True, highest)  # the space is used up
        return None if promotion is None else self._promote(promotion)

    def _highest_in_time(self) -> int:
        """The highest rung at which a training would end in time; -1 where none would."""
        fits = self.budget.fits
        rungs = enumerate(self.halving.rungs)
        return max((rung for rung, e in rungs if fits(e * self._seeds)), default=-1)

    def _create(self, state: TrialState) -> TrialSpec | None:
        spec = super()._create(state)
        if spec is None:
            return None
        self.halving.start(spec.trial, 0)
        return self._at_rung(spec, 0)

    def _promote(self, promotion: Promotion) -> TrialSpec:
        trial, rung = promotion
        self.trials.set_attribute(trial, "rung", rung)
        self.waiting.discard(trial)
        self.halving.start(trial, rung)
        return self._spec_of(self.trials.get(trial))

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
        return not self.finished and self._wants_new

    @property
    def _wants_new(self) -> bool:
        """Whether more trials are to begin."""
        begun = sum(rung == 0 for rung in self.halving.running.values())
        return not self.exhausted and self.tried + begun < self.wanted

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
            ending = Ending(TrialState.WAITING, attributes=kept, curve=record.curve)
        self.results[spec.trial] = results
        return replace(record, rungs=results), ending

    def _tell(self, spec: TrialSpec, ending: Ending) -> None:
        trial = spec.trial
        if ending.state in (TrialState.FAIL, TrialState.PRUNED):
            self.halving.drop(trial)
            if ending.state == TrialState.PRUNED:
                self.told.too_slow.add(trial)
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
