"""What a person sees of a long training: a bar in a terminal, and a line for each epoch."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from nas.engine.terminal import say
from nas.space.quantities import duration
from trials.train import Epoch

REFRESH_S = 0.2
"""Seconds between two changes of the bar: a step may take a millisecond."""


class TrainingProgress:
    """Follows a training: how fast it is, and how long it will take.

    Args:
        steps: of an epoch.
        images: in a step.
        noun: of the score.

    Attributes:
        bar: a context manager, inside which it is drawn.
    """

    def __init__(self, console: Console, epochs: int, steps: int, images: int, noun: str) -> None:
        self.console, self.noun = console, noun
        self.epochs, self.steps, self.images = epochs, steps, images
        self.begun_s = self.shown_s = time.monotonic()
        self.first: int | None = None
        self.told: int | None = None
        columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[speed]}")
        self.bar = Progress(
            *columns, console=console, transient=True, disable=not console.is_terminal
        )
        self.task = self.bar.add_task("", total=epochs * steps, speed="")

    def after_step(self, epoch: int, done: int) -> None:
        """Count a step."""
        steps = epoch * self.steps + done
        if self.first is None:
            self.first = steps - 1
        now = time.monotonic()
        if now - self.shown_s > REFRESH_S:
            self.shown_s = now
            name = f"epoch {epoch + 1}/{self.epochs}"
            self.bar.update(self.task, description=name, completed=steps, speed=self._speed(steps))

    def after_epoch(self, curve: Sequence[Epoch]) -> None:
        """Tell of the last epoch; of those of before only how many there were."""
        if self.told is None:
            self.begun_s = time.monotonic()  # it may have waited for other processes
            if curve:
                say(self.bar.console, f"going on after {len(curve)} of {self.epochs} epochs")
        else:
            last = curve[-1]
            parts = (
                f"epoch {len(curve)}/{self.epochs}",
                f"training loss {last.train_loss:.4f}",
                f"validation loss {last.validation_loss:.4f}",
                f"{self.noun} {last.score:.4f}",
                self._speed(len(curve) * self.steps),
            )
            say(self.bar.console, "  ".join(parts))
        self.told = len(curve)

    def _speed(self, steps: int) -> str:
        """Images a second since this process began, evaluation included, and the time left."""
        seconds = time.monotonic() - self.begun_s
        done = steps - (self.first or 0)
        left = (self.epochs * self.steps - steps) * seconds / max(1, done)
        rate = f"{done * self.images / max(seconds, 1e-9):,.0f} images/s"
        return f"{rate}  {duration(left)} left" if left else rate
