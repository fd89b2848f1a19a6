"""What a verdict rests on: every run of a study with its measurement, in a database or in files.

The files, ``measurements.csv``, ``plan.json`` and ``space.yaml``, are what is published of a study:
everything that is said of it can be computed from them again, without training.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import TypeAdapter
from sqlalchemy.engine import URL

from nas.architecture.specification import Architecture
from nas.space.errors import InputError
from nas.space.load import space_file
from nas.space.schema import SpaceFile
from nas.space.yaml_document import read_yaml
from nas.study.design import Role, Stage, recipe_of_role, role_of
from nas.study.plan import Registration, registrations_from_json, registrations_to_json
from nas.study.records import Records, TrialRecord, read_records
from trials.atomic_file import atomic_write_text
from trials.measurement import Measurement, TrainingKey
from trials.store import Store

MEASUREMENTS, PLAN, SPACE = "measurements.csv", "plan.json", "space.yaml"


@dataclass(frozen=True)
class ArmRun:
    """One training of one arm.

    Attributes:
        arm: its name: of the design, or ``trial 12`` of a search.
        control_of: the arm that a control repeats.
    """

    stage: Stage
    arm: str
    role: Role
    control_of: str
    measurement: Measurement

    @cached_property
    def architecture(self) -> Architecture:
        """The arm's network."""
        return Architecture.from_json(self.measurement.architecture)


@dataclass(frozen=True)
class StudyResults:
    """All runs of a study, and what it set out to answer.

    Attributes:
        file: the search space as searched.
        plans: oldest first; the first one was written before the first run.
    """

    name: str
    file: SpaceFile
    plans: tuple[Registration, ...]
    runs: tuple[ArmRun, ...]

    @property
    def is_design(self) -> bool:
        """Whether arms were planned; otherwise they were searched for."""
        return self.file.design is not None

    def of_stage(self, stage: Stage) -> dict[str, dict[int, Measurement]]:
        """Complete runs of a stage, by arm and seed."""
        found: dict[str, dict[int, Measurement]] = {}
        for run in self.runs:
            if run.stage == stage and run.measurement.accuracy is not None:
                found.setdefault(run.arm, {})[run.measurement.seed] = run.measurement
        return found

    @cached_property
    def arms(self) -> dict[str, ArmRun]:
        """The first run of each arm, for what is the same in all of them."""
        first: dict[str, ArmRun] = {}
        for run in self.runs:
            first.setdefault(run.arm, run)
        return first


def read_results(url: URL, name: str) -> StudyResults:
    """StudyResults from a study's database.

    Raises:
        NoStudy: there is no such study.
    """
    records = read_records(url, name)
    file = space_file(records.document)
    store = Store(url, create=False)
    try:
        measured = {measurement.training: measurement for measurement in store.all()}
    finally:
        store.close()
    runs = list(_runs(records, "screening", file, measured))
    if records.confirmation is not None:
        runs += _runs(records.confirmation, "confirmation", file, measured)
    return StudyResults(name, file, records.plans, tuple(runs))


def _runs(
    records: Records, stage: Stage, file: SpaceFile, measured: dict[TrainingKey, Measurement]
) -> Iterator[ArmRun]:
    for trial in records.trials:
        if trial.state not in ("complete", "failed"):
            continue
        role = cast("Role", trial.role or role_of(trial.architecture))
        arm = trial.arm or f"trial {trial.number}"
        recipe = recipe_of_role(role, file.training.full_recipe)
        for seed in trial.seeds:
            key = (trial.architecture.key, records.data.fingerprint)
            training = TrainingKey(*key, recipe.key, recipe.epochs, seed)
            measurement = measured.get(training)
            if measurement is None and trial.state == "failed":  # its workers died
                measurement = _lost(trial, training)
            if measurement is not None:
                yield ArmRun(stage, arm, role, trial.control_of, measurement)


def _lost(trial: TrialRecord, training: TrainingKey) -> Measurement:
    """Of a run whose workers died before they could leave anything."""
    return Measurement(
        architecture_key=training.architecture,
        architecture=trial.architecture.to_json(),
        data=training.data,
        recipe=training.recipe,
        epochs=training.epochs,
        seed=training.seed,
        macs=trial.macs,
        params=trial.params,
        state="failed",
        reason=trial.reason,
    )


def write_results(results: StudyResults, folder: Path) -> None:
    """Write the files that are published."""
    atomic_write_text(folder / MEASUREMENTS, measurements_csv(results.runs))
    atomic_write_text(folder / PLAN, registrations_to_json(results.plans) + "\n")


def measurements_csv(runs: tuple[ArmRun, ...]) -> str:
    """A row for each run."""
    out = io.StringIO()
    columns = [field.name for field in fields(Measurement)]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["stage", "arm", "role", "of", *columns])
    for run in runs:
        values = (getattr(run.measurement, column) for column in columns)
        writer.writerow([run.stage, run.arm, run.role, run.control_of, *map(_cell, values)])
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, tuple | dict):
        return json.dumps(value)
    return "" if value is None else value


def published_results(folder: Path) -> StudyResults:
    """StudyResults from published files.

    Raises:
        InputError: one is missing or is not what was published.
    """
    for name in (MEASUREMENTS, PLAN, SPACE):
        if not (folder / name).is_file():
            raise InputError.of("--published", f"there is no {name} in {folder}")
    document = read_yaml(folder / SPACE)
    if document.problems:
        raise InputError(document.problems)
    try:
        space = space_file(document.value)
    except (ValueError, TypeError) as error:
        raise _unreadable(folder / SPACE, error) from None
    try:
        plans = registrations_from_json((folder / PLAN).read_text(encoding="utf-8"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _unreadable(folder / PLAN, error) from None
    csv.field_size_limit(2**31 - 1)  # a curve of thousands of epochs is one field
    runs: list[ArmRun] = []
    try:
        with (folder / MEASUREMENTS).open(newline="", encoding="utf-8") as file:
            runs.extend(map(_run, csv.DictReader(file)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        raise _unreadable(folder / MEASUREMENTS, error, f", run {len(runs) + 1}") from None
    return StudyResults(space.name, space, plans, tuple(runs))


def _unreadable(file: Path, error: Exception, where: str = "") -> InputError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError.of("--published", f"{file}{where} is not what was published: {reason}")


def _run(row: dict[str, str]) -> ArmRun:
    cells = {field.name: row[field.name] for field in fields(Measurement)}
    values: dict[str, Any] = {name: cell for name, cell in cells.items() if cell != ""}
    for name in ("curve", "versions"):
        values[name] = json.loads(values[name])
    measurement = _MEASUREMENT.validate_python(values)
    stage, arm, role, control_of = (row[name] for name in ("stage", "arm", "role", "of"))
    numbers = (measurement.accuracy, measurement.test_accuracy, *sum(measurement.curve, ()))
    if not all(number is None or isfinite(number) for number in numbers):
        raise ValueError("an accuracy or a loss is not a finite number")
    if stage not in get_args(Stage) or role not in get_args(Role):
        raise ValueError(f"stage {stage!r}, role {role!r}")
    if min(measurement.macs, measurement.params, measurement.epochs) < 1:
        raise ValueError("MACs, parameters and epochs are at least 1")
    Architecture.from_json(measurement.architecture)  # raises where it is none
    return ArmRun(cast("Stage", stage), arm, cast("Role", role), control_of, measurement)


_MEASUREMENT = TypeAdapter(Measurement)
"""Reads numbers from text; a cell that is empty has its default."""


__all__ = ["ArmRun", "StudyResults", "published_results", "read_results", "write_results"]
