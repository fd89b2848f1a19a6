"""A study: the Optuna study, its database and who may write to it."""

from nas.study.choice import NoSuchTrial, choose
from nas.study.driver import Assignment, Driver, Listener, trial_seed
from nas.study.identity import SpaceChanged
from nas.study.lock import DriverLock, StudyLocked
from nas.study.records import (
    STORAGE_ERRORS,
    NoStudy,
    Records,
    TrialRecord,
    parameter_importances,
    quiet_optuna,
    read_records,
)

__all__ = [
    "STORAGE_ERRORS",
    "Assignment",
    "Driver",
    "DriverLock",
    "Listener",
    "NoStudy",
    "NoSuchTrial",
    "Records",
    "SpaceChanged",
    "StudyLocked",
    "TrialRecord",
    "choose",
    "parameter_importances",
    "quiet_optuna",
    "read_records",
    "trial_seed",
]
