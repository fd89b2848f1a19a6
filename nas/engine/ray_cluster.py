"""How long a search needs a Ray: from its first trial to the writing of its results."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack
from typing import Self

from nas.engine import ray_settings


class RayCluster:
    """A context: it starts with `start`, once, and has ended where the context ends.

    Args:
        address: of a cluster that runs already; None for one on this machine.
    """

    def __init__(self, address: str | None) -> None:
        self.address = address
        self._running: ExitStack | None = None
        self._ending: threading.Thread | None = None
        self._error: Exception | None = None

    @property
    def started(self) -> bool:
        """Whether it is there."""
        return self._running is not None

    def start(self) -> None:
        """Start it, or connect to it, unless that has been done."""
        if self._running is not None:
            return
        ray_settings.prepare(local=self.address is None)
        from nas.engine import ray_nodes  # only now: Ray reads its settings when it is imported

        handler = signal.getsignal(signal.SIGTERM)
        running = ExitStack()
        running.enter_context(ray_nodes.cluster(self.address))
        self._running = running
        if handler is not None and _in_main_thread():  # Ray has put its own in the place of ours
            signal.signal(signal.SIGTERM, handler)

    def end_soon(self) -> None:
        """End it beside what follows: it takes more than a second, mostly of waiting."""
        if self._running is not None and self._ending is None:
            self._ending = threading.Thread(target=self._end, args=(self._running,))
            self._ending.start()

    def _end(self, running: ExitStack) -> None:
        try:
            running.close()
        except Exception as error:  # told where somebody hears it
            self._error = error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end_soon()
        if self._ending is not None:
            self._ending.join()
        error, self._error = self._error, None
        self._running = self._ending = None
        if error is not None:
            raise error


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
