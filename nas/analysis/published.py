"""What is published of a study: ``measurements.csv``, ``plan.json`` and ``space.yaml``.

Everything that is claimed of a study can be computed from these files again, without training.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import fields
from math import isfinite
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import TypeAdapter

from nas.analysis.judged import right_on
from nas.analysis.results import ArmRun, StudyResults
from nas.architecture.references import network_from_json
from nas.architecture.specification import Architecture
from nas.space.claim_section import JudgedOn
from nas.space.errors import InputError
from nas.space.load import space_file
from nas.space.schema import SpaceFile
from nas.space.yaml_document import read_yaml
from nas.study.design import Role, Stage
from nas.study.judged import judged_score
from nas.study.plan import registrations_from_json, registrations_to_json
from nas.study.setting import setting_from_json, setting_to_json
from trials.atomic_file import atomic_write_text
from trials.bounded_json import parse_json, read_json
from trials.measurement import Measurement
from trials.right_answers import unpacked

MEASUREMENTS, PLAN, SPACE = "measurements.csv", "plan.json", "space.yaml"

_MEASUREMENT = TypeAdapter(Measurement)
"""Reads numbers from text; a cell that is empty has its default."""


def write_results(results: StudyResults, folder: Path) -> None:
    """Write the files that are published."""
    trainings = (*results.tuning, *results.trainings, *results.references)
    atomic_write_text(folder / MEASUREMENTS, measurements_csv(trainings))
    atomic_write_text(folder / PLAN, registrations_to_json(results.plans) + "\n")


def measurements_csv(trainings: tuple[ArmRun, ...]) -> str:
    """A row for each training."""
    out = io.StringIO()
    columns = [field.name for field in fields(Measurement)]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["stage", "arm", "role", "of", "setting", *columns])
    for training in trainings:
        run = (training.stage, training.arm, training.role, training.control_of)
        values = (getattr(training.measurement, column) for column in columns)
        writer.writerow([*run, setting_to_json(training.setting), *map(_cell, values)])
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, tuple | dict):
        return json.dumps(value)
    return "" if value is None else value


def published_results(folder: Path) -> StudyResults:
    """Read the results of a study from its published files.

    Raises:
        InputError: one is missing or is not what was published.
    """
    for name in (MEASUREMENTS, PLAN, SPACE):
        if not (folder / name).is_file():
            raise InputError.of("--published", f"there is no {name} in {folder}")
    space = published_file(folder)
    try:
        plans = read_json(folder / PLAN, registrations_from_json)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _unreadable(folder / PLAN, error) from None
    csv.field_size_limit(2**31 - 1)  # a curve of thousands of epochs is one field
    trainings: list[ArmRun] = []
    try:
        with (folder / MEASUREMENTS).open(newline="", encoding="utf-8") as file:
            trainings.extend(map(_training, csv.DictReader(file)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        raise _unreadable(
            folder / MEASUREMENTS, error, f", training {len(trainings) + 1}"
        ) from None
    tuning, references = (
        tuple(run for run in trainings if run.stage == stage) for stage in ("tuning", "references")
    )
    judged = tuple(run for run in trainings if run.stage not in ("tuning", "references"))
    return StudyResults(space.name, space, plans, judged, tuning, references)


def published_file(folder: Path) -> SpaceFile:
    """The search space of a published study.

    Raises:
        InputError: it is not what was published.
    """
    document = read_yaml(folder / SPACE)
    if document.problems:
        raise InputError(document.problems)
    try:
        return space_file(document.value)
    except (ValueError, TypeError) as error:
        raise _unreadable(folder / SPACE, error) from None


def _unreadable(file: Path, error: Exception, where: str = "") -> InputError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError.of("--published", f"{file}{where} is not what was published: {reason}")


def _training(row: dict[str, str]) -> ArmRun:
    # Earlier versions published fewer columns; what has no default is there, or it is an error.
    cells = {field.name: row[field.name] for field in fields(Measurement) if field.name in row}
    values: dict[str, Any] = {name: cell for name, cell in cells.items() if cell != ""}
    for name in ("curve", "versions"):
        values[name] = parse_json(values[name])
    measurement = _MEASUREMENT.validate_python(values)
    stage, arm, role, of = (row[name] for name in ("stage", "arm", "role", "of"))
    scores = measurement.score, measurement.test_score, measurement.half_score
    numbers = (*scores, *sum(measurement.curve, ()))
    if not all(number is None or isfinite(number) for number in numbers):
        raise ValueError("an accuracy or a loss is not a finite number")
    for on in get_args(JudgedOn):
        right = right_on(measurement, on)
        if right is not None and unpacked(right).mean() != judged_score(measurement, on):
            raise ValueError(f"the accuracy is not the share of right answers ({on})")
    if stage not in get_args(Stage) or role not in get_args(Role):
        raise ValueError(f"stage {stage!r}, role {role!r}")
    if min(measurement.macs, measurement.params, measurement.epochs) < 1:
        raise ValueError("MACs, parameters and epochs are at least 1")
    read = network_from_json if stage == "references" else Architecture.from_json
    read(measurement.architecture)  # raises where it is none
    setting = setting_from_json(row.get("setting", ""))
    return ArmRun(cast("Stage", stage), arm, cast("Role", role), of, measurement, setting)
