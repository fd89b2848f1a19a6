"""What a study measured: every training of every arm, and the plan that it followed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

from sqlalchemy.engine import URL

from nas.architecture.specification import Architecture
from nas.space.claim_section import JudgedOn
from nas.space.objectives import score_of_data
from nas.space.schema import SpaceFile
from nas.study.design import BESIDE, Role, Stage, recipe_of_arm, role_of
from nas.study.judged import judged_score
from nas.study.plan import Registration
from nas.study.records import Records, read_records
from nas.study.setting import NOT_TUNED, Setting
from nas.study.stage_names import confirmation_name, references_name, tuning_name
from nas.study.storage import reading
from nas.study.trial_record import TrialRecord
from trials.measurement import Measurement, TrainingKey
from trials.store import Store


def score_of(measurement: Measurement) -> float:
    """What a complete training is judged by: validation accuracy, unless images have many labels.

    Raises:
        ValueError: it has failed.
    """
    if measurement.score is None:
        raise ValueError(f"this training has failed: {measurement.reason}")
    return measurement.score


class StageTrainings(dict[str, dict[int, Measurement]]):
    """Complete trainings of a stage, by arm and seed.

    Args:
        on: the images that their scores are of.
    """

    def __init__(
        self,
        trainings: Mapping[str, dict[int, Measurement]] | None = None,
        on: JudgedOn = "validation",
    ) -> None:
        super().__init__(trainings or {})
        self.on = on

    def of(self, arms: Iterable[str]) -> StageTrainings:
        """The trainings of some arms; of one that has none, none."""
        return StageTrainings({arm: self.get(arm, {}) for arm in arms}, self.on)

    def score(self, arm: str, seed: int) -> float:
        """What a training is judged by."""
        score = judged_score(self[arm][seed], self.on)
        assert score is not None, "it would not be among the complete ones"
        return score

    def scores(self, arm: str) -> tuple[float, ...]:
        """Of an arm with each of its seeds; none where it has none."""
        return tuple(self.score(arm, seed) for seed in self.get(arm, {}))

    @property
    def common_seeds(self) -> list[int]:
        """Seeds with which every arm has a training, smallest first."""
        return sorted(set.intersection(*map(set, self.values()))) if self else []

    def accuracies(self, seeds: Sequence[int] | None = None) -> dict[str, list[float]]:
        """Accuracies of each arm, by the common seeds unless others are given."""
        chosen = self.common_seeds if seeds is None else seeds
        return {arm: [self.score(arm, seed) for seed in chosen] for arm in self}


@dataclass(frozen=True)
class ArmRun:
    """One training of one arm.

    Attributes:
        arm: its name: of the design, or ``trial 12`` of a search.
        control_of: the arm that a control repeats, or that a variant of the tuning is one of; empty
            where it is neither.
        setting: of the arm, where it was tuned.
    """

    stage: Stage
    arm: str
    role: Role
    control_of: str
    measurement: Measurement
    setting: Setting = NOT_TUNED

    @cached_property
    def architecture(self) -> Architecture:
        """The arm's network, where it is a point of the spectrum.

        Raises:
            ArchitectureError: it is a reference.
        """
        return Architecture.from_json(self.measurement.architecture)

    @property
    def is_compared(self) -> bool:
        """Whether it is of an arm that is neither a control nor a published network."""
        return self.role not in BESIDE and not self.control_of

    @property
    def is_complete(self) -> bool:
        """Whether it has a score."""
        return self.measurement.score is not None


@dataclass(frozen=True)
class StudyResults:
    """All trainings of a study, and what it set out to answer.

    Attributes:
        file: the search space as searched.
        plans: oldest first; the first one was written before the first training.
        trainings: of all arms.
        tuning: trainings that the settings of the arms were chosen by; nothing is judged by them.
        references: trainings of the published networks that a search is shown beside; neither is by
            them.
    """

    name: str
    file: SpaceFile
    plans: tuple[Registration, ...]
    trainings: tuple[ArmRun, ...]
    tuning: tuple[ArmRun, ...] = ()
    references: tuple[ArmRun, ...] = ()

    @property
    def score(self) -> str:
        """The objective that arms are judged by: accuracy, unless images have many labels."""
        complete = [run.measurement for run in self.trainings if run.is_complete]
        return score_of_data(any(m.accuracy is None for m in complete))

    @property
    def is_design(self) -> bool:
        """Whether arms were planned; otherwise they were searched for."""
        return self.file.design is not None

    @property
    def is_race(self) -> bool:
        """Whether arms are trained on until the claim is decided."""
        return self.file.design is not None and self.file.design.is_race

    @property
    def first_stage(self) -> Stage:
        """The stage that all arms are in."""
        return "race" if self.is_race else "screening"

    @property
    def judged_on(self) -> JudgedOn:
        """The images that the confirmation, or a race, is judged on."""
        return self.plans[-1].plan.judged_on if self.plans else "validation"

    def of_stage(self, stage: Stage, others: bool = True) -> StageTrainings:
        """Complete trainings of a stage.

        Args:
            others: those of controls and published networks, too.
        """
        return self._by_stage.get((stage, others), StageTrainings())

    @cached_property
    def _by_stage(self) -> dict[tuple[Stage, bool], StageTrainings]:
        """By stage, with such others and without: a figure asks for each point of the front."""
        found: dict[tuple[Stage, bool], StageTrainings] = {}
        for training in self.trainings:
            measurement = training.measurement
            judges = training.stage in ("confirmation", "race")
            on = self.judged_on if judges else "validation"
            if judged_score(measurement, on) is None:
                continue
            for others in (True, False):
                if others or training.is_compared:
                    key = (training.stage, others)
                    arms = found.setdefault(key, StageTrainings(on=on))
                    arms.setdefault(training.arm, {})[measurement.seed] = measurement
        return found

    @cached_property
    def arms(self) -> dict[str, ArmRun]:
        """The first training of each arm, for what is the same in all of them."""
        first: dict[str, ArmRun] = {}
        for training in self.trainings:
            first.setdefault(training.arm, training)
        return first


def read_results(url: URL, name: str, records: Records | None = None) -> StudyResults:
    """Read the results of a study from its database.

    Args:
        records: of the study, where they have been read.

    Raises:
        NoStudy: there is no such study.
    """
    records = records or read_records(url, name)
    with reading(url), closing(Store(url, create=False)) as store:
        beside = (tuning_name, confirmation_name, references_name)
        names = (name, *(of(name) for of in beside))
        return results_of(records, store.all(*names))


def results_of(records: Records, measurements: Iterable[Measurement]) -> StudyResults:
    """The results of a study as it was read, by what was measured."""
    measured = {measurement.training: measurement for measurement in measurements}
    is_race = records.file.design is not None and records.file.design.is_race
    trainings = list(_trainings(records, "race" if is_race else "screening", measured))
    if records.confirmation is not None:
        trainings += _trainings(records.confirmation, "confirmation", measured)
    tuning, references = (
        tuple(_trainings(beside, stage, measured)) if beside is not None else ()
        for beside, stage in _stages_beside(records)
    )
    name, file, plans = records.name, records.file, records.plans
    return StudyResults(name, file, plans, tuple(trainings), tuning, references)


def _stages_beside(records: Records) -> tuple[tuple[Records | None, Stage], ...]:
    """What nothing is judged by."""
    return ((records.tuning, "tuning"), (records.references, "references"))


def _trainings(
    records: Records, stage: Stage, measured: dict[TrainingKey, Measurement]
) -> Iterator[ArmRun]:
    for trial in records.trials:
        if trial.state not in ("complete", "failed"):
            continue
        role = cast("Role", trial.role or role_of(trial.architecture))
        arm = trial.arm or f"trial {trial.number}"
        recipe = recipe_of_arm(role, trial.setting, records.file.training.full_recipe)
        recipe = replace(recipe, warm_start=trial.warm_start)
        fidelity = records.file.study.fidelity
        if fidelity is not None and trial.state == "failed" and not trial.arm:
            recipe = replace(recipe, epochs=fidelity.rungs[len(trial.rungs)])
        data = records.data.fingerprint
        data = trial.fold.fingerprint(data) if trial.fold else data
        for seed in trial.seeds:
            key = trial.network.key
            training = TrainingKey(key, data, recipe.key, recipe.epochs, seed)
            measurement = measured.get(training)
            if measurement is None and trial.state == "failed":  # its workers died
                measurement = _lost(trial, training)
            if measurement is not None:
                yield ArmRun(stage, arm, role, trial.control_of, measurement, trial.setting)


def _lost(trial: TrialRecord, training: TrainingKey) -> Measurement:
    """The measurement of a training whose workers died before they could leave one."""
    return Measurement(
        architecture_key=training.architecture,
        architecture=trial.network.to_json(),
        data=training.data,
        recipe=training.recipe,
        epochs=training.epochs,
        seed=training.seed,
        macs=trial.macs,
        params=trial.params,
        state="failed",
        reason=trial.reason,
    )
