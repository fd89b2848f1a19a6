"""The outbox, which carries the results of trials from their workers to the driver."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

from trials.atomic_file import atomic_write_text
from trials.measurement import Measurement, from_json, to_json


class Outbox:
    """A folder with one file for each finished trial whose result may not have been recorded yet.

    A file is complete or absent, whenever the worker dies.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, trial: int, measurements: Sequence[Measurement]) -> None:
        """Leave the result of a trial."""
        self.folder.mkdir(parents=True, exist_ok=True)
        atomic_write_text(self._file(trial), to_json(measurements))

    def get(self, trial: int) -> tuple[Measurement, ...] | None:
        """The result of a trial, or nothing where it left none."""
        try:
            return from_json(self._file(trial).read_text())
        except (OSError, ValueError):
            return None

    def discard(self, trial: int) -> None:
        """Remove a result that has been recorded."""
        self._file(trial).unlink(missing_ok=True)

    def keep_only(self, trials: Container[int]) -> None:
        """Remove the results of other trials than these, which nobody waits for."""
        for file in self.folder.glob("*.json"):
            if not (file.stem.isdecimal() and int(file.stem) in trials):
                file.unlink(missing_ok=True)

    def _file(self, trial: int) -> Path:
        return self.folder / f"{trial}.json"
