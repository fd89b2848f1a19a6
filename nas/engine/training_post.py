"""Files by which the processes of a training and the one that has started them talk."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from trials.resumable import Watch
from trials.train import Epoch


class Post:
    """What is told, and whether they are to stop.

    Args:
        folder: of this training alone.
    """

    def __init__(self, folder: Path) -> None:
        self._told, self._stop = folder / "told", folder / "stop"
        self._read = 0

    def ask_to_stop(self) -> None:
        """At the next step."""
        self._stop.touch()

    def asked_to_stop(self) -> bool:
        """Whether that was done."""
        return self._stop.exists()

    def watch(self, asked_to_stop: Callable[[], bool]) -> Watch:
        """Of the process that tells."""
        file = self._told.open("w", buffering=1)  # each line at once

        def tell(message: object) -> None:
            file.write(json.dumps(message) + "\n")

        return Watch(
            asked_to_stop,
            after_step=lambda epoch, done: tell({"epoch": epoch, "done": done}),
            after_epoch=lambda curve: tell({"curve": [asdict(epoch) for epoch in curve]}),
        )

    def pass_on(self, watch: Watch) -> None:
        """Tell what has been told since the last time."""
        if not self._told.exists():
            return
        with self._told.open() as file:
            file.seek(self._read)
            while (line := file.readline()).endswith("\n"):  # the last may be half written
                self._read = file.tell()
                message = json.loads(line)
                if "curve" in message:
                    watch.after_epoch([Epoch(**epoch) for epoch in message["curve"]])
                else:
                    watch.after_step(message["epoch"], message["done"])
