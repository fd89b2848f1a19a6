"""What ends a command, in words: whatever a user can put right."""

from __future__ import annotations

from dataclasses import dataclass

from nas.architecture.presets import PresetError
from nas.architecture.specification import ArchitectureError
from nas.engine.fence import DriverReplaced
from nas.engine.lock import StudyLocked
from nas.engine.outcome import SearchFailed, fault_of_machine
from nas.engine.ray_failures import RayFailed
from nas.network.comparison import ExportError, TooMuchLost
from nas.network.exported_model import NoModel
from nas.study.identity import SpaceChanged
from nas.study.selection import NoSuchTrial
from nas.study.storage import NoStudy
from trials.bounded_json import JsonError
from trials.checkpoint import Damaged, NotWritten, OtherTraining
from trials.device_lock import DeviceBusy
from trials.precision import Unsupported
from trials.train import Diverged


@dataclass(frozen=True)
class Failure:
    """Why a command ends.

    Attributes:
        status: it ends with.
    """

    message: object
    hint: str = ""
    status: int = 2


def explained(error: Exception) -> Failure | None:
    """An error in words; None for one that no user can put right."""
    match error:
        case SpaceChanged():
            return Failure(
                f"this study was begun with other settings:\n{error}",
                "give the study another name with --study, or undo the change",
            )
        case StudyLocked():
            return Failure(error, "wait for it, end it, or choose another name with --study")
        case DriverReplaced():
            return Failure(error, "nothing that was finished is lost: that process goes on", 1)
        case PresetError():
            return Failure(error, error.hint)
        case NoStudy() | NoSuchTrial() | NoModel() | ArchitectureError() | JsonError():
            return Failure(error)
        case Unsupported():  # a study that was searched on another machine
            return Failure(error, "train on a machine that has it, or with --recipe in float32")
        case Diverged():
            return Failure(f"not finite: {error}", "a lower learning rate, with another --output")
        case OtherTraining():
            return Failure(
                f"the checkpoints in this folder are of another training: {error}",
                "give the same options as before, or choose another folder with --output",
            )
        case Damaged():
            return Failure(error, "remove that folder to train from the start")
        case NotWritten():
            hint = "make room, or let it be written to: the same command goes on from there"
            return Failure(error, hint, 1)
        case SearchFailed() | RayFailed() | DeviceBusy():
            return Failure(error, status=1)
        case TooMuchLost():
            return Failure(error, "--max-loss allows more; more --calibration may help int8", 1)
        case ExportError():  # a bug, nothing that a user did
            return Failure(f"the export would not be the trained network: {error}", status=1)
    fault = fault_of_machine(error)
    return None if fault is None else Failure(fault)
