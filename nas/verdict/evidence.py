"""What a verdict rests on: every run of a study with its measurement, in a database or in files.

The files, ``measurements.csv``, ``plan.json`` and ``space.yaml``, are what is published of a study:
everything that is said of it can be computed from them again, without training.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, cast, get_type_hints

from sqlalchemy.engine import URL

from nas.architecture import Architecture
from nas.faults import InputError
from nas.space.schema import MacsSection, MatchSection, TrainingSection
from nas.study import NoStudy, Records, confirmation_name, read_records
from nas.study.design import Role, Stage, role_of
from nas.study.registration import (
    Registration,
    registrations_from_json,
    registrations_to_json,
)
from nas.whole_file import write_whole
from nas.yaml_file import read_yaml
from trials.measurement import Measurement, TrainingKey
from trials.recipe import Recipe
from trials.store import Store

MEASUREMENTS, PLAN, SPACE = "measurements.csv", "plan.json", "space.yaml"


@dataclass(frozen=True)
class Run:
    """One training of one arm.

    Attributes:
        arm: its name: of the design, or ``trial 12`` of a search.
        of: the arm that a control repeats.
    """

    stage: Stage
    arm: str
    role: Role
    of: str
    measurement: Measurement

    @property
    def architecture(self) -> Architecture:
        """The arm's network."""
        return Architecture.from_json(self.measurement.architecture)


@dataclass(frozen=True)
class Evidence:
    """All runs of a study, and what it set out to answer.

    Attributes:
        document: the search space as searched, plain data.
        plans: oldest first; the first one was written before the first run.
    """

    name: str
    document: dict[str, Any]
    plans: tuple[Registration, ...]
    runs: tuple[Run, ...]

    @cached_property
    def recipe(self) -> Recipe:
        """That the arms were trained by."""
        return TrainingSection.model_validate(self.document.get("training", {})).full_recipe

    @cached_property
    def matched(self) -> MatchSection | None:
        """The cost that all arms were to have."""
        if "match" in self.document:
            return MatchSection.model_validate(self.document["match"])
        macs = MacsSection.model_validate(self.document.get("macs") or {"at_most": 1})
        return MatchSection(macs=macs.match, tolerance=macs.tolerance) if macs.match else None

    @property
    def is_design(self) -> bool:
        """Whether arms were planned; otherwise they were searched for."""
        return "design" in self.document

    def of_stage(self, stage: Stage) -> dict[str, dict[int, Measurement]]:
        """Complete runs of a stage, by arm and seed."""
        found: dict[str, dict[int, Measurement]] = {}
        for run in self.runs:
            if run.stage == stage and run.measurement.accuracy is not None:
                found.setdefault(run.arm, {})[run.measurement.seed] = run.measurement
        return found

    @cached_property
    def arms(self) -> dict[str, Run]:
        """The first run of each arm, for what is the same in all of them."""
        first: dict[str, Run] = {}
        for run in self.runs:
            first.setdefault(run.arm, run)
        return first


def read_evidence(url: URL, name: str) -> Evidence:
    """Evidence from a study's database.

    Raises:
        NoStudy: there is no such study.
    """
    records = read_records(url, name)
    store = Store(url)
    try:
        runs = list(_runs(records, "screening", store))
        with suppress(NoStudy):  # nothing was confirmed yet
            runs += _runs(read_records(url, confirmation_name(name)), "confirmation", store)
    finally:
        store.close()
    return Evidence(name, records.document, records.plans, tuple(runs))


def _runs(records: Records, stage: Stage, store: Store) -> Iterator[Run]:
    from nas.trained import recipe_of  # loads PyTorch

    for trial in records.trials:
        if trial.state not in ("complete", "failed"):
            continue
        recipe = recipe_of(records, trial)
        for seed in trial.seeds:
            key = (trial.architecture.key, records.data.fingerprint)
            measurement = store.find(TrainingKey(*key, recipe.key, recipe.epochs, seed))
            if measurement is not None:
                yield Run(
                    stage,
                    trial.arm or f"trial {trial.number}",
                    cast("Role", trial.role or role_of(trial.architecture)),
                    trial.of,
                    measurement,
                )


def write_evidence(evidence: Evidence, folder: Path) -> None:
    """Write the files that are published."""
    write_whole(folder / MEASUREMENTS, measurements_csv(evidence.runs))
    write_whole(folder / PLAN, registrations_to_json(evidence.plans) + "\n")


def measurements_csv(runs: tuple[Run, ...]) -> str:
    """A row for each run."""
    out = io.StringIO()
    columns = [field.name for field in fields(Measurement)]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["stage", "arm", "role", "of", *columns])
    for run in runs:
        values = (getattr(run.measurement, column) for column in columns)
        writer.writerow([run.stage, run.arm, run.role, run.of, *map(_cell, values)])
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, tuple | dict):
        return json.dumps(value)
    return "" if value is None else value


def published_evidence(folder: Path) -> Evidence:
    """Evidence from published files.

    Raises:
        InputError: one is missing or is not what was published.
    """
    for name in (MEASUREMENTS, PLAN, SPACE):
        if not (folder / name).is_file():
            raise InputError.of("--published", f"there is no {name} in {folder}")
    document = read_yaml(folder / SPACE).value
    try:
        plans = registrations_from_json((folder / PLAN).read_text())
        with (folder / MEASUREMENTS).open(newline="") as file:
            runs = tuple(_run(row) for row in csv.DictReader(file))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError.of("--published", f"{folder} cannot be read: {error}") from None
    return Evidence(document["name"], _tupled(document), plans, runs)


def _tupled(value: Any) -> Any:  # noqa: ANN401  # walks data of any shape
    """Lists as tuples, which strict models want."""
    if isinstance(value, list):
        return tuple(map(_tupled, value))
    return {k: _tupled(v) for k, v in value.items()} if isinstance(value, dict) else value


def _run(row: dict[str, str]) -> Run:
    kinds = get_type_hints(Measurement)
    values = {
        field.name: _parsed(row[field.name], kinds[field.name]) for field in fields(Measurement)
    }
    return Run(
        cast("Stage", row["stage"]),
        row["arm"],
        cast("Role", row["role"]),
        row["of"],
        Measurement(**values),
    )


def _parsed(text: str, kind: Any) -> Any:  # noqa: ANN401  # a type form and its value
    named = str(kind)
    if "tuple" in named:
        return tuple(tuple(epoch) for epoch in json.loads(text))
    if "dict" in named:
        return json.loads(text)
    if text == "" and "None" in named:
        return None
    if "float" in named:
        return float(text)
    return int(text) if "int" in named else text


__all__ = ["Evidence", "Run", "published_evidence", "read_evidence", "write_evidence"]
