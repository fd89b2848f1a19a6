"""A study: the Optuna study, its database and who may write to it."""

from nas.study.driver import Assignment, Driver, Listener, trial_seed
from nas.study.identity import SpaceChanged
from nas.study.lock import DriverLock, StudyLocked
from nas.study.records import NoStudy, Records, TrialRecord, read_records

__all__ = [
    "Assignment",
    "Driver",
    "DriverLock",
    "Listener",
    "NoStudy",
    "Records",
    "SpaceChanged",
    "StudyLocked",
    "TrialRecord",
    "read_records",
    "trial_seed",
]
