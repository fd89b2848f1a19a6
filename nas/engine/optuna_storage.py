"""The trials of one study in Optuna's database, by their numbers.

An Optuna study can neither add a trial that is RUNNING nor change one that another process began,
so this goes to the storage, whose names are Optuna's own: they may change with any version of it,
and are used in this file alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import optuna
from optuna.trial import FrozenTrial, TrialState


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
