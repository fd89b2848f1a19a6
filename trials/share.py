"""Which part of each batch a process trains on, where several train one network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """One of several equal parts.

    Attributes:
        rank: of the process, from zero.
        count: of processes.
    """

    rank: int = 0
    count: int = 1

    def part(self, batch: int) -> slice:
        """Places of the process's images among those of a batch."""
        each, rest = divmod(batch, self.count)
        if rest:
            raise ValueError(f"a batch of {batch} has no {self.count} equal parts")
        return slice(self.rank * each, (self.rank + 1) * each)


WHOLE = Share()
"""Of a process that trains by itself."""
