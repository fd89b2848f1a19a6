"""How long a search needs a Ray: from its first trial to the writing of its results."""

from __future__ import annotations

import sys
import threading
from typing import Self

from nas.engine import ray_settings
from nas.engine.ray_failures import RayFailed

START_S = 300.0
"""It starts twice at the most, and waits for its own processes itself."""
END_S = 60.0


class RayCluster:
    """A context: it starts with `start`, once, and has ended where the context ends.

    It lives in a thread of its own, for it starts and ends by waiting. Its processes are killed
    where the thread that has started them dies, so the thread stays until the end.

    Args:
        address: of a cluster that runs already; None for one on this machine.
    """

    def __init__(self, address: str | None) -> None:
        self.address = address
        self._life: threading.Thread | None = None
        self._there, self._over = threading.Event(), threading.Event()
        self._error: BaseException | None = None

    def start_soon(self) -> None:
        """Start it, or connect to it, beside what follows, unless that has been done.

        Not where Ray is loaded: the process dies where an object of an earlier one is freed while
        the next one starts.
        """
        if "ray" not in sys.modules:
            self._begin()

    def _begin(self) -> None:
        if self._life is not None:
            return
        ray_settings.prepare(local=self.address is None)
        from nas.engine import ray_nodes  # only now: Ray reads its settings when it is imported

        def live() -> None:
            try:
                with ray_nodes.cluster(self.address):
                    self._there.set()
                    self._over.wait()
            except BaseException as error:  # told where somebody hears it
                self._error = error
            finally:
                self._there.set()

        # A daemon: Ctrl-C pressed twice waits for nothing.
        self._life = threading.Thread(target=live, name="Ray", daemon=True)
        self._life.start()

    def start(self) -> None:
        """Start it, or wait until it is there.

        Raises:
            RayFailed: it does not start, or the cluster cannot be used.
            InputError: the cluster's address is none.
        """
        assert not self._over.is_set(), "it has ended, and starts once"
        self._begin()
        if not self._there.wait(START_S):
            raise RayFailed(f"Ray has not started in {START_S:g} s")
        self._raise_error()

    def end_soon(self) -> None:
        """End it beside what follows: it takes more than a second, mostly of waiting."""
        self._over.set()

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.end_soon()
        if self._life is not None:
            self._life.join(END_S)  # what it leaves is ended by the watchdog, or the next search
        if kind is None:
            self._raise_error()
