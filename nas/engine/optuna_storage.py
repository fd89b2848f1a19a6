"""The trials of one study in Optuna's database, by their numbers.

An Optuna study can neither add a trial that is RUNNING nor change one that another process began,
so this goes to the storage, whose names are Optuna's own: they may change with any version of it,
and are used in this file alone.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import cast

import optuna
import sqlalchemy as sa
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.orm import Session


def add_study_attributes(study: optuna.Study, attributes: Mapping[str, object]) -> None:
    """Add system attributes, which the study does not have yet, in one transaction."""
    with Session(_engine(study)) as session:
        session.add_all(
            models.StudySystemAttributeModel(
                study_id=study._study_id, key=key, value_json=json.dumps(value)
            )
            for key, value in attributes.items()
        )
        session.commit()


def remove_study_attributes(study: optuna.Study, keys: Collection[str]) -> None:
    """Remove system attributes, which Optuna itself can only overwrite."""
    table = models.StudySystemAttributeModel
    theirs = table.study_id == study._study_id
    with Session(_engine(study)) as session:
        session.execute(sa.delete(table).where(theirs, table.key.in_(keys)))
        session.commit()


def _engine(study: optuna.Study) -> sa.Engine:
    storage = cast("optuna.storages.RDBStorage", study._storage)
    return getattr(storage, "_backend", storage).engine  # without the cache in between


class StudyTrials:
    """Reads and writes the trials of a study, each in one transaction.

    Args:
        storage: that the study is in.
    """

    def __init__(self, storage: optuna.storages.RDBStorage, study: str) -> None:
        self.storage, self.study = storage, study
        self.ids: dict[int, int] = {}  # of the database, by number

    def add(self, trial: FrozenTrial) -> int:
        """Add a trial in the state that it has; returns its number."""
        trial_id = self.storage.create_new_trial(self.study_id, trial)
        number = self.storage.get_trial_number_from_id(trial_id)
        self.ids[number] = trial_id
        return number

    def get(self, number: int) -> FrozenTrial:
        """A trial as it is now."""
        return self.storage.get_trial(self._id(number))

    def set_state(
        self, number: int, state: TrialState, values: Sequence[float] | None = None
    ) -> None:
        """Give a trial another state, and values where it is complete."""
        self.storage.set_trial_state_values(self._id(number), state, values)

    def set_attribute(self, number: int, name: str, value: object) -> None:
        """Keep a value with a trial that has not ended."""
        self.storage.set_trial_user_attr(self._id(number), name, value)

    def set_curve(self, number: int, curve: Sequence[float]) -> None:
        """Values after each epoch, counted from 1, in place of those that are there.

        A study with several objectives refuses `Trial.report` (optuna/optuna#3450), and a storage
        takes a transaction for each value, a tenth of a second for a trial.
        """
        trial_id, values = self._id(number), models.TrialIntermediateValueModel
        finite = values.TrialIntermediateValueType.FINITE
        with Session(self.storage.engine) as session:
            session.execute(sa.delete(values).where(values.trial_id == trial_id))
            session.add_all(
                values(
                    trial_id=trial_id,
                    step=epoch,
                    intermediate_value=value,
                    intermediate_value_type=finite,
                )
                for epoch, value in enumerate(curve, 1)
            )
            session.commit()

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
