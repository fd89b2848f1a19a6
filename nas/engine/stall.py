"""A search in which nothing happens any more: it ends, for nobody knows what it waits for."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from math import inf
from pathlib import Path

from nas.engine.ray_failures import RayFailed
from nas.space.errors import InputError
from nas.space.quantities import duration, seconds_of
from nas.space.shown_text import shown_line
from trials.heartbeat import heartbeats

PATIENCE_S = 600.0
"""How long nothing may happen, unless another time is given."""

_LONGEST_LOOK_S = 10.0
"""Two looks are not further apart, unless the process itself was stopped: that does not count."""


class StallWatch:
    """Looks at what changes: which trials run, and what their workers say that they are doing.

    Args:
        patience_s: how long nothing may.
        folder: where workers leave results and heartbeats.
        is_shared: all of them reach it. Otherwise nothing is known of a trial without a heartbeat.
        clock: seconds from any moment on.
    """

    def __init__(
        self,
        patience_s: float,
        folder: Path,
        is_shared: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.patience_s, self.folder, self.is_shared = patience_s, folder, is_shared
        self.clock = clock
        self.every_s = min(_LONGEST_LOOK_S, patience_s / 10)
        self._seen: object = None
        self._quiet_s, self._looked_at = 0.0, -inf

    def check(self, running: Collection[int]) -> None:
        """Check that something has happened; asked as often as one likes.

        Args:
            running: numbers of the trials that have been handed out.

        Raises:
            RayFailed: for too long nothing has; it says what each trial was doing.
        """
        since = self.clock() - self._looked_at
        if since < self.every_s:
            return
        self._looked_at = self.clock()
        doing = heartbeats(self.folder)
        seen = (sorted(running), doing)
        is_known = self.is_shared or doing.keys() >= set(running)
        if seen != self._seen or not is_known:
            self._seen, self._quiet_s = seen, 0.0
            return
        self._quiet_s += min(since, 2 * self.every_s)
        if self._quiet_s >= self.patience_s:
            raise RayFailed(self._explain(running, doing))

    def _explain(self, running: Collection[int], doing: dict[int, str]) -> str:
        trials = [
            f"  trial {trial}: {shown_line(doing.get(trial, 'no worker has begun it'))}"
            for trial in sorted(running)
        ]
        heading = f"nothing has happened for {duration(self.patience_s)} (--stall):"
        return "\n".join([heading, *(trials or ["  no trial was running"])])


def patience_of(given: str | float, name: str) -> float:
    """The seconds that a user gave.

    Args:
        given: a duration such as ``10m``, or seconds.
        name: of the option.

    Raises:
        InputError: it is no duration, or not above 0.
    """
    try:
        return seconds_of(given)
    except ValueError as error:
        raise InputError.of(name, str(error)) from None
