"""What a study's database says, for everything that reads it: progress, report, export."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.storages import RDBStorage
from pydantic import TypeAdapter
from sqlalchemy.engine import URL

from nas.space.load import space_file
from nas.space.objectives import OBJECTIVES, SHARES, score_of_data
from nas.space.schema import SpaceFile
from nas.statistics.pareto import pareto_front
from nas.study.design import Arm, arms_from_json
from nas.study.fresh_images import FreshImages, judged_as_planned
from nas.study.mean_record import as_confirmed, means_of
from nas.study.plan import Registration, registrations
from nas.study.stage_names import confirmation_name, references_name, tuning_name
from nas.study.storage import (
    NoSuchStudy,
    attribute,
    load_optuna_study,
    opened_storage,
    understanding,
)
from nas.study.trial_record import NotMeasured, TrialRecord, record_of
from nas.study.trial_rows import read_trials
from trials.bounded_json import parse_json, shortened, validated
from trials.data import DataSummary
from trials.timings import Timing, read_timings

DATA = TypeAdapter(DataSummary)
"""Reads and writes, as JSON, what a study was trained on."""

ROUNDING = 1e-9
"""What accuracies may differ by that are equal."""


@dataclass(frozen=True)
class Records:
    """A study as it was read.

    Attributes:
        file: the search space as searched.
        document: the same as it was written, plain data.
        objectives: their names, accuracy first; `OBJECTIVES` has their directions.
        arms: of a design.
        plans: what the study set out to answer, oldest first.
        tuning: the trainings that each arm's setting was chosen by, where there are any yet.
        confirmation: the trainings on fresh seeds, where there are any yet.
        references: the trainings of published networks after a search, where there are any yet.
        timings: of networks in this database by `nas.latency`, of whichever study.
    """

    name: str
    file: SpaceFile
    document: dict[str, Any]
    data: DataSummary
    objectives: tuple[str, ...]
    trials: tuple[TrialRecord, ...]
    arms: tuple[Arm, ...] = ()
    plans: tuple[Registration, ...] = ()
    tuning: Records | None = None
    confirmation: Records | None = None
    references: Records | None = None
    timings: tuple[Timing, ...] = ()

    @cached_property
    def complete(self) -> tuple[TrialRecord, ...]:
        """Trials with a result, in order; of a design the arms, each as the mean of its seeds."""
        return means_of(trial for trial in self.trials if not trial.is_beside)

    @cached_property
    def published(self) -> tuple[TrialRecord, ...]:
        """The published networks that have a result, each as the mean of its seeds; on no front."""
        own = means_of(trial for trial in self.trials if trial.role == "published")
        return own + (self.references.published if self.references else ())

    @cached_property
    def confirmed(self) -> tuple[TrialRecord, ...]:
        """Trials of a search that were trained with fresh seeds, each as their mean.

        Under the number and with the choices that it has in the search. None before all planned
        trainings have ended, and none in a design; a network of which one failed is left out.
        """
        again = self.confirmation
        if self.file.design is not None or again is None:
            return ()
        ended = Counter(t.arm for t in again.trials if t.state in ("complete", "failed"))
        seeds = again.file.fresh_seeds
        if not seeds or any(ended[arm.name] < seeds for arm in again.arms):
            return ()
        means = {t.architecture.key: t for t in again.complete if len(t.seeds) >= seeds}
        return tuple(
            as_confirmed(trial, means[trial.architecture.key])
            for trial in self.complete
            if trial.architecture.key in means
        )

    @cached_property
    def raced(self) -> tuple[TrialRecord, ...]:
        """Arms of a race that were trained up to its last look, the best one first.

        An arm that was left behind has a mean of few seeds, which may be the highest by luck. A
        training that has failed counts as the race scores it. None before the first look, and none
        of another study.
        """
        terms = self.plans[-1].plan.race if self.plans else None
        if terms is None:
            return ()
        scores: dict[str, list[float]] = defaultdict(list)
        for trial in self.trials:
            if trial.state in ("complete", "failed") and not trial.is_beside:
                failed = trial.state == "failed"
                scores[trial.arm].append(terms.failed_score if failed else trial.score)
        last = terms.last_look({arm: len(of_arm) for arm, of_arm in scores.items()})
        left = (arm for arm in self.complete if last and len(scores[arm.arm]) >= last)
        return tuple(sorted(left, key=lambda arm: -fmean(scores[arm.arm])))

    @property
    def judged(self) -> tuple[TrialRecord, ...]:
        """What the front and the best are chosen from: what was confirmed or raced, or else all."""
        return self.confirmed or self.raced or self.complete

    @property
    def fresh_images(self) -> FreshImages:
        """Those that the fresh seeds of a confirmed search are judged on."""
        folds = self.plans[-1].plan.folds if self.plans else 0
        seeds = self.confirmation.file.fresh_seeds if self.confirmation else self.file.fresh_seeds
        return FreshImages.of(self.data, seeds, folds)

    @property
    def tie(self) -> float:
        """How far apart what is maximized may be and yet tie: one image that judges, if a share."""
        if self.objectives[0] not in SHARES:
            return 0.0
        return self.fresh_images.one_more if self.confirmed else 1 / self.data.images[1]

    def is_tie(self, trial: TrialRecord, other: TrialRecord) -> bool:
        """Whether two different trials tie in what is maximized."""
        apart = abs(trial.values[0] - other.values[0])
        return trial.number != other.number and apart <= self.tie + ROUNDING

    @property
    def score(self) -> str:
        """The objective that networks are judged by, whatever the study maximizes."""
        return score_of_data(self.data.many_labels)

    @cached_property
    def front(self) -> tuple[TrialRecord, ...]:
        """Trials that no other dominates, cheapest first.

        Of a confirmed search by the means of the fresh seeds, among the trials that have some; of a
        race among the arms that were trained up to its last look.
        """
        return tuple(self.judged[i] for i in pareto_front(_points(self.judged, self.objectives)))

    def confirmation_of(self, trial: TrialRecord) -> TrialRecord | None:
        """The mean of the confirmation trainings of a trial's architecture, if there are any."""
        key = trial.architecture.key
        arms = self.confirmation.complete if self.confirmation else ()
        return next((arm for arm in arms if arm.architecture.key == key), None)

    def value(self, trial: TrialRecord, objective: str) -> float:
        """What an objective is of a complete trial.

        Raises:
            NotMeasured: it would have to be measured, and is no objective of this study.
        """
        known = OBJECTIVES[objective]
        if known.counted:
            return known.count(trial.cost)
        if objective in self.objectives:
            return trial.values[self.objectives.index(objective)]
        # Accuracies are kept in any case.
        kept: float | None = getattr(trial, known.measured, None)
        if kept is None:
            raise NotMeasured(f"{known.noun} was not measured; it is no objective of {self.name}")
        return kept

    @property
    def points(self) -> NDArray[np.float64]:
        """Objectives of the complete trials (n, objectives)."""
        return _points(self.complete, self.objectives)


