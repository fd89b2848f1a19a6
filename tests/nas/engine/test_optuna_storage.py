"""The names of Optuna's storage that a driver needs: this fails where a version changes them."""

from __future__ import annotations

import optuna
from optuna.trial import TrialState, create_trial

from nas.engine.optuna_storage import StudyTrials
from nas.study.records import open_storage


def test_trials_are_added_found_and_changed_by_their_numbers(sqlite):
    storage = open_storage(sqlite, create=True)
    optuna.create_study(study_name="other", storage=storage).ask()  # ids are no numbers
    study = optuna.create_study(study_name="one", storage=storage)
    trials = StudyTrials(storage, "one")
    number = trials.add(create_trial(state=TrialState.RUNNING, user_attrs={"key": "a"}))
    assert number == 0
    assert study.trials[0].state == TrialState.RUNNING
    another = StudyTrials(open_storage(sqlite), "one")  # of a later process
    another.set_attribute(number, "seconds", 2.0)
    another.set_state(number, TrialState.COMPLETE, [0.5])
    assert another.get(number).values == [0.5]
    assert study.trials[0].user_attrs == {"key": "a", "seconds": 2.0}
    another.close()
    trials.close()
