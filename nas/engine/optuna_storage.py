"""The trials of one study in Optuna's database, by their numbers.

An Optuna study can neither add a trial that is RUNNING nor change one that another process began,
so this goes to the storage and its tables, whose names are Optuna's own: they may change with any
version of it, and are used in this file and in `nas.study.trial_rows` alone.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import optuna
import sqlalchemy as sa
from optuna.distributions import distribution_to_json
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.orm import DeclarativeBase, Session

from nas.engine.fence import DriverReplaced, Fence
from nas.study.storage import understanding
from nas.study.trial_rows import check_values
from trials.bounded_json import parse_json
from trials.store import put


@dataclass(frozen=True)
class Ending:
    """What is written of a trial at its end, or where it waits at a rung.

    Attributes:
        values: of the objectives, where it is complete.
        attributes: of the user, by name.
        curve: values after each epoch, counted from 1, in place of those that are there; these
            stay where it is empty.
    """

    state: TrialState
    values: tuple[float, ...] = ()
    attributes: Mapping[str, object] = field(default_factory=dict)
    curve: tuple[float, ...] = ()


class StudyTrials:
    """Reads and writes the trials of a study.

    Optuna takes a transaction for each value and attribute, and a query for each parameter; here
    whatever belongs together is one transaction, of which a kill leaves all or nothing.

    Args:
        storage: that the study is in.
        fence: of the driver that writes.
    """

    def __init__(
        self, storage: optuna.storages.RDBStorage, study: str, fence: Fence | None = None
    ) -> None:
        self.storage, self.study, self.fence = storage, study, fence
        self.ids: dict[int, int] = {}  # of the database, by number

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """What is written inside is in the database at the end, or none of it.

        Raises:
            DriverReplaced: at the end, where another driver has claimed the study.
        """
        assert self.fence is not None, "only a driver writes"
        with self.fence.transaction(self.storage.engine) as session:
            yield session

    def create(self, directions: Sequence[str]) -> None:
        """Make the study, where it is not there yet."""
        study, of = models.StudyModel, models.StudyDirectionModel
        kinds = [StudyDirection[direction.upper()] for direction in directions]
        with self.transaction() as session:
            if study.find_by_name(self.study, session) is None:
                rows = [of(direction=kind, objective=place) for place, kind in enumerate(kinds)]
                session.add(study(study_name=self.study, directions=rows))

    def keep(self, **attributes: str) -> None:
        """Keep texts with the study, in one transaction, in place of earlier ones."""
        with self.transaction() as session:
            self._keep(session, models.StudyUserAttributeModel, attributes)

    def keep_for_optuna(
        self, attributes: Mapping[str, object], stale: Collection[str] = ()
    ) -> None:
        """Keep what Optuna and its dashboard read, and remove what is stale, in one transaction."""
        model = models.StudySystemAttributeModel
        with self.transaction() as session:
            for key in stale:
                of_study = model.study_id == self.study_id
                session.execute(sa.delete(model).where(of_study, model.key == key))
            self._keep(session, model, attributes)

    def _keep(
        self, session: Session, model: type[DeclarativeBase], attributes: Mapping[str, object]
    ) -> None:
        rows = [
            {"study_id": self.study_id, "key": key, "value_json": json.dumps(value)}
            for key, value in attributes.items()
        ]
        put(session.connection(), _table(model), ("study_id", "key"), rows)

    def add(self, trial: FrozenTrial) -> int:
        """Add a trial that has not ended, in the state that it has; returns its number."""
        with self.transaction() as session:
            # PostgreSQL lets one at a time number its trials; SQLite has one writer anyway.
            models.StudyModel.find_or_raise_by_id(self.study_id, session, for_update=True)
            row: Any = models.TrialModel(study_id=self.study_id, state=trial.state)
            row.datetime_start = trial.datetime_start
            session.add(row)
            session.flush()
            trial_id = int(row.trial_id)
            row.number = number = self._count_before(session, trial_id)
            for model, rows in _rows_of(trial, trial_id):
                if rows:
                    session.execute(sa.insert(model), rows)
        self.ids[number] = trial_id
        return number

    def _count_before(self, session: Session, trial_id: int) -> int:
        """Trials before this one, by the number of the last: to count them takes ever longer."""
        model = models.TrialModel
        before = (model.study_id == self.study_id, model.trial_id < trial_id)
        query = sa.select(model.number).where(*before).order_by(model.trial_id.desc()).limit(1)
        last = session.scalar(query)
        return 0 if last is None else int(last) + 1

    def get(self, number: int) -> FrozenTrial:
        """A trial as it is now."""
        return self.storage.get_trial(self._id(number))

    def running(self) -> list[FrozenTrial]:
        """The trials that are RUNNING now; the others are not read."""
        states = (TrialState.RUNNING,)
        return self.storage.get_all_trials(self.study_id, deepcopy=False, states=states)

    def count_ended(self) -> int:
        """How many trials are complete or have failed; none of a study that is not there.

        With successive halving a trial counts once for each rung at which it is or has.
        """
        trial, study, kept = models.TrialModel, models.StudyModel, models.TrialUserAttributeModel
        ended = trial.state.in_([TrialState.COMPLETE, TrialState.FAIL])
        rungs = (kept.trial_id == trial.trial_id) & (kept.key == "rungs")
        query = (
            sa.select(trial.state, kept.value_json)
            .join(study, study.study_id == trial.study_id)
            .outerjoin(kept, rungs)
            .where(study.study_name == self.study)
            .where(ended | kept.value_json.is_not(None))
        )
        count = 0
        with Session(self.storage.engine) as session, self._understanding():
            for state, results in session.execute(query):
                at_rungs = len(parse_json(parse_json(results), finite=False)) if results else 0
                count += at_rungs or state == TrialState.COMPLETE
                count += state == TrialState.FAIL  # at the next rung
        return count

    def complete_values(self) -> dict[int, tuple[float, ...]]:
        """The values of every complete trial by its number; nothing else is read.

        Raises:
            NoStudy: they are not what the study's objectives have.
        """
        trial, value = models.TrialModel, models.TrialValueModel
        query = (
            sa.select(trial.number, value.value)
            .join(value, value.trial_id == trial.trial_id)
            .where(trial.study_id == self.study_id, trial.state == TrialState.COMPLETE)
            .order_by(trial.number, value.objective)
        )
        found: dict[int, tuple[float, ...]] = {}
        with Session(self.storage.engine) as session:
            for number, reached in session.execute(query):
                found[number] = (*found.get(number, ()), reached)
        count = len(self.storage.get_study_directions(self.study_id))
        for number, values in found.items():
            with understanding(f"trial {number} of study {self.study}"):
                check_values(values, count)
        return found

    def start(self, number: int, goes_on: bool) -> None:
        """A trial is RUNNING; nothing where it is so already.

        Args:
            goes_on: it has a result of an earlier training, and keeps when that began.
        """
        with self._changing(number, TrialState.WAITING) as trial:
            if trial is not None:
                trial.state = TrialState.RUNNING
                if not goes_on:
                    trial.datetime_start = datetime.datetime.now()

    def wait(self, number: int) -> None:
        """A trial that is RUNNING waits again."""
        with self._changing(number, TrialState.RUNNING) as trial:
            if trial is not None:
                trial.state = TrialState.WAITING

    @contextmanager
    def _changing(self, number: int, state: TrialState) -> Iterator[Any]:
        """A trial, to be changed, if it is in this state."""
        table = models.TrialModel
        query = sa.select(table).where(table.trial_id == self._id(number), table.state == state)
        with self.transaction() as session:
            yield session.scalar(query.with_for_update())

    def prune(self, numbers: Iterable[int]) -> None:
        """End trials that wait, as pruned when their last training ended, in one transaction."""
        with self.transaction() as session, self._understanding():
            for trial, ended in self._with_end(session, numbers):
                trial.state = TrialState.PRUNED
                trial.datetime_complete = (
                    datetime.datetime.fromisoformat(parse_json(ended))
                    if ended
                    else datetime.datetime.now()  # an earlier version kept no end
                )

    def reopen(self, numbers: Iterable[int]) -> None:
        """Let trials that were pruned wait again; who has read the study has to read it anew."""
        with self.transaction() as session:
            for trial, _ in self._with_end(session, numbers):
                trial.state, trial.datetime_complete = TrialState.WAITING, None

    def _with_end(self, session: Session, numbers: Iterable[int]) -> Iterator[Any]:
        """Trials, each with the JSON of when its last training ended, or None."""
        table, kept, chosen = models.TrialModel, models.TrialUserAttributeModel, list(numbers)
        query = sa.select(table, kept.value_json).where(table.study_id == self.study_id)
        query = query.outerjoin(kept, (kept.trial_id == table.trial_id) & (kept.key == "ended"))
        for start in range(0, len(chosen), 500):  # a statement has no more parameters
            some = table.number.in_(chosen[start : start + 500])
            yield from session.execute(query.where(some))

    def set_attribute(self, number: int, name: str, value: object) -> None:
        """Keep a value with a trial."""
        row = {"trial_id": self._id(number), "key": name, "value_json": json.dumps(value)}
        attributes = _table(models.TrialUserAttributeModel)
        with self.transaction() as session:
            put(session.connection(), attributes, ("trial_id", "key"), [row])

    def end(self, session: Session, number: int, ending: Ending) -> None:
        """Write how a trial ended, as part of a `transaction`.

        Raises:
            DriverReplaced: somebody else has ended it; nothing of the transaction is kept.
        """
        trial_id, connection = self._id(number), session.connection()
        attributes, values = models.TrialUserAttributeModel, models.TrialValueModel
        # Before anything is read: SQLite's transactions begin with the first row that is written.
        put(connection, _table(attributes), ("trial_id", "key"), [
            {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
            for key, value in ending.attributes.items()
        ])  # fmt: skip
        self._put_curve(session, trial_id, ending.curve)
        put(connection, _table(values), ("trial_id", "objective"), [
            {"trial_id": trial_id, "objective": objective, "value": kept, "value_type": kind}
            for objective, value in enumerate(ending.values)
            for kept, kind in [values.value_to_stored_repr(value)]
        ])  # fmt: skip
        trial: Any = models.TrialModel.find_or_raise_by_id(trial_id, session, for_update=True)
        if trial.state.is_finished():
            raise DriverReplaced(f"another process has ended trial {number} of {self.study}")
        trial.state = ending.state
        if ending.state.is_finished():
            trial.datetime_complete = datetime.datetime.now()

    def _understanding(self) -> AbstractContextManager[None]:
        return understanding(f"the trials of study {self.study}")

    def _put_curve(self, session: Session, trial_id: int, curve: Sequence[float]) -> None:
        """A study with several objectives refuses `Trial.report` (optuna/optuna#3450)."""
        if not curve:  # it has failed: what it gave at a lower rung is kept
            return
        values = models.TrialIntermediateValueModel
        session.execute(sa.delete(values).where(values.trial_id == trial_id))
        finite = values.TrialIntermediateValueType.FINITE
        kind = {"trial_id": trial_id, "intermediate_value_type": finite}
        rows = [kind | {"step": e, "intermediate_value": v} for e, v in enumerate(curve, 1)]
        session.execute(sa.insert(values), rows)

    def close(self) -> None:
        """Give the connections back."""
        self.storage.engine.dispose()

    @cached_property
    def study_id(self) -> int:
        """The number of the study in the database."""
        return self.storage.get_study_id_from_name(self.study)

    def _id(self, number: int) -> int:
        if number not in self.ids:
            self.ids[number] = self.storage.get_trial_id_from_study_id_trial_number(
                self.study_id, number
            )
        return self.ids[number]


def _rows_of(
    trial: FrozenTrial, trial_id: int
) -> Iterator[tuple[type[DeclarativeBase], list[dict[str, Any]]]]:
    """What a trial has before its end, by the tables that it is in."""
    yield (
        models.TrialParamModel,
        [
            {
                "trial_id": trial_id,
                "param_name": name,
                "param_value": drawn.to_internal_repr(trial.params[name]),
                "distribution_json": distribution_to_json(drawn),
            }
            for name, drawn in trial.distributions.items()
        ],
    )
    for model, attributes in (
        (models.TrialUserAttributeModel, trial.user_attrs),
        (models.TrialSystemAttributeModel, trial.system_attrs),
    ):
        yield (
            model,
            [
                {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
                for key, value in attributes.items()
            ],
        )


def _table(model: type[DeclarativeBase]) -> sa.Table:
    return cast("sa.Table", model.__table__)
