"""Who hears what happens to the trials of a driver."""

from __future__ import annotations

from typing import Protocol

from nas.engine.trial_spec import TrialSpec
from nas.study.trial_record import TrialRecord


class Listener(Protocol):
    """Hears what happens to trials."""

    def started(self, spec: TrialSpec) -> None:
        """A trial was handed out."""

    def finished(self, record: TrialRecord) -> None:
        """A trial is complete, has failed or was rejected, or it waits at a rung."""

    def returned(self, trial: int, reason: str) -> None:
        """A trial lost its worker and will run again."""


class Silent:
    """Hears nothing."""

    def started(self, spec: TrialSpec) -> None:
        pass

    def finished(self, record: TrialRecord) -> None:
        pass

    def returned(self, trial: int, reason: str) -> None:
        pass