def _points(trials: Sequence[TrialRecord], objectives: Sequence[str]) -> NDArray[np.float64]:
    values = [trial.values for trial in trials]
    return np.array(values, dtype=np.float64).reshape(len(values), len(objectives))


def read_records(url: str | URL, name: str, cache: bool = True) -> Records:
    """Read a study.

    Args:
        cache: whether its images may be kept in a file where memory has no room for them.

    Raises:
        NoSuchStudy: there is none of this name, or it was not made by `nas.search`.
        NoStudy: it, or another stage of it, cannot be read.
    """
    with opened_storage(url) as storage:
        records = records_of(load_optuna_study(storage, name))
        records = records if cache else _in_memory(records)
        fresh = confirmation_name(name), references_name(name)
        again, references = (_as_planned(_records_beside(storage, n), records) for n in fresh)
        if references is not None:
            references = _those_in_file(references, records.file)
        return replace(
            records,
            tuning=_records_beside(storage, tuning_name(name)),
            confirmation=again,
            references=references,
            timings=read_timings(storage.engine),
        )


def _as_planned(fresh: Records | None, records: Records) -> Records | None:
    """Trainings on fresh seeds, those on the images that the study's plan says."""
    if fresh is None or not records.plans:
        return fresh
    return replace(fresh, trials=judged_as_planned(fresh.trials, records.plans[-1].plan))


