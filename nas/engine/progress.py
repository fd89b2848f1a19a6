"""What a person sees of a running search: a bar in a terminal, otherwise a line for each trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from math import inf, isinf
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from nas.engine.terminal import say
from nas.engine.trial_spec import TrialSpec
from nas.space.objectives import OBJECTIVES
from nas.space.quantities import epochs_in_words
from nas.space.shown_text import shown_line
from nas.statistics.pareto import GrowingFront
from nas.study.trial_record import TrialRecord

_NARROW, _WIDE = 48, 72
"""Letters in a line from which there is room for the time, and for a bar and the time left."""


class SearchProgress:
    """Listens to a driver and shows how far it is.

    Args:
        complete: values of the trials that earlier drivers completed, by number.
        quiet: show nothing.
        callbacks: called with every trial that is complete or has failed, once it is shown.
        rungs: trials that have a result at each, where the search has some.
    """

    def __init__(
        self,
        name: str,
        objectives: tuple[str, ...],
        wanted: float,
        complete: Mapping[int, tuple[float, ...]],
        quiet: bool = False,
        callbacks: tuple[Callable[[TrialRecord], object], ...] = (),
        rungs: Sequence[int] = (),
    ) -> None:
        self.console = Console(quiet=quiet, highlight=False)
        self.callbacks = callbacks
        self.has_bar = self.console.is_terminal or _in_notebook(self.console)
        self.objectives, self.wanted = objectives, wanted
        self.complete = self.running = 0
        self.rungs = list(rungs)
        self.best = -inf
        self.front = GrowingFront()
        for number, values in complete.items():
            self._count(number, values)
        self.bar = Progress(
            *_columns(self.console.width),
            console=self.console,
            # The time left is estimated from the last hour, for a trial may take minutes.
            speed_estimate_period=3600,
            disable=quiet or not self.has_bar,
        )
        self.task = self.bar.add_task(
            name, total=None if isinf(wanted) else wanted, completed=self.done, running="", best=""
        )
        self._refresh()

    def __enter__(self) -> SearchProgress:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def started(self, spec: TrialSpec) -> None:
        """A trial was handed out."""
        self.running += 1
        self._refresh()

    def finished(self, record: TrialRecord) -> None:
        """A trial has ended."""
        self.running = max(0, self.running - 1)
        if record.state == "complete":
            self._count(record.number, record.values)
        if record.state in ("complete", "waiting") and record.rungs:
            self.rungs[len(record.rungs) - 1] += 1
        self._refresh()
        if record.state == "failed":
            self.say(f"trial {record.number} failed: {shown_line(record.reason)}")
        elif record.state == "rejected":
            self.say(f"trial {record.number} is not trained: {shown_line(record.reason)}")
        elif not self.has_bar:
            self.say(self._line(record))
        if record.state != "waiting":  # it has not ended
            for callback in self.callbacks:
                callback(record)

    @property
    def done(self) -> int:
        """Trials of those that are wanted."""
        return self.rungs[0] if self.rungs else self.complete

    def returned(self, trial: int, reason: str) -> None:
        """A trial lost its worker and will run again."""
        self.running = max(0, self.running - 1)
        self._refresh()
        self.say(f"trial {trial} runs again: {shown_line(reason)}")

    def say(self, line: str) -> None:
        """A line of its own, above the bar where there is one."""
        say(self.bar.console, line)

    def _count(self, number: int, values: tuple[float, ...]) -> None:
        """A trial is complete. The front grows by it: to find it anew would take ever longer."""
        self.complete += 1
        self.best = max(self.best, values[0])
        self.front.add(number, values)

    def _refresh(self) -> None:
        shown = f"front {len(self.front.points)}  best {self.best:.4f}" if self.complete else ""
        if self.rungs:
            shown = f"rungs {'/'.join(map(str, self.rungs))}  {shown}"
        running = f"running {self.running}"
        self.bar.update(self.task, completed=self.done, running=running, best=shown)

    def _line(self, record: TrialRecord) -> str:
        values = {record.score_name: record.score, "macs": record.macs}
        values |= dict(zip(self.objectives, record.values, strict=True))
        parts = [
            str(self.done) if isinf(self.wanted) else f"{self.done}/{self.wanted}",
            f"{record.arm}, seed {record.seeds[0]}" if record.arm else f"trial {record.number}",
            *(epochs_in_words(result.epochs) for result in record.rungs[-1:]),
            *(OBJECTIVES[name].in_words(value) for name, value in values.items()),
            f"{record.seconds:.1f} s",
        ]
        if (
            record.number in self.front.points and not record.arm
        ):  # one training of an arm is no front
            parts.append("on the front")
        return "  ".join(parts)


def _columns(width: int) -> Iterator[ProgressColumn]:
    """What there is room for in a terminal: how many trials are complete, in any case."""
    name = Column(no_wrap=True, overflow="ellipsis", max_width=max(8, width - 62))
    yield TextColumn("[bold]{task.description}", table_column=name)
    if width >= _WIDE:
        yield BarColumn(None)
    yield MofNCompleteColumn(table_column=Column(no_wrap=True))
    if width >= _WIDE:
        yield TextColumn("{task.fields[running]}", table_column=Column(no_wrap=True))
    yield TextColumn("{task.fields[best]}", table_column=Column(no_wrap=True))
    if width >= _NARROW:
        yield TimeElapsedColumn(table_column=Column(no_wrap=True))
    if width >= _WIDE:
        yield TextColumn("ETA", table_column=Column(no_wrap=True))
        yield TimeRemainingColumn(table_column=Column(no_wrap=True))


def _in_notebook(console: Console) -> bool:
    """Whether a bar can be drawn in a notebook, which rich does with a widget."""
    return console.is_jupyter and find_spec("ipywidgets") is not None
