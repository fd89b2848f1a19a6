"""A study: the Optuna study, its database and who may write to it."""

from nas.study.choice import NoSuchTrial, choose
from nas.study.confirmation import arms_to_confirm
from nas.study.design import Arm, Design, arms_of, design_seeds
from nas.study.driver import Assignment, Driver, Listener, trial_seed
from nas.study.identity import SpaceChanged
from nas.study.lock import DriverLock, StudyLocked
from nas.study.records import (
    STORAGE_ERRORS,
    NoStudy,
    Records,
    TrialRecord,
    confirmation_name,
    parameter_importances,
    quiet_optuna,
    read_records,
)
from nas.study.registration import Plan, register

__all__ = [
    "STORAGE_ERRORS",
    "Arm",
    "Assignment",
    "Design",
    "Driver",
    "DriverLock",
    "Listener",
    "NoStudy",
    "NoSuchTrial",
    "Plan",
    "Records",
    "SpaceChanged",
    "StudyLocked",
    "TrialRecord",
    "arms_of",
    "arms_to_confirm",
    "choose",
    "confirmation_name",
    "design_seeds",
    "parameter_importances",
    "quiet_optuna",
    "read_records",
    "register",
    "trial_seed",
]