def _those_in_file(references: Records, file: SpaceFile) -> Records:
    """References that the study still has: one that was taken out of its file stays in the
    database, should it come back.
    """
    named = tuple(t for t in references.trials if t.arm in (file.references or ()))
    return replace(references, trials=named)


def _records_beside(storage: RDBStorage, name: str) -> Records | None:
    """Another stage of a study; None where it has not begun."""
    try:
        return records_of(load_optuna_study(storage, name))
    except NoSuchStudy:
        return None


def read_arms(url: str | URL, name: str) -> tuple[Arm, ...]:
    """Arms of a design with the widths that it was begun with; none where there is no study.

    Raises:
        NoStudy: it cannot be read.
    """
    try:
        with opened_storage(url) as storage:
            study = load_optuna_study(storage, name)
            return attribute(name, study.user_attrs, "arms", arms_from_json, "[]")
    except NoSuchStudy:
        return ()


def read_space(url: str | URL, name: str) -> dict[str, Any] | None:
    """The search space that a study was begun with; None where there is no study.

    Raises:
        NoStudy: it cannot be read.
    """
    try:
        with opened_storage(url) as storage:
            kept = load_optuna_study(storage, name).user_attrs
    except NoSuchStudy:
        return None
    return attribute(name, kept, "space", object_from_json) if "space" in kept else None


def _in_memory(records: Records) -> Records:
    document = {**records.document, "data": {**records.document["data"], "memory": None}}
    return replace(records, document=document, file=space_file(document))


def records_of(study: optuna.Study) -> Records:
    """All of a study that a reader needs.

    Raises:
        NoStudy: its search space or a trial is not as this version writes it.
    """
    name, attrs = study.study_name, study.user_attrs
    objectives = _objectives(study)
    document = attribute(name, attrs, "space", object_from_json)
    with understanding(f"the search space of study {name}, of another version perhaps,"):
        file = space_file(document)
    return Records(
        name=name,
        file=file,
        document=document,
        data=attribute(name, attrs, "data", data_from_json),
        objectives=objectives,
        trials=tuple(_trials(study, objectives)),
        arms=attribute(name, attrs, "arms", arms_from_json, "[]"),
        plans=registrations(name, attrs),
    )


def data_from_json(text: str) -> DataSummary:
    """What a study was trained on.

    Raises:
        JsonError: it is something else.
    """
    return validated(DATA, text)


def _objectives(study: optuna.Study) -> tuple[str, ...]:
    with warnings.catch_warnings(), understanding(f"the objectives of study {study.study_name}"):
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        names = tuple(study.metric_names or ())
        if unknown := [name for name in names if name not in OBJECTIVES]:
            raise ValueError(f"there is no objective {shortened(unknown[0])}")
        if len(names) != (count := len(study.directions)):
            raise ValueError(f"{count} values have as many names; got {len(names)}")
        return names


def object_from_json(text: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ValueError, TypeError: it is something else.
    """
    document = parse_json(text)
    if not isinstance(document, dict):
        raise TypeError(f"expected an object; got {shortened(document)}")
    return document


def _trials(study: optuna.Study, objectives: tuple[str, ...]) -> Iterator[TrialRecord]:
    for trial in read_trials(study):
        if "architecture" in trial.user_attrs:
            with understanding(f"trial {trial.number} of study {study.study_name}"):
                yield record_of(trial, objectives)
