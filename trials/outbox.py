"""The outbox, which carries the results of trials from their workers to the driver."""

from __future__ import annotations

import stat
from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from pathlib import Path

from trials.atomic_file import atomic_write_text
from trials.bounded_json import JsonError, read_json
from trials.failpoint import failpoint
from trials.heartbeat import forget
from trials.measurement import MAX_BYTES, Measurement, from_json, to_json


class Outbox:
    """A folder with one file for each finished trial whose result may not have been recorded yet.

    A file is complete or absent, whenever the worker dies. One that is something else, as a disk or
    a hand has made it, is put aside as ``TRIAL.bad``. Where a machine cannot read now, nothing is
    known of a result, and nothing is done with it.

    Args:
        say: gets a line about each file that is put aside.
    """

    def __init__(self, folder: Path, say: Callable[[str], None] = lambda _: None) -> None:
        self.folder = folder
        self.say = say

    def put(self, trial: int, measurements: Sequence[Measurement]) -> None:
        """Leave the result of a trial."""
        failpoint("outbox.put")
        self.folder.mkdir(parents=True, exist_ok=True)
        atomic_write_text(self._file(trial), to_json(measurements))

    def get(self, trial: int) -> tuple[Measurement, ...] | None:
        """The result of a trial, or nothing where what it left is none.

        Raises:
            OSError: this machine, or its disk, cannot read now; it names the file.
        """
        file = self._file(trial)
        try:
            if not stat.S_ISREG(file.stat().st_mode):  # a FIFO would be waited for
                raise JsonError("a result is in a file")
            return read_json(file, _result, MAX_BYTES)
        except FileNotFoundError:
            return None
        except JsonError as error:
            self._put_aside(file, error)
            return None
        except OSError as error:
            error.filename = str(file)
            raise

    def _put_aside(self, file: Path, reason: JsonError) -> None:
        aside = file.with_suffix(".bad")
        with suppress(OSError):  # of a folder that cannot be written: it stays, and is not used
            file.replace(aside)
            file = aside
        self.say(f"{file} is no result of a trial, which runs again: {reason}")

    def discard(self, trial: int) -> None:
        """Remove a result that has been recorded."""
        failpoint("outbox.discard")
        self._file(trial).unlink(missing_ok=True)
        forget(self.folder, trial)
        failpoint("outbox.discarded")

    def keep_only(self, trials: Container[int]) -> None:
        """Remove the results of other trials than these, which nobody waits for."""
        forget(self.folder)
        for file in self.folder.glob("*.json"):
            number = file.stem if file.stem.isdecimal() and len(file.stem) < 20 else "-1"
            if file.is_file() and int(number) not in trials:
                file.unlink(missing_ok=True)

    def _file(self, trial: int) -> Path:
        return self.folder / f"{trial}.json"


def _result(text: str) -> tuple[Measurement, ...]:
    """Measurements that a trial can have been made of."""
    found = from_json(text)
    complete = [measurement for measurement in found if measurement.state == "complete"]
    if any(measurement.score is None for measurement in complete):
        raise JsonError("a complete training has an accuracy; got none")
    if len(lengths := {len(measurement.curve) for measurement in complete}) > 1:
        raise JsonError(f"the curves of a trial have one length; got {sorted(lengths)}")
    return found
