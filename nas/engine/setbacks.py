"""Trials in a row that came to nothing, and how many are too many."""

from __future__ import annotations

from dataclasses import dataclass, field

FAILURES = 10
"""Failed trials in a row after which there is something wrong with more than the architectures."""

REJECTIONS = 100
"""Trials in a row over a limit that has to be measured, after which none may be below it."""


@dataclass
class Setbacks:
    """Since the last trial with a result.

    Attributes:
        failures: reasons of the trials that have failed.
        rejections: reasons of those that were over a limit.
    """

    failures: list[str] = field(default_factory=list)
    rejections: list[str] = field(default_factory=list)

    @property
    def too_many_failures(self) -> bool:
        """Whether so many trials have failed that the others would, too."""
        return len(self.failures) >= FAILURES

    @property
    def too_many_rejections(self) -> bool:
        """Whether so many trials were over the limit that there may be none below it."""
        return len(self.rejections) >= REJECTIONS

    @property
    def too_many(self) -> bool:
        """Whether it is of no use to go on."""
        return self.too_many_failures or self.too_many_rejections

    def clear(self) -> None:
        """A trial has a result."""
        self.failures.clear()
        self.rejections.clear()
